"""Statements of pre-training: what is said is true, what is held against it is not."""

import itertools
import random
from pathlib import Path

import pytest
import torch

from lskd.blip2 import weights
from lskd.blip2.given import VOCABULARY
from lskd.blip2.stage1 import new_student
from lskd.blip2.text import Tokenizer
from lskd.lab import vocabulary, words
from lskd.lab.knowledge import INFERRED
from lskd.lab.pretrain.frames import NAMES, TINTS
from lskd.lab.pretrain.gallery import Still, still
from lskd.lab.pretrain.shape import size
from lskd.lab.pretrain.start import begin_with, vocabulary_of
from lskd.lab.pretrain.statements import ANYWHERE as ANYWHERE_FORMS
from lskd.lab.pretrain.statements import (
    AT,
    SO_MANY,
    WRONG,
    Drawn,
    Told,
    beside,
    frames,
    inferences,
    names,
    of_all,
    of_doers,
    of_frames,
    statements,
)
from lskd.lab.pretrain.statements import PLACED as PLACED_FORMS
from lskd.lab.scene import Scene

SCENES = 24


@pytest.fixture(scope="module")
def stills() -> list[Still]:
    return [still(seed) for seed in range(SCENES)]


def everything_true(scene: Scene) -> set[str]:
    """All that the forms can truly say of a scene."""
    told = [
        Told(scene, n, words.third(scene, entity.placing.x))
        for n, entity in enumerate(scene.entities)
    ]
    people = sum(entity.is_person for entity in scene.entities)
    said = {form(one) for form in (*PLACED_FORMS, *ANYWHERE_FORMS) for one in told}
    said |= {at(scene.place) for at in AT} | {so_many(people) for so_many in SO_MANY}
    said |= {
        f"question: who {words.action(scene, person)}? answer: {words.phrase(person)}."
        for person in scene.entities
        if person.is_person
    }
    return said | {
        f"question: {words.question(name, ask)} answer: {words.answer(scene, one.number, ask)}."
        for one in told
        for name in (
            f"the one {one.third}",
            words.phrase(scene.entities[one.number]),
            "something",
        )
        for ask in INFERRED
    }


def test_the_first_statement_is_true_and_what_stands_elsewhere_is_not(stills: list[Still]) -> None:
    rng = random.Random(0)
    for one, other in itertools.pairwise(stills):
        true = everything_true(one.scene)
        for _ in range(20):
            right, elsewhere, *rest = statements(one.scene, other.scene, rng)
            assert right in true
            assert len(rest) == WRONG - 1
            placed = any(third in right for third in words.THIRDS)
            assert not placed or elsewhere not in true, (right, elsewhere)


def test_a_name_is_of_something_in_the_scene_and_the_false_ones_of_nothing_in_it(
    stills: list[Still],
) -> None:
    rng = random.Random(9)
    for one, other in itertools.pairwise(stills):
        here = {words.phrase(entity) for entity in one.scene.entities}
        far = {words.phrase(entity) for entity in other.scene.entities}
        said = [names(one.scene, other.scene, rng) for _ in range(10)]
        assert all(true in here for true, *_ in said)
        wrong = [text for _, *rest in said for text in rest]
        assert len(wrong) == 10 * WRONG and not here & set(wrong)
        # Some are of the other scene; others have a word changed, and so are near to the true one.
        assert far & set(wrong) or far <= here
        assert any(len(set(t.split()) - set(w.split())) == 1 for t, *ws in said for w in ws)


def test_a_place_and_a_number_of_people_are_told_truly_once_and_then_falsely(
    stills: list[Still],
) -> None:
    rng = random.Random(7)
    for one in stills:
        true = everything_true(one.scene)
        for _ in range(10):
            right, *wrong = of_all(one.scene, rng)
            assert right in true
            assert len(set(wrong)) == WRONG and not true & set(wrong)


def test_who_does_something_is_told_truly_once_and_the_others_are_people_who_do_not(
    stills: list[Still],
) -> None:
    rng, made, here = random.Random(8), 0, 0
    for one in stills:
        true = everything_true(one.scene)
        seen = {words.phrase(entity) for entity in one.scene.entities if entity.is_person}
        for _ in range(10):
            said = of_doers(one.scene, rng)
            if said is None:
                continue
            right, *wrong = said
            made += 1
            here += sum(text.partition(" answer: ")[2].rstrip(".") in seen for text in wrong)
            assert right in true
            assert len(set(wrong)) == WRONG and not true & set(wrong)
    assert made > 5 * SCENES and here > made


def test_few_of_the_false_statements_happen_to_be_true(stills: list[Still]) -> None:
    rng = random.Random(1)
    wrong = true = 0
    for one, other in itertools.pairwise(stills):
        known = everything_true(one.scene)
        for _ in range(20):
            said = statements(one.scene, other.scene, rng)[1:]
            wrong += len(said)
            true += sum(text in known for text in said)
    assert true / wrong < 0.02


def test_no_statement_names_a_region_and_all_words_are_known(
    stills: list[Still], tmp_path: Path
) -> None:
    vocabulary.write(tmp_path / VOCABULARY)
    tokenizer = Tokenizer(tmp_path / VOCABULARY)
    unknown = vocabulary_of(tmp_path).index("[UNK]")
    rng = random.Random(2)
    said = [t for a in stills for t in statements(a.scene, stills[0].scene, rng)]
    said += [t for a in stills for f in a.frames for t in of_frames(frames(f.tints), rng)]
    assert not any("[" in text for text in said)
    encoded = tokenizer.encode(said, 64)
    assert not any(unknown in ids for ids in encoded)
    assert max(map(len, encoded)) <= 40


def test_what_is_said_of_frames_is_true_once_and_then_false(stills: list[Still]) -> None:
    rng = random.Random(3)
    assert len(NAMES) == len(TINTS)
    for one in stills:
        for frame in one.frames:
            drawn = frames(frame.tints)
            assert {d.tint for d in drawn} == {
                NAMES[n] for n in range(len(NAMES)) if frame.tints[:, n].any()
            }
            right, *wrong = of_frames(drawn, rng)
            there = [f"{d.tint} frame" in right and d.third in right for d in drawn]
            assert any(there)
            for text in wrong:
                assert not any(f"{d.tint} frame" in text and d.third in text for d in drawn)


def test_wrong_inferences_follow_from_others_of_the_scene_or_from_nothing_in_it(
    stills: list[Still],
) -> None:
    rng = random.Random(4)
    others = 0
    for one in stills:
        true, scene = everything_true(one.scene), one.scene
        known = {
            words.answer(scene, n, ask) for n in range(len(scene.entities)) for ask in INFERRED
        }
        for _ in range(10):
            right, *wrong = inferences(scene, rng)
            assert right in true
            assert len(set(wrong)) == WRONG and not true & set(wrong)
            asked = right.partition(" answer: ")[0]
            assert all(text.partition(" answer: ")[0] == asked for text in wrong)
            others += sum(text.partition(" answer: ")[2].rstrip(".") in known for text in wrong)
    assert others > 0


def test_what_is_beside_a_frame_shares_its_third_and_the_false_ones_do_not(
    stills: list[Still],
) -> None:
    rng = random.Random(5)
    made = 0
    for one in stills:
        for frame in one.frames:
            drawn = frames(frame.tints)
            said = beside(one.scene, drawn, rng) if drawn else None
            if said is None:
                continue
            made += 1
            there = {
                f"{d.third} is {words.phrase(e)} and {words.an(f'{d.tint} frame')}"
                for d in drawn
                for e in one.scene.entities
                if words.third(one.scene, e.placing.x) == d.third
            }
            assert said[0] in there
            assert len(said) == WRONG + 1 and not there & set(said[1:])
    assert made > SCENES


def test_the_third_of_a_frame_is_that_of_its_middle() -> None:
    tints = torch.zeros(12, 12, len(NAMES), dtype=torch.bool)
    tints[3:5, 9:12, 1] = True
    tints[:, 4:8, 4] = True
    found = frames(tints.reshape(-1, len(NAMES)).numpy())
    assert found == [Drawn("red", "on the right"), Drawn("green", "in the middle")]


def test_a_pretraining_begins_with_what_each_word_meant_to_another(tmp_path: Path) -> None:
    torch.manual_seed(0)
    old, new = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "a", "z"], [
        "[PAD]", "[UNK]", "[CLS]", "[SEP]", "a", "b", "z"
    ]  # fmt: skip
    (tmp_path / VOCABULARY).write_text("\n".join(old) + "\n", encoding="utf-8")
    other, student = new_student(size(len(old) + 1)), new_student(size(len(new) + 1))
    weights.save(other, tmp_path)
    fresh = student.backbone.qformer.embeddings.word_embeddings.weight[5].clone()
    begin_with(student, [*new, "[DEC]"], tmp_path)
    theirs = other.backbone.qformer.embeddings.word_embeddings.weight
    mine = student.backbone.qformer.embeddings.word_embeddings.weight
    assert torch.equal(mine[[0, 1, 2, 3, 4, 6, 7]], theirs)
    assert torch.equal(mine[5], fresh)
    assert torch.equal(student.matching.weight, other.matching.weight)
