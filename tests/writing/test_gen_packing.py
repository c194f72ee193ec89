"""Lines of one view are read side by side: the loss and its gradient are those of each line alone.

Held against the writer itself, line by line, on tiny checkpoints of the families.
"""

from pathlib import Path
from typing import Any

import chat_checkpoints
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as some

import tiny_writers
from lskd.errors import UserError
from lskd.writing import packing
from lskd.writing.blip2 import Blip2Writer
from lskd.writing.chat import ChatWriter
from lskd.writing.masks import IGNORED, Row
from lskd.writing.minigpt4 import MiniGPT4Writer
from lskd.writing.packing import EVERYONES, NOBODYS
from lskd.writing.writer import Line, Packing, Sight, Writer

LINES = (
    Line(0, "What is [1]?", "a red cup"),
    Line(1, "Who is at [0, 2]?", "nobody, as far as I can see"),
    Line(0, "Where?", "it is left of the green cup [3]."),
    Line(0, "What is [1]?", "it"),
    Line(1, "What is [1]?", "a red cup"),
    Line(2, "x", "[2] and [12]"),
)
EXACT = ("smolvlm", "idefics3", "llava", "llava_onevision", "internvl")
REFUSED = {
    "qwen2_vl": "counts rows and columns of a picture",
    "qwen2_5_vl": "counts rows and columns of a picture",
    "qwen3_vl": "counts rows and columns of a picture",
    "gemma3": "tokens of its picture see those behind them",
}


def chat(folder: Path, family: str, **keys: Any) -> ChatWriter:
    if family == "smolvlm":
        pytest.importorskip("num2words", reason="the processor of SmolVLM needs it")
    made = chat_checkpoints.FAMILIES[family](folder / family)
    return ChatWriter(str(made), device="cpu", rank=2, **keys)


def bridged(folder: Path, family: str) -> Blip2Writer | MiniGPT4Writer:
    if family == "minigpt4":
        return MiniGPT4Writer(
            str(tiny_writers.write_vicuna(folder / "vicuna")),
            str(tiny_writers.write_minigpt4(folder / "projection.pth")),
            str(tiny_writers.write_blip2_writer(folder / "eyes", "opt")),
            device="cpu",
            image=tiny_writers.SIDE,
        )
    language: Any = family
    base = tiny_writers.write_blip2_writer(folder / family, language)
    return Blip2Writer(str(base), device="cpu")


def seen(writer: Writer) -> list[Sight]:
    sizes = ((64, 48), (40, 64), (33, 30))
    return writer.look(
        [chat_checkpoints.noise(n, writer.canvas(*size)) for n, size in enumerate(sizes)]
    )


def learnt(writer: Writer, sights: list[Sight]) -> tuple[float, int, dict[str, torch.Tensor]]:
    """Return the loss of the lines, the number of their tokens, and the gradients."""
    writer.module.zero_grad()
    loss, count = writer.loss(sights, LINES)
    whole: Any = loss
    whole.backward()
    weights = writer.module.named_parameters()
    gradients = {name: w.grad.clone() for name, w in weights if w.grad is not None}
    return float(loss.detach()), int(count), gradients


def same(writer: Writer) -> None:
    """Check that a writer learns the same from lines side by side."""
    assert isinstance(writer, Packing)
    sights = seen(writer)
    alone, count, before = learnt(writer, sights)
    writer.pack()
    together, again, after = learnt(writer, sights)
    assert again == count and abs(together - alone) / count < 1e-4
    assert before.keys() == after.keys() and before
    # Some gradients are nought but for rounding, as those of keys' biases: one scale for all.
    scale = max(float(gradient.abs().max()) for gradient in before.values())
    for name, gradient in before.items():
        torch.testing.assert_close(after[name] / scale, gradient / scale, atol=1e-3, rtol=0)


@pytest.mark.parametrize("family", EXACT)
def test_models_that_chat_learn_the_same_side_by_side(tmp_path: Path, family: str) -> None:
    same(chat(tmp_path, family))


@pytest.mark.parametrize("family", ["opt", "llama", "minigpt4"])
def test_decoders_behind_a_q_former_learn_the_same_side_by_side(
    tmp_path: Path, family: str
) -> None:
    same(bridged(tmp_path, family))


def test_eager_attention_and_states_that_are_made_again_learn_the_same(tmp_path: Path) -> None:
    writer = chat(tmp_path, "internvl", recompute=True, trains="layers")
    writer.module.model.set_attn_implementation("eager")
    writer.module.train()
    same(writer)


@pytest.mark.parametrize("family", sorted(REFUSED))
def test_models_that_would_read_them_otherwise_refuse_in_one_line(
    tmp_path: Path, family: str
) -> None:
    writer = chat(tmp_path, family)
    with pytest.raises(UserError, match=f"packed = true: .* {REFUSED[family]}") as told:
        writer.pack()
    assert "\n" not in str(told.value) and not writer.module.packed


def test_an_encoder_refuses_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"packed = true: .* an encoder reads its prompts"):
        bridged(tmp_path, "t5").pack()


class Careless(ChatWriter):
    """A writer whose layers see the last few tokens, although its configuration hides that."""

    def loss(self, sights: Any, lines: Any) -> tuple[torch.Tensor, torch.Tensor]:
        loss, count = super().loss(sights, lines)
        return (loss + 0.01 * count if self.module.packed and len(lines) > 1 else loss), count


def test_a_loss_that_is_another_side_by_side_is_found_before_training(tmp_path: Path) -> None:
    writer = Careless(str(chat_checkpoints.write_llava(tmp_path)), device="cpu", rank=2)
    with pytest.raises(UserError, match=r"the loss of a token of 3 lines is off by 0\.01"):
        writer.pack()
    assert not writer.module.packed


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"layer_types": ["full_attention", "sliding_attention"]}, "layers of sliding_attention"),
        ({"sliding_window": 24}, "its layers see the last 24 tokens alone"),
        ({"_attn_implementation": "flash_attention_2"}, "flash_attention_2, takes no mask"),
        ({"layer_types": ["full_attention"], "sliding_window": 24}, None),
    ],
)
def test_what_a_configuration_says_against_it_is_told(
    changes: dict[str, Any], told: str | None
) -> None:
    text = tiny_writers.llama_text(99)
    text._attn_implementation = "sdpa"
    for name, value in changes.items():
        setattr(text, name, value)
    found = packing.unfit(text)
    assert (found is None) if told is None else (found is not None and told in found)


numbers = some.lists(some.integers(4, 90), max_size=5).map(tuple)
rows = some.builds(
    Row,
    before=some.just((1, 2)),
    after=numbers,
    target=some.lists(some.integers(4, 90), min_size=1, max_size=5).map(tuple),
    cut=some.just(0),
)


@given(lines=some.lists(some.tuples(some.integers(0, 2), rows), min_size=1, max_size=8))
def test_each_line_stands_as_if_it_were_alone(lines: list[tuple[int, Row]]) -> None:
    views, every = [view for view, _ in lines], [row for _, row in lines]
    found = packing.packs(views, every)
    assert sorted(number for pack in found for number in pack.rows) == [*range(len(lines))]
    assert all(views[number] == pack.view for pack in found for number in pack.rows)
    picture = 3
    how = packing.laid([[every[n] for n in pack.rows] for pack in found], picture)
    sees = how.mask("sdpa", torch.float32)[:, 0]
    for place, pack in enumerate(found):
        owners = how.owners[place]
        for line, number in enumerate(pack.rows):
            row = every[number]
            own = (owners == line).nonzero()[:, 0].tolist()
            shared = (owners == EVERYONES).nonzero()[:, 0].tolist()
            assert len(shared) == len(row.before) + picture
            assert len(own) == len(row.after) + len(row.target)
            read = [*shared, *own]
            assert how.places[place, read].tolist() == [*range(len(read))]
            for at, token in enumerate(own):
                seen_from = sees[place, token].nonzero()[:, 0].tolist()
                assert seen_from == [*shared, *own[: at + 1]]
            states = read[len(read) - len(row.target) - 1 : -1]
            assert how.labels[place, states].tolist() == list(row.target)
        wanted = sum(len(every[number].target) for number in pack.rows)
        assert int((how.labels[place] != IGNORED).sum()) == wanted
        assert bool(sees[place].any(dim=1).all())  # nothing sees nothing, padding neither
        padding = owners == NOBODYS
        assert not sees[place][~padding][:, padding].any()
