"""The command about benchmarks: what each needs, and whether a folder has it."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from lskd import table
from lskd.cli.options import AsJson, Images, Split, console, plain_errors, printed
from lskd.errors import UserError

if TYPE_CHECKING:
    from lskd.evaluate.benchmark import Benchmark
    from lskd.evaluate.benchmarks import Check

SHOWN = 5


def benchmarks(
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="The benchmark to check.")
    ] = None,
    folder: Annotated[
        Path | None, typer.Argument(metavar="[FOLDER]", help="Where its files lie.")
    ] = None,
    split: Split = "val",
    images: Images = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Check the first N rows only.")] = None,
    as_json: AsJson = False,
) -> None:
    """Tell what each benchmark needs, from where and under which licence; or check a folder.

    Exit code 2 if the folder is not ready.

    Example: lskd benchmarks vcr data/vcr
    """
    from lskd.evaluate import benchmarks as known
    from lskd.evaluate.benchmark import Options

    with plain_errors():
        wanted = known.BENCHMARKS if name is None else (known.named(name),)
        if name is None or folder is None:
            if as_json:
                printed([_as_object(one) for one in wanted])
                return
            for one in wanted:
                _listed(one)
            return
        found = known.check(name, folder, Options(split, images=images, limit=limit))
        if as_json:
            printed(_as_checked(found))
        else:
            _told(found)
        if not found.ready:
            raise typer.Exit(UserError.exit_code)


def _listed(one: "Benchmark") -> None:
    screen = console(highlight=False)
    screen.print(Text.assemble("\n", (one.name, "bold"), f"  {one.title}"))
    screen.print(f"  metric: {one.metric}\n  splits: {', '.join(one.splits)}")
    for file in one.files:
        needed = "" if file.needed else " (used where it is there)"
        screen.print(f"  {file.pattern}: {file.what}{needed}")
    screen.print(f"  images: {one.images}")
    screen.print(f"  from: {one.source}\n  licence: {one.licence}")


def _as_object(one: "Benchmark") -> dict[str, Any]:
    fields = ("name", "title", "metric", "source", "licence", "images")
    return {
        **{field: getattr(one, field) for field in fields},
        "splits": list(one.splits),
        "files": [table.plain(file) for file in one.files],
    }


def _as_checked(found: "Check") -> dict[str, Any]:
    return {
        "benchmark": found.benchmark.name,
        "folder": str(found.folder),
        "split": found.split,
        "ready": found.ready,
        "problem": found.problem,
        "items": found.items,
        "tasks": dict(found.tasks),
        "images": found.images,
        "files": {place.pattern: place.path and str(place.path) for place in found.places},
        "faults": [table.plain(fault) for fault in found.faults],
        "notes": list(found.notes),
    }


def _told(found: "Check") -> None:
    screen = console(highlight=False)
    for place in found.places:
        lacking = "missing" if place.file.needed else "not there, not needed"
        state = str(place.path) if place.path else lacking
        screen.print(f"{place.pattern}: {state}")
    for note in found.notes:
        screen.print(note)
    for fault in found.faults[:SHOWN]:
        screen.print(f"{fault.source}: {fault.reason}")
    if len(found.faults) > SHOWN:
        screen.print(f"... and {len(found.faults) - SHOWN:,} more; --json prints all")
    if found.problem is not None:
        screen.print(found.problem)
    tasks = ", ".join(f"{count:,} {task}".strip() for task, count in found.tasks)
    screen.print(
        f"{'ready' if found.ready else 'not ready'}: {found.items:,} items ({tasks or 'none'}) on "
        f"{found.images:,} images, {len(found.faults):,} rows cannot be asked"
    )
