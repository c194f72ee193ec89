"""The world of the lab: scenes, their pictures, what is true of them, and what is held out."""

import dataclasses
import hashlib
import json
import random
from collections import Counter
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from lskd.errors import UserError
from lskd.lab import combinations, drawing, sayings, scene, truth, vocabulary, words, world
from lskd.lab.knowledge import ASKS, knowledge
from lskd.lab.world import Numbers, Staged
from lskd.types import Mention, Region, Triple

SEEDS = range(24)


@cache
def staged(seed: int) -> Staged:
    made, rendered = drawing.staged(seed)
    return Staged("x.png", "train", f"{seed}", made, rendered.boxes)


def regions(one: Staged) -> dict[int, Region]:
    return {n: Region(n, box, "", "", 1.0) for n, box in enumerate(one.boxes)}


def triple(one: Staged, asked: int, told: int, ask: str, style: str = "id") -> Triple:
    kind = next(one for one in ASKS if one == ask)
    phrase = words.description(one.scene, asked)
    name = f"[{asked}]" if style == "id" else f"[{phrase}]"
    return Triple(
        "t",
        "r",
        one.image_id,
        "id" if style == "id" else "description",
        words.question(name, kind),
        f"{words.answer(one.scene, told, kind).capitalize()}.",
        words.rationale(one.scene, told, name),
        (asked,),
        () if style == "id" else (Mention(phrase, asked),),
    )


def test_no_phrase_of_the_knowledge_table_stands_twice() -> None:
    phrases = Counter(text for row in knowledge().rows.values() for text in row.values())
    assert max(phrases.values()) == 1
    assert all("{where}" in text for text in phrases)


def test_the_world_is_as_rich_as_it_says() -> None:
    assert len(knowledge().places) >= 6
    assert len(scene.KINDS) >= 16
    made = [scene.draw(seed) for seed in range(200)]
    people = [sum(entity.is_person for entity in one.entities) for one in made]
    assert min(people) >= 2
    assert max(people) == 4
    acts = {entity.act for one in made for entity in one.entities if entity.is_person}
    assert acts == {"holds", "gives", "rides", "sits on", "points at", "stands"}
    assert all(96 <= side <= 224 for one in made for side in (one.width, one.height))


def test_every_entity_of_every_scene_has_a_row_of_the_table() -> None:
    for seed in range(200):
        one = scene.draw(seed)
        for number in range(len(one.entities)):
            assert knowledge().knows(scene.sight(one, number))


def test_a_seed_gives_the_same_scene_and_the_same_pixels() -> None:
    first, again = drawing.staged(7), drawing.staged(7)
    assert first[0] == again[0]
    assert first[1].picture.tobytes() == again[1].picture.tobytes()
    assert drawing.staged(8)[1].picture.tobytes() != first[1].picture.tobytes()


def test_scenes_are_those_that_the_published_figures_are_about() -> None:
    # A change of this hash is another world: base, figures and docs/lab.md are about the old one.
    drawn = "\n".join(repr(scene.draw(seed)) for seed in range(50))
    assert hashlib.sha256(drawn.encode()).hexdigest()[:16] == "ac04f076cd36da39"


@pytest.mark.parametrize("seed", SEEDS[:20])
def test_boxes_hold_masks_exactly_and_every_entity_can_be_made_out(seed: int) -> None:
    made, rendered = drawing.staged(seed)
    for number, (box, mask) in enumerate(zip(rendered.boxes, rendered.masks, strict=True)):
        rows, columns = np.nonzero(mask)
        edges = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
        assert tuple(box) == edges
        assert rendered.seen(number) >= 0.5
        longer = max(box.width / made.width, box.height / made.height) * drawing.SIDE
        assert longer >= drawing.SPAN
    shown = {number for number in np.unique(rendered.top) if number}
    assert shown == set(range(1, len(made.entities) + 1))


def test_what_is_said_of_an_entity_is_read_back_as_what_it_is() -> None:
    for seed in range(100):
        one = scene.draw(seed)
        for number in range(len(one.entities)):
            read = sayings.described(words.description(one, number))
            assert read is not None
            assert read.sight(one.place) == scene.sight(one, number)
            assert truth.fits(read, one, number)


@pytest.mark.parametrize("style", ["id", "description"])
def test_true_triples_are_acceptable_and_those_about_another_region_are_not(style: str) -> None:
    wrong = accepted = 0
    for seed in SEEDS:
        one = staged(seed)
        known = regions(one)
        for asked in known:
            for ask in ASKS:
                right = truth.verdict(triple(one, asked, asked, ask, style), one, known)
                assert right.acceptable
                for told in known.keys() - {asked}:
                    wrong += 1
                    found = truth.verdict(triple(one, asked, told, ask, style), one, known)
                    accepted += found.acceptable
    # Two entities may be alike to the eye: the same things at the same use.
    assert accepted <= 0.02 * wrong


def test_a_wrong_reason_and_a_wrong_answer_are_told_apart() -> None:
    one = staged(3)
    known = regions(one)
    right = triple(one, 0, 0, "why")
    lies = dataclasses.replace(right, rationale=words.rationale(one.scene, 1, "[0]"))
    assert truth.verdict(lies, one, known) == truth.Verdict(True, False)
    vain = dataclasses.replace(right, answer=f"{words.answer(one.scene, 1, 'why')}.")
    assert truth.verdict(vain, one, known) == truth.Verdict(False, True)
    nobody = dataclasses.replace(right, question="Who is the mayor?")
    assert not truth.verdict(nobody, one, known).acceptable


def test_held_out_combinations_are_never_shown_and_their_rows_are() -> None:
    held = combinations.held_out()
    known = knowledge()
    rows = {
        (known.sorts[one.kind], one.act, known.places[one.place].kind)
        for one in combinations.every()
        if one not in held
    }
    assert held
    for one in held:
        assert (known.sorts[one.kind], one.act, known.places[one.place].kind) in rows
    for seed in range(200):
        shown = scene.draw(seed, allowed=combinations.shown)
        assert not any(combinations.is_held_out(shown, n) for n in range(len(shown.entities)))


def test_every_word_of_the_lab_is_in_its_vocabulary() -> None:
    known = set(vocabulary.words())
    rng = random.Random(0)
    for seed in SEEDS:
        one = scene.draw(seed)
        texts = [words.caption(one, rng), words.narrative(one, range(len(one.entities)))]
        texts += [words.rationale(one, n, f"[{n}]") for n in range(len(one.entities))]
        pieces = {piece for text in texts for piece in _pieces(text)}
        assert pieces <= known, pieces - known


def _pieces(text: str) -> list[str]:
    spaced = "".join(c if c.isalnum() or c == " " else f" {c} " for c in text.lower())
    return spaced.split()


def test_a_world_is_made_once_and_never_mixed(tmp_path: Path) -> None:
    ticks: list[int] = []
    made = world.make(tmp_path, Numbers(3, 1, 1), 0, ticks.append)
    assert sum(ticks) == 11  # six of them to rehearse on
    again = world.make(tmp_path, Numbers(3, 1, 1), 0, ticks.append)
    assert sum(ticks) == 11  # six of them to rehearse on
    assert again.staged == made.staged == world.read(tmp_path).staged
    with pytest.raises(UserError, match="holds another world"):
        world.make(tmp_path, Numbers(4, 1, 1), 0, ticks.append)
    note = json.loads((tmp_path / "world.json").read_text())
    (tmp_path / "world.json").write_text(json.dumps(note | {"knowledge": "another table"}))
    with pytest.raises(UserError, match="holds another world"):
        world.make(tmp_path, Numbers(3, 1, 1), 0, ticks.append)


def test_splits_share_no_scene_and_only_held_shows_what_is_held_out(tmp_path: Path) -> None:
    made = world.make(tmp_path, Numbers(4, 2, 2), 1, lambda count: None)
    assert len({one.image_id for one in made.staged}) == 8
    for one in made.staged:
        shows = any(combinations.is_held_out(one.scene, n) for n in range(len(one.scene.entities)))
        assert shows == (one.split == "held")


def test_a_folder_that_is_no_world_or_a_broken_one_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is no world of the lab"):
        world.read(tmp_path)
    world.make(tmp_path, Numbers(2, 1, 1), 0, lambda count: None)
    (tmp_path / world.SCENES).write_text('{"file": 1}\n')
    with pytest.raises(UserError, match="is broken"):
        world.read(tmp_path)


def test_a_seed_whose_world_would_share_scenes_with_pre_training_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="seed = 601: expected 0 to 600"):
        world.make(tmp_path / "w", Numbers(8, 4, 4), 601, lambda count: None)
    # The farthest scenes of a world: those of its last split, after so many attempts.
    last = (world.LARGEST * 3 + 2) * world.SPAN + world.SPAN
    for attempt in range(4):
        first = 2 * world.SPAN + attempt * world.ATTEMPT
        reached = last + attempt * world.ATTEMPT
        for others in (world.IMAGINED, world.PRETRAINING):
            assert reached <= others or first >= others + world.SPAN
