"""The command that tells the memory of a training before it begins: memory."""

import dataclasses
import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from lskd import table
from lskd.cli.options import AsJson, Changes, console, plain_errors, printed
from lskd.errors import UserError

if TYPE_CHECKING:
    from lskd.distil.generative.stage import Settings
    from lskd.writing.memory import Memory

GB = 1e9
LINES = 2  # an example asks for its answer and for its rationale

RunFile = Annotated[
    Path | None,
    typer.Argument(metavar="[RUN.toml]", help="A run file with a section [generative]."),
]


def memory(
    file: RunFile = None,
    changes: Changes = None,
    ranks: Annotated[int, typer.Option(min=1, help="Processes, each with a GPU.")] = 1,
    checkpoint: Annotated[
        str | None, typer.Option(help="Instead of a run file: a base, a folder or a name.")
    ] = None,
    rows: Annotated[
        int | None,
        typer.Option(min=1, help="Rows of a batch that a process learns from at once."),
    ] = None,
    prompt: Annotated[int, typer.Option(min=1, help="Tokens of a prompt.")] = 64,
    target: Annotated[
        int | None, typer.Option(min=1, help="Tokens that are learnt; else those of the run, 128.")
    ] = None,
    dtype: Annotated[
        str | None, typer.Option(help="Of frozen weights: auto, float32, float16 or bfloat16.")
    ] = None,
    bits: Annotated[int | None, typer.Option(help="4: the language model in 4 bits.")] = None,
    recompute: Annotated[
        bool | None, typer.Option(help="Make the language model's states again for the gradient.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Tell the memory that each process needs to train a student that writes; load no weights.

    Example: lskd memory runs/generative.toml --ranks 4 --dtype bfloat16 --recompute
    """
    with plain_errors():
        if (file is None) == (checkpoint is None):
            raise UserError("give a run file, or --checkpoint with a base: one of both")
        if checkpoint is not None:
            asked = _of_checkpoint(checkpoint)
        else:
            assert file is not None
            asked = _of_run(file, changes or [], ranks)
        more = {"dtype": dtype, "bits": bits, "recompute": recompute}
        keys = asked.keys | {name: value for name, value in more.items() if value is not None}
        learnt = asked.rows if rows is None else rows
        # torch is not wanted by who only asks what a command takes.
        from lskd.writing.activations import Load
        from lskd.writing.memory import needed

        length = asked.target if target is None else target
        views = learnt * asked.views
        load = Load(views * asked.lines, views, prompt, length, side=asked.side)
        found = needed(asked.use, keys, load, ranks, asked.average)
        if as_json:
            known = {name: getattr(found, name) for name in ("held", "total", "most")}
            printed({**table.plain(found), **known, "load": table.plain(load)})
        else:
            _shown(found)


@dataclasses.dataclass(frozen=True, slots=True)
class Asked:
    """A writer, and how much of it is trained at once.

    A row of a batch is about so many `views`, at most, each with so many `lines`, of which `side`
    are read side by side.
    """

    use: str
    keys: dict[str, Any]
    rows: int = 1
    target: int = 128
    average: bool = False
    views: int = 1
    lines: int = LINES
    side: int = 1


def _of_checkpoint(checkpoint: str) -> Asked:
    from lskd.writing.outline import use_of

    return Asked(use_of(checkpoint), {"checkpoint": checkpoint})


def _of_run(file: Path, changes: list[str], ranks: int) -> Asked:
    """Return what the section [generative] of a run says; raises UserError if it has none."""
    from lskd.distil.generative.stage import Settings
    from lskd.run import load

    settings = load(file, changes).settings.get("generative")
    if not isinstance(settings, Settings):
        raise UserError(f"{file} has no section [generative], which would train a student")
    parts = settings.accumulate * ranks
    if settings.batch % parts:
        raise UserError(
            f"batch = {settings.batch} cannot be shared by {ranks} processes in accumulate = "
            f"{settings.accumulate} parts: it is no multiple of {parts}"
        )
    asked = Asked(
        settings.student.use,
        settings.student.keys,
        settings.batch // parts,
        settings.tokens,
        settings.average is not None,
    )
    return _packed(asked, settings) if settings.packed else asked


def _packed(asked: Asked, settings: "Settings") -> Asked:
    """Return what is trained at once where a row is a group of neighbours, side by side.

    Examples that name regions by phrase are about a picture in which nothing is drawn, so a group
    can have two views. One may have all lines but one, and the other is as long by padding.
    """
    lines = settings.together * LINES
    if settings.described == "plain" and settings.coordinates is None and lines > 1:
        return dataclasses.replace(asked, views=2, lines=lines - 1, side=lines - 1)
    return dataclasses.replace(asked, lines=lines, side=lines)


def _shown(found: "Memory") -> None:
    """Print what each process needs."""
    shown = Table("each of " + f"{found.ranks} processes" if found.ranks > 1 else "one process")
    shown.add_column("GB", justify="right")
    shown.add_column("what it is")
    for one in found.weights:
        state = "trained" if one.trained else "frozen"
        how = f", a share of {one.bytes / GB:,.2f} GB" if one.spread else ""
        shown.add_row(f"{state} weights, {one.dtype}", _gb(one.share), f"{one.count:,}{how}")
    shown.add_row("gradients", _gb(found.gradients), "")
    shown.add_row("optimiser", _gb(found.optimiser), "both moments of AdamW")
    if found.average:
        shown.add_row("average", _gb(found.average), "of the trained weights")
    if found.ranks > 1:
        shown.add_row("gathered", _gb(found.gathered), "whole for the while that it is used")
    shown.add_row("activations", _gb(found.activations), "at most; kept for the gradient")
    shown.add_section()
    shown.add_row("a step", _gb(found.total), "besides what the libraries themselves take")
    shown.add_row("loading", _gb(found.loading), "before a step: the whole model")
    console().print(shown)


def _gb(size: float) -> str:
    """Return bytes as GB (10^9), or "unknown"."""
    return "unknown" if math.isnan(size) else f"{size / GB:,.3f}"
