"""A small world and a run on it, for the tests of the lab."""

import tomllib
from pathlib import Path

import tomli_w

from lskd import execute, progress
from lskd.lab import world
from lskd.lab.world import Numbers, World
from lskd.run import Run, load

ROOT = Path(__file__).parents[2]
RUN = ROOT / "runs" / "lab.toml"
BASE = ROOT / "src" / "lskd" / "lab" / "base"
# Of a course on runs/lab.toml: the base that ships, wherever tests run, few judgments, and of each
# benchmark but VCR few questions.
FEW = (
    f"critic.weights={BASE}",
    f"distil.weights={BASE}",
    f"evaluate.models.base.weights={BASE}",
    "sample.train=360",
    "sample.evaluate=100",
    "critic.batch=24",
    "evaluate.benchmarks.sherlock.limit=10",
    "evaluate.benchmarks.visualcomet.limit=2",
    "evaluate.benchmarks.aokvqa.limit=16",
    "evaluate.benchmarks.snli_ve.limit=18",
    "evaluate.benchmarks.visual7w.limit=16",
)


def small_world(folder: Path, train: int = 40, test: int = 8) -> World:
    return world.make(folder, Numbers(train, test, test), 0, lambda count: None)


def run_file(made: World, folder: Path, *others: Path) -> Path:
    """Write the lab's run file as far as nothing in it needs torch, and return it.

    Others are laid over it.
    """
    content = tomllib.loads(RUN.read_text())
    for other in others:
        content |= tomllib.loads(other.read_text())
    for section in ("critic", "distil", "dataset", "evaluate"):
        del content[section]
    content.pop("extends", None)
    content["images"]["source"] = f"{made.folder}/train"
    content["models"]["scene"]["world"] = str(made.folder)
    content["models"]["critic"] = {"use": "lskd.lab.controls:RandomCritic"}
    content["sample"] = {"train": 60, "evaluate": 20}
    file = folder / "run.toml"
    file.write_text(tomli_w.dumps(content))
    return file


def begun(made: World, out: Path, *changes: str) -> Run:
    """Return a run up to its sample."""
    run = load(run_file(made, out.parent), changes, out)
    execute.execute(run, execute.Selection(until="sample"), progress.display("plain"))
    return run
