"""The benchmarks of an evaluation are read, checked, and cut into shards.

In: where the files lie. Out: a `Trial` for each benchmark. A row that cannot be asked ends it here,
before any model is loaded, unless such rows are to be left out.
"""

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from lskd import table
from lskd.audit import leak_file
from lskd.audit.leak import touched
from lskd.errors import UserError
from lskd.evaluate import benchmarks
from lskd.evaluate.benchmark import Benchmark
from lskd.evaluate.stage import Source
from lskd.storage import files
from lskd.types import Item, Reject

SHARD = 256  # items; a kill loses the answers to as many at most
ITEMS = "items"
SHOWN = 3
CLEAN = "no file of leaks names an item: it is clean, or was not audited"
OTHERS = "the files of leaks name items, but none of these: they are of another split, or not asked"

Key = tuple[str, str]


@dataclass(frozen=True)
class Trial:
    """One benchmark as it is asked.

    `items` stand image by image, so that a view is in one shard and encoded once. `digest` is a
    hash of all that they say, their pictures included. `leaked` are the items, by id and task, that
    a training corpus touches; None where no file of leaks names one: it may not have been audited.
    """

    benchmark: Benchmark
    split: str
    items: tuple[Item, ...]
    faults: tuple[Reject, ...]
    notes: tuple[str, ...]
    digest: str
    leaked: frozenset[Key] | None

    @property
    def name(self) -> str:
        """Return the benchmark's name."""
        return self.benchmark.name

    @property
    def folder(self) -> str:
        """Return the name of a folder that holds what belongs to these very items."""
        return f"{self.name}-{self.digest}"

    def shards(self) -> dict[str, tuple[Item, ...]]:
        """Return the items by the names of their shards."""
        made: list[list[Item]] = [[]]
        for group in _by_image(self.items).values():
            if made[-1] and len(made[-1]) + len(group) > SHARD:
                made.append([])
            made[-1] += group
        return {f"{number:05d}": tuple(items) for number, items in enumerate(made)}


def key(item: Item) -> Key:
    """Return what tells an item from the others of its benchmark."""
    return item.id, item.task


def read(sources: Mapping[str, Source], faults: str, leaks: Sequence[str]) -> list[Trial]:
    """Return the trials of all benchmarks.

    Raises UserError if one cannot be read, has nothing to ask, or (with faults "error") has rows
    that cannot be asked: how many, for which reasons, and the first of each.
    """
    found = [leak for name in leaks for leak in leak_file.read(_there(Path(name)))]
    trials, wrong, hint = [], [], ""
    for name, source in sources.items():
        benchmark = benchmarks.named(name)
        try:
            got = benchmark.read(Path(source.folder), source.options)
        except UserError as error:
            wrong.append(f"{name}: {error}")
            continue
        if got.faults and faults == "error":
            wrong.append(f"{name}: {counted(got.faults)}")
            hint = '; faults = "skip" leaves such rows out'
        elif not got.items:
            why = counted(got.faults) if got.faults else "no rows"
            wrong.append(f"{name}: nothing in {source.folder} can be asked: {why}")
        else:
            of_image = _by_image(got.items).values()
            items = tuple(item for group in of_image for item in group)
            named = touched([leak for leak in found if leak.benchmark == name])
            leaked = named if any(key(item) in named for item in items) else None
            notes = got.notes
            if leaks and leaked is None:
                notes = (*notes, OTHERS if named else CLEAN)
            trials.append(
                Trial(
                    benchmark,
                    items[0].split,
                    items,
                    got.faults,
                    notes,
                    _digest(items),
                    leaked,
                )
            )
    if wrong:
        raise UserError("; ".join(wrong) + hint)
    return trials


def counted(faults: Sequence[Reject]) -> str:
    """Return how many rows cannot be asked, for which reasons, and the first of each."""
    kinds = Counter(re.sub(r"\d+", "#", fault.reason) for fault in faults)
    told = []
    for kind, count in kinds.most_common(SHOWN):
        first = next(f for f in faults if re.sub(r"\d+", "#", f.reason) == kind)
        told.append(f"{count} because of {first.reason} ({first.source})")
    more = f", and {len(kinds) - SHOWN} other reasons" if len(kinds) > SHOWN else ""
    return f"{len(faults)} rows cannot be asked: {', '.join(told)}{more}"


def keep(trial: Trial, folder: Path) -> None:
    """Write the items as they are asked, candidates included, so that others can check a result."""
    for shard, items in trial.shards().items():
        file = folder / ITEMS / trial.folder / f"{shard}.parquet"
        if not files.exists(file):
            table.write(Item, file, items)


def _by_image(items: Iterable[Item]) -> dict[str, list[Item]]:
    groups: dict[str, list[Item]] = {}
    for item in items:
        groups.setdefault(item.image_id, []).append(item)
    return groups


def _digest(items: Sequence[Item]) -> str:
    """Return a hash of items; where a picture lies is no part of it, its content is."""
    total = hashlib.blake2b(digest_size=8)
    for item in items:
        total.update(json.dumps(table.plain(replace(item, path=""))).encode())
    return total.hexdigest()


def _there(file: Path) -> Path:
    if not file.is_file():
        raise UserError(f"leaks = {str(file)!r}: no such file; `lskd audit --out` writes one")
    return file
