"""The Q-Former's queries learn what stands where, told by labels."""

from pathlib import Path

import pytest
import torch
from lab_house import BASE

from lskd.blip2 import weights
from lskd.blip2.files import read_size
from lskd.blip2.stage1 import Stage1, new_student
from lskd.lab import words
from lskd.lab.pretrain.captions import features
from lskd.lab.pretrain.gallery import still
from lskd.lab.pretrain.speech import Shown, shown
from lskd.lab.pretrain.standing import StandingTask, Teller, known, labels, told
from lskd.training.loop import fit
from lskd.training.recipe import Recipe

STILLS = [still(seed) for seed in range(32)]
SHOWN = shown(STILLS)


def student() -> Stage1:
    """Return a new Q-Former on the shipped tower."""
    made = new_student(read_size(BASE), dropout=0.0)
    weights.load(made, BASE)
    torch.manual_seed(0)
    made.backbone.qformer = new_student(read_size(BASE), dropout=0.0).backbone.qformer
    made.backbone.freeze(vision=True)
    return made


@pytest.fixture(scope="module")
def seen() -> torch.Tensor:
    return features(student(), STILLS, torch.bfloat16)


def named(one: Shown) -> set[str]:
    """Return the labels that fit a still, by name."""
    return {name for name, fits in zip(labels(), known([one])[0], strict=True) if fits}


@pytest.mark.parametrize("one", SHOWN[:8])
def test_labels_tell_what_stands_and_what_is_drawn_in_each_third_and_no_more(one: Shown) -> None:
    scene, found = one.scene, named(one)
    assert scene.place in found
    people = sum(entity.is_person for entity in scene.entities)
    assert f"{people} people" in found
    of_thirds = {name for name in found if name.endswith(words.THIRDS)}
    assert len(found) == len(of_thirds) + 2
    for number, entity in enumerate(scene.entities):
        third = words.third_of(scene, number)
        assert words.standing(scene, number) in of_thirds
        assert f"{entity.kind} {third}" in of_thirds
        use = "free" if entity.user is None else "used"
        does = words.verb(scene, entity) if entity.is_person else use
        assert f"{does} {third}" in of_thirds
    drawn = {f"{frame.tint} frame {frame.third}" for frame in one.drawn}
    assert drawn == {name for name in of_thirds if " frame " in name}
    # In a third where nothing stands, no label fits but those of frames.
    empty = set(words.THIRDS) - {words.third_of(scene, n) for n in range(len(scene.entities))}
    assert not {name for name in of_thirds - drawn if name.endswith(tuple(empty))}


def test_queries_learn_the_labels_of_scenes_in_a_few_steps(
    seen: torch.Tensor, tmp_path: Path
) -> None:
    teller = Teller(student())
    recipe = Recipe(steps=80, batch=16, warmup=4, learning_rate=1e-3, clip=1.0)
    task = StandingTask(teller, SHOWN, seen)
    before = told(teller, SHOWN, seen)
    fit(task, len(SHOWN), recipe, tmp_path, lambda text: None, lambda n: None)
    after = told(teller.eval(), SHOWN, seen)
    assert after["recall"] > 0.6 and after["precision"] > 2 * before["precision"]
    assert after["precision"] > 0.3


def says(logits: torch.Tensor) -> Teller:
    """Return one that says the same of every still."""
    teller = Teller(student())
    with torch.no_grad():
        teller.head.weight.zero_()
        teller.head.bias.copy_(logits)
    return teller


def test_recall_and_precision_count_labels_of_all_stills(seen: torch.Tensor) -> None:
    fits = known(SHOWN)
    everything = torch.ones(fits.shape[1])
    assert told(says(everything), SHOWN, seen) == pytest.approx(
        {"recall": 1.0, "precision": float(fits.mean())}
    )
    one = -everything
    one[labels()["park"]] = 1
    parks = sum(one.scene.place == "park" for one in SHOWN)
    assert told(says(one), SHOWN, seen) == pytest.approx(
        {"recall": parks / fits.sum(), "precision": parks / len(SHOWN)}
    )
    assert told(says(-everything), SHOWN, seen) == {"recall": 0.0, "precision": 0.0}
