"""Frames of pre-training: what is drawn, and which patches it is said to surround."""

import numpy as np

from lskd.lab.drawing import SIDE
from lskd.lab.pretrain import frames
from lskd.lab.pretrain.frames import GRID, INSIDE, MOST, PATCH, TINTS, Mask, framed

GREY = np.full((SIDE, SIDE, 3), 128, dtype=np.uint8)
BOX = (30.0, 40.0, 90.0, 120.0)


def disc() -> Mask:
    down, across = np.mgrid[:SIDE, :SIDE]
    found: Mask = (down - 70) ** 2 + (across - 60) ** 2 <= 30**2
    return found


def patches(tints: Mask, tint: int) -> Mask:
    return tints[:, tint].reshape(GRID, GRID)


def test_rectangles_surround_a_whole_block_of_patches() -> None:
    for seed in range(20):
        one = framed(GREY, [BOX], (), np.random.default_rng(seed))
        for tint in range(len(TINTS)):
            block = patches(one.tints, tint)
            rows, columns = block.any(axis=1), block.any(axis=0)
            np.testing.assert_array_equal(block, np.outer(rows, columns))
            assert (np.diff(np.flatnonzero(rows)) == 1).all()


def test_an_outline_surrounds_the_patches_of_its_thing() -> None:
    mask = disc()
    shares = mask.reshape(GRID, PATCH, GRID, PATCH).mean(axis=(1, 3))
    outlines = 0
    for seed in range(20):
        one = framed(GREY, [BOX], [mask], np.random.default_rng(seed))
        blocks = (patches(one.tints, tint) for tint in range(len(TINTS)))
        outlines += sum(np.array_equal(block, shares >= INSIDE) for block in blocks)
    assert outlines > 20  # OUTLINED of some 4.5 frames in each picture


def test_an_outline_is_drawn_along_the_edge_of_its_thing_and_leaves_the_middle_as_it_is() -> None:
    mask = disc()
    edge = grown(mask, 3) & ~shrunk(mask, 3)
    for seed in range(20):
        drawn = GREY.copy()
        frames.outline(drawn, mask, np.array([255, 0, 0], np.uint8), np.random.default_rng(seed))
        changed = (drawn != GREY).any(axis=-1)
        assert changed[grown(mask, 1) & ~mask].all()
        # A label, if there is one, lies somewhere on the edge, and reaches beyond it.
        assert (changed & ~edge).sum() <= 13 * 11


def test_a_thing_smaller_than_a_patch_is_still_surrounded() -> None:
    mask = np.zeros((SIDE, SIDE), dtype=bool)
    mask[50:53, 61:64] = True
    found = False
    for seed in range(20):
        one = framed(GREY, [BOX], [mask], np.random.default_rng(seed))
        found |= any(patches(one.tints, tint).sum() == 1 for tint in range(len(TINTS)))
    assert found


def test_as_many_frames_are_drawn_as_there_may_be_and_each_in_a_tint_of_its_own() -> None:
    seen = [
        int(framed(GREY, [BOX], [disc()], np.random.default_rng(seed)).tints.any(axis=0).sum())
        for seed in range(100)
    ]
    assert min(seen) >= 1 and max(seen) == MOST


def grown(mask: Mask, by: int) -> Mask:
    """A mask and all pixels that lie within `by` rows and columns of it."""
    wide = np.pad(mask, by)
    near = np.lib.stride_tricks.sliding_window_view(wide, (2 * by + 1, 2 * by + 1))
    found: Mask = np.asarray(near.any(axis=(2, 3)))
    return found


def shrunk(mask: Mask, by: int) -> Mask:
    """The pixels of a mask that lie further than `by` rows or columns from its edge."""
    return np.logical_not(grown(np.logical_not(mask), by))
