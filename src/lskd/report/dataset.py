"""Stage `dataset`: the examples as a folder that `datasets.load_dataset` opens, with its card."""

from collections.abc import Iterator
from typing import Literal

from pydantic import NonNegativeFloat

from lskd.export import hf
from lskd.export.pictures import Look
from lskd.facts import RunFacts
from lskd.marking import MarkStyle
from lskd.report.card import Source, card
from lskd.stage import Context, Parts, Section, Stage
from lskd.storage.address import shown
from lskd.table import Tables
from lskd.types import Example, Fit, Image, Reply, Score, Triple

FOLDER = "hf"


class Settings(Section):
    """How the dataset looks, and what its card says of licences.

    `rows`: one for each triple, or one for each image with all of its triples. `pictures`: "marked"
    (the image, and again with the regions drawn that the triple names), "plain" or "none" (paths
    only). `marking` is the style of the marks. A Parquet file has about `megabytes`.
    """

    licence: str = "unknown"
    image_licence: str = "unknown"
    image_source: str = "the folder that the run was given"
    rows: Literal["triple", "image"] = "triple"
    pictures: Literal["marked", "plain", "none"] = "marked"
    marking: MarkStyle = "clear"
    megabytes: NonNegativeFloat = 500.0


def examples(tables: Tables) -> Iterator[Example]:
    """Yield every example of a run, image by image."""
    for shard in tables.shards(Example):
        yield from sorted(tables.read(Example, shard), key=lambda example: example.image_id)


def whole(settings: Settings, context: Context, tables: Tables) -> Parts:
    """Write the folder beside the stage's note; it has no table of records."""
    look = Look(pictures=settings.pictures, marks=settings.marking)
    written = hf.write(
        examples(tables),
        context.folder / FOLDER,
        look,
        rows=settings.rows,
        readme=readme(settings, context.facts(), tables, look),
        shard_bytes=round(settings.megabytes * 1_000_000),
    )
    context.say(f"{written.rows} rows in {shown(context.folder / FOLDER)}")
    if written.rejected:
        context.say(f"{written.rejected} examples could not be written: see rejects.jsonl there")
    yield from ()


def readme(settings: Settings, facts: RunFacts, tables: Tables, look: Look) -> str:
    """Return the card of a run's examples."""
    split = split_of(tables)
    return card(
        facts,
        tables,
        known(settings.licence),
        [Source(settings.image_source, known(settings.image_licence))],
        hf.features_yaml(look, settings.rows),
        data_files=[(split, f"data/{split}-*.parquet")],
    )


def split_of(tables: Tables) -> str:
    """Return the split of a run's examples: its settings give them all the same."""
    first = next(examples(tables), None)
    return first.split if first else "train"


def known(licence: str) -> str:
    """Return a licence, or "" for one that is not known, as the card wants it."""
    return "" if licence == "unknown" else licence


STAGE = Stage(
    name="dataset",
    settings=Settings,
    reads=(Image, Reply, Triple, Fit, Score, Example),
    writes=(),
    whole=whole,
)
