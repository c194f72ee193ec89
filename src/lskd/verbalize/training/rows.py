"""The corpora of a recipe become rows of training, and rows that are held out from it.

Files are read once. What they say lies in `<folder>/rows/<digest>/` from then on:

```
<corpus>/caption/00000.parquet   places of the splits that are wanted
<corpus>/reject/00000.parquet    what could not be read, and why
counts.json                      how many were of other splits
```

No picture is on both sides: what one corpus holds out, no other learns from, as far as the files of
the pictures are the same.
"""

import glob
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from lskd import table
from lskd.columns import schema
from lskd.corpora.captions import localized_narratives, refcoco, sherlock, visual_genome
from lskd.corpora.captions.caption import Caption, Files
from lskd.errors import UserError, cannot_write
from lskd.fingerprint import effective, file_digest
from lskd.types import Reject
from lskd.verbalize.training.places import Places
from lskd.verbalize.training.settings import Corpus, Format

Reader = Callable[[Files], Iterator[Caption | Reject]]
READERS: Mapping[Format, Reader] = {
    "refcoco": refcoco.captions,
    "sherlock": sherlock.captions,
    "visual_genome": visual_genome.captions,
    "localized_narratives": localized_narratives.captions,
}
SHARD = 50_000
UNPACKED, COUNTS = "pictures", "counts.json"


@dataclass(frozen=True, slots=True)
class Count:
    """What was read of a corpus: `other` places are of splits that are not wanted."""

    corpus: str
    learnt: int
    pictures: int
    texts: int
    held_out: int
    kept_apart: int
    other: int
    rejected: int


@dataclass(frozen=True, slots=True)
class Rows:
    """What is learnt from, by corpus, and what is held out of all of them."""

    learnt: Mapping[str, Places]
    held_out: Mapping[str, Places]
    counts: tuple[Count, ...]


def prepared(corpora: Mapping[str, Corpus], folder: Path, say: Callable[[str], None]) -> Rows:
    """Return the rows of a recipe; read once, and found again in `folder`.

    Raises UserError if a file is missing or broken, or if nothing is left to learn from.
    """
    own = folder / "rows" / digest(corpora)
    if not (own / COUNTS).exists():
        say(f"reading {', '.join(corpora)}, and all of their pictures, once")
        _read_all(corpora, own)
    others = json.loads((own / COUNTS).read_text())
    columns = {name: _columns(own / name) for name in corpora}
    held = {name: _held(columns[name], corpus) for name, corpus in corpora.items()}
    apart = pa.concat_arrays(
        [pc.filter(_images(columns[name]), held[name]).combine_chunks() for name in corpora]
    ).unique()
    learnt: dict[str, Places] = {}
    counts = []
    for name in corpora:
        shared = pc.is_in(_images(columns[name]), value_set=apart)
        free = np.flatnonzero(~shared.to_numpy(zero_copy_only=False))
        learnt[name] = Places(columns[name], free)
        counts.append(_count(name, columns[name], free, held[name], own, others[name]))
    for count in counts:
        say(told(count, own))
        if not count.learnt:
            reason = _nothing(count, own)
            shutil.rmtree(own, ignore_errors=True)  # what is missing may be there the next time
            raise UserError(reason)
    held_out = {
        name: Places(columns[name], np.flatnonzero(held[name].to_numpy(zero_copy_only=False)))
        for name in corpora
    }
    return Rows(learnt, held_out, tuple(counts))


def told(count: Count, folder: Path) -> str:
    """Return what was read of a corpus in a line."""
    parts = [
        f"{count.learnt:,} places of {count.pictures:,} pictures to learn from, with "
        f"{count.texts:,} texts",
        f"{count.held_out:,} held out",
    ]
    if count.kept_apart:
        parts.append(f"{count.kept_apart:,} kept apart, since their pictures are held out")
    if count.other:
        parts.append(f"{count.other:,} of other splits")
    if count.rejected:
        parts.append(
            f"{count.rejected:,} not read, see {_rejects(folder, count.corpus)}; once they are "
            f"mended, remove {folder} to read them again"
        )
    return f"{count.corpus}: {'; '.join(parts)}"


def files_of(name: str, corpus: Corpus, unpacked: Path) -> Files:
    """Return the files of a corpus, globs filled in; raises UserError for one that is nothing."""
    found: list[Path] = []
    for pattern in corpus.files:
        path = Path(pattern)
        matches = [path] if path.is_file() else sorted(map(Path, glob.glob(pattern)))  # noqa: PTH207
        if not matches:
            raise UserError(f"corpora.{name}: no file {pattern}")
        found += matches
    for folder in corpus.images:
        if not Path(folder).is_dir():
            raise UserError(f"corpora.{name}: no folder of images {folder}")
    boxes = None if corpus.boxes is None else Path(corpus.boxes)
    return Files(name, tuple(found), tuple(map(Path, corpus.images)), boxes, unpacked)


def digest(corpora: Mapping[str, Corpus]) -> str:
    """Return a hash of all that decides the rows."""
    decisive = [
        [name, effective(corpus) | {"weight": None}, *map(file_digest, _existing(name, corpus))]
        for name, corpus in corpora.items()
    ]
    text = json.dumps(decisive, sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def _read_all(corpora: Mapping[str, Corpus], folder: Path) -> None:
    """Write what all corpora say: the folder is there whole, or not at all."""
    part = folder.with_name(f".{folder.name}.{os.getpid()}")
    unpacked = folder.parent / UNPACKED
    try:
        others = {name: _read(name, corpus, part, unpacked) for name, corpus in corpora.items()}
        with table.draft(part / COUNTS) as unfinished:
            unfinished.write_text(json.dumps(others))
        part.replace(folder)
    except OSError as error:
        # Another process of the same training may have been quicker.
        if not (folder / COUNTS).exists():
            raise cannot_write(folder, error) from error
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _read(name: str, corpus: Corpus, folder: Path, unpacked: Path) -> int:
    """Write what a corpus says, and return how many places are of splits that are not wanted."""
    other = 0
    rejects: list[Reject] = []

    def wanted() -> Iterator[Caption]:
        nonlocal other
        for row in READERS[corpus.format](files_of(name, corpus, unpacked)):
            if isinstance(row, Reject):
                rejects.append(row)
            elif row.split in (*corpus.train, *corpus.evaluate):
                yield row
            else:
                other += 1

    captions = wanted()
    for number, some in enumerate(iter(lambda: list(islice(captions, SHARD)), [])):
        table.write(Caption, folder / name / "caption" / f"{number:05}.parquet", some)
    table.write(Reject, _rejects(folder, name), rejects)
    return other


def _columns(folder: Path) -> pa.Table:
    shards = sorted((folder / "caption").glob("*.parquet"))
    tables = [pq.read_table(shard) for shard in shards]
    empty = schema(Caption).empty_table()
    return pa.concat_tables([empty, *tables]).combine_chunks()


def _images(columns: pa.Table) -> pa.ChunkedArray:
    return pc.struct_field(columns["image"], "id")


def _held(columns: pa.Table, corpus: Corpus) -> pa.ChunkedArray:
    """Return which captions are held out."""
    by_split = pc.is_in(columns["split"], value_set=pa.array(corpus.evaluate, pa.string()))
    if not corpus.held_out:
        return by_split
    images = _images(columns)
    drawn = pa.array([one for one in images.unique().to_pylist() if _lot(one) < corpus.held_out])
    by_lot = pc.is_in(images, value_set=drawn.cast(pa.string()))
    return pc.or_(by_split, by_lot)


def _lot(image_id: str) -> float:
    """Return a number from 0 to 1 that is an image's own, whatever the corpus."""
    digested = hashlib.blake2b(f"held out {image_id}".encode(), digest_size=7).digest()
    return int.from_bytes(digested) / 2**56


def _count(
    name: str,
    columns: pa.Table,
    free: NDArray[np.int64],
    held: pa.ChunkedArray,
    folder: Path,
    other: int,
) -> Count:
    kept = columns.take(pa.array(free))
    held_out = int(pc.sum(held).as_py() or 0)
    return Count(
        corpus=name,
        learnt=len(free),
        pictures=len(_images(kept).unique()),
        texts=int(pc.sum(pc.list_value_length(kept["texts"])).as_py() or 0),
        held_out=held_out,
        kept_apart=len(columns) - len(free) - held_out,
        other=other,
        rejected=pq.read_metadata(_rejects(folder, name)).num_rows,
    )


def _rejects(folder: Path, name: str) -> Path:
    return folder / name / "reject" / "00000.parquet"


def _nothing(count: Count, folder: Path) -> str:
    refused: Sequence[Reject] = table.read(Reject, _rejects(folder, count.corpus))
    if refused:
        first = refused[0]
        return (
            f"corpora.{count.corpus}: nothing to learn from: {len(refused)} were not read, the "
            f"first ({first.source}) because {first.reason}"
        )
    return (
        f"corpora.{count.corpus}: nothing to learn from: {count.held_out} places are held out, "
        f"{count.kept_apart} share their pictures with those, {count.other} are of other splits"
    )


def _existing(name: str, corpus: Corpus) -> Iterable[Path]:
    files = files_of(name, corpus, Path())
    beside = {
        file.parent / one for file in files.files for one in ("instances.json", "image_data.json")
    }
    further = {files.boxes} if files.boxes else beside
    return [*files.files, *sorted(path for path in further if path.is_file())]
