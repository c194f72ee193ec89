"""Masks become polygons and runs, and come back from both pixel by pixel."""

from collections.abc import Sequence

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from lskd.lab.drawing import render
from lskd.lab.gold.outline import Mask, polygons, runs
from lskd.lab.scene import draw
from lskd.types import Polygon

MASKS = arrays(bool, st.tuples(st.integers(1, 9), st.integers(1, 9)))


def filled(shape: tuple[int, ...], outlines: Sequence[Polygon]) -> NDArray[np.int64]:
    """Return in how many polygons the middle of each pixel lies, by counting crossings."""
    down, across = np.mgrid[: shape[0], : shape[1]] + 0.5
    times = np.zeros(shape, dtype=np.int64)
    for outline in outlines:
        points = list(zip(outline[::2], outline[1::2], strict=True))
        odd = np.zeros(shape, dtype=bool)
        for (x, y), (u, v) in zip(points, [*points[1:], points[0]], strict=True):
            assert x == u or y == v  # along the edges of pixels
            if x == u:
                odd ^= (down > min(y, v)) & (down < max(y, v)) & (across < x)
        times += odd
    return times


@given(MASKS)
@settings(max_examples=150)
def test_polygons_cover_just_the_mask_and_each_pixel_once(mask: Mask) -> None:
    np.testing.assert_array_equal(filled(mask.shape, polygons(mask)), mask.astype(np.int64))


def test_a_ring_is_cut_in_two_without_a_hole() -> None:
    ring: Mask = np.ones((3, 3), dtype=bool)
    ring[1, 1] = False
    assert len(polygons(ring)) == 2
    assert polygons(np.ones((2, 3), dtype=bool)) == ((0.0, 0.0, 3.0, 0.0, 3.0, 2.0, 0.0, 2.0),)
    assert polygons(np.zeros((2, 3), dtype=bool)) == ()


@given(MASKS)
def test_runs_unroll_to_the_mask(mask: Mask) -> None:
    flat = [place % 2 == 1 for place, length in enumerate(runs(mask)) for _ in range(length)]
    np.testing.assert_array_equal(np.reshape(flat, mask.shape, order="F"), mask)


def test_outlines_of_drawn_entities_are_their_masks() -> None:
    for seed in range(5):
        for mask in render(draw(seed)).masks:
            np.testing.assert_array_equal(filled(mask.shape, polygons(mask)), mask.astype(np.int64))
