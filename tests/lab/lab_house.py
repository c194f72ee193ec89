"""A small world and a run on it, for the tests of the lab."""

from pathlib import Path

from lskd import execute, progress
from lskd.lab import world
from lskd.lab.world import Numbers, World
from lskd.run import Run, load

RUN = Path(__file__).parents[2] / "runs" / "lab.toml"


def small_world(folder: Path, train: int = 40, test: int = 8) -> World:
    return world.make(folder, Numbers(train, test, test), 0, lambda count: None)


def begun(made: World, out: Path, *changes: str) -> Run:
    """Return a run up to its sample."""
    paths = [
        f"images.source={made.folder}/train",
        f"models.scene.world={made.folder}",
        "sample.train=60",
        "sample.evaluate=20",
    ]
    run = load(RUN, [*paths, *changes], out)
    execute.execute(run, execute.Selection(until="sample"), progress.display("plain"))
    return run
