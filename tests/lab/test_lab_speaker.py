"""The lab's speaker: its tower, its words, what it is taught, and its folder."""

import json
import random
import shutil
from collections import Counter
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import PIL.Image
import pytest
import torch
from lab_house import BASE
from lab_lessons import right as right_of

from lskd.blip2 import weights
from lskd.blip2.files import read_size
from lskd.blip2.stage1 import new_student
from lskd.lab.pretrain import speaker_lessons, speaker_words
from lskd.lab.pretrain.frames import NAMES, TINTS
from lskd.lab.pretrain.note import NOTE
from lskd.lab.pretrain.patches import normal
from lskd.lab.pretrain.speaker import Shape, internvl, looked
from lskd.lab.pretrain.speaker_bank import LINE, SHOWN, Bank, bank
from lskd.lab.pretrain.speaker_lessons import KINDS, Asked, ask, names
from lskd.lab.pretrain.speaker_task import Speaker, SpeakTask, lines, right, told_apart
from lskd.lab.pretrain.speaker_work import Plan, speaker
from lskd.lab.pretrain.statements import Drawn
from lskd.lab.scene import Scene, draw
from lskd.lab.words import THIRDS, an, phrase, third
from lskd.training.loop import fit
from lskd.training.recipe import Recipe
from lskd.writing.chat import ChatWriter
from lskd.writing.masks import IGNORED
from lskd.writing.writer import Decoding, Line

TINY = Shape(width=32, inner=48, heads=2, layers=1)
SMALL = Plan(
    scenes=4, label_steps=3, label_batch=4, steps=3, batch=2, width=80, held_back=1, shape=TINY
)


def scenes(count: int = 60) -> list[Scene]:
    return [draw(7_000_000_000 + number) for number in range(count)]


class Posed(NamedTuple):
    """What is asked of a scene with rectangles drawn over it."""

    scene: Scene
    there: tuple[Drawn, ...]
    asked: tuple[Asked, ...]


@cache
def posed() -> tuple[Posed, ...]:
    made = []
    for number, scene in enumerate(scenes()):
        rng = random.Random(number)
        there = tuple(Drawn(rng.choice(NAMES), rng.choice(THIRDS)) for _ in range(number % 4))
        made.append(Posed(scene, there, tuple(ask(scene, there, rng) for _ in range(12))))
    return tuple(made)


def lessons() -> list[Asked]:
    return [made for one in posed() for made in one.asked]


def tiny() -> Speaker:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Speaker(internvl(BASE, TINY))


@pytest.fixture(scope="module")
def views() -> Bank:
    model = tiny().model
    return bank(range(2), lambda pixels: looked(model, normal(pixels)), 1)


@pytest.fixture(scope="module")
def taught(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return speaker(SMALL, BASE, tmp_path_factory.mktemp("speaker"), lambda text: None)


@pytest.fixture(scope="module")
def writer(taught: Path) -> ChatWriter:
    return ChatWriter(str(taught), device="cpu")


def test_the_tower_sees_what_it_sees_in_the_base() -> None:
    student = new_student(read_size(BASE), dropout=0.0)
    weights.load(student, BASE)
    own = internvl(BASE, TINY).model.vision_tower
    pixels = torch.randn(2, 3, 144, 144, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        theirs = student.backbone.eval().ln_vision(student.backbone.features(pixels))
        torch.testing.assert_close(
            own(pixels).last_hidden_state, theirs, atol=3e-5, rtol=0, check_stride=False
        )


def test_every_text_of_a_lesson_is_spelt_in_known_words_and_read_back() -> None:
    tokenizer = speaker_words.whole()
    spelling = {*"abcdefghijklmnopqrstuvwxyz"} - {"a"}
    for made in lessons():
        for text in (made.prompt, made.target):
            ids = tokenizer(text)["input_ids"]
            assert tokenizer.unk_token_id not in ids
            assert not spelling & {*tokenizer.convert_ids_to_tokens(ids)}, text
            assert tokenizer.decode(ids) == text.lower()


def test_the_shipped_speaker_has_the_tokens_that_one_taught_now_would_have() -> None:
    shipped = json.loads((BASE.parent / "speaker" / "tokenizer.json").read_text(encoding="utf-8"))
    places = shipped["model"]["vocab"]
    assert sorted(places, key=places.__getitem__) == speaker_words.tokens()


def test_words_that_are_not_known_are_spelt_and_told_apart() -> None:
    tokenizer = speaker_words.whole()
    texts = ("Xylophone", "enohpolyX", "What is [12]?")
    ids = [tokenizer(text)["input_ids"] for text in texts]
    assert [tokenizer.decode(one) for one in ids] == [text.lower() for text in texts]
    assert tokenizer.unk_token_id not in {*ids[0], *ids[1], *ids[2]}


def test_no_lesson_names_a_region_by_number_or_says_that_a_rectangle_points() -> None:
    every = lessons()
    assert {KINDS[one.kind] for one in every} == {*KINDS}
    for made in every:
        text = f"{made.prompt} {made.target}"
        assert not any(letter.isdigit() for letter in text), text
        if "rectangle" in text or "drawn" in text:
            assert KINDS[made.kind] == "rectangle"
            assert not any(kind in text for kind in ("man", "ball", "coat")), text


def test_what_a_lesson_has_written_of_a_scene_is_true_of_it() -> None:
    for scene, _, asked in posed():
        known = right_of(scene)
        for made in asked:
            if KINDS[made.kind] != "rectangle":
                assert made.target == known[made.prompt]


def test_what_a_lesson_has_written_of_rectangles_is_true_of_them() -> None:
    tints = dict(zip(NAMES, speaker_lessons.TINTS, strict=True))
    seen: Counter[str] = Counter()
    for _, there, asked in posed():
        drawn = [(f"{an(tints[one.tint])} rectangle", one.third) for one in there]
        for made in asked:
            if KINDS[made.kind] == "rectangle":
                word, _, rest = made.prompt.removesuffix("?").partition(" is ")
                told = made.target.removesuffix(".")
                seen[word] += 1
                if word == "Where":
                    assert (rest, told) in drawn
                else:
                    third = rest.removeprefix("drawn ")
                    assert [name for name, where in drawn if where == third] == [told]
    assert min(seen["Where"], seen["What"]) > 10


def test_a_name_is_of_one_entity_alone() -> None:
    for scene in scenes():
        found = list(names(scene))
        assert max(Counter(name.text for name in found).values(), default=1) == 1
        for name in found:
            entity = scene.entities[name.number]
            if name.looks:
                assert phrase(entity) in name.text
            else:
                assert ("person" in name.text) == entity.is_person
                assert name.text.endswith(third(scene, entity.placing.x))


def test_what_tokens_show_is_that_of_their_patches(views: Bank) -> None:
    assert views.shows.shape == (4, 36, len(SHOWN) + len(TINTS))
    assert views.seen.shape[:2] == (4, 36)
    plain, framed = views.shows[0], views.shows[1]
    np.testing.assert_array_equal(plain[:, : len(SHOWN)], framed[:, : len(SHOWN)])
    assert not plain[:, len(SHOWN) :].any() and framed[:, len(SHOWN) :].any()
    assert plain.any(axis=1).all()  # at least the ground


def test_lines_are_learnt_from_the_token_before_their_answer_to_their_end(views: Bank) -> None:
    some = lines(views, [0, 3], [[0, 1], [5, 2]], 2 * LINE)
    for at, (row, columns) in enumerate(((0, (0, 1)), (3, (5, 2)))):
        start = 0
        for column in columns:
            given, ends = int(views.given[row, column]), int(views.ends[row, column])
            whole = views.ids[row, column, :ends].tolist()
            assert some.ids[at, start : start + ends].tolist() == whole
            wanted = some.wanted[at, start : start + ends].tolist()
            assert wanted == [IGNORED] * (given - 1) + whole[given:] + [IGNORED]
            assert some.places[at, start : start + ends].tolist() == list(range(ends))
            start += ends
        assert (some.wanted[at, start:] == IGNORED).all()


def test_lines_side_by_side_are_told_as_if_each_stood_alone(views: Bank) -> None:
    model = tiny().eval()
    seen = views.seen[:1].float()
    both = lines(views, [0], [[0, 1]], 2 * LINE)
    with torch.no_grad():
        _, together = model(seen, both)
        alone = [model(seen, lines(views, [0], [[column]], LINE))[1] for column in (0, 1)]
    torch.testing.assert_close(together, torch.cat(alone), atol=1e-5, rtol=1e-5)


def test_lines_that_have_no_room_are_left_out(views: Bank) -> None:
    first = int(views.ends[0, 0])
    some = lines(views, [0], [[0, 1]], first)
    assert some.ids[0].tolist() == views.ids[0, 0, :first].tolist()


@pytest.mark.check
def test_a_killed_part_goes_on_at_its_checkpoint_and_that_of_another_base_is_left_alone(
    tmp_path: Path,
) -> None:
    plan = replace(SMALL, scenes=1, label_steps=700, label_batch=1, steps=1)
    other = shutil.copytree(BASE, tmp_path / "other")
    weights.save(new_student(read_size(BASE), dropout=0.0), other)

    def killed(base: Path, at: str) -> list[str]:
        said: list[str] = []

        def tell(text: str) -> None:
            said.append(text)
            if text.startswith(at):
                raise InterruptedError

        with pytest.raises(InterruptedError):
            speaker(plan, base, tmp_path / "made", tell)
        return said

    killed(BASE, "step 600 of 700")
    assert not any(text.startswith("going on") for text in killed(other, "step 200 of 700"))
    assert "going on after step 500 of 700" in killed(BASE, "step 600 of 700")


def test_answers_are_learnt(views: Bank, tmp_path: Path) -> None:
    model = tiny()
    recipe = Recipe(steps=80, batch=2, learning_rate=1e-2, clip=1.0)
    before = right(model, views)
    fit(SpeakTask(model, views, 120), len(views), recipe, tmp_path, lambda t: None, lambda n: None)
    after = right(model, views)
    assert max(before.values()) <= 0.1
    assert after["whole"] >= 0.15
    frozen = internvl(BASE, TINY).model.vision_tower.state_dict()
    for name, tensor in model.model.model.vision_tower.state_dict().items():
        torch.testing.assert_close(tensor, frozen[name], msg=name)


def test_words_that_were_never_said_are_told_apart(views: Bank) -> None:
    model = tiny()
    weight = model.language.get_input_embeddings().weight
    digits = speaker_words.whole().convert_tokens_to_ids([*"0123456789"])
    with torch.no_grad():
        weight[digits] = 1.0  # what training makes of them
    before = weight.detach().clone()
    told_apart(model, views, 0)
    own = weight.detach()[digits]
    near = torch.nn.functional.cosine_similarity(own[:, None], own[None], dim=-1)
    assert float(near.fill_diagonal_(0).max()) < 0.8
    taught = np.unique(views.ids[views.ids > 0]).astype(int)
    torch.testing.assert_close(weight.detach()[taught], before[taught])


def test_a_folder_is_a_model_that_chats_and_its_marks_are_seen(writer: ChatWriter) -> None:
    assert writer.canvas(208, 144) == (144, 144)
    assert writer.doubts(208, 144, "clear") == []
    picture = PIL.Image.new("RGB", (144, 144), (90, 140, 60))
    (sight,) = writer.look([picture])
    assert sight.features.shape == (36, TINY.width)
    (told,) = writer.write([sight], [Line(0, "What is [0]?")], Decoding(tokens=4))
    assert told.confidence < 0


def test_a_folder_writes_what_was_taught_as_it_was_taught(writer: ChatWriter) -> None:
    row = writer.module.row(
        writer.look([PIL.Image.new("RGB", (144, 144))])[0], Line(0, "Where is this?", "a beach.")
    )
    spelt = writer.tokenizer.convert_ids_to_tokens
    assert spelt(row.before) == ["<img>", *["<IMG_CONTEXT>"] * 36, "</img>"]
    blank = speaker_words.BLANK
    words = [f"{blank}where", f"{blank}is", f"{blank}this", "?"]
    assert spelt(row.after) == [*words, speaker_words.SAY]
    assert spelt(row.target) == [f"{blank}a", f"{blank}beach", ".", speaker_words.END]


def test_the_note_tells_what_was_learnt(taught: Path) -> None:
    told = json.loads((taught / NOTE).read_text(encoding="utf-8"))
    assert told["plan"]["scenes"] == SMALL.scenes
    assert {*told["right"]} <= {*KINDS}
    assert not (taught / "training").exists()
    assert sum(file.stat().st_size for file in taught.glob("*.safetensors")) < 10e6
