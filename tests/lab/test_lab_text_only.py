"""Without the pictures, the lab's localised files are answered by chance."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lskd.evaluate.benchmark import Options
from lskd.evaluate.benchmarks import named
from lskd.evaluate.metrics import compare
from lskd.lab import gold
from lskd.lab.text_only import text_only
from lskd.lab.world import stage
from lskd.types import Item

SEED = 7


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, list[Item]]:
    """Return the items of VCR and Sherlock for a hundred scenes."""
    folder = tmp_path_factory.mktemp("many")
    scenes = [stage(folder, SEED, "test", number) for number in range(100)]
    made = {}
    for name, module in (("vcr", gold.vcr), ("sherlock", gold.sherlock)):
        module.write(folder / name, folder, scenes, SEED)
        made[name] = list(named(name).read(folder / name, Options()).items)
    return made


def test_text_alone_answers_vcr_by_chance(many: Mapping[str, list[Item]]) -> None:
    asked = [item for item in many["vcr"] if item.task == "answer"]
    scores = [one.scores for one in text_only(asked, SEED)]
    share = np.mean([np.argmax(s) == i.right[0] for s, i in zip(scores, asked, strict=True)])
    assert abs(share - 0.25) < 0.05  # their own chance is nearly two points wide


@pytest.mark.check
def test_text_alone_answers_vcr_of_four_times_as_many_scenes_nearer_to_chance(
    tmp_path: Path,
) -> None:
    scenes = [stage(tmp_path, SEED, "test", number) for number in range(400)]
    gold.vcr.write(tmp_path / "vcr", tmp_path, scenes, SEED)
    found = named("vcr").read(tmp_path / "vcr", Options()).items
    asked = [item for item in found if item.task == "answer"]
    scores = [one.scores for one in text_only(asked, SEED)]
    share = np.mean([np.argmax(s) == i.right[0] for s, i in zip(scores, asked, strict=True)])
    assert abs(share - 0.25) < 0.03


def test_text_alone_orders_sherlock_by_chance(many: Mapping[str, list[Item]]) -> None:
    asked = many["sherlock"]
    scores = [one.scores for one in text_only(asked, SEED)]
    marks = compare(scores, [item.ratings for item in asked])
    assert abs(100 * float(np.mean(marks.model.official))) < 3
    assert 100 * float(np.mean(marks.human)) > 90


def test_what_text_does_give_away_is_found(many: Mapping[str, list[Item]]) -> None:
    asked = [item for item in many["vcr"] if item.task == "rationale"][:200]
    scores = [one.scores for one in text_only(asked, SEED)]
    # Told the right answer, knowledge of the world finds most rationales without a picture.
    share = np.mean([np.argmax(s) == i.right[0] for s, i in zip(scores, asked, strict=True)])
    assert share > 0.5


def test_text_alone_is_not_fitted_on_an_image_that_it_scores(
    many: Mapping[str, list[Item]],
) -> None:
    asked = [item for item in many["vcr"] if item.task == "answer"][:60]
    first = text_only(asked, SEED)
    own = asked[0].image_id
    changed = [
        replace(item, right=((item.right[0] + 1) % 4,)) if item.image_id == own else item
        for item in asked
    ]
    again = text_only(changed, SEED)
    for before, after in zip(first, again, strict=True):
        if before.image_id == own:
            assert before == after
    assert first != again


def test_text_learnt_from_other_scenes_answers_held_out_combinations_by_chance(
    many: Mapping[str, list[Item]], tmp_path: Path
) -> None:
    scenes = [stage(tmp_path, SEED, "held", number) for number in range(60)]
    gold.vcr.write(tmp_path / "vcr", tmp_path, scenes, SEED)
    found = named("vcr").read(tmp_path / "vcr", Options()).items
    asked = [item for item in found if item.task == "answer"]
    others = [item for item in many["vcr"] if item.task == "answer"]
    scores = [one.scores for one in text_only(asked, SEED, others)]
    share = np.mean([np.argmax(s) == i.right[0] for s, i in zip(scores, asked, strict=True)])
    # A few hundred questions, of which some share an image: their own chance is 3 points wide.
    assert abs(share - 0.25) < 0.06
