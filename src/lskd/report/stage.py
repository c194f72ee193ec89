"""Stage `report`: one self-contained page that tells what a run has made, and students' cards."""

from pydantic import NonNegativeInt

from lskd.report.gallery import Size
from lskd.report.page import render
from lskd.report.student_card import write_cards
from lskd.stage import Context, Parts, Section, Stage
from lskd.table import Tables, draft
from lskd.types import (
    Annotation,
    Concepts,
    Copy,
    Dialogue,
    Example,
    Fit,
    GenerativeStudent,
    Image,
    Narratives,
    Outcome,
    Regions,
    Reject,
    Reply,
    Score,
    Student,
    Triple,
)

PAGE = "report.html"


class Settings(Section):
    """How many triples of each kind the page shows: kept, dropped by score, rejected by parsing."""

    kept: NonNegativeInt = 12
    dropped: NonNegativeInt = 6
    rejected: NonNegativeInt = 6


def whole(settings: Settings, context: Context, tables: Tables) -> Parts:
    """Write the page beside the stage's note, and each student's card; it has no table."""
    size = Size(settings.kept, settings.dropped, settings.rejected, seed=context.seed)
    text = render(context.facts(), tables, size)
    with draft(context.folder / PAGE) as unfinished:
        unfinished.write_text(text, encoding="utf-8")
    write_cards(context.facts(), tables, context.folder.parent)
    yield from ()


STAGE = Stage(
    name="report",
    settings=Settings,
    reads=(
        Image,
        Copy,
        Annotation,
        Concepts,
        Narratives,
        Regions,
        Dialogue,
        Reply,
        Triple,
        Fit,
        Score,
        Example,
        Student,
        GenerativeStudent,
        Outcome,
        Reject,
    ),
    writes=(),
    whole=whole,
)
