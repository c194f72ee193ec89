"""What saves memory is there for all families of writers: 4 bits, half precision, states again."""

from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import pytest
import torch
from chat_checkpoints import write_smolvlm

from lskd.errors import UserError
from lskd.stage import named
from lskd.writing import fourbit
from lskd.writing.activations import Load
from lskd.writing.memory import needed
from lskd.writing.minigpt4 import MiniGPT4Writer
from lskd.writing.writer import Line, Writer
from tiny_writers import blocks, write_blip2_writer, write_minigpt4, write_vicuna

LINES = [Line(0, "what is [0] doing?", "riding the red bicycle."), Line(1, "Where?", "it is left")]
FAMILIES = ("blip2:Blip2Writer", "minigpt4:MiniGPT4Writer", "chat:ChatWriter")


@dataclass(frozen=True)
class Elsewhere:
    """A checkpoint that would run on a GPU, as far as `fourbit` asks."""

    place: torch.device
    dtype: str = "bfloat16"


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """Return the keys of a tiny writer of each family."""
    root = tmp_path_factory.mktemp("families")
    blip2 = str(write_blip2_writer(root / "blip2", "t5"))
    projection = str(write_minigpt4(root / "projection.pth"))
    vicuna = str(write_vicuna(root / "vicuna"))
    return {
        "blip2:Blip2Writer": {"checkpoint": blip2},
        "minigpt4:MiniGPT4Writer": {
            "checkpoint": vicuna,
            "projection": projection,
            "blip2": blip2,
        },
        "chat:ChatWriter": {"checkpoint": str(write_smolvlm(root / "chat"))},
    }


@pytest.mark.parametrize("family", FAMILIES)
def test_four_bits_are_one_line_where_there_is_no_gpu(
    keys: dict[str, dict[str, Any]], family: str
) -> None:
    kind = named(f"lskd.writing.{family}")
    with pytest.raises(UserError, match="bits = 4 needs a GPU, but it would run on cpu"):
        kind(**keys[family], device="cpu", bits=4)
    with pytest.raises(UserError, match="bits = 8: expected 4, or none"):
        kind(**keys[family], device="cpu", bits=8)


@pytest.mark.skipif(find_spec("bitsandbytes") is not None, reason="bitsandbytes is installed")
def test_four_bits_say_what_to_install() -> None:
    place: Any = Elsewhere(torch.device("cuda"))
    with pytest.raises(UserError, match="bits = 4 needs bitsandbytes: pip install bitsandbytes"):
        fourbit.settings(4, place, fourbit.SPARED)


@pytest.mark.parametrize("family", FAMILIES)
def test_four_bits_and_halves_are_told_to_need_less(
    keys: dict[str, dict[str, Any]], family: str
) -> None:
    use, load = f"lskd.writing.{family}", Load(rows=2, views=2, prompt=4, target=3)
    whole, half, short = (
        needed(use, {**keys[family], **more}, load)
        for more in ({"dtype": "float32"}, {"dtype": "bfloat16"}, {"dtype": "bfloat16", "bits": 4})
    )
    assert short.held < half.held < whole.held
    assert short.gradients == half.gradients == whole.gradients


def gradients(writer: Writer) -> dict[str, torch.Tensor]:
    writer.module.train()
    if isinstance(writer, MiniGPT4Writer):
        writer.module.model.qformer.eval()  # nothing is to drop out
    loss, tokens = writer.module(writer.look([blocks(0), blocks(1)]), LINES)
    torch.autograd.backward(loss / tokens)
    named_weights = writer.module.named_parameters()
    return {name: weight.grad for name, weight in named_weights if weight.grad is not None}


def test_minigpt4_makes_its_states_again_with_the_same_gradients(
    keys: dict[str, dict[str, Any]],
) -> None:
    known = keys["minigpt4:MiniGPT4Writer"]
    found = []
    for again in (False, True):
        writer = MiniGPT4Writer(**known, device="cpu", recompute=again)
        found.append(gradients(writer))
    assert found[0].keys() == found[1].keys() and found[0]
    for name, gradient in found[0].items():
        torch.testing.assert_close(found[1][name], gradient, atol=1e-6, rtol=1e-5)


def test_minigpt4_in_halves_is_trained_in_float32(keys: dict[str, dict[str, Any]]) -> None:
    known = keys["minigpt4:MiniGPT4Writer"]
    writer = MiniGPT4Writer(**known, device="cpu", dtype="bfloat16")
    for name, weight in writer.module.model.named_parameters():
        kind = torch.float32 if weight.requires_grad else torch.bfloat16
        assert weight.dtype == kind, name
    found = gradients(writer)
    assert found and all(gradient.dtype == torch.float32 for gradient in found.values())
