"""The lab's speaker: what it is taught, that the two ways of spelling agree, and its folder."""

import json
import random
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import torch

from lskd import marking
from lskd.lab.pretrain import speaker_bank, speaker_words
from lskd.lab.pretrain.note import NOTE
from lskd.lab.pretrain.patches import normal
from lskd.lab.pretrain.rectangles import NAMES
from lskd.lab.pretrain.speaker import Batch, Shape, Speaker
from lskd.lab.pretrain.speaker_bank import PAD, rows_of
from lskd.lab.pretrain.speaker_lessons import TAGS, Lesson, from_left, lesson, names
from lskd.lab.pretrain.speaker_task import drawn, right, taken, told, unlikely
from lskd.lab.pretrain.speaker_work import Plan, speaker
from lskd.lab.pretrain.statements import Drawn
from lskd.lab.scene import Scene, draw
from lskd.lab.words import THIRDS
from lskd.writing.blip2 import Blip2Writer
from lskd.writing.writer import Decoding, Line

BASE = Path(__file__).parents[2] / "src" / "lskd" / "lab" / "base"
SLOTS = 6
SMALL = Plan(
    texts=48,
    scenes=8,
    word_steps=400,
    steps=4,
    word_batch=8,
    batch=4,
    lines=3,
    held_back=8,
    word_rate=5e-3,
    shape=Shape(width=32, inner=48, heads=2, encoder=1, decoder=1),
)


def scenes(count: int = 60) -> list[Scene]:
    return [draw(7_000_000_000 + number) for number in range(count)]


def lessons(count: int = 60) -> list[Lesson]:
    made = []
    for number, scene in enumerate(scenes(count)):
        rng = random.Random(number)
        there = [Drawn(rng.choice(NAMES), rng.choice(THIRDS)) for _ in range(number % 4)]
        made.append(lesson(scene, there, SLOTS, 8, rng))
    return made


@pytest.fixture(scope="module")
def taught(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return speaker(SMALL, BASE, tmp_path_factory.mktemp("speaker"), lambda text: None)


@pytest.fixture(scope="module")
def writer(taught: Path) -> Blip2Writer:
    return Blip2Writer(str(taught), device="cpu")


def test_every_text_of_a_lesson_is_spelt_in_known_words_and_read_back() -> None:
    tokenizer = speaker_words.whole()
    for made in lessons():
        said = [*made.by_place, *made.by_number]
        for text in (*made.sentences, *made.tags, *(t for one in said for t in one[:2])):
            ids = tokenizer(text)["input_ids"]
            assert tokenizer.unk_token_id not in ids, text
            assert tokenizer.decode(ids, skip_special_tokens=True) == text.lower()


def test_a_tag_is_one_token_wherever_it_stands() -> None:
    tokenizer = speaker_words.whole()
    for number in range(TAGS):
        tag = f"[{number}]"
        for text in (tag, f"why is {tag} here?", f"[a dog], ({tag}), {tag}."):
            pieces = tokenizer.tokenize(text)
            found = [piece for piece in pieces if str(number) in piece]
            assert found == [piece for piece in found if piece.endswith(tag)]
            assert len(found) == text.count(tag)


def test_pictures_are_never_asked_about_or_told_of_by_number() -> None:
    for made in lessons():
        texts = (*made.sentences, *(text for one in made.by_place for text in one[:2]))
        assert not [text for text in texts if marking.named(text)]
    for _, page in speaker_bank.two_views(7, SLOTS):
        assert (page.sentences[:, 0] == PAD).all()


def test_a_number_in_a_question_is_the_tag_of_one_sentence_that_has_the_answer() -> None:
    for made in lessons():
        for one in made.by_number:
            (number, *_) = marking.named(one.prompt)
            assert made.tags.count(f"[{number}]") == 1
            about = made.sentences[made.tags.index(f"[{number}]")]
            if one.prompt.startswith("question: What is ") and not one.prompt.endswith(
                "rationale:"
            ):
                assert one.target.removesuffix(".") in about


def test_a_name_by_place_or_looks_is_that_of_one_thing() -> None:
    for scene in scenes():
        every = [name for n in range(len(scene.entities)) for name in names(scene, n)]
        assert len(every) == len(set(every))


def test_things_are_told_from_left_to_right_and_each_once() -> None:
    for scene in scenes():
        order = from_left(scene)
        assert sorted(order) == list(range(len(scene.entities)))
        free = [scene.entities[n].placing.x for n in order if scene.entities[n].user is None]
        assert free == sorted(free)


def test_a_lesson_is_spelt_as_the_writer_spells_its_lines(writer: Blip2Writer) -> None:
    speller = writer.module.speller
    for made in lessons(20):
        for one in (*made.by_place, *made.by_number):
            row = speller.row(Line(0, one.prompt, one.target))
            ids = rows_of([one.prompt, one.target], speaker_bank.LINE)
            assert row.before == ()
            assert row.after == tuple(ids[0][ids[0] != PAD])
            assert row.target == tuple(ids[1][ids[1] != PAD])


def test_lines_are_taken_whole_and_no_longer_than_the_longest() -> None:
    bank = speaker_bank.bank_of([speaker_bank.text_page(n, SLOTS) for n in range(5)])
    rows = torch.tensor([3, 0, 3])
    columns = drawn(bank, 3, 4, torch.Generator().manual_seed(1))
    some = taken(bank, rows, columns)
    for place, line in enumerate(some.which.tolist()):
        column = int(columns.flatten()[place])
        whole = bank.prompts[rows[line], column]
        assert some.prompts[place].tolist() == whole[: some.prompts.shape[1]].tolist()
        assert not whole[some.prompts.shape[1] :].any()
    assert (some.prompts[:, -1] != PAD).any()
    assert (some.targets[:, -1] != PAD).any()
    left = told(bank, rows)
    assert not bank.sentences[rows, :, left.shape[2] :].any()


def test_the_folder_is_a_writer_and_tells_how_it_was_made(taught: Path) -> None:
    note = json.loads((taught / NOTE).read_text(encoding="utf-8"))
    assert note["plan"]["word_steps"] == SMALL.word_steps
    assert set(note["right"]) == {"texts", "pictures"}
    assert not (taught / "training").exists()


def test_a_writer_reads_a_picture_as_the_speaker_did(writer: Blip2Writer) -> None:
    views = speaker_bank.views([11], SLOTS, 1)
    speaking = Speaker(writer.module.model).eval()
    bank, pictures = views.bank, [PIL.Image.fromarray(np.asarray(one)) for one in views.pixels]
    columns = torch.arange(4).expand(2, -1)
    some = taken(bank, torch.arange(2), columns)
    features = speaking.look(normal(views.pixels.permute(0, 3, 1, 2)))
    sights = writer.look(pictures)
    torch.testing.assert_close(torch.stack([one.features for one in sights]), features)
    tokenizer = writer.processor.tokenizer
    texts = [
        tokenizer.batch_decode(x, skip_special_tokens=True) for x in (some.prompts, some.targets)
    ]
    lines = [Line(int(view), p, t) for view, p, t in zip(some.which, *texts, strict=True)]
    with torch.no_grad():
        total, count = writer.loss(sights, lines)
        batch = Batch(features, told(bank, torch.arange(2)), some.prompts, some.targets, some.which)
        own = unlikely(speaking(batch).logits, some.targets)
    torch.testing.assert_close(total / count, own, rtol=1e-4, atol=1e-5)


def test_an_answer_counts_as_right_just_if_it_is_written(writer: Blip2Writer) -> None:
    views = speaker_bank.views(range(40, 52), SLOTS, 1)
    speaking = Speaker(writer.module.model).eval()
    features = speaking.look(normal(views.pixels.permute(0, 3, 1, 2)))
    shares = right(speaking, views.bank, features)
    pictures = [PIL.Image.fromarray(np.asarray(one)) for one in views.pixels]
    tokenizer, bank = writer.processor.tokenizer, views.bank
    whole = (bank.kinds == 0).nonzero().tolist()
    said = [
        [
            tokenizer.decode(x[row, column], skip_special_tokens=True)
            for x in (bank.prompts, bank.targets)
        ]
        for row, column in whole
    ]
    lines = [Line(row, prompt) for (row, _), (prompt, _) in zip(whole, said, strict=True)]
    written = writer.write(writer.look(pictures), lines, Decoding(tokens=40))
    marks = [w.text == target for w, (_, target) in zip(written, said, strict=True)]
    assert 0 < sum(marks) < len(marks)
    assert shares["whole"] == pytest.approx(sum(marks) / len(marks), abs=1e-3)


def test_an_hour_that_is_too_short_gives_fewer_steps(tmp_path: Path) -> None:
    heard: list[str] = []
    plan = Plan(
        texts=16, scenes=4, word_steps=100_000, steps=100_000, word_batch=2, batch=2, lines=1,
        held_back=2, seconds=4.0, shape=SMALL.shape,
    )  # fmt: skip
    speaker(plan, BASE, tmp_path, heard.append)
    assert [text for text in heard if "of 100000 steps" in text]
    assert (tmp_path / NOTE).is_file()
