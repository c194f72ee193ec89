"""A-OKVQA, multiple choice: a question that takes knowledge of the world, and four answers.

`aokvqa_v1p0_{split}.json` and COCO's images of 2017 go in, an item for each row comes out. Choices
may repeat, in some rows even the right one: they stay as they are, and the metric compares texts.
"""

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
from lskd.evaluate.rows import Row, Wrong, choice, elements, gather, loaded, name, text, texts
from lskd.types import Item

NAME = "aokvqa"


def read(folder: Path, options: Options) -> Found:
    """Return the items of a split; `right` is empty where the authors keep the answers (test).

    Raises UserError if the split's file is missing or no JSON.
    """
    split = known_split(options.split, SPLITS)
    file = file_in(folder, (f"aokvqa_v1p0_{split}.json",), "the questions of A-OKVQA")
    pictures = Pictures(options.images, folder)
    rows = elements(loaded(file), f"{file.name} row")
    return gather(rows, lambda row: _items(row, split, pictures), file, options.limit)


def image_names(split: str, image_id: str) -> tuple[str, ...]:
    """Return the names that COCO's file of 2017 may have from a folder, the usual one first."""
    file = f"{int(image_id):012}.jpg"
    folder = f"{split}2017"
    return (f"{folder}/{file}", f"images/{folder}/{file}", f"coco/{folder}/{file}", file)


def _items(row: Row, split: str, pictures: Pictures) -> Iterator[Item]:
    fields = row.fields
    if text(fields, "split") != split:
        raise Wrong(f"it is of split {fields['split']}, not of {split}")
    number = name(fields, "image_id")
    if not number.isdecimal():
        raise Wrong(f"'image_id' is not a number: {number}")
    choices = texts(fields, "choices")
    if len(choices) < 2:
        raise Wrong(f"{len(choices)} choices")
    labelled = split != "test" or "correct_choice_idx" in fields
    image = pictures.find(image_names(split, number))
    yield Item(
        id=name(fields, "question_id"),
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
        right=(choice(fields, "correct_choice_idx", len(choices)),) if labelled else (),
        ratings=(),
        kind="",
    )


BENCHMARK = Benchmark(
    name=NAME,
    title="A-OKVQA: questions that take knowledge of the world",
    metric="multiple-choice accuracy, answers compared as texts",
    files=(
        File("aokvqa_v1p0_{split}.json", "the questions"),
        File("{split}2017/*.jpg", "the images"),
    ),
    source="https://github.com/allenai/aokvqa",
    licence="questions Apache-2.0; COCO's images under the licences of their authors on Flickr",
    images="COCO 2017, the split of the same name (https://cocodataset.org), as {split}2017/",
    splits=SPLITS,
    read=read,
)
