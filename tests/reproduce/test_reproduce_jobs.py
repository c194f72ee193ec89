"""What experiments need is made side by side, in the order in which it is inherited."""

import multiprocessing
import os
import signal
import threading
import time
from pathlib import Path

import pytest

import house
from killing import run_whole, tells_which_run_was_made
from lskd.lab import world
from lskd.lab.course import Course
from lskd.lab.jobs import Job, make
from lskd.lab.world import Numbers
from lskd.reproduce.answers import BASE
from lskd.reproduce.bench import FOLDER
from lskd.reproduce.experiment import Arm, Experiment
from lskd.reproduce.experiments import EXPERIMENTS
from lskd.reproduce.jobs import ahead, planned
from lskd.run import load
from lskd.types import Image, Score

RUNS = Path(__file__).parents[2] / "runs"
HOME = Path("out/lab")
EACH = 8  # images of a shard


def course(home: Path, *changes: str) -> Course:
    return Course(RUNS / "lab.toml", home, home, 0, changes)


def test_every_run_is_made_once_however_many_experiments_share_it() -> None:
    courses = course(HOME).of_seeds([0, 1])
    jobs = planned(courses, EXPERIMENTS)
    arms = {arm.name for one in EXPERIMENTS for arm in (*one.arms, *one.shared)}
    wanted = {f"{name}/seed{seed}" for name in arms for seed in (0, 1)}
    assert set(jobs) == wanted | {"seed0", "seed1", "sherlock", "visualcomet", "llava", BASE}


def test_a_run_waits_for_what_it_inherits_from_and_for_its_corpus() -> None:
    jobs = planned(course(HOME).of_seeds([0, 1]), EXPERIMENTS)
    assert jobs["seed1"].needs == ()
    assert jobs["table1-qa/seed1"].needs == ("seed1",)
    assert jobs["short-llava/seed1"].needs == ("seed1", "llava")
    assert jobs[BASE].needs == ("short/seed0",)
    assert all(job.needs == () or set(job.needs) <= set(jobs) for job in jobs.values())


def test_an_experiment_alone_plans_no_other_runs() -> None:
    (table2,) = [one for one in EXPERIMENTS if one.name == "table2"]
    jobs = planned([course(HOME)], [table2])
    assert len(jobs) == 1 + len(table2.arms)
    assert BASE not in jobs


@pytest.mark.check
def test_two_jobs_make_a_seed_and_what_inherits_from_it(tmp_path: Path) -> None:
    """The critic is trained for a few steps, as `lskd reproduce` has it."""
    world.make(tmp_path / "world", Numbers(3 * EACH, 2, 2), 0, lambda count: None)
    sizes = (
        "sample.train=60",
        "sample.evaluate=20",
        "critic.epochs=1",
        f"images.shard_size={EACH}",
    )
    one = course(tmp_path, *sizes)
    arms = (
        Arm("without concepts", "table2-no-concepts", "score"),
        Arm("without local ones", "table2-no-local", "score"),
    )
    ahead([one], [_experiment(*arms)], 2)
    for arm in arms:
        out = tmp_path / FOLDER / arm.name / "seed0"
        child = load(out / f"{arm.name}.toml", [], out)
        assert child.tables.shards(Score) == one.loaded().tables.shards(Image)[:2]


def test_which_run_was_made_is_told_in_one_line_when_its_process_is_killed(tmp_path: Path) -> None:
    courses = course(tmp_path).of_seeds([0, 1, 2])
    tells_which_run_was_made(lambda: ahead(courses, [], 2))


def test_an_interrupt_ends_what_is_under_way_and_begins_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    house.build(tmp_path, 24)
    small = (tmp_path / "small.toml").read_text().replace("shard_size = 4", "shard_size = 1")
    for name in "abcd":
        (tmp_path / f"{name}.toml").write_text(small)
    interrupter = threading.Thread(target=_interrupt_once_there_is, args=(Path("out/a/images"),))
    interrupter.start()
    with pytest.raises(KeyboardInterrupt):
        make({name: Job(run_whole, (Path(f"{name}.toml"),)) for name in "abcd"}, 1)
    interrupter.join()
    assert multiprocessing.active_children() == []
    assert [folder.name for folder in Path("out").iterdir()] == ["a"]
    assert not Path("out/a/score").exists()


def _interrupt_once_there_is(folder: Path) -> None:
    """Interrupt this process alone, as `kill` does, and not those that it began."""
    end = time.monotonic() + 120
    while not folder.exists():
        assert time.monotonic() < end
        time.sleep(0.01)
    os.kill(os.getpid(), signal.SIGINT)


def _experiment(*arms: Arm) -> Experiment:
    (table2,) = [one for one in EXPERIMENTS if one.name == "table2"]
    return Experiment("some", "Some", False, table2.measure, arms=arms)
