"""A model answers the items of a trial, shard by shard; what was answered is never asked again.

In: a trial, and an entry of the run file. Out: the scores of each item's choices. They lie in
`predictions/<model>-<digest>/<benchmark>-<digest>/<shard>.parquet`, where the first digest is of
the model's keys, the bytes of the files that these name and the protocol, the second of the items.
"""

import hashlib
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from lskd import __version__, table
from lskd.errors import UserError
from lskd.evaluate import protocol as asking
from lskd.evaluate.stage import Entry
from lskd.evaluate.trial import Key, Trial, key
from lskd.fingerprint import CARD, effective, effective_model
from lskd.presence import is_here
from lskd.protocols import Panel, Scorer
from lskd.stage import Context, Model, at_places
from lskd.storage import files, mirror
from lskd.types import Item, Prediction

PREDICTIONS = "predictions"
WORDS = 2  # one more whenever names = "words" makes other texts

Scores = Mapping[Key, tuple[float, ...]]


@runtime_checkable
class Cutter(Protocol):
    """A scorer that can tell how many texts are longer than it reads."""

    def shortened(self, panels: Sequence[Panel]) -> int:
        """Return how many texts lose their end."""
        ...


@dataclass(frozen=True)
class Answers:
    """What a model said of a trial; `notes` tell what was cut from its texts."""

    scores: Scores
    notes: tuple[str, ...]


class Contender:
    """A model of an evaluation; its weights are loaded when the first missing shard needs them."""

    def __init__(self, name: str, model: Model, protocol: asking.Protocol, context: Context):
        self.name, self.model, self.protocol, self.context = name, model, protocol, context
        self.scorer: Scorer | None = None

    def answers(self, trial: Trial) -> Answers:
        """Return the scores of all items of a trial; those that are missing are asked for.

        Raises UserError for a model that cannot be loaded, lacks the protocol's head or gives what
        is no number, and for a file of predictions that is not of these items.
        """
        scores: dict[Key, tuple[float, ...]] = {}
        protocol = self._protocol(trial)
        folder = f"{self.name}-{digest(self.model, protocol)}"
        longer, shards = 0, trial.shards()
        for number, (shard, items) in enumerate(shards.items(), start=1):
            inner = Path(PREDICTIONS, folder, trial.folder, f"{shard}.parquet")
            file = self.context.folder / inner
            if not files.exists(file) and not self._inherited(inner):
                self._ask(items, protocol, file)
                self.context.say(f"{self.name}: {trial.name} {number} of {len(shards)} shards")
            scores |= fitting(items, table.read(Prediction, file), file)
            longer += _longer(file)
        return Answers(scores, tuple(self._notes(trial, longer)))

    def _inherited(self, inner: Path) -> bool:
        """Take a shard from a run that this one extends, if one has it."""
        for parent in self.context.parents:
            if files.exists(parent / inner):
                for file in (_told(parent / inner), parent / inner):
                    if files.exists(file):
                        own = self.context.folder / inner.with_name(file.name)
                        with table.draft(own) as unfinished:
                            unfinished.write_bytes(files.read_bytes(file))
                return True
        return False

    def _protocol(self, trial: Trial) -> asking.Protocol:
        return asking.of_labels(self.protocol) if trial.benchmark.labels else self.protocol

    def _ask(self, items: Sequence[Item], protocol: asking.Protocol, file: Path) -> None:
        if self.scorer is None:
            self.scorer = self.context.build(Scorer, self.model)
        panels = asking.panels(items, protocol)
        fits = self.scorer.fits(panels)
        assert len(fits) == len(items)
        chosen = [asking.chosen(fit, protocol) for fit in fits]
        for item, scores in zip(items, chosen, strict=True):
            # Without a finite best one nothing can be said of how sure a model is.
            if any(map(math.isnan, scores)) or not math.isfinite(max(scores, default=0.0)):
                raise UserError(
                    f"{self.name} gives {item.benchmark} {item.id} a score that is not a number, "
                    "or none that is finite: its weights may be broken, or its precision too low "
                    '(try dtype = "float32")'
                )
        cut = self.scorer.shortened(panels) if isinstance(self.scorer, Cutter) else 0
        with table.draft(_told(file)) as unfinished:
            unfinished.write_text(json.dumps({"longer": cut}), encoding="utf-8")
        rows = zip(items, chosen, strict=True)
        table.write(
            Prediction,
            file,
            [Prediction(i.benchmark, i.task, i.id, i.image_id, scores) for i, scores in rows],
        )

    def _notes(self, trial: Trial, longer: int) -> Iterator[str]:
        if self._protocol(trial) != self.protocol:
            yield (
                f"{self.name} on {trial.name}: question = false, but the question stays: the "
                "choices are labels, and it holds the statement that they are about"
            )
        cut = asking.cuts(trial.items, self._protocol(trial))
        if cut.shortened:
            yield (
                f"{self.name} on {trial.name}: words = {self.protocol.words} cuts {cut.shortened} "
                f"of {cut.texts} texts; in {cut.alike} items choices become alike"
            )
        if longer:
            yield (
                f"{self.name} on {trial.name}: {longer} of {cut.texts} texts are longer than the "
                "model reads, and lose their end"
            )


def fitting(items: Sequence[Item], found: Sequence[Prediction], file: Path) -> Scores:
    """Return the scores of a shard's items; raises UserError if the file is not of these."""
    given = {(one.item_id, one.task): one.scores for one in found}
    if list(given) != [key(item) for item in items] or any(
        len(given[key(item)]) != len(item.choices) for item in items
    ):
        raise UserError(f"{file} is not of these items: remove it and run again to remake it")
    return given


def digest(model: Model, protocol: asking.Protocol) -> str:
    """Return a hash of all that decides what a model says: its keys, files and protocol."""
    decisive = {
        "model": effective_model(model),
        "files": {n: _content(path) for n, path in sorted(_named(effective_model(model)))},
        "protocol": effective(protocol),
        **({"words": WORDS} if protocol.names == "words" else {}),
        "lskd": ".".join(__version__.split(".")[:2]),
    }
    text = json.dumps(decisive, sort_keys=True, default=str)
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def contender(name: str, entry: Entry, context: Context) -> Contender:
    """Return a model of the run file that can be asked."""
    assert entry.model is not None
    return Contender(name, entry.model, entry.protocol, context)


def _named(keys: Mapping[str, Any]) -> Iterator[tuple[str, Path]]:
    """Yield the files and folders that a model's keys name, its parts' included, and their names.

    Those at a place are brought here.
    """
    for _, url in at_places(keys):
        yield url, mirror.kept(url)
    for name, value in keys.items():
        if isinstance(value, Mapping):
            yield from _named(value)
        for one in value if isinstance(value, list) else [value]:
            if name != "use" and isinstance(one, str) and is_here(one):
                yield str(Path(one)), Path(one)


def _content(path: Path) -> str:
    """Return a hash of every byte of a file, or of all files in a folder but its card.

    Weights of one size are not taken for each other: a student that is trained again has them.
    """
    total = hashlib.blake2b(digest_size=16)
    for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
        if file.is_file() and file not in (path / CARD, path / mirror.LIST):
            with file.open("rb") as opened:
                content = hashlib.file_digest(opened, "blake2b").hexdigest()
            total.update(f"{file.relative_to(path)}\0{content}\n".encode())
    return total.hexdigest()


def _told(file: Path) -> Path:
    return file.with_suffix(".json")


def _longer(file: Path) -> int:
    told = _told(file)
    return int(json.loads(files.read_bytes(told))["longer"]) if files.exists(told) else 0
