"""Commands about a run: make it, plan it, look at it."""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from lskd import execute, progress, table
from lskd.cli.options import (
    LOGS,
    AsJson,
    Changes,
    Limit,
    Log,
    Out,
    RunFile,
    console,
    display,
    money,
    one_of,
    plain_errors,
    printed,
    write_picture,
)
from lskd.errors import UserError
from lskd.executors.choice import NAMES, chosen
from lskd.jsonlog import only_json
from lskd.metrics import served
from lskd.plan import Step
from lskd.run import Run, load
from lskd.storage import mirror
from lskd.storage.address import shown
from lskd.training import processes

LONGEST = 400


def run(
    file: RunFile,
    changes: Changes = None,
    out: Out = None,
    until: Annotated[str | None, typer.Option(metavar="STAGE", help="Stop after a stage.")] = None,
    only: Annotated[str | None, typer.Option(metavar="STAGE", help="Run one stage alone.")] = None,
    limit: Limit = None,
    log: Log = "auto",
    metrics: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=65535,
            metavar="PORT",
            help="Serve metrics for Prometheus on this machine alone while the run is at work.",
        ),
    ] = None,
    verify: Annotated[
        bool,
        typer.Option(
            "--verify",
            help="First compare all tables with their checksums; make again what is broken, and "
            "what was made from it.",
        ),
    ] = False,
    executor: Annotated[
        str,
        typer.Option(
            "--executor",
            help="local: in this process; ray: on a cluster, where a worker of a stage takes what "
            "its section says: resources = {cpus = 1, gpus = 1, memory_gb = 16, workers = 8}.",
        ),
    ] = "local",
    address: Annotated[
        str | None,
        typer.Option(
            metavar="HOST:PORT",
            help="With --executor ray: the cluster, of which this machine is a node, or auto; "
            "else one is begun on this machine.",
        ),
    ] = None,
) -> None:
    """Make all that is missing of a run. The same command again goes on where it was stopped.

    Under `accelerate launch` or torchrun all processes train; the first one does all else.

    Example: lskd run runs/photos.toml --set images.source=holiday/ --limit 20
    """
    kind = log if log in LOGS else "auto"
    with only_json(kind == "json"), plain_errors():
        if until is not None and only is not None:
            raise UserError("--until and --only: give one of them, not both")
        show = display(log)
        loaded = load(file, changes or [], out, with_models=True)
        told = (show.happened,) if isinstance(show, progress.Lines) else ()
        selection = execute.Selection(until, only, limit, verify)
        name = one_of("--executor", executor, NAMES)
        # Of processes that were launched together the first makes the run.
        leads = processes.leads()
        with (
            served(metrics if leads else None, loaded) as counting,
            chosen(name if leads else "local", address if leads else None) as making,
        ):
            execute.execute(loaded, selection, show, (*told, *counting), making)
        if not processes.leads():
            return
        if "report" not in loaded.settings:  # made of given examples
            from lskd.report.student_card import write_cards

            write_cards(loaded.facts(), loaded.tables, loaded.own)
            mirror.push(loaded.own)
        page = loaded.folders["report"] / "report.html"
        if page.exists() and until is None and only in (None, "report"):
            sys.stdout.write(f"report: {shown(page)}\n")


def plan(
    file: RunFile,
    changes: Changes = None,
    out: Out = None,
    limit: Limit = None,
    images: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="Tell what N images would take, all stages of them."),
    ] = None,
    cluster: Annotated[
        str | None,
        typer.Option(help='With --images: on which machines, as "nodes=4,cpus=16,gpus=8".'),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Tell what a run would make, what it would read from a parent, and what it would cost.

    Nothing is made and no server is asked. Token counts come from prompts of this run where some
    are ready (after --until dialogue), else from typical ones.

    With --images it tells the time, memory, storage and price of that many: by what this run has
    measured of itself, else by rates that are shipped; each line says which. So it does for a run
    file with a section [plan] whose pictures are not at hand, for as many as that says.

    Example: lskd plan runs/hosted.toml --images 250000 --cluster nodes=4,cpus=16,gpus=8
    """
    from lskd import plan as planning

    with plain_errors():
        if images is not None:
            print_whole(load(file, changes or [], out), images, cluster, as_json)
            return
        if cluster is not None:
            raise UserError("--cluster goes with --images: as --images 250000 --cluster nodes=4")
        bare = load(file, changes or [], out)
        if bare.planned is not None and not planning.has_images(bare):
            print_whole(bare, bare.planned.images, bare.planned.cluster or None, as_json)
            return
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
        screen = console()
        screen.print(shown)
        asked = [one.estimate for one in found.steps if one.estimate]
        if not asked:
            screen.print(f"{found.images} images; no paid replies", highlight=False)
            return
        how = "prompts of this run" if all(e.measured for e in asked) else "typical prompts"
        most = "at most " if any(e.most for e in asked) else ""
        screen.print(
            f"{found.images} images; {most}{sum(e.calls for e in asked):,} paid replies for about "
            f"{money(found.price)}, estimated from {how}",
            highlight=False,
        )


def print_whole(loaded: Run, images: int, cluster: str | None, as_json: bool) -> None:
    """Print what `images` images would take."""
    from lskd.cli.tables import print_forecast
    from lskd.cluster import read_cluster
    from lskd.forecast import forecast

    found = forecast(loaded, images, None if cluster is None else read_cluster(cluster))
    if as_json:
        printed(found.as_json())
    else:
        print_forecast(found)


def inheritance(step: Step) -> str:
    """Return how a stage's folder relates to the run: its own, or a parent's."""
    if not step.inherited:
        return ""
    return "read from " if step.state == "done" else "continued in "


def status(
    file: RunFile,
    changes: Changes = None,
    out: Out = None,
    as_json: AsJson = False,
    verify: Annotated[
        bool,
        typer.Option("--verify", help="Compare all tables with their checksums; name the broken."),
    ] = False,
    rejects: Annotated[
        bool, typer.Option("--rejects", help="Also tell why things were left out, stage by stage.")
    ] = False,
) -> None:
    """Tell how far a run has come, at work or dead: shards, rates, rejects, price, last errors."""
    from lskd import soundness
    from lskd import status as state
    from lskd.cli.tables import print_rejects, print_status
    from lskd.report.census import rejected

    with plain_errors():
        loaded = load(file, changes or [], out)
        sound = soundness.check(loaded) if verify else None
        found = state.status(loaded)
        stages = [one.stage for one in found.stages if one.rejects] if rejects else []
        why = [rejected(loaded.tables, stage) for stage in stages]
        if as_json:
            reasons = {"why_rejected": [table.plain(one) for one in why]} if rejects else {}
            printed({**found.as_json(), **reasons})
            return
        print_status(found)
        print_rejects(why)
        if sound is not None:
            sys.stdout.write(f"{sound:,} shards compared with their checksums: all sound\n")


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
        screen = console(None, highlight=False)
        for row in rows.rows(loaded, shard, found):
            kind = type(row.record).__name__
            fields = table.plain(row.record)
            if as_json:
                sys.stdout.write(json.dumps({"stage": row.stage, "record": kind, **fields}) + "\n")
                continue
            screen.print(f"\n{row.stage}: {kind}", style="bold")
            for name, value in fields.items():
                text = value if isinstance(value, str) else json.dumps(value)
                screen.print(f"  {name}: {shortened(text)}")
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
        sys.stdout.write(f"report: {shown(loaded.folders['report'] / 'report.html')}\n")
