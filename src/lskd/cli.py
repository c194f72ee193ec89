"""The front door: `lskd run RUN.toml`, and what goes around it.

Exit codes: 0 all is well; 1 a defect of lskd (please report it); 2 something that was asked for is
wrong; 3 the budget is reached; 4 a server cannot be used; 5 people's judgments are needed; 130
interrupted. See `lskd.errors`.
"""

import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from lskd import __version__, execute, progress, table
from lskd.errors import UserError
from lskd.run import Run, load

EPILOG = (
    "Exit codes: 0 well, 1 a defect of lskd, 2 something asked for is wrong, 3 budget reached, "
    "4 a server cannot be used, 5 judgments are needed, 130 interrupted."
)
app = typer.Typer(
    name="lskd",
    help="From a folder of images to question, answer and rationale triples about places in them.",
    epilog=EPILOG,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)

RunFile = Annotated[
    Path,
    typer.Argument(metavar="RUN.toml", help="A run file, or the folder that a run was made in."),
]
Changes = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="STAGE.KEY=VALUE",
        help="Change a setting, as often as you like: --set corpus.threshold=0.7",
    ),
]
Out = Annotated[
    Path | None,
    typer.Option("--out", help="The run's folder. [default: out/<name of the run file>]"),
]
Limit = Annotated[
    int | None, typer.Option("--limit", min=1, help="Take only the first N images of the source.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for a script to read.")]


@contextmanager
def plain_errors() -> Iterator[None]:
    """Tell a user's mistake in one line, and leave with its exit code."""
    try:
        yield
    except UserError as error:
        sys.stdout.flush()
        sys.stderr.write(f"error: {' '.join(str(error).split())}\n")
        raise typer.Exit(error.exit_code) from error
    except KeyboardInterrupt:
        sys.stderr.write("\ninterrupted; the same command goes on where this one stopped\n")
        sys.stderr.flush()
        # Threads may still wait for replies. All that arrived is in the journal: do not wait.
        os._exit(130)


def printed(value: Any) -> None:
    """Print JSON."""
    sys.stdout.write(json.dumps(value, indent=1) + "\n")


def money(price: float | None) -> str:
    """Return a price, or "unknown"."""
    return "unknown" if price is None else f"{price:.4f}" if price < 1 else f"{price:,.2f}"


@app.callback(invoke_without_command=True)
def version(
    asked: Annotated[bool, typer.Option("--version", help="Print the version and leave.")] = False,
) -> None:
    """Localized symbolic knowledge distillation."""
    if asked:
        sys.stdout.write(f"lskd {__version__}\n")
        raise typer.Exit


@app.command()
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

    Example: lskd run runs/photos.toml --set images.source=holiday/ --limit 20
    """
    with plain_errors():
        show = progress.display(one_of("--log", log, ("auto", "plain", "json")))
        loaded = load(file, changes or [], out)
        execute.execute(loaded, execute.Selection(until, only, limit), show)
        page = loaded.folders["report"] / "report.html"
        if page.exists() and until is None and only in (None, "report"):
            sys.stdout.write(f"report: {page}\n")


@app.command()
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
        found = planning.plan(load(file, changes or [], out), limit)
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
                f"{'read from ' if one.inherited else ''}{one.folder}",
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


@app.command()
def status(
    file: RunFile, changes: Changes = None, out: Out = None, as_json: AsJson = False
) -> None:
    """Tell how far a run has come, what it rejected and what it paid."""
    from lskd import status as state

    with plain_errors():
        found = state.status(load(file, changes or [], out))
        if as_json:
            printed([one.as_json() for one in found])
            return
        shown = Table("stage", "shards", "rows", "rejects", "seconds", "replies", "tokens", "price")
        for one in found:
            paid = one.calls is not None
            shown.add_row(
                one.stage,
                f"{one.shards_done} of {one.shards}",
                f"{one.rows:,}",
                f"{one.rejects:,}",
                "" if one.seconds is None else f"{one.seconds:.1f}",
                f"{one.calls:,}" if one.calls is not None else "",
                f"{(one.input_tokens or 0) + (one.output_tokens or 0):,}" if paid else "",
                money(one.price) if paid else "",
            )
        Console(width=None if sys.stdout.isatty() else 120).print(shown)
        for one in found:
            if one.unanswered:
                sys.stdout.write(
                    f"{one.stage}: {one.unanswered} calls were sent and never answered; they may "
                    "have been paid, and be paid again\n"
                )


@app.command()
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
    """Print every row about one image."""
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
                console.print(f"  {name}: {text}", markup=False, highlight=False)
        if png is not None:
            regions = rows.regions(loaded, shard, found).regions
            write_picture(lambda: mark(pixels(found), regions, "clear"), png)
            sys.stderr.write(f"marked picture: {png}\n")


def write_picture(make: Callable[[], Any], file: Path) -> None:
    """Write a picture whole or not at all, in the format that the file's ending names."""
    import PIL.Image

    PIL.Image.init()
    kind = PIL.Image.EXTENSION.get(file.suffix.lower())
    if kind is None:
        raise UserError(f"{file}: no picture format is called {file.suffix!r}; as picture.png")
    with table.draft(file) as unfinished:
        make().save(unfinished, kind)


@app.command()
def report(file: RunFile, changes: Changes = None, out: Out = None) -> None:
    """Write the report of a run as it is now, and print where it is."""
    with plain_errors():
        loaded = load(file, changes or [], out)
        execute.execute(loaded, execute.Selection(only="report"), progress.display("plain"))
        sys.stdout.write(f"report: {loaded.folders['report'] / 'report.html'}\n")


@app.command(name="export")
def export_corpus(
    file: RunFile,
    to: Annotated[str, typer.Option("--to", help="hf, llava, swift, trl, lck or coco.")],
    target: Annotated[Path, typer.Option("--out", help="The folder to write.")],
    changes: Changes = None,
    pictures: Annotated[
        str, typer.Option(help="marked (regions drawn), plain or none (paths only).")
    ] = "marked",
    marks: Annotated[str, typer.Option(help="The style of the marks: release or clear.")] = "clear",
    naming: Annotated[
        str, typer.Option(help="tag leaves [2] in texts; box writes coordinates instead.")
    ] = "tag",
    styles: Annotated[str, typer.Option(help="Triples by id, by description, or both.")] = "both",
    images: Annotated[
        Path | None, typer.Option(help="lck: the folder that image names are relative to.")
    ] = None,
) -> None:
    """Write a corpus in a format that others read.

    hf: a folder for datasets.load_dataset. llava, swift, trl: conversations for trainers. lck: the
    form of the released corpus. coco: regions for annotation tools.

    Example: lskd export runs/photos.toml --to llava --out corpus-llava
    """
    from lskd import exchange
    from lskd.export.conversation import Talk
    from lskd.export.pictures import Look

    with plain_errors():
        look = Look(
            one_of("--pictures", pictures, ("marked", "plain", "none")),
            one_of("--marks", marks, ("release", "clear")),
        )
        chosen = one_of("--styles", styles, ("id", "description", "both"))
        talk = Talk(
            ("id", "description") if chosen == "both" else (chosen,),
            one_of("--naming", naming, ("tag", "box")),
        )
        one_of("--to", to, exchange.FORMATS)
        source = exchange.corpus(file, changes or [])
        written = exchange.write(source, to, target, look, talk, images)
        for made in written.files:
            sys.stdout.write(f"{made}\n")
        sys.stderr.write(f"{written.rows} rows, {written.rejected} rejected\n")


@app.command(name="import")
def import_corpus(
    form: Annotated[str, typer.Argument(metavar="FORMAT", help="lck, the released corpus.")],
    file: Annotated[Path, typer.Argument(metavar="FILE", help="JSON lines, or a JSON list.")],
    out: Annotated[Path, typer.Option("--out", help="The folder that becomes a corpus.")],
    images: Annotated[
        Path | None, typer.Option(help="The folder that image names are relative to.")
    ] = None,
) -> None:
    """Read a foreign corpus, to be looked at and exported like one of your own.

    Example: lskd import lck lck_train.jsonl --images vg/ --out out/lck
    """
    from lskd import exchange

    with plain_errors():
        read = exchange.read(form, file, out, images)
        sys.stdout.write(f"{read.folder}: {read.examples} examples, {read.rejects} rejects\n")


@app.command()
def labels(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Where the lists are to lie.")],
    mirror: Annotated[
        str | None, typer.Option(help="An address below which the three files lie, if not theirs.")
    ] = None,
) -> None:
    """Fetch the label lists of Places365, Tencent ML-Images and Open Images from their authors.

    For the stage `concepts`: tagger = { use = "lskd.verbalize.dual_encoder:DualEncoder",
    checkpoint = "openai/clip-vit-large-patch14-336", places = "FOLDER/categories_places365.txt" }.
    Without them it uses the shorter lists of this package.
    """
    from lskd.verbalize import labels as lists

    with plain_errors():
        for source in lists.SOURCES:
            sys.stderr.write(f"{source.url} ({source.licence})\n")
        for path in lists.download(folder, mirror):
            sys.stdout.write(f"{path}\n")


def one_of(name: str, value: str, known: tuple[Any, ...]) -> Any:
    """Return an option's value, or say what it can be."""
    if value not in known:
        raise UserError(f"{name} {value!r}: one of {', '.join(known)}")
    return value


@app.command()
def mark(
    image: Annotated[Path, typer.Argument(metavar="IMAGE", help="A picture file.")],
    box: Annotated[
        list[str],
        typer.Option(metavar="X0,Y0,X1,Y1", help="Corners in pixels; the first box is [0]."),
    ],
    out: Annotated[Path, typer.Option("--out", help="The picture to write.")],
    style: Annotated[
        str, typer.Option(help="release (the official colours and lines) or clear (legible ids).")
    ] = "clear",
) -> None:
    """Draw numbered regions on a picture.

    Example: lskd mark photo.jpg --box 10,20,200,300 --box 220,40,400,310 --out marked.png
    """
    from lskd import marking, picture
    from lskd.types import Region

    with plain_errors():
        chosen = one_of("--style", style, ("release", "clear"))
        regions = [Region(k, corners(text), "", "", 1.0) for k, text in enumerate(box)]
        try:
            pixels = picture.decode(image.read_bytes())
        except (OSError, SyntaxError, ValueError) as error:
            raise UserError(f"cannot read {image}: {error}") from error
        write_picture(lambda: marking.mark(pixels, regions, chosen), out)
        sys.stdout.write(f"{out}\n")


def corners(text: str) -> Any:
    """Return the box that "x0,y0,x1,y1" stands for."""
    from lskd.types import Box

    try:
        box = Box(*(float(part) for part in text.split(",")))
    except (TypeError, ValueError) as error:
        raise UserError(f"--box {text!r}: the form is x0,y0,x1,y1 in pixels") from error
    if not (box.width > 0 and box.height > 0):
        raise UserError(f"--box {text!r}: x1 must be over x0, and y1 over y0")
    return box


def main() -> None:
    """Run the command line."""
    app()


__all__ = ["Run", "app", "main"]
