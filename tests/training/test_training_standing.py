"""Who looks at a training from outside learns how far it has come."""

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest
from toy_task import RECIPE, ROWS, Mortal, Toy, train

from lskd.training.history import LOSSES, Measured, line
from lskd.training.loop import fit
from lskd.training.standing import BEGINNING, Standing, of_stage, spent, standing


def looked_at(folder: Path, steps: int) -> list[Standing | None]:
    """Train, and look whenever a step is done."""
    seen: list[Standing | None] = []
    recipe = replace(RECIPE, steps=steps)
    fit(Toy(), ROWS, recipe, folder, lambda line: None, lambda n: seen.append(standing(folder)))
    return seen


def test_each_step_is_seen_while_it_is_the_last(tmp_path: Path) -> None:
    seen = [one for one in looked_at(tmp_path, 6) if one is not None]
    assert [one.step for one in seen] == [1, 2, 3, 4, 5, 6]
    assert {one.steps for one in seen} == {6}
    left = [one.seconds_left for one in seen]
    assert left[-1] == 0
    assert all(one is not None and one >= 0 for one in left)


@pytest.mark.parametrize(("first", "left"), [(0, 10.0), (4, 30.0)])
def test_the_rest_takes_as_long_a_step_as_those_that_were_done_since_it_went_on(
    tmp_path: Path, first: int, left: float
) -> None:
    began = {"step": first, "steps": 12, "time": 1_000.0, "precision": "float32"}
    (tmp_path / BEGINNING).write_text(json.dumps(began), encoding="utf-8")
    done = [line(Measured(step, 1.0, (), 0.1, 1.0)) for step in range(1, 7)]
    (tmp_path / LOSSES).write_text("".join(done), encoding="utf-8")
    os.utime(tmp_path / LOSSES, (1_010.0, 1_010.0))  # ten seconds later
    assert standing(tmp_path) == Standing(6, 12, left)


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


def test_the_time_of_all_starts_is_told_but_not_that_between_them(tmp_path: Path) -> None:
    assert spent(tmp_path) == 0
    looked_at(tmp_path, 6)
    first = json.loads((tmp_path / BEGINNING).read_text(encoding="utf-8"))
    assert first["spent"] == 0
    # It took ten seconds, and nobody went on with it for weeks.
    (tmp_path / BEGINNING).write_text(json.dumps(first | {"time": 1_000.0}), encoding="utf-8")
    os.utime(tmp_path / LOSSES, (1_010.0, 1_010.0))
    assert spent(tmp_path) == 10
    looked_at(tmp_path, 6)
    assert 10 <= spent(tmp_path) < 20


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
