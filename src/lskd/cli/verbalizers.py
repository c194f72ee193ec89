"""The commands that train verbalizers: captioner, narrator."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from lskd import table
from lskd.cli.options import AsJson, Log, console, display, on_disk, plain_errors, printed
from lskd.training import processes

if TYPE_CHECKING:
    from lskd.verbalize.training.settings import Kind
    from lskd.verbalize.training.work import Made, Plan

Recipe = Annotated[Path, typer.Argument(metavar="RECIPE.toml", help="What is trained, on what.")]
Changes = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Change a setting: --set steps=2000"),
]
Out = Annotated[
    Path | None, typer.Option("--out", help="The folder; else out/<name of the recipe>.")
]
DryRun = Annotated[
    bool,
    typer.Option("--dry-run", help="Read the corpora and tell what would be done; train nothing."),
]


def _command(kind: "Kind", about: str) -> Callable[..., None]:
    """Return the command that trains one kind of verbalizer; `about` is its help."""

    def command(
        recipe: Recipe,
        changes: Changes = None,
        out: Out = None,
        dry_run: DryRun = False,
        log: Log = "auto",
        as_json: AsJson = False,
    ) -> None:
        with plain_errors():
            on_disk(out, "--out")
            _trained(kind, recipe, changes or [], out, dry_run, log, as_json)

    command.__doc__ = about
    return command


captioner = _command(
    "captioner",
    """Train a region captioner on what people said of places: RefCOCO, Sherlock, Visual Genome.

    A run takes it by one line of its models: captioner = { use =
    "lskd.verbalize.training.trained:TrainedCaptioner", folder = "out/captioner/captioner" }. The
    same command again goes on where it was stopped.

    Example: lskd captioner recipes/captioner.toml --set steps=2000
    """,
)
narrator = _command(
    "narrator",
    """Train a narrator on what people told of whole pictures: Localized Narratives.

    A run takes it by one line of its models: narrator = { use =
    "lskd.verbalize.training.trained:TrainedNarrator", folder = "out/narrator/narrator" }. The
    same command again goes on where it was stopped.

    Example: lskd narrator recipes/narrator.toml --dry-run
    """,
)


def _trained(
    kind: "Kind",
    recipe: Path,
    changes: list[str],
    out: Path | None,
    dry_run: bool,
    log: str,
    as_json: bool,
) -> None:
    from lskd.verbalize.training import settings as recipes

    show = display(log)
    settings = recipes.read(recipe, kind, changes)
    folder = Path("out") / recipe.stem if out is None else out
    # torch is not wanted by who only asks what a command takes.
    from lskd.verbalize.training import work

    processes.meet()
    if not processes.leads():
        if not dry_run:
            work.make(settings, kind, folder, _say)
        return
    if dry_run:
        found = work.plan(settings, kind, folder, _say)
        if as_json:
            printed(table.plain(found))
        else:
            _planned(found, kind, folder, settings.steps * settings.batch)
        return
    with show.stage(kind, None) as bar:
        made = work.make(settings, kind, folder, bar.say)
    if as_json:
        printed({**table.plain(made), "folder": str(made.folder)})
    else:
        _shown(made)


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")


def _planned(found: "Plan", kind: str, folder: Path, drawn: int) -> None:
    """Print what a recipe would do."""
    shown = Table("corpus", "places", "pictures", "texts", "held out", "share", "seen each")
    for one in found.shares:
        count = one.count
        shown.add_row(
            count.corpus,
            f"{count.learnt:,}",
            f"{count.pictures:,}",
            f"{count.texts:,}",
            f"{count.held_out:,}",
            f"{one.share:.1%}",
            f"{one.epochs:.3g} times",
        )
    screen = console(highlight=False)
    screen.print(shown)
    screen.print(f"prompt: {found.prompt!r}")
    where = "is there already" if found.made else "would be written"
    screen.print(f"{drawn:,} rows would be learnt from; {folder / kind} {where}")


def _shown(made: "Made") -> None:
    """Print the figures of an evaluation, and where the verbalizer is."""
    if made.figures:
        shown = Table("measure", "corpus", "value", "95 % interval", "places", "pictures")
        for one in made.figures:
            interval = "" if one.low is None else f"{one.low:.3f} to {one.high:.3f}"
            value = "" if one.value is None else f"{one.value:.3f}"
            shown.add_row(
                one.measure,
                one.corpus,
                value,
                interval,
                f"{one.places:,}",
                f"{one.pictures:,}",
            )
        console().print(shown)
    sys.stdout.write(f"{made.folder}\n")
