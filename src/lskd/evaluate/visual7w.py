"""Visual7W, telling: a question about an image and four answers in words.

`dataset_v7w_telling.json` (one file of all splits) and the images go in, an item for each question
of the split comes out. The file holds the right answer apart from the three wrong ones. Item
choices are shuffled, by the seed and the question's id: where the right answer always stands last,
as in the paper's official release, a model whose scores are all equal gets 0 and not a quarter.
"""

import random
from collections.abc import Iterator
from pathlib import Path

from lskd.evaluate.benchmark import (
    SPLITS,
    Benchmark,
    File,
    Found,
    Options,
    file_in,
    known_split,
)
from lskd.evaluate.pictures import Pictures
from lskd.evaluate.rows import Row, Wrong, elements, gather, loaded, name, text, texts
from lskd.types import Item, Reject

NAME = "visual7w"
FILES = ("dataset_v7w_telling.json", "dataset.json", "visual7w-telling/dataset.json")


def read(folder: Path, options: Options) -> Found:
    """Return the items of a split, which an image's record names.

    Raises UserError if the file is missing or no JSON.
    """
    split = known_split(options.split, SPLITS)
    file = file_in(folder, FILES, "the questions of Visual7W telling")
    value = loaded(file)
    images = value.get("images") if isinstance(value, dict) else value
    pictures = Pictures(options.images, folder)
    return gather(
        _pairs(images, split, file),
        lambda row: _items(row, split, pictures, options.seed),
        file,
        options.limit,
    )


def _pairs(images: object, split: str, file: Path) -> Iterator[Row | Reject]:
    """Yield a row for each question of the split, with the image's file name among its fields."""
    for image in elements(images, f"{file.name} image"):
        if isinstance(image, Reject):
            yield image
            continue
        fields = image.fields
        if fields.get("split") not in SPLITS:
            reason = f"its split is {fields.get('split')!r}, not one of {', '.join(SPLITS)}"
            yield Reject(image.source, reason, image.text)
        elif fields["split"] == split:
            for pair in elements(fields.get("qa_pairs"), f"{image.source} question"):
                if isinstance(pair, Row):
                    both = {"filename": fields.get("filename"), **pair.fields}
                    pair = Row(pair.source, pair.text, both)
                yield pair


def _items(row: Row, split: str, pictures: Pictures, seed: int) -> Iterator[Item]:
    fields = row.fields
    if fields.get("split", split) != split:
        raise Wrong(f"it is of split {fields['split']}, its image of {split}")
    file = text(fields, "filename")
    image = pictures.find((f"images/{file}", file))
    item_id = name(fields, "qa_id")
    choices, right = _shuffled(
        texts(fields, "multiple_choices"), text(fields, "answer"), f"{seed} {item_id}"
    )
    yield Item(
        id=item_id,
        benchmark=NAME,
        task="",
        split=split,
        image_id=image.id,
        path=image.path,
        width=image.width,
        height=image.height,
        regions=(),
        pointed=(),
        question=text(fields, "question"),
        given=None,
        choices=choices,
        right=(right,),
        ratings=(),
        kind=text(fields, "type"),
    )


def _shuffled(wrong: tuple[str, ...], right: str, seed: str) -> tuple[tuple[str, ...], int]:
    """Return all choices in an order by chance, and the place of the right one."""
    if len(wrong) != 3:
        raise Wrong(f"{len(wrong)} wrong choices, not 3")
    order = list(range(len(wrong) + 1))
    random.Random(seed).shuffle(order)
    every = (*wrong, right)
    return tuple(every[place] for place in order), order.index(len(wrong))


BENCHMARK = Benchmark(
    name=NAME,
    title="Visual7W telling: what, where, when, who, why and how",
    metric="accuracy, answers compared as texts without case; also by type of question",
    files=(
        File("dataset_v7w_telling.json", "the questions (or dataset.json, as the toolkit has it)"),
        File("images/v7w_*.jpg", "the images"),
    ),
    source="https://github.com/yukezhu/visual7w-toolkit",
    licence="toolkit MIT; the questions are part of Visual Genome (CC BY 4.0)",
    images="visual7w_images.zip of the toolkit's page, as images/",
    splits=SPLITS,
    read=read,
)
