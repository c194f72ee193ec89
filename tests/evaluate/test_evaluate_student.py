"""A run trains a student and evaluates it; when the student changes, so do its figures."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from evaluate_world import BASE_AND_STUDENT, put_aokvqa

import house
import tiny_models
from checkpoints import write_stage1
from lskd import table
from lskd.distil import note
from lskd.types import Box, Example, Outcome, Region, Student
from typed import lskd

RUN = """
examples = "out/mine"

[distil]
weights = "base"
image = 28
tokens = 48
steps = 2
batch = 2
precision = "float32"
workers = 1
"""


def put_examples(folder: Path, answer: str) -> None:
    """Write three examples as a corpus that a run can be given."""
    rows = []
    for number in range(3):
        image = tiny_models.picture(folder, 40, 30, number).image
        region = Region(0, Box(2, 3, 30, 25), "dog", "", 1.0)
        rows.append(
            Example(
                id=f"e{number}",
                image_id=image.id,
                path=image.path,
                width=image.width,
                height=image.height,
                regions=(region,),
                style="id",
                question="what is [0] ?",
                answer=answer,
                rationale="it is red",
                region_ids=(0,),
                mentions=(),
                score=0.9,
                source="test",
                split="train",
            )
        )
    table.write(Example, folder / "out/mine/corpus/example/00000.parquet", rows)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    put_aokvqa(tmp_path / "data/aokvqa")
    write_stage1(tmp_path / "base")
    put_examples(tmp_path, "a dog")
    (tmp_path / "run.toml").write_text(
        RUN + BASE_AND_STUDENT.format(student="out/run/distil/student")
    )
    return tmp_path


def test_the_student_of_a_run_is_a_row_and_is_evaluated(home: Path) -> None:
    run = house.run(Path("run.toml"))
    assert [stage.name for stage in run.stages()] == ["distil", "evaluate"]
    (student,) = house.rows(run, Student)
    about = note.read(Path(student.folder))
    assert student == Student("out/run/distil/student", about.fingerprint, 3, 2)
    assert {one.model for one in house.rows(run, Outcome)} == {"base", "student"}
    before = house.files(home / "out")
    house.run(Path("run.toml"))
    assert house.files(home / "out") == before


def test_a_student_of_other_examples_is_evaluated_anew_and_the_base_is_not(home: Path) -> None:
    first = house.run(Path("run.toml"))
    kept = house.files(first.own / "evaluate/predictions")
    (before,) = house.rows(first, Student)
    put_examples(home, "a red cup")
    second = house.run(Path("run.toml"))
    (after,) = house.rows(second, Student)
    assert replace(after, digest=before.digest) == before != after
    now = house.files(first.own / "evaluate/predictions")
    assert set(kept) < set(now) and len(now) == len(kept) + 1
    told = json.loads((second.own / "evaluate/summary.json").read_text())
    assert [one["name"] for one in told["models"]] == ["base", "student"]


def test_a_card_that_is_laid_beside_a_student_asks_nothing_again(home: Path) -> None:
    first = house.run(Path("run.toml"))
    kept = house.files(first.own / "evaluate/predictions")
    (student,) = house.rows(first, Student)
    (Path(student.folder) / "README.md").write_text("a card")
    (first.own / "evaluate/inputs.json").unlink()
    house.run(Path("run.toml"))
    assert (first.own / "evaluate/inputs.json").exists()  # so it was evaluated anew
    assert house.files(first.own / "evaluate/predictions") == kept


def test_a_student_of_given_examples_has_a_card_with_its_figures(home: Path) -> None:
    assert lskd("run", "run.toml", folder=home).returncode == 0
    card = (home / "out/run/distil/student/README.md").read_text(encoding="utf-8")
    assert "| Examples that could be used | 3 |" in card and "test (3)" in card
    assert "| aokvqa (val) |" in card and "| Teacher | unknown |" in card
