"""The command that tells what of a benchmark is in a corpus: audit."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from lskd import table
from lskd.audit.leak import KINDS, Audit, Leak
from lskd.audit.near_text import LIKE
from lskd.cli.options import AsJson, Changes, console, on_disk, plain_errors, printed
from lskd.errors import UserError
from lskd.types import Item

SHOWN = 5
MEANING = {
    "copy": "its picture's file",
    "near": "nearly its picture (another size, JPEG or cut)",
    "text": "nearly its question and answer",
}


def audit(
    corpus: Annotated[
        Path, typer.Argument(metavar="CORPUS", help="A run file, its folder, or an import.")
    ],
    benchmark: Annotated[
        str, typer.Argument(metavar="BENCHMARK", help="A benchmark's name, or a table of items.")
    ],
    folder: Annotated[
        Path | None, typer.Argument(metavar="FOLDER", help="Where a benchmark's files lie.")
    ] = None,
    split: Annotated[str, typer.Option(help="The benchmark's split.")] = "val",
    images: Annotated[
        Path | None, typer.Option(help="A folder of its pictures, if not the same.")
    ] = None,
    like: Annotated[
        float, typer.Option(help="The share of runs of three words that make texts alike.")
    ] = LIKE,
    out: Annotated[
        Path | None, typer.Option("--out", help="Write all leaks: FILE.jsonl or FILE.parquet.")
    ] = None,
    changes: Changes = None,
    as_json: AsJson = False,
) -> None:
    """Find what of a benchmark is in a corpus: copies of pictures, near copies, and near texts.

    The file of --out has a row for each item and kind, with the nearest example; an evaluation can
    leave these items out.

    Example: lskd audit out/lck vcr data/vcr --out leaks.jsonl
    """
    from lskd import exchange, progress
    from lskd.audit import leak, leak_file
    from lskd.types import Example

    with plain_errors():
        if not 0 < like <= 1:
            raise UserError(f"--like {like}: a share over 0, up to 1")
        on_disk(out, "--out")
        if out is not None:
            leak_file.check(out)
        tables = exchange.corpus(corpus, changes or []).tables
        items = items_of(benchmark, folder, split, images)
        shards = tables.shards(Example)
        with progress.display("auto").stage("audit", None) as bar:
            found = leak.audit(
                items, (tables.read(Example, shard) for shard in shards), like, bar.tick
            )
        if out is not None:
            leak_file.write(out, found.leaks)
        if as_json:
            printed(as_object(found))
            return
        screen = console()
        screen.print(summary(found))
        if found.leaks:
            screen.print(nearest(found.leaks))
        for fault in found.faults[:SHOWN]:
            sys.stderr.write(f"not compared: {fault.source}: {fault.reason}\n")
        if len(found.faults) > SHOWN:
            sys.stderr.write(f"... and {len(found.faults) - SHOWN} more pictures\n")
        sys.stdout.write("" if out is None else f"{out}\n")


def items_of(
    benchmark: str, folder: Path | None, split: str, images: Path | None
) -> Sequence[Item]:
    """Return the items of a benchmark in a folder, or those of a table that was written.

    Raises UserError if there are none; rows that make no item are told on the way.
    """
    where = Path(benchmark)
    if folder is None and where.exists():
        files = sorted(where.rglob("*.parquet")) if where.is_dir() else [where]
        found = [item for file in files for item in table.read(Item, file)]
        if not found:
            raise UserError(
                f"{where} has no items: give a Parquet table of them, or a folder of such"
            )
        return found
    if folder is None:
        raise UserError(
            f"{benchmark!r}: no such table of items; for a benchmark give its folder too"
        )
    from lskd.evaluate import benchmarks
    from lskd.evaluate.benchmark import Options

    read = benchmarks.named(benchmark).read(folder, Options(split=split, images=images))
    if read.faults:
        first = read.faults[0]
        sys.stderr.write(
            f"{len(read.faults)} rows of {benchmark} make no item, the first ({first.source}): "
            f"{first.reason}\n"
        )
    if not read.items:
        raise UserError(f"{folder} has no items of {benchmark} that can be read")
    return read.items


def as_object(found: Audit) -> dict[str, object]:
    """Return all of an audit as JSON."""
    kinds = {
        kind: {"items": found.touched((kind,)), "share": found.touched((kind,)) / found.items}
        for kind in KINDS
    }
    return {
        "items": found.items,
        "examples": found.examples,
        "kinds": kinds,
        "any": {"items": found.touched(), "share": found.touched() / found.items},
        "leaks": [table.plain(leak) for leak in found.leaks],
        "faults": [table.plain(fault) for fault in found.faults],
    }


def summary(found: Audit) -> Table:
    """Return how many items are touched in each way."""
    shown = Table(
        "in the corpus is",
        "items",
        "share",
        title=f"{found.items:,} items, {found.examples:,} examples",
    )
    for kind in KINDS:
        count = found.touched((kind,))
        shown.add_row(f"{MEANING[kind]}", f"{count:,}", f"{count / found.items:.1%}")
    every = found.touched()
    shown.add_row("any of these", f"{every:,}", f"{every / found.items:.1%}")
    return shown


def nearest(leaks: Sequence[Leak]) -> Table:
    """Return the nearest leaks of each kind, one a line."""
    shown = Table("item", "task", "kind", "distance", "example", title="the nearest of each kind")
    for kind in KINDS:
        for leak in [leak for leak in leaks if leak.kind == kind][:SHOWN]:
            shown.add_row(leak.item_id, leak.task, kind, f"{leak.distance:.3f}", leak.example_id)
    return shown
