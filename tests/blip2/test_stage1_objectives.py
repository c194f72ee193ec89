"""The losses: who is held against whom, and what a fused step shares."""

import random
from dataclasses import replace

import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from tiny_blip2 import shake, tiny_size
from torch import Tensor
from torch.nn import functional

from lskd.blip2.negatives import Kin, Negatives, choose, keys, misname, relate, swap, weigh
from lskd.blip2.objectives import Batch, Losses, StudentObjective, contrast_loss, critic_loss
from lskd.blip2.stage1 import Stage1, Verdict, new_student
from lskd.blip2.text import Texts, collate, to_write
from lskd.marking import named

DEC = 39
ENCODED = [(2, 11, 12, 13, 3), (2, 14, 3), (2, 15, 16, 3), (2, 17, 18, 19, 20, 3)]
IMAGES = ["a", "b", "c", "d"]


def batch_of(student: Stage1, images: list[str], encoded: list[tuple[int, ...]]) -> Batch:
    pixels = torch.randn(len(images), 3, 28, 28, generator=torch.Generator().manual_seed(5))
    return Batch(
        features=student.backbone.features(pixels),
        texts=collate(encoded),
        images=keys(images),
        wordings=keys(str(tokens) for tokens in encoded),
    )


def learner(kin: Kin = "apart", gathered_gradient: bool = True) -> StudentObjective:
    student = shake(new_student(tiny_size(), dropout=0.0))
    with torch.no_grad():
        student.contrast.temperature.fill_(0.3)
    student.backbone.freeze(vision=True)
    return StudentObjective(student, DEC, kin, gathered_gradient)


def drawn_by(objective: StudentObjective, batch: Batch, seeds: int = 40) -> list[Negatives]:
    """Return the negatives of many draws."""
    rows = torch.arange(len(batch.texts))
    relation = relate(batch.images, batch.wordings, rows, objective.kin)
    backbone = objective.student.backbone
    with torch.no_grad():
        queries = backbone.qformer.look(backbone.remember(batch.features))
        to_texts, to_views = objective.similarities(queries, batch.texts, [len(rows)])
    draws = []
    for seed in range(seeds):
        generator = torch.Generator().manual_seed(seed)
        noise = torch.empty(2, len(rows), len(rows)).exponential_(generator=generator)
        draws.append(choose(to_views, to_texts, relation, noise))
    return draws


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=8))
def test_rows_of_one_image_or_of_equal_texts_are_never_negatives(
    rows: list[tuple[int, int]],
) -> None:
    images, wordings = torch.tensor(rows).T
    relation = relate(images, wordings, torch.arange(len(rows)), "apart")
    noise = torch.empty(2, len(rows), len(rows)).exponential_()
    similar = torch.randn(len(rows), len(rows))
    negatives = choose(similar, similar.T, relation, noise)
    for row, (image, text) in enumerate(rows):
        foreign = [n for n, (i, t) in enumerate(rows) if i != image and t != text]
        assert relation.negative[row].nonzero()[:, 0].tolist() == foreign
        assert relation.compared[row].nonzero()[:, 0].tolist() == sorted({*foreign, row})
        for chosen in (int(negatives.image[row]), int(negatives.text[row])):
            assert chosen in foreign if foreign else chosen == -1


@pytest.mark.parametrize("kin", ["apart", "shared", "release"])
def test_itc_is_blind_to_the_similarity_of_kin_unless_told_otherwise(kin: Kin) -> None:
    wordings = torch.tensor([0, 1, 2, 1])  # row 1 says what row 3 says
    relation = relate(torch.tensor([0, 0, 1, 2]), wordings, torch.arange(4), kin)
    similar = torch.randn(4, 4, requires_grad=True)
    loss = contrast_loss(similar, similar.T, relation, 0.1, [4])
    (gradient,) = torch.autograd.grad(loss, similar)
    kindred = torch.zeros(4, 4, dtype=torch.bool)
    for one, other in ((0, 1), (1, 3)):
        kindred[one, other] = kindred[other, one] = True
    assert (gradient[~kindred] != 0).all()
    assert (gradient[kindred] == 0).all() == (kin == "apart")
    if kin != "apart":
        assert (gradient[kindred] != 0).all()


@pytest.mark.parametrize("kin", ["apart", "shared", "release"])
def test_itc_is_the_cross_entropy_of_smoothed_shares_in_both_directions(kin: Kin) -> None:
    relation = relate(torch.tensor([0, 0, 1, 2]), torch.tensor([0, 1, 2, 1]), torch.arange(4), kin)
    source = torch.Generator().manual_seed(3)
    directions = [torch.randn(4, 4, generator=source) for _ in range(2)]
    expected = []
    for scores in directions:
        for row in range(4):
            compared = relation.compared[row].nonzero()[:, 0]
            positive = relation.positive[row][compared].float()
            target = 0.8 * positive / positive.sum() + 0.2 / len(compared)
            expected.append(functional.cross_entropy(scores[row, compared], target))
    loss = contrast_loss(directions[0], directions[1], relation, 0.2, [4])
    torch.testing.assert_close(loss, torch.stack(expected).mean())


@pytest.mark.parametrize("kin", ["apart", "shared", "release"])
def test_hard_negatives_keep_to_what_kin_says(kin: Kin) -> None:
    objective = learner(kin)
    batch = batch_of(objective.student, ["a", "a", "c", "d"], ENCODED)
    chosen = torch.stack([torch.stack([d.image, d.text]) for d in drawn_by(objective, batch)])
    assert (chosen != torch.arange(4)).all()
    between = {int(n) for n in chosen[:, :, 0].flatten()}
    assert (1 in between) == (kin == "release")


def test_the_more_similar_is_the_likelier_negative() -> None:
    similar = torch.tensor([[0.0, 1.0, 3.0]])
    allowed = torch.tensor([[False, True, True]])
    weights = weigh(similar, allowed)
    torch.testing.assert_close(weights[0, 1:], torch.tensor([1.0, 3.0]).softmax(0))
    assert weights[0, 0] == 0 and not weigh(similar, torch.zeros_like(allowed)).any()
    relation = relate(torch.arange(3), torch.arange(3), torch.tensor([0]), "apart")
    noise = torch.empty(4000, 2, 1, 3).exponential_(generator=torch.Generator().manual_seed(0))
    hits = [int(choose(similar, similar, relation, n).image) == 2 for n in noise]
    assert abs(sum(hits) / 4000 - float(weights[0, 2])) < 0.03


@pytest.mark.parametrize("kin", ["apart", "shared", "release"])
@pytest.mark.parametrize("images", [["a"], ["a", "a", "a"]])
def test_one_row_and_equal_ids_give_finite_losses_and_gradients(
    kin: Kin, images: list[str]
) -> None:
    objective = learner(kin)
    batch = batch_of(objective.student, images, ENCODED[: len(images)])
    losses: Losses = objective(batch, torch.Generator().manual_seed(0))
    losses.total.backward()  # type: ignore[no-untyped-call]  # torch's own
    assert torch.isfinite(losses.total)
    for weight in objective.parameters():
        assert weight.grad is None or torch.isfinite(weight.grad).all()
    if kin == "apart" or len(images) == 1:
        assert float(losses.itc.detach()) == 0.0


def test_equal_ids_leave_itm_its_positives_alone() -> None:
    objective = learner()
    batch = batch_of(objective.student, ["a", "a", "a"], ENCODED[:3])
    student = objective.student
    with torch.no_grad():
        memory = student.backbone.remember(batch.features)
        match = student.judge(memory, batch.texts).match
        expected = functional.cross_entropy(match, torch.ones(3, dtype=torch.int64))
        torch.testing.assert_close(objective(batch).itm, expected)


def plain_losses(
    student: Stage1, batch: Batch, negatives: Negatives
) -> tuple[Tensor, Tensor, Tensor]:
    """Compute the losses row by row, each with a memory of its own and no padding shared."""
    backbone, rows = student.backbone, len(batch.texts)
    view = torch.arange(rows) if batch.view is None else batch.view
    lengths = batch.texts.mask.sum(dim=1).tolist()

    def text(row: int) -> Texts:
        cut = slice(0, lengths[row])
        return Texts(batch.texts.ids[[row], cut], batch.texts.mask[[row], cut])

    looks, words, itg, pairs, labels = [], [], [], [], []
    for row in range(rows):
        own = backbone.remember(batch.features[[int(view[row])]])
        looks.append(student.contrast.of_views(backbone.qformer.look(own))[0])
        words.append(student.contrast.of_texts(backbone.qformer.read(text(row)))[0])
        ids = to_write(text(row), DEC)
        _, states = backbone.qformer.write(own, Texts(ids, text(row).mask))
        logits = student.written(states)[0, :-1]
        itg.append(
            functional.cross_entropy(logits, ids[0, 1:], label_smoothing=0.1, reduction="none")
        )
        pairs.append(student.judge(own, text(row)).match)
        labels.append(1)
        if (image := int(negatives.image[row])) >= 0:
            other = backbone.remember(batch.features[[int(view[image])]])
            pairs.append(student.judge(other, text(row)).match)
            labels.append(0)
        if (wrong := int(negatives.text[row])) >= 0:
            pairs.append(student.judge(own, text(wrong)).match)
            labels.append(0)
    if batch.swapped is not None and batch.swapped_rows is not None:
        for number, row in enumerate(batch.swapped_rows.tolist()):
            own = backbone.remember(batch.features[[int(view[row])]])
            mask = batch.swapped.mask[number].bool()
            ids = batch.swapped.ids[number][mask][None]
            pairs.append(student.judge(own, Texts(ids, torch.ones_like(ids))).match)
            labels.append(0)
    similar = torch.stack([torch.stack([(v @ w).max() for w in words]) for v in looks])
    similar = similar / student.contrast.temperature
    itc = torch.zeros(())
    for scores in (similar, similar.T):
        for row in range(rows):
            foreign = (batch.images != batch.images[row]) & (batch.wordings != batch.wordings[row])
            foreign[row] = True
            others = foreign.nonzero()[:, 0].tolist()
            target = torch.tensor(others.index(row))
            itc = itc + functional.cross_entropy(scores[row, others], target, label_smoothing=0.1)
    itm = functional.cross_entropy(torch.cat(pairs), torch.tensor(labels))
    return itc / (2 * rows), itm, torch.cat(itg).mean()


def test_a_fused_step_gives_the_losses_and_gradients_of_plain_rows() -> None:
    objective = learner()
    student = objective.student
    batch = replace(
        batch_of(student, IMAGES, ENCODED),
        features=batch_of(student, IMAGES[:3], ENCODED[:3]).features,
        view=torch.tensor([0, 1, 1, 2]),  # two texts about one view
        images=keys(["a", "b", "b", "d"]),
        swapped=collate([(2, 30, 31, 32, 33, 34, 35, 3), (2, 36, 3)]),
        swapped_rows=torch.tensor([3, 0]),
    )
    negatives = Negatives(torch.tensor([1, 3, 0, -1]), torch.tensor([2, -1, 3, 1]))
    fused: Losses = objective(batch, negatives=negatives)
    plain = plain_losses(student, batch, negatives)
    for one, other in zip((fused.itc, fused.itm, fused.itg), plain, strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-5)
    weights = [weight for weight in student.parameters() if weight.requires_grad]
    ours = torch.autograd.grad(fused.total, weights)
    theirs = torch.autograd.grad(torch.stack(plain).sum(), weights)
    scale = max(float(gradient.abs().max()) for gradient in theirs)
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, atol=1e-5 * scale, rtol=1e-4)


def test_swapped_texts_are_negatives_of_itm_alone() -> None:
    objective = learner()
    batch = batch_of(objective.student, IMAGES, ENCODED)
    with_swaps = replace(batch, swapped=collate([(2, 30, 31, 3)]), swapped_rows=torch.tensor([2]))
    negatives = drawn_by(objective, batch, 1)[0]
    plain: Losses = objective(batch, negatives=negatives)
    swapped: Losses = objective(with_swaps, negatives=negatives)
    assert torch.equal(plain.itc, swapped.itc) and torch.equal(plain.itg, swapped.itg)
    student = objective.student
    with torch.no_grad():
        memory = student.backbone.remember(batch.features[[2]])
        match = student.judge(memory, collate([(2, 30, 31, 3)])).match
        wrong = functional.cross_entropy(match, torch.tensor([0]))
    # 4 pairs and 8 hard negatives before, one more after
    torch.testing.assert_close(swapped.itm * 13, plain.itm * 12 + wrong, atol=1e-4, rtol=1e-5)


def test_a_stopped_gradient_leaves_the_losses_and_changes_the_gradients_of_itc() -> None:
    gradients, losses = [], []
    for flows in (True, False):
        objective = learner("release", flows)
        batch = batch_of(objective.student, IMAGES, ENCODED)
        loss = objective(batch, negatives=drawn_by(objective, batch, 1)[0]).itc
        (gradient,) = torch.autograd.grad(loss, objective.student.backbone.qformer.query_tokens)
        gradients.append(gradient)
        losses.append(loss)
    assert torch.equal(losses[0], losses[1])
    assert not torch.allclose(gradients[0], gradients[1], rtol=0.1)


def test_the_draw_of_negatives_hangs_on_the_generator_alone() -> None:
    objective = learner()
    batch = batch_of(objective.student, IMAGES, ENCODED)
    totals = [
        float(objective(batch, torch.Generator().manual_seed(seed)).total.detach())
        for seed in (1, 1, 2, 3)
    ]
    assert totals[0] == totals[1]
    assert len(set(totals)) > 1


def test_keys_tell_names_apart() -> None:
    many = keys(str(number) for number in range(5000))
    assert many.dtype == torch.int64 and len(set(many.tolist())) == 5000
    # Of all 64 bits, so that two of millions of names hardly ever share a key.
    assert int(many.max()) > 2**62 and int(many.min()) < -(2**62)
    assert torch.equal(keys(["x", "x"]), keys(["x"]).repeat(2))


@given(
    st.lists(st.integers(0, 9), min_size=1, max_size=6, unique=True),
    st.lists(st.integers(0, 9), max_size=6, unique=True),
    st.integers(0, 1000),
)
@example([0], [0, 1], 0)  # up alone
@example([1], [0, 1], 0)  # down alone
def test_swapped_texts_name_other_drawn_regions(
    mentioned: list[int], drawn: list[int], seed: int
) -> None:
    texts = ["who is " + " and ".join(f"[{n}]" for n in mentioned) + "?", f"[{mentioned[0]}]"]
    swapped = swap(texts, drawn, random.Random(seed))
    if len(drawn) < 2 or not set(mentioned) & set(drawn):
        assert swapped is None
        return
    assert swapped is not None
    before, after = (list(named(given[0])) for given in (texts, swapped))
    assert before != after
    assert len(after) == len(set(after)) == len(before)
    for old, new in zip(before, after, strict=True):
        assert new in drawn if old in drawn else new == old
    assert named(swapped[1])[0] == after[0]  # all texts alike


@given(
    st.lists(st.integers(0, 9), min_size=1, max_size=6, unique=True),
    st.lists(st.integers(0, 9), max_size=6, unique=True),
    st.integers(0, 1000),
)
def test_a_misnamed_text_calls_one_drawn_region_by_one_of_the_next_four_numbers(
    mentioned: list[int], drawn: list[int], seed: int
) -> None:
    texts = ["who is " + " and ".join(f"[{n}]" for n in mentioned) + "?", f"[{mentioned[0]}]"]
    misnamed = misname(texts, drawn, random.Random(seed))
    beyond = {max(drawn, default=0) + step for step in (1, 2, 3, 4)} - set(mentioned)
    if not set(mentioned) & set(drawn) or not beyond:
        assert misnamed is None
        return
    assert misnamed is not None
    before, after = (list(named(given[0])) for given in (texts, misnamed))
    ((old, new),) = [pair for pair in zip(before, after, strict=True) if pair[0] != pair[1]]
    assert old in drawn and new in beyond
    assert named(misnamed[1]) == (after[0],)  # all texts alike


def test_each_of_the_next_four_numbers_may_be_the_wrong_one_unless_all_are_named() -> None:
    said = [misname(["[5] or [1]"], [1, 5], random.Random(seed)) for seed in range(100)]
    found = {named(texts[0]) for texts in said if texts}
    assert found == {(n, 1) for n in (6, 7, 8, 9)} | {(5, n) for n in (6, 7, 8, 9)}
    assert misname(["[5], [6, 7] [8] [9]"], [5], random.Random(0)) is None
    assert misname(["[5], [6, 7] [9]"], [5], random.Random(0)) == ("[8], [6, 7] [9]",)


def test_the_critics_tasks_can_be_switched_off_one_by_one() -> None:
    said = Verdict(torch.randn(3, 2), torch.randn(3), torch.randn(3))
    accepted, qa = torch.tensor([0, 1, 1]), torch.tensor([0.0, 1.0, 0.5])
    rationale = torch.tensor([0.2, 0.7, 1.0])
    alone = critic_loss(said, accepted)
    assert said.qa is not None and said.rationale is not None
    errors = (said.qa - qa).square().mean(), (said.rationale - rationale).square().mean()
    torch.testing.assert_close(alone, functional.cross_entropy(said.match, accepted))
    torch.testing.assert_close(critic_loss(said, accepted, qa), alone + 0.5 * errors[0])
    torch.testing.assert_close(
        critic_loss(said, accepted, rationale=rationale), alone + 0.5 * errors[1]
    )
    torch.testing.assert_close(
        critic_loss(said, accepted, qa, rationale), alone + 0.5 * (errors[0] + errors[1])
    )
