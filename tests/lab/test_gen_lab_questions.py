"""What a student that writes rehearses in the lab: questions of pre-training, right ones."""

import json
from pathlib import Path

import pytest
from lab_lessons import right

from lskd import marking
from lskd.distil import rehearsal
from lskd.lab import rehearsal as old
from lskd.lab.combinations import shown
from lskd.lab.drawing import staged
from lskd.lab.gold import whole
from lskd.lab.words import an
from lskd.lab.world import PRETRAINING

PICTURES = 4


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    world = tmp_path_factory.mktemp("world")
    old.write(world, PICTURES, lambda count: None, processes=1)
    return world / old.FOLDER


def test_questions_name_no_region_and_none_comes_twice(folder: Path) -> None:
    lines = [json.loads(line) for line in (folder / old.ASKED).read_text().splitlines()]
    assert {line["image"] for line in lines} == {f"{n:06}.png" for n in range(PICTURES)}
    assert len({json.dumps(line) for line in lines}) == len(lines) > PICTURES * old.QUESTIONS // 3
    found = rehearsal.questions(folder / old.ASKED, folder)
    assert len(found) == len(lines)
    for number in range(len(found)):
        one = found[number]
        assert one.prompt and one.answer and not marking.named(f"{one.prompt} {one.answer}")


def test_questions_are_of_their_picture_and_rightly_answered(folder: Path) -> None:
    scenes = [staged(PRETRAINING + n, allowed=shown)[0] for n in range(PICTURES)]
    known = [right(scene) for scene in scenes]
    places = things = 0
    for line in (json.loads(text) for text in (folder / old.ASKED).read_text().splitlines()):
        number = int(line["image"][:6])
        scene = scenes[number]
        assert line["answer"] == known[number][line["prompt"]]
        if line["prompt"] == "Where is this?":
            places += 1
            assert line["answer"] == f"at {an(scene.place)}."
        if line["prompt"] == "How many people are there?":
            many = sum(entity.is_person for entity in scene.entities)
            assert line["answer"] == f"{whole.NUMBERS[many - 1]}."
        things += "the only thing" in line["prompt"]
    assert places >= PICTURES - 1 and things
