"""The memory that is told from config.json alone is that of the real model."""

import json
import math
import shutil
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from chat_checkpoints import (
    write_gemma3,
    write_internvl,
    write_llava_onevision,
    write_qwen2_vl,
    write_smolvlm,
)
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks
from typer.testing import CliRunner

from lskd.cli import app
from lskd.errors import UserError
from lskd.writing.activations import Load, kept
from lskd.writing.blip2 import USE, Blip2Writer
from lskd.writing.chat import ChatWriter
from lskd.writing.memory import Memory, needed
from lskd.writing.outline import CHAT, outlined, use_of
from lskd.writing.writer import Line
from tiny_models import transformers
from tiny_writers import Language, blocks, write_blip2_writer, write_vicuna
from typed import lskd

LANGUAGES: tuple[Language, ...] = ("t5", "opt", "llama")
DTYPES = ("float32", "bfloat16", "float16")
RUN = Path(__file__).parents[2] / "runs/generative.toml"
LOAD = Load(rows=2, views=2, prompt=4, target=3)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("memory")
    return {language: write_blip2_writer(root / language, language) for language in LANGUAGES}


# OPT is held against a real step where lines stand side by side, and by the bytes of its weights.
@pytest.fixture(params=("t5", pytest.param("opt", marks=pytest.mark.check), "llama"))
def folder(request: pytest.FixtureRequest, folders: dict[str, Path]) -> Path:
    return folders[request.param]


@cache
def told_of(folder: Path, ranks: int = 1) -> Memory:
    """Return what is told of a writer as it is."""
    return needed(USE, {"checkpoint": str(folder)}, LOAD, ranks=ranks)


def by_kind(module: nn.Module) -> dict[tuple[str, bool], int]:
    """Return the bytes of a module's weights by type and whether they are trained."""
    found: Counter[tuple[str, bool]] = Counter()
    for weight in module.parameters():
        kind = str(weight.dtype).removeprefix("torch."), weight.requires_grad
        found[kind] += weight.numel() * weight.element_size()
    return dict(found)


def told(found: Memory) -> dict[tuple[str, bool], int]:
    return {(one.dtype, one.trained): one.share for one in found.weights}


@pytest.mark.parametrize(
    ("language", "dtype"),
    [
        pytest.param(language, dtype, marks=[pytest.mark.check] if own != number else [])
        for own, language in enumerate(LANGUAGES)
        for number, dtype in enumerate(DTYPES)
    ],
)
def test_the_bytes_of_weights_are_those_of_the_loaded_model(
    folders: dict[str, Path], language: str, dtype: str
) -> None:
    keys = {"checkpoint": str(folders[language]), "dtype": dtype, "image": 48, "ln_vision": True}
    found = needed(USE, keys, LOAD)
    writer = Blip2Writer(**keys, device="cpu")  # type: ignore[arg-type]  # of several types
    assert told(found) == by_kind(writer.module)
    assert found.loading == sum(by_kind(writer.module).values())


def test_no_weight_is_read(folder: Path, tmp_path: Path) -> None:
    shutil.copy(folder / "config.json", tmp_path)
    bare = needed(USE, {"checkpoint": str(tmp_path)}, LOAD)
    assert bare == told_of(folder)


def test_gradients_and_optimiser_are_those_of_a_real_step(folder: Path) -> None:
    writer = Blip2Writer(str(folder))
    trained = [weight for weight in writer.module.parameters() if weight.requires_grad]
    optimiser = torch.optim.AdamW(trained)
    lines = [Line(0, "Where is [2]?", "yes"), Line(1, "Where is [2]?", "no")]
    loss, _ = writer.loss(writer.look([blocks(0), blocks(1)]), lines)
    torch.autograd.backward(loss)
    optimiser.step()
    gradients = [weight.grad for weight in trained if weight.grad is not None]
    moments = [
        value for state in optimiser.state.values() for value in state.values() if value.ndim
    ]
    found = needed(USE, {"checkpoint": str(folder)}, LOAD, average=True)
    assert found.gradients == size(gradients)
    assert found.average == found.gradients
    # Numbers without axes are the counts of steps, four bytes for each weight; they are left out.
    scalars = sum(1 for weight in trained if weight.ndim == 0)
    assert not scalars
    assert found.optimiser == size(moments)


def size(tensors: Sequence[Tensor]) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


def test_activations_are_close_to_what_a_real_step_keeps(folder: Path) -> None:
    writer = Blip2Writer(str(folder))
    sights = writer.look([blocks(0), blocks(1)])
    rows = [writer.module.speller.row(Line(0, "Where is [2]?", "yes")) for _ in range(2)]
    load = Load(2, 2, len(rows[0].before) + len(rows[0].after), len(rows[0].target))
    lines = [Line(0, "Where is [2]?", "yes"), Line(1, "Where is [2]?", "yes")]
    real = kept_by(writer, sights, lines)
    found = needed(USE, {"checkpoint": str(folder)}, load)
    assert real * 0.8 <= found.activations <= real * 1.5


@pytest.mark.parametrize("family", ["opt", pytest.param("llama", marks=pytest.mark.check), "chat"])
def test_lines_side_by_side_are_told_as_a_real_step_keeps_them(
    folders: dict[str, Path], tmp_path: Path, family: str
) -> None:
    writer: Blip2Writer | ChatWriter
    if family == "chat":
        use, folder = CHAT, write_smolvlm(tmp_path / "model")
        writer = ChatWriter(str(folder), rank=4)
    else:
        use, folder = USE, folders[family]
        writer = Blip2Writer(str(folder))
    writer.pack()
    sights = writer.look([blocks(0), blocks(1)])
    line = Line(0, "Where is [2]?", "yes")
    if isinstance(writer, ChatWriter):
        row, picture = writer.module.row(sights[0], line), 0  # its tokens stand among the others
    else:
        row, picture = writer.module.speller.row(line), None
    before, given, learnt = len(row.before), len(row.after), len(row.target)
    load = Load(8, 2, given, learnt, before if picture == 0 else None, side=4)
    real = kept_by(writer, sights, [replace(line, view=view) for view in (0, 1) for _ in range(4)])
    keys: dict[str, Any] = {"checkpoint": str(folder), "rank": 4}
    found = needed(use, keys, load)
    # Attention's matrix is counted, which this step does not keep, line by line as side by side.
    most = 2.0 if family == "chat" else 1.5
    assert real * 0.8 <= found.activations <= real * most
    if family == "chat":  # BLIP-2's configuration says how large a picture is
        large = replace(load, prompt=2, target=2, picture=512)
        alone = needed(use, keys, replace(large, side=1))
        assert needed(use, keys, large).activations < alone.activations / 3
    many = Load(8, 2, 2, 2)  # as many rows as tokens
    assert needed(use, keys, many).activations > 0


def kept_by(writer: Blip2Writer | ChatWriter, sights: Any, lines: Sequence[Line]) -> int:
    """Return the bytes that a real step keeps for its gradient, beside the weights."""
    own = {one.untyped_storage()._cdata for one in writer.module.parameters()}
    seen: dict[int, Any] = {}

    def take(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage._cdata not in own:
            seen[storage._cdata] = storage
        return tensor

    writer.module.train()
    with saved_tensors_hooks(take, lambda one: one):
        loss, _ = writer.loss(sights, lines)
    assert loss.requires_grad
    return sum(storage.nbytes() for storage in seen.values())


@pytest.mark.parametrize(
    ("family", "said"),
    [
        ("t5", "an encoder reads its prompts"),
        ("qwen", "it counts rows and columns of a picture"),
        ("gemma", "it has layers of sliding_attention"),
    ],
)
def test_a_model_that_reads_no_lines_side_by_side_is_told_before_it_is_loaded(
    folders: dict[str, Path], tmp_path: Path, family: str, said: str
) -> None:
    if family == "t5":
        use, folder = USE, folders["t5"]
    else:
        write = write_qwen2_vl if family == "qwen" else write_gemma3
        use, folder = CHAT, write(tmp_path / "model")
    with pytest.raises(UserError, match=f"packed = true: .* cannot read lines .*{said}"):
        needed(use, {"checkpoint": str(folder)}, replace(LOAD, rows=4, side=2))


def test_states_that_are_made_again_take_less_and_more_lines_more(folder: Path) -> None:
    keys, plain = {"checkpoint": str(folder)}, told_of(folder)
    again = needed(USE, {**keys, "recompute": True}, LOAD)
    assert 0 < again.activations < plain.activations
    double = needed(USE, keys, Load(4, 4, 4, 3))
    assert double.activations == pytest.approx(2 * plain.activations, rel=0.1)


def test_shares_of_several_processes_are_smaller_and_the_eyes_are_whole_on_each(
    folder: Path,
) -> None:
    one, four = told_of(folder), told_of(folder, ranks=4)
    assert one.gathered == 0 < four.gathered
    assert four.held < one.held
    assert one.gradients / 4 <= four.gradients < one.gradients / 3
    whole = sum(part.bytes for part in four.weights if not part.spread)
    outline = outlined(USE, {"checkpoint": str(folder)})
    eyes = [*outline.model.vision_model.parameters()]
    words = [*outline.model.language_model.get_input_embeddings().parameters()]
    assert whole >= size(eyes) + size(words)
    assert four.loading == one.loading == sum(part.bytes for part in four.weights)


def test_the_two_largest_layers_are_whole_at_once_and_what_is_trained_besides_with_its_gradient(
    folder: Path,
) -> None:
    outline = outlined(USE, {"checkpoint": str(folder)})
    layers = sorted(size([*layer.parameters()]) for layer in outline.layers)
    trained = size([one for one in outline.module.parameters() if one.requires_grad])
    assert told_of(folder, ranks=4).gathered == layers[-1] + layers[-2] + 2 * trained


def test_four_bits_shorten_the_language_model_alone(folder: Path) -> None:
    keys = {"checkpoint": str(folder), "dtype": "bfloat16"}
    plain, short = needed(USE, keys, LOAD), needed(USE, {**keys, "bits": 4}, LOAD)
    of_kind = {one.dtype: one for one in short.weights}
    assert of_kind["4 bits"].bytes == pytest.approx(of_kind["4 bits"].count * 0.516, rel=0.01)
    outline = outlined(USE, {**keys, "bits": 4})
    linear = [
        one
        for name, one in outline.model.language_model.named_modules()
        if isinstance(one, nn.Linear) and not name.endswith("lm_head")
    ]
    assert of_kind["4 bits"].count == sum(one.weight.numel() for one in linear)
    assert short.held < plain.held
    assert told(short)["float32", True] == told(plain)["float32", True]


def test_the_estimate_of_minigpt4_has_vicuna_behind_the_tower_of_the_blip2(
    folders: dict[str, Path], tmp_path: Path
) -> None:
    vicuna = write_vicuna(tmp_path / "vicuna")
    keys = {"checkpoint": str(vicuna), "projection": "none.pth", "blip2": str(folders["t5"])}
    found = needed("lskd.writing.minigpt4:MiniGPT4Writer", keys, LOAD)
    assert found.held == told_of(folders["llama"]).held
    large = outlined("lskd.writing.minigpt4:MiniGPT4Writer", {**keys, "blip2": "lavis.pth"})
    tower = sum(weight.numel() for weight in large.model.vision_model.parameters())
    assert 0.98e9 < tower < 0.99e9  # ViT-g without its last layer


def test_a_folder_whose_name_has_a_point_is_no_file_of_lavis(
    folders: dict[str, Path], tmp_path: Path
) -> None:
    vicuna, blip2 = write_vicuna(tmp_path / "vicuna"), tmp_path / "blip2-opt-2.7b"
    shutil.copytree(folders["t5"], blip2)
    keys = {"checkpoint": str(vicuna), "projection": "none.pth"}
    minigpt4 = "lskd.writing.minigpt4:MiniGPT4Writer"
    found = needed(minigpt4, {**keys, "blip2": str(blip2)}, LOAD)
    assert found.held == needed(minigpt4, {**keys, "blip2": str(folders["t5"])}, LOAD).held


CHATS = (write_smolvlm, write_llava_onevision, write_qwen2_vl, write_gemma3, write_internvl)


@pytest.mark.parametrize("write", CHATS)
def test_a_model_that_chats_is_told_with_its_adapters(
    write: Callable[[Path], Path], tmp_path: Path
) -> None:
    folder = write(tmp_path / "model")
    keys = {"checkpoint": str(folder), "rank": 4, "dtype": "bfloat16"}
    found = needed(CHAT, keys, LOAD)
    writer = ChatWriter(str(folder), rank=4, dtype="bfloat16")
    assert told(found) == by_kind(writer.module)
    assert use_of(str(folder)) == CHAT
    # Four bits change nothing of the activations, and states made again nothing of the rest.
    short = needed(CHAT, {**keys, "bits": 4, "recompute": True}, LOAD)
    assert 0 < short.activations < found.activations
    assert short.held < found.held and short.gradients == found.gradients
    assert len(writer.module.layers()) == 2


@pytest.mark.parametrize(
    "write",
    [
        write_smolvlm,
        *(pytest.param(one, marks=pytest.mark.check) for one in CHATS if one is not write_smolvlm),
    ],
)
def test_several_processes_keep_less_each_of_a_model_that_chats(
    write: Callable[[Path], Path], tmp_path: Path
) -> None:
    keys = {"checkpoint": str(write(tmp_path / "model")), "rank": 4, "dtype": "bfloat16"}
    assert needed(CHAT, keys, LOAD, ranks=4).held < needed(CHAT, keys, LOAD).held


def test_the_large_models_of_the_paper_can_be_told_from_a_configuration(
    folders: dict[str, Path], tmp_path: Path
) -> None:
    config = json.loads((folders["t5"] / "config.json").read_text("utf-8"))
    xxl: dict[str, Any] = {
        "d_model": 4096,
        "d_ff": 10240,
        "num_layers": 24,
        "num_decoder_layers": 24,
    }
    xxl |= {"num_heads": 64, "d_kv": 64, "vocab_size": 32128, "feed_forward_proj": "gated-gelu"}
    config["text_config"] = transformers.T5Config(**xxl, tie_word_embeddings=False).to_dict()
    (tmp_path / "config.json").write_text(json.dumps(config), encoding="utf-8")
    keys = {"checkpoint": str(tmp_path), "dtype": "bfloat16", "recompute": True}
    found = needed(USE, keys, Load(8, 4, 64, 128), ranks=4)
    frozen = sum(one.count for one in found.weights if not one.trained)
    assert 11.0e9 < frozen < 11.2e9
    assert found.held < found.loading / 3
    assert found.activations < 20e9


def test_a_model_that_needs_its_numbers_is_told_as_unknown(folders: dict[str, Path]) -> None:
    outline = outlined(USE, {"checkpoint": str(folders["t5"])})
    outline.model.config.vision_config.hidden_size += 1  # what it sees no longer fits
    assert math.isnan(kept(outline, LOAD).all)


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"bits": 3}, "bits = 3: expected 4, or none"),
        ({"dtype": "int8"}, "dtype = 'int8': known are auto, float32, float16, bfloat16"),
        ({"checkpoint": "./nowhere"}, "checkpoint = './nowhere': there is no such folder"),
    ],
)
def test_what_cannot_be_told_is_one_line(
    folders: dict[str, Path], keys: dict[str, Any], said: str
) -> None:
    with pytest.raises(UserError, match=said):
        needed(USE, {"checkpoint": str(folders["t5"]), **keys}, LOAD)


def test_four_bits_without_a_gpu_are_one_line(folders: dict[str, Path]) -> None:
    with pytest.raises(UserError, match="bits = 4 needs a GPU, but it would run on cpu"):
        Blip2Writer(str(folders["t5"]), device="cpu", bits=4)


@pytest.mark.parametrize(("described", "side", "views"), [("plain", 15, 8), ("drawn", 16, 4)])
def test_a_row_of_a_packed_run_is_a_group_of_neighbours_about_a_view_or_two(
    folders: dict[str, Path], described: str, side: int, views: int
) -> None:
    given = {"batch": "8", "tokens": "5", "packed": "true", "together": "8"}
    given |= {"student.checkpoint": str(folders["opt"]), "described": described}
    changes = [w for name, value in given.items() for w in ("--set", f"generative.{name}={value}")]
    result = CliRunner().invoke(app, ["memory", str(RUN), "--ranks", "2", "--json", *changes])
    assert result.exit_code == 0, result.stderr
    load = json.loads(result.stdout)["load"]
    assert (load["side"], load["views"], load["rows"]) == (side, views, side * views)


@pytest.mark.timeout(900)
def test_the_command_tells_it_of_a_run_and_of_a_checkpoint(
    folders: dict[str, Path], tmp_path: Path
) -> None:
    words = ["memory", str(RUN), "--recompute", "--json"]
    given = {"batch": "8", "tokens": "5", "student.image": "32"}
    given["student.checkpoint"] = str(folders["t5"])
    for name, value in given.items():
        words += ["--set", f"generative.{name}={value}"]
    done = lskd(*words, "--ranks", "2", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["ranks"] == 2
    load = {"rows": 8, "views": 4, "prompt": 64, "target": 5, "picture": None, "side": 1}
    assert found["load"] == load
    keys = {"checkpoint": str(folders["t5"]), "recompute": True}
    expected = needed(USE, keys, Load(8, 4, 64, 5), ranks=2)
    assert found["total"] == expected.total
    shown = lskd("memory", "--checkpoint", str(folders["llama"]), "--bits", "4", folder=tmp_path)
    assert shown.returncode == 0, shown.stderr
    assert "frozen weights, 4 bits" in shown.stdout and "activations" in shown.stdout
    wrong = lskd(*words, "--ranks", "3", folder=tmp_path)
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert "batch = 8 cannot be shared by 3 processes" in wrong.stderr
    assert "one of both" in lskd("memory", folder=tmp_path).stderr
