"""The lab's commands on models that write, as they are called: what they print and leave."""

import json
from pathlib import Path

import pytest
from lab_house import RUN, small_world
from lab_studio import judged_by_truth, studio
from typer.testing import CliRunner, Result

from generative_students import write_base, write_generative_student
from lskd.cli import app
from lskd.human import answers
from lskd.lab import measures
from lskd.lab.rivals import DROPPED, KEPT, rivals
from lskd.lab.world import World
from lskd.run import Run


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return small_world(tmp_path_factory.mktemp("world"), train=12, test=2)


@pytest.fixture(scope="module")
def run(world: World, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return judged_by_truth(world, tmp_path_factory.mktemp("run"), 4)


def lab(*words: str | Path) -> Result:
    return CliRunner().invoke(app, ["lab", *map(str, words)])


def test_spoken_prints_each_bar_and_ends_with_1_where_the_student_learnt_nothing(
    world: World, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    write_generative_student(out / "generative" / "student", write_base(tmp_path / "base"))
    file = RUN.parent / "lab" / "generative.toml"
    done = lab("spoken", file, "--world", world.folder, "--out", out, "--json")
    assert done.exit_code == 1
    found = {one["claim"]: one for one in json.loads(done.stdout)}
    assert found["writes above base, named regions"]["met"] is False
    assert found["writes above base, named regions"]["found"]["value"] == 0


def test_contest_has_two_files_of_answers_compared_and_tells_table_5(
    world: World, run: Run, tmp_path: Path
) -> None:
    said = rivals(run, 30, 0)
    files = [tmp_path / f"{system}.jsonl" for system in (KEPT, DROPPED)]
    for file, system in zip(files, (KEPT, DROPPED), strict=True):
        file.write_text("".join(answers.written(one for one in said if one.system == system)))
    table = tmp_path / "contest"
    with studio(run, tmp_path) as (address, _):
        asked = ("--url", address, "--world", world.folder, "--duels", "4", "--folder", table)
        done = lab("contest", *files, *asked)
    assert done.exit_code == 0, done.output
    told = (table / "table5.md").read_text()
    assert "correctness" in told.lower() and "correctness" in done.stdout.lower()


def test_accepted_tells_the_share_of_each_run_that_the_world_agrees_with(
    world: World, run: Run
) -> None:
    done = lab("accepted", run.own, run.own, "--world", world.folder)
    assert done.exit_code == 0, done.output
    found = measures.acceptable(run, world)
    first, second = done.stdout.splitlines()
    assert f"{found.value:.1f} % ({found.low:.1f} to {found.high:.1f})" in first
    assert first == second and 0 < found.value < 100


def test_regions_writes_descriptions_of_other_scenes_and_says_how_many(tmp_path: Path) -> None:
    done = lab("regions", tmp_path / "captions", "--scenes", "4", "--log", "plain")
    assert done.exit_code == 0, done.output
    told = json.loads((tmp_path / "captions/regions/region_descriptions.json").read_text())
    count = sum(len(one["regions"]) for one in told)
    assert f"regions: {count} regions" in done.stdout and len(told) == 4


def test_a_speaker_without_a_base_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    done = lab("speaker", tmp_path / "made", "--base", tmp_path / "empty")
    assert done.exit_code == 2
    assert "is no base model of the lab" in done.output and "Traceback" not in done.output
