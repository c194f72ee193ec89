"""Scoring: the order of the answers, what is done once, and what does not matter."""

import random
from collections.abc import Callable, Sequence

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_blip2 import shake, tiny_size
from torch import Tensor

from lskd.blip2.scoring import Ask, Batching, score, see
from lskd.blip2.stage1 import Critic, Stage1, new_critic, new_student
from lskd.blip2.text import collate
from lskd.errors import UserError

STUDENT = shake(new_student(tiny_size()))
CRITIC = shake(new_critic(tiny_size()))
SIGHTS = torch.randn(5, 3, 28, 28, generator=torch.Generator().manual_seed(1))


def pixels(views: Sequence[int]) -> Tensor:
    return SIGHTS[list(views)]


def counted(seen: list[int]) -> Callable[[Sequence[int]], Tensor]:
    def looked(views: Sequence[int]) -> Tensor:
        seen.extend(views)
        return pixels(views)

    return looked


def one_by_one(model: Stage1 | Critic, asks: Sequence[Ask[int]]) -> Tensor:
    answers = []
    with torch.no_grad():
        for ask in asks:
            memory = model.backbone.remember(model.backbone.features(SIGHTS[[ask.view]]))
            answers.append(model.judge(memory, collate([ask.text])).match)
    return torch.cat(answers)


def questions(count: int, seed: int = 0) -> list[Ask[int]]:
    rng = random.Random(seed)
    return [
        Ask(rng.choice((0, 0, 0, 1, 2, 3, 4)), (2, *rng.choices(range(5, 40), k=length), 3))
        for length in (rng.randrange(1, 20) for _ in range(count))
    ]


@settings(max_examples=25, deadline=None)
@given(
    asks=st.lists(
        st.builds(
            Ask,
            st.integers(0, 4),
            st.lists(st.integers(5, 39), min_size=2, max_size=20).map(tuple),
        ),
        max_size=12,
    ),
    views=st.integers(1, 4),
    texts=st.integers(1, 9),
)
def test_answers_come_in_order_and_hang_on_no_batch_size(
    asks: list[Ask[int]], views: int, texts: int
) -> None:
    answers = score(STUDENT, asks, see(STUDENT, pixels), Batching(views, texts))
    expected = one_by_one(STUDENT, asks) if asks else torch.empty(0, 2)
    torch.testing.assert_close(answers.verdict.match, expected, atol=1e-5, rtol=0)


def test_each_distinct_view_passes_the_vision_encoder_once() -> None:
    seen: list[int] = []
    score(STUDENT, questions(60), see(STUDENT, counted(seen)), Batching(2, 7))
    assert sorted(seen) == [0, 1, 2, 3, 4]


def test_a_critic_rates_as_it_would_one_by_one() -> None:
    asks = questions(20)
    many = score(CRITIC, asks, see(CRITIC, pixels)).verdict
    few = score(CRITIC, asks, see(CRITIC, pixels), Batching(1, 1)).verdict
    assert many.qa is not None and few.qa is not None
    assert many.rationale is not None and few.rationale is not None
    torch.testing.assert_close(many.qa, few.qa, atol=1e-5, rtol=0)
    torch.testing.assert_close(many.rationale, few.rationale, atol=1e-5, rtol=0)
    torch.testing.assert_close(many.match, one_by_one(CRITIC, asks), atol=1e-5, rtol=0)


def test_similarities_are_those_of_each_text_and_its_own_view() -> None:
    asks = questions(25)
    answers = score(STUDENT, asks, see(STUDENT, pixels), Batching(3, 4), similarities=True)
    assert answers.similarity is not None
    backbone, contrast = STUDENT.backbone, STUDENT.contrast
    with torch.no_grad():
        for ask, similar in zip(asks, answers.similarity, strict=True):
            memory = backbone.remember(backbone.features(SIGHTS[[ask.view]]))
            view = contrast.of_views(backbone.qformer.look(memory))[0]
            word = contrast.of_texts(backbone.qformer.read(collate([ask.text])))[0]
            torch.testing.assert_close(similar, (view @ word).max(), atol=1e-5, rtol=0)


def test_features_from_a_cache_need_no_pixels() -> None:
    asks = questions(10)
    with torch.no_grad():
        kept = STUDENT.backbone.features(SIGHTS)
    cached = score(STUDENT, asks, lambda views: kept[list(views)]).verdict.match
    fresh = score(STUDENT, asks, see(STUDENT, pixels)).verdict.match
    torch.testing.assert_close(cached, fresh, atol=1e-6, rtol=0)


def test_a_model_in_training_is_asked_without_dropout_and_stays_in_training() -> None:
    student = shake(new_student(tiny_size())).train()
    student.backbone.vision.eval()
    asks = questions(8)
    answers = score(student, asks, see(student, pixels))
    torch.testing.assert_close(answers.verdict.match, one_by_one(STUDENT, asks), atol=1e-5, rtol=0)
    assert student.training and student.language.training
    assert not student.backbone.vision.training


@pytest.mark.parametrize(
    ("lengths", "views", "most", "batches"),
    [
        # A quarter shorter than the longest begins a batch, once eight texts are together.
        ([20] * 8 + [14] * 3, 1, 128, [(8, 20), (3, 14)]),
        ([20] * 8 + [15] * 3, 1, 128, [(11, 20)]),
        ([20] * 7 + [14] * 3, 1, 128, [(8, 20), (2, 14)]),
        ([4, 20, 4, 20], 1, 128, [(4, 20)]),
        # No batch is larger than it may be, and one more text of each view fits in or does not.
        ([9] * 7, 1, 3, [(3, 9), (3, 9), (1, 9)]),
        ([9] * 3, 2, 4, [(4, 9), (2, 9)]),
        ([9] * 3, 2, 5, [(4, 9), (2, 9)]),
        ([9] * 3, 2, 6, [(6, 9)]),
        ([9] * 2, 2, 1, [(2, 9), (2, 9)]),
    ],
)
def test_texts_of_similar_length_go_together_and_few_are_not_parted(
    lengths: list[int], views: int, most: int, batches: list[tuple[int, int]]
) -> None:
    shapes: list[tuple[int, int]] = []

    def note(_: object, __: object, given: dict[str, Tensor]) -> None:
        rows, tokens = given["input_ids"].shape
        shapes.append((rows, tokens))

    embeddings = STUDENT.backbone.qformer.embeddings
    asks = [Ask(view, (2, *[7] * (length - 2), 3)) for length in lengths for view in range(views)]
    with embeddings.register_forward_pre_hook(note, with_kwargs=True):
        score(STUDENT, asks, see(STUDENT, pixels), Batching(views, most))
    assert shapes == batches


def test_a_critic_has_no_similarities() -> None:
    with pytest.raises(UserError, match="a critic has no similarities"):
        score(CRITIC, questions(1), see(CRITIC, pixels), similarities=True)


def test_batches_of_nothing_are_refused() -> None:
    for views, texts in ((0, 3), (3, 0)):
        with pytest.raises(UserError, match=f"{views} views and {texts} texts: 1 is the least"):
            Batching(views, texts)
    assert score(CRITIC, questions(2), see(CRITIC, pixels)).similarity is None
