"""The examples of a run are checked once, and then read by number.

What cannot be trained on becomes a reject with its reason, shard by shard; all else goes on.
"""

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from lskd import picture, table
from lskd.distil import augmentation, ledger
from lskd.distil.ledger import Ledger
from lskd.errors import UserError
from lskd.stage import Context
from lskd.table import Tables
from lskd.types import Example, Reject

FILE, REJECTS = "examples.jsonl", "rejects"


@dataclasses.dataclass(frozen=True, slots=True)
class Choice:
    """Which examples are wanted.

    Those of `split`; `cut` returns how many of some examples have texts that will lose a part, and
    `lose` says which. `faults` returns for each of some sound examples why it is not wanted all the
    same, or None.
    """

    split: str
    cut: Callable[[Sequence[Example]], int]
    lose: str = "are longer than `tokens`: their texts lose their end"
    faults: Callable[[Sequence[Example]], Sequence[str | None]] | None = None


def prepared(tables: Tables, folder: Path, choice: Choice, context: Context) -> Ledger[Example]:
    """Return the examples that can be trained on; made once, and found again in `folder`.

    Memory holds one shard. Raises UserError if none is left.
    """
    file = folder / FILE
    if not ledger.exists(file):
        ledger.write(file, _sound(tables, folder, choice, context))
    kept: Ledger[Example] = Ledger(Example, file)
    if not len(kept):
        raise UserError(_nothing(tables, folder, choice.split, context.stage))
    return kept


def rejects(folder: Path, shard: str) -> list[Reject]:
    """Return what was left out of a shard."""
    return table.read(Reject, _rejects(folder, shard))


def _sound(tables: Tables, folder: Path, choice: Choice, context: Context) -> Iterator[Example]:
    other = left_out = cut = 0
    for shard in tables.shards(Example):
        rows = tables.read(Example, shard)
        wanted = [example for example in rows if example.split == choice.split]
        kept, refused = _checked(wanted)
        if choice.faults is not None and kept:
            kept, more = _parted(kept, choice.faults(kept))
            refused += more
        table.write(Reject, _rejects(folder, shard), refused)
        other, left_out = other + len(rows) - len(wanted), left_out + len(refused)
        cut += choice.cut(kept)
        context.tick(len({example.image_id for example in rows}))
        yield from kept
    for number, what in (
        (other, f"are not of the split {choice.split!r}"),
        (left_out, "cannot be trained on: see the stage's rejects"),
        (cut, choice.lose),
    ):
        if number:
            context.say(f"{number} examples {what}")


def _checked(examples: Sequence[Example]) -> tuple[list[Example], list[Reject]]:
    """Return the examples that are sound, and why the others are not."""
    images: dict[tuple[str, str], str | None] = {}
    kept, refused = [], []
    for example in examples:
        key = example.path, example.image_id
        if key not in images:
            images[key] = _image_fault(example)
        reason = images[key] or augmentation.fault(example)
        if reason is None:
            kept.append(example)
        else:
            refused.append(Reject(example.id, reason, example.path))
    return kept, refused


def _parted(
    examples: Sequence[Example], faults: Sequence[str | None]
) -> tuple[list[Example], list[Reject]]:
    """Return the examples without a fault, and why the others are left out."""
    both = list(zip(examples, faults, strict=True))
    kept = [example for example, fault in both if fault is None]
    return kept, [Reject(one.id, fault, one.path) for one, fault in both if fault is not None]


def _image_fault(example: Example) -> str | None:
    """Return why an example's image cannot be used, or None.

    The stage `images` has decoded what has this hash, so that is not done again here.
    """
    try:
        data = picture.read(example.path, example.image_id)
    except OSError as error:
        return f"its image cannot be read: {error.strerror or error}"
    if picture.image_id(data) != example.image_id:
        return "its image has changed since it was first read"
    return None


def _nothing(tables: Tables, folder: Path, split: str, stage: str) -> str:
    total = sum(tables.count(Example, shard) for shard in tables.shards(Example))
    if not total:
        return "there are no examples to train on: lower corpus.threshold, or raise corpus.keep"
    refused = [reject for s in tables.shards(Example) for reject in rejects(folder, s)]
    if not refused:
        return f"none of the {total} examples is of the split {split!r}: set {stage}.split"
    first = refused[0]
    return (
        f"no example can be trained on: {len(refused)} of {total} were left out, the first "
        f"({first.source}) because {first.reason} ({first.text})"
    )


def _rejects(folder: Path, shard: str) -> Path:
    return folder / REJECTS / f"{shard}.parquet"
