"""Children of a run of the lab are made with what they inherit, and no more."""

from dataclasses import replace
from pathlib import Path

import pytest

from lskd import execute, progress
from lskd.distil.stage import Settings as Distil
from lskd.execute import Selection
from lskd.lab import world
from lskd.lab.course import Course
from lskd.lab.world import Numbers, World
from lskd.reproduce import work
from lskd.reproduce.bench import FEW, FOLDER, SHARDS, Bench
from lskd.reproduce.experiment import Arm, Experiment
from lskd.reproduce.experiments import EXPERIMENTS
from lskd.run import Run
from lskd.types import Dialogue, Image, Score, Triple

RUNS = Path(__file__).parents[2] / "runs"
EACH = 4  # images of a shard
LOCAL = Arm("without local ones", "table2-no-local", "score")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("lab")


@pytest.fixture(scope="module")
def scenes(home: Path) -> World:
    return world.make(home / "world", Numbers(3 * EACH, 2, 2), 0, lambda count: None)


@pytest.fixture(scope="module")
def parent(home: Path, scenes: World) -> Run:
    """Return a run up to its triples, whose critic judges at random and needs no training."""
    critic = 'score.critic={use="lskd.lab.controls:RandomCritic"}'
    sizes = (f"images.shard_size={EACH}", "sample.train=60", "sample.evaluate=20")
    run = Course(RUNS / "lab.toml", home, home, 0, (critic, *sizes)).loaded()
    execute.execute(run, Selection(until="parse"), progress.display("plain"))
    return run


@pytest.fixture(scope="module")
def bench(home: Path, scenes: World, parent: Run) -> Bench:
    return Bench(RUNS / "lab", home, scenes, {0: parent}, progress.display("plain"), quick=True)


def test_what_is_changed_for_all_students_is_laid_over_the_file_that_they_share(
    bench: Bench,
) -> None:
    changed = replace(bench, changes=("distil.steps=7",), _children={}, _evaluated={})
    child = changed.child(Arm("short", "short", "parse"), 0)
    settings = child.settings["distil"]
    assert isinstance(settings, Distil)
    assert (settings.steps, settings.batch, settings.save_every) == (7, 24, 500)


def test_triples_of_a_teacher_who_was_told_less_are_scored_on_the_first_scenes(
    bench: Bench, parent: Run, home: Path
) -> None:
    child = bench.child(LOCAL, 0)
    shards = parent.tables.shards(Image)
    assert len(shards) == SHARDS + 1
    assert child.tables.shards(Score) == shards[:SHARDS]
    # The folder with the first scenes got no others, and the parent's none of the child's.
    assert child.tables.shards(Image) == shards[:SHARDS]
    assert len(list((home / FOLDER / FEW / "seed0/images/image").glob("*.parquet"))) == SHARDS
    assert parent.tables.shards(Score) == []
    for shard in shards[:SHARDS]:
        assert child.tables.read(Dialogue, shard) == parent.tables.read(Dialogue, shard)
        assert child.tables.read(Triple, shard) != parent.tables.read(Triple, shard)
    assert not {"sample", "critic"} & child.settings.keys()


def test_a_child_that_is_there_is_not_made_again(bench: Bench, home: Path, scenes: World) -> None:
    child = bench.child(LOCAL, 0)
    (first, *_) = child.tables.shards(Score)
    before = child.tables.file(Score, first).stat().st_mtime_ns
    assert bench.child(LOCAL, 0) is child
    again = Bench(bench.folder, home, scenes, bench.runs, bench.display).child(LOCAL, 0)
    assert again.tables.file(Score, first).stat().st_mtime_ns == before


def test_a_quick_report_leaves_out_what_trains(bench: Bench) -> None:
    trained = [one for one in EXPERIMENTS if one.trains]
    assert {one.name for one in trained} >= {"table1", "figure4", "table4", "scaling"}
    for one in trained:
        assert work.found(bench, one).missing == work.QUICK


def test_an_experiment_that_trains_says_so() -> None:
    def trains(one: Experiment) -> bool:
        return any(arm.until in ("critic", "distil", "generative") for arm in one.arms)

    assert all(one.trains == trains(one) for one in EXPERIMENTS)
