"""Rows become tensors: what is shared, what is cut off, and who is kin."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
import toys
from torch import Tensor

from lskd.blip2.text import Tokenizer
from lskd.distil.batches import Sheet, sheet
from lskd.distil.lessons import Lesson
from lskd.types import Image, View

RIGHT, WRONG = "what colour is [0]? it is red", "what colour is [1]? it is red"


def view(name: str) -> View:
    return View(Image(name, f"{name}.png", 4, 4), ())


def made(folder: Path, lessons: Sequence[Lesson], limit: int = 48) -> tuple[Sheet, list[View]]:
    """Return the sheet of lessons, and the views that were asked for."""
    asked: list[View] = []

    def sights(views: Sequence[View]) -> Tensor:
        asked.extend(views)
        return torch.arange(float(len(views)))

    return sheet(lessons, sights, Tokenizer(toys.vocabulary(folder)), limit), asked


def test_rows_that_look_alike_share_one_view(tmp_path: Path) -> None:
    one, other = view("a"), view("b")
    lessons = [Lesson(v, RIGHT, ()) for v in (one, other, one)]
    given, asked = made(tmp_path, lessons)
    assert asked == [one, other]
    assert given.view is not None and given.view.tolist() == [0, 1, 0]
    alone, _ = made(tmp_path, lessons[:2])
    assert alone.view is None


def test_rows_of_one_image_and_of_one_text_are_known_as_kin(tmp_path: Path) -> None:
    copy = View(replace(view("a").image, path="copy.png"), ())
    lessons = [
        Lesson(view("a"), RIGHT, ()),
        Lesson(copy, WRONG, ()),
        Lesson(view("b"), RIGHT.upper(), ()),  # the tokenizer makes it the first row's text
    ]
    given, _ = made(tmp_path, lessons)
    assert given.images[0] == given.images[1] != given.images[2]
    assert given.wordings[0] == given.wordings[2] != given.wordings[1]


def test_wrong_texts_go_with_their_rows_unless_the_cut_makes_them_right(tmp_path: Path) -> None:
    late = "it is red because it is near [0]", "it is red because it is near [1]"
    lessons = [
        Lesson(view("a"), RIGHT, ()),
        Lesson(view("b"), RIGHT, (WRONG,)),
        Lesson(view("c"), late[0], late[1:]),
    ]
    given, _ = made(tmp_path, lessons)
    assert given.swapped_rows is not None and given.swapped_rows.tolist() == [1, 2]
    assert given.swapped is not None and len(given.swapped) == 2
    cut, _ = made(tmp_path, lessons, limit=8)
    assert cut.swapped_rows is not None and cut.swapped_rows.tolist() == [1]
    none, _ = made(tmp_path, lessons[:1])
    assert none.swapped is None and none.swapped_rows is None
