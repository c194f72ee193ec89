"""What a chat writer does with lines: templates, cuts, prefixes, control tokens, and bad input."""

import json
import math
import shutil
from pathlib import Path
from typing import Any

import peft
import pytest
import torch
from chat_checkpoints import (
    noise,
    trained,
    write_idefics3,
    write_llava,
    write_qwen2_5_vl,
    write_smolvlm,
)

import checkpoints
import tiny_models
from lskd.checkpoints.checkpoint import Checkpoint
from lskd.errors import UserError
from lskd.writing import adapter, note
from lskd.writing.chat import ChatWriter
from lskd.writing.readers import reader_of
from lskd.writing.turns import odd_tag
from lskd.writing.writer import Cut, Decoding, Line, Sight

LINES = (Line(0, "What is [1]?", "a red cup"), Line(1, "Who?", "nobody at all"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_qwen2_5_vl(tmp_path_factory.mktemp("qwen"))


@pytest.fixture(scope="module")
def writer(folder: Path) -> ChatWriter:
    return ChatWriter(str(folder), device="cpu", rank=2, batch=4)


@pytest.fixture(scope="module")
def sights(writer: ChatWriter) -> list[Sight]:
    return writer.look([noise(n, writer.canvas(60, 40 + 30 * n)) for n in range(2)])


def tokens(writer: ChatWriter, sights: list[Sight], line: Line) -> str:
    row = writer.module.row(sights[line.view], line)
    return str(writer.tokenizer.decode((*row.before, *row.after, *row.target)))


def copied(folder: Path, to: Path, template: str | None) -> Path:
    """Return a copy of a checkpoint with another chat template, or none."""
    shutil.copytree(folder, to)
    (to / "chat_template.jinja").unlink()
    if template is not None:
        (to / "chat_template.jinja").write_text(template)
    return to


def test_pictures_are_looked_at_once_each_in_order(writer: ChatWriter) -> None:
    pictures = [noise(n, writer.canvas(60, 40 + 30 * (n % 2))) for n in range(5)]
    together = writer.look(pictures)
    for picture, sight in zip(pictures, together, strict=True):
        [alone] = writer.look([picture])
        torch.testing.assert_close(sight.features, alone.features, atol=1e-5, rtol=1e-5)
        assert sight.grid == alone.grid
    assert writer.look([]) == []


def test_a_prompt_that_several_lines_share_is_read_once(
    writer: ChatWriter, sights: list[Sight]
) -> None:
    lines = [Line(0, "What is it?", word) for word in ("a", "bc", "def", "g", "hi", "jk")]
    read: list[int] = []
    layer = writer.module.model.get_decoder().layers[0]
    hook = layer.register_forward_hook(lambda _, given, __: read.append(given[0].shape[1]))
    try:
        several = writer.likelihoods(sights, lines)
    finally:
        hook.remove()
    row = writer.module.row(sights[0], lines[0])
    assert read[0] == len(row.before) + len(row.after) - 1
    assert len(read) == 3 and max(read[1:]) <= 3  # four, then two of them behind it
    alone = [writer.likelihoods(sights, [line])[0] for line in lines]
    assert several == pytest.approx(alone, abs=1e-5)


def test_a_target_without_a_token_has_no_likelihood(
    writer: ChatWriter, sights: list[Sight]
) -> None:
    told = writer.likelihoods(sights, [Line(0, "x", " "), Line(0, "x", "a")])
    assert math.isnan(told[0]) and told[1] < 0


def test_what_is_drawn_for_a_line_does_not_depend_on_those_beside_it(
    writer: ChatWriter, sights: list[Sight]
) -> None:
    decoding = Decoding(temperature=1.0, tokens=6, seed=3)
    lines = [Line(0, "What?"), Line(1, "What is it that you see there?"), Line(0, "Where?")]
    texts = writer.write(sights, lines, decoding)
    again = writer.write(sights, lines[:2], decoding)
    assert [text.text for text in again] == [text.text for text in texts[:2]]
    assert len({text.text for text in texts}) == 3


def test_control_tokens_in_words_are_words(writer: ChatWriter, sights: list[Sight]) -> None:
    line = Line(0, "Is <|image_pad|> or <|im_end|> there?", "<|im_end|>no")
    text = tokens(writer, sights, line)
    assert "Is image_pad or im_end there?<|im_end|>" in text
    assert text.endswith("assistant\nim_endno<|im_end|>")


def test_location_tokens_in_words_stay_tokens(tmp_path: Path) -> None:
    folder = write_llava(tmp_path)
    told = json.loads((folder / "tokenizer.json").read_text())
    number = max(one["id"] for one in told["added_tokens"]) + 1
    place = {**told["added_tokens"][-1], "content": "<loc_7>", "id": number, "special": False}
    told["added_tokens"].append(place)
    (folder / "tokenizer.json").write_text(json.dumps(told))
    turns = ChatWriter(str(folder), device="cpu").module.turns
    assert turns.plain("[0] is at <loc_7>, not <image>") == "[0] is at <loc_7>, not image"
    assert number in turns.ids(turns.text("at <loc_7>"))


def test_a_long_prompt_loses_its_first_words_and_the_target_none(
    folder: Path, sights: list[Sight]
) -> None:
    small = ChatWriter(str(folder), device="cpu", context=80)
    words = "abcdefghijklmnopqrstuvwxyz" * 4
    lines = [Line(0, "short", "it"), Line(0, words, "the target")]
    [cut] = small.cuts(sights, lines)
    assert cut.line == 1
    row = small.module.row(sights[0], lines[1], 1)
    assert len(row.before) + len(row.after) + len(row.target) == 80
    text = tokens(small, sights, lines[1])
    assert text.endswith(
        f"<|vision_end|>{words[cut.tokens :]}<|im_end|>\n<|im_start|>assistant\n"
        "the target<|im_end|>"
    )
    assert small.cuts(sights, [Line(0, words)], new=7)[0] == Cut(
        0, cut.tokens + 7 - len(row.target)
    )
    with pytest.raises(UserError, match=r"line 3 .* does not fit: its target has 90 tokens"):
        small.module.row(sights[0], Line(0, "x", "long " * 18), 3)
    with pytest.raises(UserError, match=r"context = 5000: expected 1 to 1024 tokens"):
        ChatWriter(str(folder), device="cpu", context=5000)


def test_a_thought_that_a_template_puts_before_an_answer_is_given_and_not_learnt(
    folder: Path, tmp_path: Path
) -> None:
    template = (folder / "chat_template.jinja").read_text()
    thinking = template.replace("assistant\n{% endif %}", "assistant\n<think>\n{% endif %}")
    thought = "{% if message.role == 'assistant' %}<think>\n\n</think>\n\n{% endif %}"
    thinking = thinking.replace("{{ message.role }}\n", "{{ message.role }}\n" + thought)
    assert thinking.count("<think>") == 2
    other = ChatWriter(str(copied(folder, tmp_path / "t", thinking)), device="cpu")
    [sight] = other.look([noise(0, other.canvas(60, 40))])
    row = other.module.row(sight, LINES[0])
    assert other.tokenizer.decode(row.target) == "a red cup<|im_end|>"
    assert other.tokenizer.decode(row.after).endswith("<think>\n\n</think>\n\n")


def test_a_model_without_a_chat_template_is_refused_in_one_line(
    folder: Path, tmp_path: Path
) -> None:
    for bare in (
        copied(folder, tmp_path / "bare", None),
        checkpoints.write_blip2(tmp_path / "blip2"),
    ):
        with pytest.raises(UserError, match=r"has no chat template, so it is not known") as told:
            ChatWriter(str(bare), device="cpu")
        assert "\n" not in str(told.value)


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ("{{ messages[0].content[1].text }}", "leaves out what the model says"),
        ("{{ messages[0].content + 1 }}", "takes no picture with a text"),
        ("{{ raise_exception('roles') }}", "takes no picture with a text: roles"),
    ],
)
def test_a_template_that_cannot_be_used_is_refused_in_one_line(
    folder: Path, tmp_path: Path, template: str, said: str
) -> None:
    with pytest.raises(UserError, match=said) as told:
        ChatWriter(str(copied(folder, tmp_path / "t", template)), device="cpu")
    assert "\n" not in str(told.value)


def test_a_template_that_shows_no_picture_is_refused(folder: Path, tmp_path: Path) -> None:
    template = (folder / "chat_template.jinja").read_text()
    blind = template.replace("<|vision_start|><|image_pad|><|vision_end|>", "")
    with pytest.raises(UserError, match=r"cannot read a picture with a text: .* 0 .* 1 images"):
        ChatWriter(str(copied(folder, tmp_path / "t", blind)), device="cpu")


def test_models_of_another_kind_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"is a clip model; needed is an image-text-to-text model"):
        ChatWriter(str(checkpoints.write_clip(tmp_path / "clip")), device="cpu")
    with pytest.raises(UserError, match=r"a florence2 model reads its prompt by an encoder"):
        ChatWriter(str(checkpoints.write_florence2(tmp_path / "florence2")), device="cpu")


def test_a_processor_that_lacks_more_than_its_videos_says_what_to_install(
    folder: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    shutil.copytree(folder, other)
    (other / "tokenizer.json").unlink()
    with pytest.raises(UserError, match=r"cannot load the (tokenizer|processor) of") as told:
        reader_of(Checkpoint(str(other)))
    assert "\n" not in str(told.value)
    assert reader_of(Checkpoint(str(folder))).tokenizer.padding_side == "left"


def test_lines_that_make_no_sense_are_refused(writer: ChatWriter, sights: list[Sight]) -> None:
    with pytest.raises(UserError, match=r"line 1 has no target, so nothing is to be learnt"):
        writer.loss(sights, [LINES[0], Line(1, "What?")])
    with pytest.raises(UserError, match=r"line 0 has a target, so nothing is to be written"):
        writer.write(sights, LINES, Decoding())


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"rank": 0}, "rank = 0"),
        ({"dropout": 1.0}, "dropout = 1.0: expected 0 or more, below 1"),
        ({"batch": 0}, "batch = 0: 1 is the least"),
        ({"dtype": "int4"}, "dtype = 'int4': known are"),
    ],
)
def test_settings_that_make_no_sense_are_refused(
    folder: Path, keys: dict[str, Any], said: str
) -> None:
    with pytest.raises(UserError, match=said):
        ChatWriter(str(folder), **{"device": "cpu", **keys})


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")
def test_peft_itself_reads_what_was_saved(
    writer: ChatWriter, folder: Path, sights: list[Sight], tmp_path: Path
) -> None:
    learner = ChatWriter(str(folder), device="cpu", rank=2)
    trained(learner, sights, LINES, steps=2)
    learner.save(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "adapter_config.json",
        "adapter_model.safetensors",
        "writer.toml",
    ]
    base = tiny_models.transformers.AutoModelForImageTextToText.from_pretrained(folder)
    theirs = peft.PeftModel.from_pretrained(base, tmp_path).eval()
    ours = dict(learner.module.held.state_dict())
    assert all(torch.equal(ours[name], weight) for name, weight in theirs.state_dict().items())
    assert peft.PeftConfig.from_pretrained(str(tmp_path)).base_model_name_or_path == str(folder)
    assert learner.likelihoods(sights, LINES) != writer.likelihoods(sights, LINES)


def test_trained_adapters_keep_their_size_and_another_is_refused(
    folder: Path, tmp_path: Path
) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    ChatWriter(str(folder), device="cpu", rank=3, alpha=6, dropout=0.1).save(first)
    ChatWriter(str(folder), device="cpu", trained=str(first)).save(second)
    keys = note.read(second).keys
    assert (keys["rank"], keys["alpha"], keys["dropout"]) == (3, 6.0, 0.1)
    note.opened(second, device="cpu")
    wrong = r"rank = 16, but the adapters of .*first have rank = 3: leave it out, or say the same"
    with pytest.raises(UserError, match=wrong):
        ChatWriter(str(folder), device="cpu", trained=str(first), rank=16)


def test_adapters_are_not_put_into_another_model(
    folder: Path, sights: list[Sight], tmp_path: Path
) -> None:
    learner = ChatWriter(str(folder), device="cpu", rank=2)
    learner.save(tmp_path)
    other = write_idefics3(tmp_path / "idefics3")
    with pytest.raises(UserError, match=r"was trained on another base than .*idefics3"):
        note.opened(tmp_path, device="cpu", checkpoint=str(other))
    base = tiny_models.transformers.AutoModelForImageTextToText.from_pretrained(other)
    with pytest.raises(
        UserError, match=r"cannot put the adapters of .* not found in the base model"
    ):
        adapter.restored(base, tmp_path)
    wider = ChatWriter(str(folder), device="cpu", rank=3)
    wider.save(tmp_path / "wider")
    shutil.copy(tmp_path / "wider" / "adapter_model.safetensors", tmp_path)
    with pytest.raises(
        UserError, match=r"28 weights differ, as .*\(3, \d+\) there, \(2, \d+\) here"
    ):
        note.opened(tmp_path, device="cpu")
    (tmp_path / "adapter_model.safetensors").write_bytes(b"cut off")
    with pytest.raises(UserError, match=r"cannot put the adapters of .* into"):
        note.opened(tmp_path, device="cpu")
    (tmp_path / "adapter_config.json").unlink()
    with pytest.raises(UserError, match=r"has no adapter_config.json"):
        note.opened(tmp_path, device="cpu")


def test_recomputing_changes_no_gradient(folder: Path, sights: list[Sight]) -> None:
    gradients = []
    for recompute in (False, True):
        learner = ChatWriter(str(folder), device="cpu", rank=2, recompute=recompute)
        learner.module.train()
        layer = learner.module.model.get_decoder().layers[0]
        assert bool(getattr(layer, "gradient_checkpointing", False)) == recompute
        loss: Any = learner.loss(sights, LINES)[0]
        loss.backward()
        gradients.append([w.grad for w in learner.module.parameters() if w.requires_grad])
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-5)


def test_adapters_are_learnt_in_full_precision_over_a_base_of_half(
    folder: Path, writer: ChatWriter
) -> None:
    half = ChatWriter(str(folder), device="cpu", dtype="bfloat16", rank=2)
    assert {w.dtype for w in half.module.parameters() if w.requires_grad} == {torch.float32}
    assert {w.dtype for w in half.module.parameters() if not w.requires_grad} == {torch.bfloat16}
    sights = half.look([noise(n, half.canvas(60, 40 + 30 * n)) for n in range(2)])
    assert sights[0].features.dtype == torch.bfloat16
    losses = trained(half, sights, LINES, steps=3)
    assert losses[-1] < losses[0]
    assert len(half.write(sights, [Line(0, "What?")], Decoding(tokens=3))) == 1


def test_adapters_begin_alike_under_one_seed(folder: Path, writer: ChatWriter) -> None:
    ours = dict(writer.module.named_parameters())
    same, other = (ChatWriter(str(folder), device="cpu", rank=2, seed=n) for n in (0, 1))
    names = [name for name in ours if "lora_A" in name]
    assert all(torch.equal(ours[n], dict(same.module.named_parameters())[n]) for n in names)
    assert not any(torch.equal(ours[n], dict(other.module.named_parameters())[n]) for n in names)


def test_doubts_are_told_of_marks_and_of_tags(tmp_path: Path, writer: ChatWriter) -> None:
    assert writer.doubts(640, 480, "release") == []
    assert odd_tag(tiny_models.byte_tokenizer()) is None
    pytest.importorskip("num2words", reason="the processor of SmolVLM needs it")
    folder = write_smolvlm(tmp_path, size={"longest_edge": 48})
    file = folder / "tokenizer.json"
    told = json.loads(file.read_text())
    told["model"]["vocab"]["[1"] = told["model"]["vocab"].pop("ÿ")  # a byte of no text here
    told["model"]["merges"] = [["[", "1"]]
    told["pre_tokenizer"]["use_regex"] = False  # which parts digits from all else
    file.write_text(json.dumps(told))
    doubtful = ChatWriter(str(folder), device="cpu")
    marks, tags = doubtful.doubts(640, 480, "release")
    assert "pixels thin" in marks
    assert "reads [1] in odd pieces ('[1' is one token)" in tags
    assert doubtful.doubts(640, 480, None) == [tags]


def test_an_idefics3_learns_from_pictures_of_unlike_tiles_in_one_batch(tmp_path: Path) -> None:
    writer = ChatWriter(str(write_idefics3(tmp_path)), device="cpu", rank=2)
    sights = writer.look([noise(n, size) for n, size in enumerate(((64, 64), (64, 32), (32, 64)))])
    assert len({len(sight.features) for sight in sights}) == 2
    lines = [Line(n, "What is it?", "a cup") for n in range(3)]
    together = writer.loss(sights, lines)[0]
    alone = sum(writer.loss(sights, [line])[0] for line in lines)
    torch.testing.assert_close(together, alone, atol=1e-3, rtol=1e-5)
