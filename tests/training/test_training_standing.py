"""Who looks at a training from outside learns how far it has come."""

from dataclasses import replace
from pathlib import Path

import pytest
from toy_task import RECIPE, ROWS, Mortal, Toy, train

from lskd.training.loop import fit
from lskd.training.standing import Standing, of_stage, standing


def looked_at(folder: Path, steps: int) -> list[Standing | None]:
    """Train, and look whenever a step is done."""
    seen: list[Standing | None] = []
    recipe = replace(RECIPE, steps=steps)
    fit(Toy(), ROWS, recipe, folder, lambda line: None, lambda n: seen.append(standing(folder)))
    return seen


def test_each_step_is_seen_with_the_time_that_the_rest_takes(tmp_path: Path) -> None:
    seen = [one for one in looked_at(tmp_path, 6) if one is not None]
    assert [one.step for one in seen] == [1, 2, 3, 4, 5, 6]
    assert {one.steps for one in seen} == {6}
    left = [one.seconds_left for one in seen]
    assert left[-1] == 0
    assert all(one is not None and one >= 0 for one in left)


def test_a_training_that_was_stopped_is_seen_at_its_last_step(tmp_path: Path) -> None:
    class Stop(Exception):
        """Ends a training where a kill would."""

    def stop() -> None:
        raise Stop

    with pytest.raises(Stop):
        train(Mortal(4 * RECIPE.accumulate, stop), RECIPE, tmp_path)
    found = standing(tmp_path)
    assert found is not None
    assert (found.step, found.steps) == (4, RECIPE.steps)


def test_of_several_trainings_of_a_stage_the_latest_counts(tmp_path: Path) -> None:
    assert of_stage(tmp_path) is None
    looked_at(tmp_path / "training/first", 7)
    looked_at(tmp_path / "training/second", 3)
    found = of_stage(tmp_path)
    assert found is not None
    assert found.steps == 3


@pytest.mark.parametrize(
    "text", ["", "[1]", '{"step": 1}', '{"step": null, "steps": 2, "time": 3}']
)
def test_what_cannot_be_read_is_no_training(tmp_path: Path, text: str) -> None:
    looked_at(tmp_path, 3)
    (tmp_path / "beginning.json").write_text(text, encoding="utf-8")
    assert standing(tmp_path) is None
