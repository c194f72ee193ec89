"""A small world and a run on it, for the tests of the lab."""

import tomllib
from pathlib import Path

import tomli_w

from lskd import execute, progress
from lskd.lab import world
from lskd.lab.world import Numbers, World
from lskd.run import Run, load

RUN = Path(__file__).parents[2] / "runs" / "lab.toml"


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
