"""`lskd reproduce`: runs what is missing of the lab, measures every experiment, writes one report.

In: a folder of run files. Out: `<home>/reproduce/report.html` and `report.md`; of some experiments
alone `report-<names>.html` and `.md`. The same command again goes on where it was stopped; the
report is written anew after each experiment.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from lskd import __version__
from lskd.errors import UserError
from lskd.lab.annotators import Annotators
from lskd.lab.course import Course, make_world, take
from lskd.lab.world import Numbers
from lskd.progress import Display
from lskd.reproduce import page
from lskd.reproduce.answers import SHORT
from lskd.reproduce.bench import FOLDER, Bench, begun, layer, parent_file
from lskd.reproduce.experiment import Experiment, Finding
from lskd.reproduce.experiments import EXPERIMENTS
from lskd.reproduce.jobs import ahead
from lskd.reproduce.of_writer import WRITES
from lskd.reproduce.page import Facts

QUICK = "it trains more than the lab's run does; leave out --quick"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is asked for: run files, the lab's home, seeds, and which experiments ("" for all).

    `world_seed` is that of the scenes, which all seeds share.

    `quick` takes the first seed's run to its end, as `lskd lab run` does, and leaves out what
    needs a further training. `changes` are as with `--set`, for the lab's run and for what is
    trained beside it. So many `jobs` are made at a time, each in its own process; --quick has no
    more than one.
    """

    folder: Path
    home: Path
    numbers: Numbers
    seeds: tuple[int, ...] = (0, 1, 2)
    quick: bool = False
    only: tuple[str, ...] = ()
    changes: tuple[str, ...] = ()
    jobs: int = 1
    world_seed: int = 0


def reproduce(wanted: Wanted, display: Display) -> Path:
    """Run what is missing, write the report, and return it.

    Raises UserError for an unknown experiment, before any work, and as `lskd run` does.
    """
    chosen = selected(wanted.only)
    bench = prepared(wanted, chosen, display)
    return report(bench, chosen, "-".join((page.NAME, *wanted.only)))


def selected(only: tuple[str, ...]) -> tuple[Experiment, ...]:
    """Return the experiments of some names, all for none; raises UserError for an unknown one."""
    known = {one.name: one for one in EXPERIMENTS}
    for name in only:
        if name not in known:
            raise UserError(f"no experiment is called {name!r}; there are: {', '.join(known)}")
    return tuple(one for one in EXPERIMENTS if not only or one.name in only)


def prepared(wanted: Wanted, chosen: Sequence[Experiment], display: Display) -> Bench:
    """Return the lab at hand: a world, and a run for each seed as far as it is needed.

    With several jobs also what the experiments train is made.

    Raises UserError as `lskd run` does.
    """
    file = parent_file(wanted.folder)
    if not wanted.quick:
        check_changes(wanted, chosen)
    seeds = wanted.seeds[:1] if wanted.quick else wanted.seeds
    first = Course(file, wanted.home, wanted.home, seeds[0], wanted.changes)
    world = make_world(first.world, wanted.numbers, wanted.world_seed, display)
    runs = {}
    courses = first.of_seeds(seeds)
    if wanted.jobs > 1 and not wanted.quick:
        ahead(courses, chosen, wanted.jobs)
    for course in courses:
        if wanted.quick:
            runs[course.seed] = take(course, world, Annotators(seed=course.seed), display)
        else:
            runs[course.seed] = begun(course, world, display)
    return Bench(wanted.folder, wanted.home, world, runs, display, wanted.quick, wanted.changes)


def check_changes(wanted: Wanted, chosen: Sequence[Experiment]) -> None:
    """Raise UserError for a change to what makes the runs of an experiment differ."""
    parent = parent_file(wanted.folder)
    same = SHORT.file, WRITES.file
    for arm in dict.fromkeys(arm for one in chosen for arm in one.arms if arm.file not in same):
        file = wanted.folder / f"{arm.file}.toml"
        _, own = layer(file, parent)
        said = [[stage, key] for stage, keys in own.items() for key in keys]
        for change, keys in product(wanted.changes, said):
            path = change.partition("=")[0].strip().split(".")
            if all(one == other for one, other in zip(path, keys, strict=False)):
                raise UserError(
                    f"--set {change}: {'.'.join(keys)} is what makes {file} differ; change it "
                    "there, or choose experiments without it by --only"
                )


def report(bench: Bench, chosen: tuple[Experiment, ...], name: str = page.NAME) -> Path:
    """Measure some experiments and return the report, which also tells what is not measured yet."""
    findings = {one.name: Finding(one, None, "its turn has not come yet") for one in chosen}
    for experiment in chosen:
        bench.display.line("reproduce", experiment.title)
        findings[experiment.name] = found(bench, experiment)
        file = page.write(bench.home / FOLDER, list(findings.values()), facts(bench), name)
    return file


def found(bench: Bench, experiment: Experiment) -> Finding:
    """Return what an experiment gives, or why it was not run."""
    if bench.quick and experiment.trains:
        return Finding(experiment, None, QUICK)
    return Finding(experiment, experiment.measure(bench, experiment))


def facts(bench: Bench) -> Facts:
    """Return what the report tells of where it comes from."""
    run = next(iter(bench.runs.values()))
    scenes = len(bench.world.of("train"))
    seeds = " ".join(str(seed) for seed in bench.runs)
    quick = "; quick: what needs a further training is left out" if bench.quick else ""
    name = parent_file(bench.folder).name
    several = "s" if len(bench.runs) > 1 else ""
    where = f"{name}, {scenes:,} scenes, seed{several} {seeds}{quick}; lskd {__version__}"
    lab = "a laboratory: scenes, teacher, describers and people are simulated (docs/lab.md)"
    return Facts(where, (lab, *run.notices([stage.name for stage in run.stages()])))
