"""From scenes to the evaluated student: a world, a run, and annotators who judge in between.

`lskd lab run` is this; so is each seed of `lskd lab bars`. Its controls are children of such a run.
"""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import tomli_w

from lskd import execute, table
from lskd.errors import UserError
from lskd.execute import Selection
from lskd.lab import page, world
from lskd.lab.annotators import Annotators, judge
from lskd.lab.rehearsal import FILE, FOLDER
from lskd.lab.world import Numbers, World
from lskd.progress import Display
from lskd.run import Run, load
from lskd.textfile import text_of
from lskd.training.settings import FEATURES, Cached

WORLD, JUDGMENTS = "world", "judgments.parquet"
REHEARSAL = f"{FOLDER}/{FILE}"


@dataclass(frozen=True, slots=True)
class Course:
    """A run of the lab: its file, the folder that everything goes to, its seed and settings.

    `changes` are as with `--set`. The world lies in `home`/world, so that several runs share it.
    """

    file: Path
    home: Path
    out: Path
    seed: int = 0
    changes: tuple[str, ...] = ()

    @property
    def world(self) -> Path:
        """Return the folder of the world."""
        return self.home / WORLD

    def of_seeds(self, seeds: Sequence[int]) -> "list[Course]":
        """Return the course of each seed on the same world: the first here, the others in `home`.

        Whoever takes several seeds finds what others have made of them.
        """
        return [
            replace(self, out=self.out if place == 0 else self.home / f"seed{seed}", seed=seed)
            for place, seed in enumerate(seeds)
        ]

    def loaded(self) -> Run:
        """Return the run, with all paths in this course's folders."""
        changes = (*self._paths(), *self.changes)
        # A student that does not rehearse is not to begin with it because of where texts would lie.
        told = load(self.file, changes, self.out).settings.get("distil")
        if getattr(told, "rehearsal", None) is not None:
            changes = (f"distil.rehearsal={self.world.as_posix()}/{REHEARSAL}", *changes)
        return load(self.file, changes, self.out, with_models=True)

    def _paths(self) -> list[str]:
        scenes = self.world.as_posix()
        gold = f"{scenes}/gold/test"
        names = ("vcr", "sherlock", "visualcomet", "aokvqa", "snli_ve", "visual7w")
        return [
            f"seed={self.seed}",
            f"images.source={scenes}/train",
            f"models.scene.world={scenes}",
            f"models.critic.folder={self.out.as_posix()}/critic/model",
            f"critic.judgments={self.out.as_posix()}/{JUDGMENTS}",
            f"evaluate.models.student.folder={self.out.as_posix()}/distil/student",
            *(f"evaluate.benchmarks.{name}.folder={gold}/{name}" for name in names),
        ]


def make_world(folder: Path, numbers: Numbers, seed: int, display: Display) -> World:
    """Make a world, or return the one that is there, with progress."""
    if (folder / world.NOTE).is_file():
        return world.make(folder, numbers, seed, lambda count: None)
    total = numbers.pictures
    with display.stage("scenes", total) as bar:
        made = world.make(folder, numbers, seed, bar.tick)
        bar.say(f"{total} scenes and the benchmarks about them are in {folder}")
    return made


def take(course: Course, scenes: World, annotators: Annotators, display: Display) -> Run:
    """Run everything that is missing, and return the run.

    Raises UserError as `lskd run` does.
    """
    run = course.loaded()
    if "sample" not in run.settings or "critic" not in run.settings:
        raise UserError(f"{course.file} has no [sample] and [critic]: it is no run of the lab")
    execute.check(run, list(run.stages()))
    execute.execute(run, Selection(until="sample"), display)
    judged = judge(run, scenes, annotators, course.out / JUDGMENTS)
    display.line(
        "judge",
        f"{judged.triples} triples by {annotators.count} simulated annotators; "
        f"{judged.acceptable:.1%} are truly acceptable",
    )
    execute.execute(run, Selection(), display)
    return run


def control_of(name: str, course: Course) -> dict[str, Any]:
    """Return the sections of a control.

    Raises UserError if there is none beside the course's run file.
    """
    given = course.file.parent / course.file.stem / "controls" / f"{name}.toml"
    if not given.is_file():
        raise UserError(
            f"no control {given}: the bars are measured on a run file that has its controls "
            "beside it, as runs/lab.toml has them in runs/lab/controls"
        )
    return tomllib.loads(text_of(given))


def control(name: str, course: Course, parent: Run, display: Display) -> Run:
    """Run a control: a child of the finished run of a seed, with the settings of its file.

    It ends with its student, or with the scores of a critic of its own.
    """
    own = control_of(name, course)
    out = course.home / "controls" / name
    file = written(out, name, extended(parent, own))
    # What the frozen tower saw for the parent it need not see again.
    distil = parent.settings["distil"]
    assert isinstance(distil, Cached)
    seen = distil.cached_in(parent.folders["distil"] / FEATURES)
    changes = [
        f"evaluate.models.student.folder={out.as_posix()}/distil/student",
        f"distil.cache={seen.as_posix()}",
    ]
    if "critic" in own:
        changes.append(f"score.critic.folder={out.as_posix()}/critic/model")
    child = load(file, changes, out, with_models=True)
    last = "score" if "critic" in own else "distil"
    execute.execute(child, Selection(until=last), display)
    return child


def written(out: Path, name: str, sections: Mapping[str, Any]) -> Path:
    """Write the run file of a run of this name into the run's folder, and return it."""
    file = out / f"{name}.toml"
    with table.draft(file) as unfinished:
        unfinished.write_text(tomli_w.dumps(sections), encoding="utf-8")
    return file


def extended(parent: Run, own: Mapping[str, Any]) -> dict[str, Any]:
    """Return the sections of a child of a run, as that was run, with some of its own."""
    return {**own, "extends": parent.own.resolve().as_posix()}


def finished(run: Run, scenes: World) -> Path:
    """Write the one page to open at the end, and return it."""
    return page.write(run, scenes)
