"""A critic whose pictures are permuted: a control that reads words and sees something else."""

import pytest
from table_house import image

from lskd.critique.view import Look, permuted
from lskd.errors import UserError
from lskd.types import Image


def test_every_image_gets_another_and_none_is_left_out() -> None:
    images = [image(name) for name in ("c", "a", "b", "a")]
    others = permuted(images)
    assert set(others) == {one.id for one in others.values()} == {"a", "b", "c"}
    assert all(name != other.id for name, other in others.items())


def test_one_image_alone_cannot_be_permuted() -> None:
    with pytest.raises(UserError, match="at least two images"):
        permuted([Image("a", "a.png", 1, 1)])


def test_a_look_keeps_which_pictures_are_shown() -> None:
    assert Look().pictures == "own"
    assert Look(pictures="permuted").pictures == "permuted"
