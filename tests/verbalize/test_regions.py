"""Which proposals become regions, in which order, and what becomes of the others."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lskd.protocols import Proposal
from lskd.stage import Model
from lskd.types import Box, Image, Reject
from lskd.verbalize.regions import Order, Settings, iou, numbered, select

IMAGE = Image("i", "i.jpg", 100, 80)
MODEL = Model(use="models:Eyes")


def settings(**keys: object) -> Settings:
    return Settings.model_validate({"proposer": MODEL, "captioner": MODEL, **keys})


def kept(proposals: list[Proposal], **keys: object) -> list[Proposal]:
    found = select(proposals, IMAGE, settings(**keys))
    return [one for one in found if isinstance(one, Proposal)]


def rejected(proposals: list[Proposal], **keys: object) -> list[str]:
    return [
        one.reason for one in select(proposals, IMAGE, settings(**keys)) if isinstance(one, Reject)
    ]


BIG = Proposal(Box(0, 0, 50, 50), "dog", 0.5)
SMALL = Proposal(Box(60, 10, 90, 40), "cat", 0.9)
COPY = Proposal(Box(1, 0, 50, 50), "dog", 0.4)
SPECK = Proposal(Box(5, 5, 6, 6), "fly", 0.99)


@pytest.mark.parametrize(
    ("order", "labels"),
    [("area", ["dog", "cat"]), ("score", ["cat", "dog"]), ("left", ["dog", "cat"])],
)
def test_regions_are_numbered_in_the_stated_order(order: Order, labels: list[str]) -> None:
    regions = numbered(kept([SMALL, BIG], order=order))
    assert [(r.id, r.label) for r in regions] == list(enumerate(labels))


def test_the_lesser_of_two_overlapping_boxes_of_one_label_is_left_out_with_a_reason() -> None:
    assert kept([COPY, BIG]) == [BIG]
    assert rejected([COPY, BIG]) == ["overlaps a better 'dog' by over 0.7"]


def test_boxes_of_other_labels_may_overlap() -> None:
    rider = Proposal(BIG.box, "person", 0.5)
    assert len(kept([BIG, rider])) == 2


def test_specks_and_the_surplus_are_left_out_with_reasons() -> None:
    assert rejected([SPECK, BIG]) == ["smaller than 0.002 of the image"]
    assert rejected([SMALL, BIG], most=1) == ["more than 1 regions"]
    assert kept([SMALL, BIG], most=1, order="left") == [BIG]


def test_a_box_over_the_edge_is_clipped_and_one_outside_is_left_out() -> None:
    (over,) = kept([Proposal(Box(-10, 40, 30, 120), "dog", 1.0)])
    assert over.box == Box(0, 40, 30, 80)
    assert kept([Proposal(Box(200, 0, 300, 50), "dog", 1.0)]) == []


COORDINATES = st.floats(-50, 150)
BOXES = st.builds(Box, COORDINATES, COORDINATES, COORDINATES, COORDINATES)
PROPOSALS = st.lists(
    st.builds(Proposal, BOXES, st.sampled_from(["dog", "cat"]), st.floats(0, 1)), max_size=12
)


@given(PROPOSALS, st.sampled_from(["area", "score", "left"]), st.integers(1, 5))
def test_every_proposal_is_kept_or_rejected_and_order_of_arrival_does_not_matter(
    proposals: list[Proposal], order: Order, most: int
) -> None:
    both = list(select(proposals, IMAGE, settings(order=order, most=most)))
    assert len(both) == len(proposals)
    assert len(kept(proposals, order=order, most=most)) <= most
    backwards = kept(proposals[::-1], order=order, most=most)
    assert [p.box for p in backwards] == [p.box for p in kept(proposals, order=order, most=most)]


@given(BOXES, BOXES)
def test_iou_is_symmetric_and_a_share(a: Box, b: Box) -> None:
    a, b = a.within(100, 80), b.within(100, 80)
    assert iou(a, b) == iou(b, a)
    assert 0 <= iou(a, b) <= 1 + 1e-9
    if a.area > 0 and a.width > 0:
        assert iou(a, a) == pytest.approx(1)
