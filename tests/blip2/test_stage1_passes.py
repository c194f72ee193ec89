"""The Q-Former's passes against plainer ways to compute the same."""

from typing import Any

import pytest
import torch
from tiny_blip2 import shake, tiny_size

from lskd.blip2.layers import Streams
from lskd.blip2.memory import Memory
from lskd.blip2.stage1 import Stage1, new_critic, new_student
from lskd.blip2.text import Texts, collate
from lskd.errors import UserError

TEXTS = collate([(2, 11, 12, 13, 3), (2, 14, 3), (2, 15, 16, 3), (2, 17, 18, 19, 20, 21, 3)])


def memory_of(student: Stage1, views: int) -> Memory:
    backbone = student.backbone
    return backbone.remember(backbone.features(torch.randn(views, 3, 28, 28)))


def test_the_fused_pass_sees_of_the_image_what_the_queries_see_alone() -> None:
    student = shake(new_student(tiny_size()))
    memory = memory_of(student, len(TEXTS))
    with torch.no_grad():
        queries, _ = student.backbone.qformer.write(memory, TEXTS)
        alone = student.backbone.qformer.look(memory)
    torch.testing.assert_close(queries, alone, atol=1e-5, rtol=1e-5)


def test_a_written_state_depends_on_its_past_alone() -> None:
    student = shake(new_student(tiny_size()))
    memory = memory_of(student, len(TEXTS))
    changed = Texts(TEXTS.ids.clone(), TEXTS.mask)
    changed.ids[:, 2] = 30
    with torch.no_grad():
        _, before = student.backbone.qformer.write(memory, TEXTS)
        _, after = student.backbone.qformer.write(memory, changed)
    assert torch.equal(before[:, :2], after[:, :2])
    assert not torch.allclose(before[:, 2], after[:, 2])


@pytest.mark.parametrize("attention", ["eager", "sdpa"])
def test_texts_that_share_a_memory_are_judged_as_if_each_had_its_own(attention: str) -> None:
    student = shake(new_student(tiny_size(), attention))  # type: ignore[arg-type]  # parametrised
    memory = memory_of(student, 2)
    with torch.no_grad():
        shared = student.judge(memory, TEXTS).match
        own = student.judge(memory.seen_by(torch.tensor([0, 0, 1, 1])), TEXTS).match
        alone = [
            student.judge(memory.seen_by(torch.tensor([row // 2])), TEXTS.take(torch.tensor([row])))
            for row in range(4)
        ]
    torch.testing.assert_close(shared, own, atol=1e-5, rtol=1e-5)
    together = torch.cat([verdict.match for verdict in alone])
    torch.testing.assert_close(shared, together, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("attention", ["eager", "sdpa"])
@pytest.mark.parametrize("views", [[2, 0, 2, 2], [1, 1, 1, 1], [0, 2, 1, 0]])
def test_rows_may_look_at_any_view_in_any_order(attention: str, views: list[int]) -> None:
    student = shake(new_student(tiny_size(), attention))  # type: ignore[arg-type]  # parametrised
    memory = memory_of(student, 3)
    with torch.no_grad():
        together = student.judge(memory.seen_by(torch.tensor(views)), TEXTS).match
        for row, view in enumerate(views):
            own = Memory({n: (k[[view]], v[[view]]) for n, (k, v) in memory.layers.items()})
            alone = student.judge(own, TEXTS.take(torch.tensor([row]))).match
            torch.testing.assert_close(together[[row]], alone, atol=1e-5, rtol=1e-5)


def test_padding_changes_nothing() -> None:
    student = shake(new_student(tiny_size()))
    memory = memory_of(student, len(TEXTS))
    longer = TEXTS.padded(20)
    with torch.no_grad():
        one, other = student.judge(memory, TEXTS), student.judge(memory, longer)
        read = student.backbone.qformer.read(TEXTS)[:, 0]
        read_longer = student.backbone.qformer.read(longer)[:, 0]
    torch.testing.assert_close(one.match, other.match, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(read, read_longer, atol=1e-5, rtol=1e-5)


def test_a_text_longer_than_the_model_reads_is_refused() -> None:
    qformer = new_student(tiny_size()).backbone.qformer
    with pytest.raises(UserError, match="a text of 30 tokens; this model reads at most 24"):
        qformer.read(TEXTS.padded(30))


def test_recomputed_activations_give_the_same_gradients() -> None:
    gradients = []
    critic = new_critic(tiny_size(), dropout=0.0).train()
    pixels = torch.randn(4, 3, 28, 28)
    for wanted in (False, True):
        if wanted:
            critic.backbone.recompute()
        critic.zero_grad()
        memory = critic.backbone.remember(critic.backbone.features(pixels))
        critic.judge(memory, TEXTS).match.square().sum().backward()  # type: ignore[no-untyped-call]  # torch's own
        gradients.append([p.grad.clone() for p in critic.parameters() if p.grad is not None])
    assert len(gradients[0]) == len(gradients[1]) > 50
    for plain, recomputed in zip(*gradients, strict=True):
        torch.testing.assert_close(plain, recomputed, atol=1e-7, rtol=1e-5)


def test_a_frozen_tower_makes_features_without_gradient_and_ln_vision_an_option() -> None:
    backbone = new_student(tiny_size()).backbone
    backbone.freeze(vision=True)
    features = backbone.features(torch.randn(1, 3, 28, 28))
    assert not features.requires_grad
    assert backbone.ln_vision(features).requires_grad
    backbone.freeze(vision=True, ln_vision=True)
    assert not backbone.ln_vision(features).requires_grad
    backbone.freeze(vision=False)
    assert backbone.features(torch.randn(1, 3, 28, 28)).requires_grad


@pytest.mark.parametrize("attention", ["eager", "sdpa"])
def test_bfloat16_comes_near_float32(attention: str) -> None:
    student = new_student(tiny_size(), attention).eval()  # type: ignore[arg-type]  # parametrised
    pixels = torch.randn(4, 3, 28, 28)

    def judged() -> torch.Tensor:
        with torch.no_grad():
            memory = student.backbone.remember(student.backbone.features(pixels))
            return student.judge(memory, TEXTS).match.float()

    exact = judged()
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(judged(), exact, atol=0.03, rtol=0.03)
    student.to(torch.bfloat16)
    pixels = pixels.bfloat16()
    torch.testing.assert_close(judged(), exact, atol=0.03, rtol=0.03)


@pytest.mark.parametrize("attention", ["eager", "sdpa"])
def test_under_autocast_all_passes_stay_in_its_kind_from_the_first_state_on(attention: str) -> None:
    """Scores that a mask in float32 is added to become float32 themselves: twice the bytes."""
    student = new_student(tiny_size(), attention).train()  # type: ignore[arg-type]  # parametrised
    qformer = student.backbone.qformer
    kinds, masks = set[torch.dtype](), set[torch.dtype]()

    def note(_: object, given: Any, made: Streams) -> None:
        streams, asked = given
        kinds.update(states.dtype for states in (*streams.both(), *made.both()))
        masks.update([] if asked.mask is None else [asked.mask.dtype])

    for layer in qformer.model.encoder.layer:
        layer.attention.register_forward_hook(note)
    with torch.autocast("cpu", torch.bfloat16):
        memory = memory_of(student, len(TEXTS))
        qformer.look(memory), qformer.read(TEXTS), qformer.match(memory, TEXTS)
        qformer.write(memory, TEXTS)
    assert kinds == {torch.bfloat16}
    assert masks == {torch.bfloat16 if attention == "eager" else torch.bool}
