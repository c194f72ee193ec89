"""Commands about a run: make it, plan it, look at it."""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from lskd import execute, progress, table
from lskd.cli.options import (
    AsJson,
    Changes,
    Limit,
    Out,
    RunFile,
    money,
    one_of,
    plain_errors,
    printed,
    write_picture,
)
from lskd.errors import UserError
from lskd.plan import Step
from lskd.run import load
from lskd.training import processes

LONGEST = 400


def run(
    file: RunFile,
    changes: Changes = None,
    out: Out = None,
    until: Annotated[str | None, typer.Option(metavar="STAGE", help="Stop after a stage.")] = None,
    only: Annotated[str | None, typer.Option(metavar="STAGE", help="Run one stage alone.")] = None,
    limit: Limit = None,
    log: Annotated[
        str, typer.Option("--log", help="auto (bars in a terminal), plain or json lines.")
    ] = "auto",
) -> None:
    """Make all that is missing of a run. The same command again goes on where it was stopped.

    Under `accelerate launch` or torchrun all processes train; the first one does all else.

    Example: lskd run runs/photos.toml --set images.source=holiday/ --limit 20
    """
    with plain_errors():
        if until is not None and only is not None:
            raise UserError("--until and --only: give one of them, not both")
        show = progress.display(one_of("--log", log, ("auto", "plain", "json")))
        loaded = load(file, changes or [], out, with_models=True)
        execute.execute(loaded, execute.Selection(until, only, limit), show)
        if not processes.leads():
            return
        page = loaded.folders["report"] / "report.html"
        if page.exists() and until is None and only in (None, "report"):
            sys.stdout.write(f"report: {page}\n")


def plan(
    file: RunFile,
    changes: Changes = None,
    out: Out = None,
    limit: Limit = None,
    as_json: AsJson = False,
) -> None:
    """Tell what a run would make, what it would read from a parent, and what it would cost.

    Nothing is made and no server is asked. Token counts come from prompts of this run where some
    are ready (after --until dialogue), else from typical ones.
    """
    from lskd import plan as planning

    with plain_errors():
        found = planning.plan(load(file, changes or [], out, with_models=True), limit)
        if as_json:
            printed(found.as_json())
            return
        shown = Table("stage", "what", "images", "where", "calls", "tokens in", "out", "price")
        for one in found.steps:
            cost = one.estimate
            shown.add_row(
                one.stage,
                one.state,
                f"{one.images_left}" if one.images_left else "",
                f"{inheritance(one)}{one.folder}",
                f"{cost.calls:,}" if cost else "",
                f"{cost.input_tokens:,}" if cost else "",
                f"{cost.output_tokens:,}" if cost else "",
                money(cost.price) if cost else "",
            )
        console = Console(width=None if sys.stdout.isatty() else 120)
        console.print(shown)
        asked = [one.estimate for one in found.steps if one.estimate]
        if not asked:
            console.print(f"{found.images} images; no paid replies", highlight=False)
            return
        how = "prompts of this run" if all(e.measured for e in asked) else "typical prompts"
        console.print(
            f"{found.images} images; {sum(e.calls for e in asked):,} paid replies for about "
            f"{money(found.price)}, estimated from {how}",
            highlight=False,
        )


def inheritance(step: Step) -> str:
    """Return how a stage's folder relates to the run: its own, or a parent's."""
    if not step.inherited:
        return ""
    return "read from " if step.state == "done" else "continued in "


def status(
    file: RunFile, changes: Changes = None, out: Out = None, as_json: AsJson = False
) -> None:
    """Tell how far a run has come, what it rejected and what it paid."""
    from lskd import status as state

    with plain_errors():
        found = state.status(load(file, changes or [], out))
        if as_json:
            printed(found.as_json())
            return
        shown = Table("stage", "shards", "rows", "rejects", "seconds")
        for one in found.stages:
            shown.add_row(
                one.stage,
                f"{one.shards_done} of {one.shards}",
                f"{one.rows:,}",
                f"{one.rejects:,}",
                "" if one.seconds is None else f"{one.seconds:.1f}",
            )
        Console(width=None if sys.stdout.isatty() else 120).print(shown)
        if found.paid is not None:
            sys.stdout.write(
                f"{found.paid.calls:,} paid replies, {found.paid.input_tokens:,} tokens in, "
                f"{found.paid.output_tokens:,} out, price {money(found.paid.price)}\n"
            )
            if found.paid.unanswered:
                sys.stdout.write(
                    f"{found.paid.unanswered:,} calls were cut off before their reply arrived: "
                    "they may have been paid for nothing\n"
                )


def show(
    file: RunFile,
    image: Annotated[str, typer.Argument(metavar="IMAGE", help="An id, a path or a file name.")],
    png: Annotated[
        Path | None, typer.Option(help="Write the picture with its regions marked.")
    ] = None,
    changes: Changes = None,
    out: Out = None,
    as_json: AsJson = False,
) -> None:
    """Print every row about one image; with --json a line of JSON for each, in full."""
    from lskd import show as rows
    from lskd.marking import mark
    from lskd.picture import load as pixels

    with plain_errors():
        loaded = load(file, changes or [], out)
        shard, found = rows.find(loaded, image)
        console = Console()
        for row in rows.rows(loaded, shard, found):
            kind = type(row.record).__name__
            fields = table.plain(row.record)
            if as_json:
                sys.stdout.write(json.dumps({"stage": row.stage, "record": kind, **fields}) + "\n")
                continue
            console.print(f"\n{row.stage}: {kind}", style="bold", markup=False, highlight=False)
            for name, value in fields.items():
                text = value if isinstance(value, str) else json.dumps(value)
                console.print(f"  {name}: {shortened(text)}", markup=False, highlight=False)
        if png is not None:
            regions = rows.regions(loaded, shard, found).regions
            write_picture(lambda: mark(pixels(found), regions, "clear"), png)
            sys.stderr.write(f"marked picture: {png}\n")


def shortened(text: str) -> str:
    """Return the beginning of a long text, and how much is left out."""
    if len(text) <= LONGEST:
        return text
    return f"{text[:LONGEST]} ... ({len(text) - LONGEST:,} more characters; --json prints all)"


def report(file: RunFile, changes: Changes = None, out: Out = None) -> None:
    """Write the report of a run as it is now, and print where it is."""
    with plain_errors():
        loaded = load(file, changes or [], out)
        execute.execute(loaded, execute.Selection(only="report"), progress.display("plain"))
        sys.stdout.write(f"report: {loaded.folders['report'] / 'report.html'}\n")
