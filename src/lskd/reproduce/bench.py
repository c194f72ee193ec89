"""The lab at hand: its world, the run of each seed, and children of these with one thing changed.

In: a folder of run files, which lies beside the run file that they extend (`runs/lab`,
`runs/lab.toml`). Out: runs that are made as far as an experiment needs; what is there already, of
`lskd lab run`, `lskd lab bars` or an earlier report, is not made again.
"""

import shutil
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from lskd import execute, table
from lskd.errors import UserError
from lskd.evaluate.stage import Settings
from lskd.evaluate.work import Evaluation, evaluate
from lskd.execute import Selection
from lskd.lab import measures, rehearsal
from lskd.lab.annotators import Annotators, judge
from lskd.lab.course import JUDGMENTS, Course, extended, written
from lskd.lab.world import World
from lskd.progress import Display
from lskd.reproduce import foreign
from lskd.reproduce.experiment import Arm
from lskd.run import NOTE, Run, load
from lskd.runfile import RUN_FILE, overlaid
from lskd.stages import STAGES
from lskd.types import Image

FOLDER, SIGHTS, CORPORA, FEW = "reproduce", "sights", "corpora", "few"
SHARDS = 2  # of 256 images: section 2.3 has 500 for Table 2
PEOPLE = ("sample", "critic")
STUDENTS = ("distil", "evaluate")
DESCRIBED = ("images", "concepts", "narratives", "regions", "dialogue")


@dataclass
class Bench:
    """Where experiments run: run files, the lab's home, its world, and a run for each seed.

    `quick` takes the student of the first run as it is, and trains nothing. `changes` are those of
    the runs, made to what is trained for experiments as well. What was made and evaluated is kept,
    so that tables share it.
    """

    folder: Path
    home: Path
    world: World
    runs: Mapping[int, Run]
    display: Display
    quick: bool = False
    changes: tuple[str, ...] = ()
    _children: dict[tuple[str, int], Run] = field(default_factory=dict)
    _evaluated: dict[tuple[Path, str], Evaluation] = field(default_factory=dict)

    def child(self, arm: Arm, seed: int) -> Run:
        """Return a child of a seed's run, made up to the stage of the arm.

        Raises UserError as `lskd run` does.
        """
        known = self._children.get((arm.name, seed))
        if known is not None:
            return known
        parent = self.runs[seed]
        out = self.home / FOLDER / arm.name / f"seed{seed}"
        own = own_sections(self.folder / f"{arm.file}.toml", parent_file(self.folder))
        unjudged = "generate" in own and "critic" not in own
        few = self.home / FOLDER / FEW / f"seed{seed}"
        # The folder of few has the first images of the source, and is to get no more of them.
        limit = sum(few_images(parent)) if unjudged else None
        sections = without_people(parent, own, few) if unjudged else extended(parent, own)
        file = written(out, arm.name, sections)
        # What nobody judges has its parent's sections, in which the changes are made.
        changes = [] if unjudged else [*self.changes, *self._changes(arm, own, parent, out)]
        if arm.until == "distil":
            # A student that is the parent's own is made in the parent's folder.
            made = load(file, changes, out).folders["distil"]
            changes.append(f"evaluate.models.student.folder={made.as_posix()}/student")
        run = load(file, changes, out, with_models=True)
        self.display.line(arm.name, f"seed {seed}: {arm.row}")
        # Before a student that writes, the file has one that ranks, which it does not need.
        chosen = Selection(until=arm.until, limit=limit)
        if arm.until == "generative":
            chosen = Selection(only=arm.until)
        execute.execute(run, chosen, self.display)
        self._children[arm.name, seed] = run
        return run

    def children(self, arm: Arm) -> list[Run]:
        """Return the children of all seeds."""
        return [self.child(arm, seed) for seed in self.runs]

    def answered(self, run: Run, model: str) -> Evaluation:
        """Return what a model of a run answers to the benchmarks of the run's own section.

        What was asked is not asked again; a run that was evaluated by itself keeps its answers.
        """
        key = run.own, "" if self.quick else model  # a quick run's own has those of all models
        known = self._evaluated.get(key)
        if known is not None:
            return known
        if self.quick:
            found = measures.evaluated(run, self.world.folder, "test")
        else:
            found = alone(run, model)
        self._evaluated[key] = found
        return found

    def _changes(self, arm: Arm, own: Mapping[str, Any], parent: Run, out: Path) -> list[str]:
        """Return the settings that name folders, which depend on where a child lies."""
        changes = []
        sights = (self.home / FOLDER / SIGHTS).as_posix()
        if "critic" in own:  # a critic of its own, which then scores
            changes.append(f"score.critic.folder={out.as_posix()}/critic/model")
            changes.append(f"critic.cache={sights}")
        if "scores" in own.get("score", {}).get("critic", {}):
            changes.append(f"score.critic.scores={parent.folders['score'].as_posix()}")
        if "swap_critic" in own.get("distil", {}):
            changes.append(f"distil.swap_critic.folder={parent.folders['critic'].as_posix()}/model")
        if arm.until == "distil":
            # The tower is frozen and the same for all, so what it saw serves every student.
            changes.append(f"distil.cache={sights}")
        if arm.until == "generative":
            asked = self.world.folder / rehearsal.FOLDER / rehearsal.ASKED
            changes.append(f"generative.rehearsal={asked.as_posix()}")
        if arm.examples:
            made = foreign.corpus(arm.examples, self.world, self.home / FOLDER / CORPORA)
            changes.append(f"examples={made.as_posix()}")
        return changes


def parent_file(folder: Path) -> Path:
    """Return the run file beside a folder of run files; raises UserError if there is none."""
    file = folder.parent / f"{folder.name}.toml"
    if not folder.is_dir() or not file.is_file():
        raise UserError(
            f"{folder}: a folder of run files beside the one that they extend is wanted, as "
            "runs/lab beside runs/lab.toml; run files for real data are run one by one"
        )
    return file


def begun(course: Course, world: World, display: Display) -> Run:
    """Take a course up to its corpus, which is all that the students of arms need.

    Raises UserError as `lskd run` does.
    """
    run = course.loaded()
    execute.check(run, list(run.stages()))
    execute.execute(run, Selection(until="sample"), display)
    judge(run, world, Annotators(seed=course.seed), course.out / JUDGMENTS)
    execute.execute(run, Selection(until="corpus"), display)
    return run


def alone(run: Run, model: str) -> Evaluation:
    """Return what one model of a run answers, in a folder beside the run's own evaluation."""
    settings = run.settings["evaluate"]
    assert isinstance(settings, Settings)
    stage = next(one for one in STAGES if one.name == "evaluate")
    chosen = {"models": {model: settings.models[model]}, "gallery": 0}
    context = replace(run.context(stage), folder=run.own / "answers" / model)
    return evaluate(settings.model_copy(update=chosen), context)


def own_sections(file: Path, parent: Path) -> dict[str, Any]:
    """Return what a run file says beyond the one that all extend, with what lies between.

    Raises UserError for a file that is not there, or does not extend that one.
    """
    above, own = layer(file, parent)
    if above.resolve() == parent.resolve():
        return own
    return overlaid(own_sections(above, parent), own)


def layer(file: Path, parent: Path) -> tuple[Path, dict[str, Any]]:
    """Return the file that a run file is laid over, and what it says itself.

    Raises UserError for a file that cannot be read, or extends none; `parent` is the one wanted.
    """
    try:
        own = tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UserError(f"no run file {file}: an experiment needs it") from error
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"cannot read {file}: {error}") from error
    if "extends" not in own:
        raise UserError(f"{file} does not extend {parent}")
    return file.parent / str(own.pop("extends")), own


def without_people(parent: Run, own: Mapping[str, Any], few: Path) -> dict[str, Any]:
    """Return a run whose triples are other than the parent's, and are scored by its critic.

    Nobody judges them, so the sample and the critic's training are left out. It is about the first
    shards of the parent, whose descriptors, the dialogue with them, are copied into the folder
    `few`.
    """
    sections = tomllib.loads((parent.own / RUN_FILE).read_text(encoding="utf-8"))
    kept = {name: part for name, part in sections.items() if name not in (*PEOPLE, *STUDENTS)}
    kept["read_from"] = {name: (few / name).resolve().as_posix() for name in DESCRIBED}
    for name in DESCRIBED:
        copied(parent.folders[name], few / name, parent.tables.shards(Image)[:SHARDS])
    return overlaid(kept, own)


def few_images(parent: Run) -> list[int]:
    """Return how many images the first shards of a run have, by shard."""
    tables = parent.tables
    return [tables.count(Image, shard) for shard in tables.shards(Image)[:SHARDS]]


def copied(stage: Path, folder: Path, shards: Sequence[str]) -> None:
    """Copy some shards of a stage with its notes, as far as they are not there."""
    found = [stage / NOTE, *(file for shard in shards for file in stage.glob(f"*/{shard}.parquet"))]
    for file in found:
        target = folder / file.relative_to(stage)
        if not target.exists():
            with table.draft(target) as unfinished:
                shutil.copyfile(file, unfinished)
