"""The rows of Table 3: a model, the protocol by which it is asked, and what the paper reports.

In: the name of a preset, or the path of a TOML file of the same form. Out: a `Preset`. The files
beside this one are the rows, each with the weights that it needs in its first line; a key of
`[model]` that names weights is to be set to where they are.
"""

from pathlib import Path

from pydantic import NonNegativeInt

from lskd.errors import UserError
from lskd.evaluate.protocol import Protocol
from lskd.stage import Model, Section
from lskd.tomlfile import read_note

HERE = Path(__file__).parent


class Figures(Section):
    """What the paper reports of a row (section 3.2, Table 3), in percent; None where it does not.

    Sherlock's is on a scale from -100 to 100. `vcr_answer` is Q->A, `vcr_rationale` QA->R,
    `vcr_both` Q->AR.
    """

    vcr_answer: float | None = None
    vcr_rationale: float | None = None
    vcr_both: float | None = None
    sherlock: float | None = None
    visualcomet: float | None = None
    aokvqa: float | None = None
    snli_ve: float | None = None
    visual7w: float | None = None


class Preset(Section):
    """A row: `row` is its place in the table. A file of the user's needs no more than the model."""

    row: NonNegativeInt = 0
    title: str = ""
    model: Model
    protocol: Protocol = Protocol()
    figures: Figures = Figures()


def names() -> tuple[str, ...]:
    """Return the names of the presets, in the order of Table 3."""
    found = [file.stem for file in HERE.glob("*.toml")]
    return tuple(sorted(found, key=lambda name: preset(name).row))


def preset(name: str) -> Preset:
    """Return a preset by its name, or from a TOML file of the user's.

    Raises UserError if there is none of it, or if the file says something strange.
    """
    own = HERE / f"{name}.toml"
    file = own if own.is_file() else Path(name)
    if not file.is_file():
        known = ", ".join(sorted(one.stem for one in HERE.glob("*.toml")))
        raise UserError(f"no preset {name!r}; known: {known}, or the path of a TOML file of yours")
    return read_note(file, Preset)
