"""The records of writers: what is refused, and what survives being saved."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lskd.errors import UserError
from lskd.writing.writer import Decoding, Sight, unpacked


@given(
    tokens=st.integers(1, 5),
    layers=st.integers(0, 3),
    grid=st.lists(st.integers(-(2**40), 2**40), max_size=4),
    kind=st.sampled_from([torch.float32, torch.bfloat16, torch.float16]),
)
def test_a_sight_is_the_same_after_it_was_packed(
    tokens: int, layers: int, grid: list[int], kind: torch.dtype
) -> None:
    made = [torch.randn(tokens + n, 3).to(kind) for n in range(layers + 1)]
    sight = Sight(made[0], tuple(made[1:]), tuple(grid))
    again = unpacked(sight.packed())
    assert torch.equal(again.features, sight.features)
    assert again.features.dtype == kind
    assert len(again.layers) == layers
    assert all(map(torch.equal, again.layers, sight.layers))
    assert again.grid == tuple(grid)


def test_a_part_of_a_larger_tensor_is_packed_alone() -> None:
    whole = torch.randn(64, 5, 7)
    data = Sight(whole[3]).packed()
    assert len(data) < 5 * 7 * 4 + 400
    assert torch.equal(unpacked(data).features, whole[3])


def test_a_sight_moves_with_its_layers() -> None:
    sight = Sight(torch.zeros(2, 3), (torch.ones(2, 3),), (1, 2))
    moved = sight.to(torch.device("cpu"), torch.bfloat16)
    assert moved.features.dtype == moved.layers[0].dtype == torch.bfloat16
    assert moved.grid == (1, 2)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"beams": 0}, "1 is the least"),
        ({"tokens": 0}, "1 is the least"),
        ({"temperature": 0.0}, "more than 0"),
        ({"temperature": math.inf}, "more than 0"),
        ({"temperature": math.nan}, "more than 0"),
        ({"temperature": 1.0, "beams": 2}, "choose one"),
        ({"top_p": 0.0}, "at most 1"),
        ({"top_p": 1.5}, "at most 1"),
        ({"stop": ("a", "")}, "every text"),
    ],
)
def test_a_decoding_that_makes_no_sense_is_refused(wrong: dict[str, object], said: str) -> None:
    with pytest.raises(UserError, match=said):
        Decoding(**wrong)  # type: ignore[arg-type]
