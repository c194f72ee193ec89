"""Image-text-to-text models as writers: each family learns, is kept, is loaded, writes and scores.

What a writer says is held against the model itself, which is shown the picture with each text anew.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import PIL.Image
import pytest
import torch
from chat_checkpoints import FAMILIES, noise, trained

import tiny_models
from lskd.checkpoints.checkpoint import Checkpoint
from lskd.writing import note
from lskd.writing.chat import ChatWriter
from lskd.writing.masks import IGNORED
from lskd.writing.readers import reader_of
from lskd.writing.writer import Decoding, Line, Sight, Writer, unpacked

SIZES = ((64, 48), (40, 64), (33, 30))
LINES = (
    Line(0, "What is [1]?", "a red cup"),
    Line(1, "Who is at [0, 2]?", "nobody, as far as I can see"),
    Line(0, "What is [1]?", "it"),
    Line(2, "x", "[2] and [12]"),
    Line(0, "What is [1]?", "a blue cup"),
)
# What ends a turn by each family's template; LLaVA has the tokenizer's own token.
ENDS = {
    "smolvlm": "<end_of_utterance>",
    "idefics3": "<end_of_utterance>",
    "llava": "</s>",
    "gemma3": "<end_of_turn>",
}


# Writing and learning have nothing of a family's own but what the other tests see of all: most
# families are left to `make check` there.
TELLING = ("smolvlm", "llava", "gemma3", "qwen3_vl")
telling = pytest.mark.parametrize(
    "subject",
    [
        pytest.param(name, marks=[] if name in TELLING else pytest.mark.check)
        for name in sorted(FAMILIES)
    ],
    indirect=True,
)


@dataclass(frozen=True)
class Subject:
    """A family's checkpoint, and what it is held against."""

    name: str
    folder: Path
    writer: ChatWriter
    pictures: tuple[PIL.Image.Image, ...]
    sights: list[Sight]

    @property
    def end(self) -> str:
        return ENDS.get(self.name, "<|im_end|>")


@pytest.fixture(scope="module", params=sorted(FAMILIES))
def subject(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Subject]:
    if request.param == "smolvlm":
        pytest.importorskip("num2words", reason="the processor of SmolVLM needs it")
    folder = FAMILIES[request.param](tmp_path_factory.mktemp(request.param))
    writer = ChatWriter(str(folder), device="cpu", rank=4, batch=3)
    pictures = tuple(noise(n, writer.canvas(*size)) for n, size in enumerate(SIZES))
    yield Subject(request.param, folder, writer, pictures, writer.look(pictures))


@cache
def loaded(folder: Path) -> tuple[Any, Any]:
    """Return the bare model, and a processor that shows whole pictures."""
    processor = reader_of(Checkpoint(str(folder)))
    model = tiny_models.transformers.AutoModelForImageTextToText.from_pretrained(folder)
    return model.eval(), processor


def spoken(subject: Subject, prompt: str) -> str:
    """Return a prompt as the family's template words it."""
    content = [{"type": "image"}, {"type": "text", "text": prompt}]
    _, processor = loaded(subject.folder)
    told: str = processor.tokenizer.apply_chat_template(
        [{"role": "user", "content": content}], add_generation_prompt=True, tokenize=False
    )
    return told


def shown(subject: Subject, view: int, text: str) -> Any:
    """Return the tensors of a text with its picture, by the family's own processor."""
    _, processor = loaded(subject.folder)
    begun = text.startswith("<s>")
    return processor(
        images=[[subject.pictures[view]]],
        text=[text],
        return_tensors="pt",
        add_special_tokens=not begun,
    )


def whole(subject: Subject, line: Line, end: str) -> Any:
    """Return the tensors of a line with its target and what ends it."""
    words = spoken(subject, line.prompt)
    gap = "" if words.endswith("\n") else " "
    return shown(subject, line.view, words + gap + line.target + end)


def told(subject: Subject, line: Line, end: str) -> torch.Tensor:
    """Return the log-probability of each token of a target by the bare model, read in one piece."""
    model, _ = loaded(subject.folder)
    start = shown(subject, line.view, spoken(subject, line.prompt))["input_ids"].shape[1]
    inputs = whole(subject, line, end)
    with torch.no_grad():
        logits = model(**inputs).logits[0].log_softmax(dim=-1)
    ids = inputs["input_ids"][0]
    each: torch.Tensor = logits[range(start - 1, len(ids) - 1), ids[start:]]
    return each


def test_it_is_a_writer(subject: Subject) -> None:
    assert isinstance(subject.writer, Writer)
    assert subject.writer.family == subject.name


def test_tokens_are_those_of_the_family_and_only_the_targets_are_learnt(subject: Subject) -> None:
    for number, line in enumerate(LINES):
        row = subject.writer.module.row(subject.sights[line.view], line, number)
        ids = (*row.before, *row.after, *row.target)
        expected = whole(subject, line, subject.end)["input_ids"][0].tolist()
        assert list(ids) == expected
        asked = shown(subject, line.view, spoken(subject, line.prompt))["input_ids"][0].tolist()
        labels = row.labels(0)
        assert len(labels) == len(ids)
        assert list(labels) == [IGNORED] * len(asked) + expected[len(asked) :]
        _, processor = loaded(subject.folder)
        learnt = processor.tokenizer.decode([token for token in labels if token != IGNORED])
        assert learnt.strip() == line.target + subject.end
        assert row.cut == 0


def test_the_loss_is_that_of_the_model_itself_over_the_targets_alone(subject: Subject) -> None:
    loss, count = subject.writer.loss(subject.sights, LINES)
    each = [told(subject, line, subject.end) for line in LINES]
    assert int(count) == sum(map(len, each))
    torch.testing.assert_close(loss, -torch.cat(each).sum(), atol=2e-3, rtol=1e-4)


def test_likelihoods_are_those_of_each_text_alone(subject: Subject) -> None:
    expected = [float(told(subject, line, "").mean()) for line in LINES]
    assert subject.writer.likelihoods(subject.sights, LINES) == pytest.approx(expected, abs=1e-4)
    alone = [subject.writer.likelihoods(subject.sights, [line])[0] for line in LINES]
    assert alone == pytest.approx(expected, abs=1e-4)


@telling
def test_what_is_written_is_what_the_model_writes_when_shown_the_picture(subject: Subject) -> None:
    model, processor = loaded(subject.folder)
    lines = [Line(line.view, line.prompt) for line in LINES]
    asked = {line: shown(subject, line.view, spoken(subject, line.prompt)) for line in lines}
    for beams in (1, 2):
        expected = {}
        for line, inputs in asked.items():
            own = model.generate(
                **inputs,
                max_new_tokens=5,
                num_beams=beams,
                do_sample=False,
                eos_token_id=list(subject.writer.module.model.generation_config.eos_token_id),
            )[0, inputs["input_ids"].shape[1] :]
            expected[line] = processor.tokenizer.decode(own, skip_special_tokens=True).strip()
        texts = subject.writer.write(subject.sights, lines, Decoding(beams=beams, tokens=5))
        assert [text.text for text in texts] == [expected[line] for line in lines]
        assert all(text.confidence < 0 for text in texts)


def test_a_sight_that_was_kept_says_the_same(subject: Subject) -> None:
    kept = [unpacked(sight.packed()) for sight in subject.sights]
    again = subject.writer.likelihoods(kept, LINES)
    assert again == subject.writer.likelihoods(subject.sights, LINES)
    assert all(not one.features.requires_grad for one in subject.sights)


@telling
def test_it_learns_is_kept_and_comes_back(subject: Subject, tmp_path: Path) -> None:
    writer = ChatWriter(str(subject.folder), device="cpu", rank=4)
    before = {name: weight.clone() for name, weight in writer.module.named_parameters()}
    losses = trained(writer, subject.sights, LINES[:3], steps=5)
    assert losses[-1] < 0.9 * losses[0]
    changed = {
        name
        for name, weight in writer.module.named_parameters()
        if not torch.equal(weight, before[name])
    }
    assert changed and all("lora_" in name for name in changed)
    assert changed == {n for n, w in writer.module.named_parameters() if w.requires_grad}
    assert all(".vision" not in name and ".visual" not in name for name in changed)

    writer.save(tmp_path)
    again = note.opened(tmp_path, device="cpu")
    assert isinstance(again, ChatWriter)
    expected = writer.likelihoods(subject.sights, LINES)
    assert again.likelihoods(subject.sights, LINES) == pytest.approx(expected, abs=1e-5)
    lines = [Line(line.view, line.prompt) for line in LINES[:2]]
    decoding = Decoding(tokens=4)
    assert again.write(subject.sights, lines, decoding) == writer.write(
        subject.sights, lines, decoding
    )
