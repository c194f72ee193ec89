"""Stage `dataset`: the examples as a folder that `datasets.load_dataset` opens, with its card."""

from collections.abc import Iterator
from typing import Literal

from pydantic import NonNegativeFloat

from lskd.export import hf
from lskd.export.folder import BOTH, split_name
from lskd.export.pictures import Look
from lskd.facts import RunFacts
from lskd.marking import MarkStyle
from lskd.report.card import Held, Source, card
from lskd.stage import Context, Parts, Section, Stage
from lskd.storage.address import shown
from lskd.table import Tables
from lskd.types import Example, Fit, Image, Reply, Score, Style, Triple

FOLDER = "hf"


class Settings(Section):
    """How the dataset looks, and what its card says of licences.

    `rows`: one for each triple, or one for each image with all of its triples (of an import, those
    that follow each other in its file). `pictures`: "marked"
    (the image, and again with the regions drawn that the triple names), "plain" or "none" (paths
    only). `marking` is the style of the marks. A Parquet file has about `megabytes`.
    """

    licence: str = "unknown"
    image_licence: str = "unknown"
    image_source: str = "the folder that the run was given"
    rows: hf.Rows = "triple"
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


def readme(
    settings: Settings,
    facts: RunFacts,
    tables: Tables,
    look: Look,
    styles: tuple[Style, ...] = BOTH,
) -> str:
    """Return the card of a run's examples, as `hf.write` writes those of some styles."""
    return card(
        facts,
        tables,
        known(settings.licence),
        [Source(settings.image_source, known(settings.image_licence))],
        held(tables, settings.rows, styles),
        hf.features_yaml(look, settings.rows),
    )


def held(tables: Tables, rows: hf.Rows, styles: tuple[Style, ...]) -> Held:
    """Return what a folder will hold of a run's examples, but for those that cannot be written."""
    count, splits = 0, dict[str, None]()
    for shard in tables.shards(Example):
        stored = tables.stored(Example, shard, "image_id", "split", "style")
        chosen = [(image, split) for image, split, style in stored if style in styles]
        # An image lies in one shard.
        count += len(chosen) if rows == "triple" else len({image for image, _ in chosen})
        splits |= dict.fromkeys(split_name(split) for _, split in chosen)
    return Held(count, rows, tuple(splits) or ("train",), styles)


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
