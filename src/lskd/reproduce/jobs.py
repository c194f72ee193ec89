"""What experiments need is made side by side, each run in a process of its own.

In: the courses of the seeds, and the experiments that are wanted. Out: nothing but the folders of
the runs; `Bench` then finds them made. A run begins as soon as what it inherits from is there.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

from lskd.lab import world
from lskd.lab.course import Course
from lskd.lab.jobs import Job, make
from lskd.progress import Lines
from lskd.reproduce import foreign
from lskd.reproduce.answers import BASE, SHORT, STUDENT
from lskd.reproduce.bench import CORPORA, FOLDER, Bench, begun
from lskd.reproduce.experiment import Arm, Experiment
from lskd.reproduce.of_writer import WRITES, answered


def ahead(courses: Sequence[Course], experiments: Sequence[Experiment], jobs: int) -> None:
    """Make the runs of some seeds, and what experiments train beside them, `jobs` at a time.

    The world is there already. Raises as `lskd.lab.jobs.make` does.
    """
    make(planned(courses, experiments), jobs)


def planned(courses: Sequence[Course], experiments: Sequence[Experiment]) -> dict[str, Job]:
    """Return what is to be made by name, what takes long before what does not."""
    arms = list(dict.fromkeys(_arms(experiments)))
    jobs = {_seed(course): Job(_begin, (course,)) for course in courses}
    for form in dict.fromkeys(arm.examples for arm in arms if arm.examples):
        jobs[form] = Job(_corpus, (form, courses[0].world, courses[0].home / FOLDER / CORPORA))
    for arm in sorted(arms, key=lambda arm: (arm != WRITES, arm.until != "distil")):
        for course in courses:
            needs = (_seed(course), *([arm.examples] if arm.examples else []))
            jobs[f"{arm.name}/{_seed(course)}"] = Job(_child, (course, arm), needs)
    if SHORT in arms:
        needs = (f"{SHORT.name}/{_seed(courses[0])}",)
        jobs[BASE] = Job(_answered, (courses[0], SHORT, BASE), needs)
    return jobs


def _arms(experiments: Sequence[Experiment]) -> Iterator[Arm]:
    for one in experiments:
        yield from one.shared
        yield from one.arms


def _seed(course: Course) -> str:
    return f"seed{course.seed}"


def _begin(course: Course) -> None:
    begun(course, world.read(course.world), Lines("plain", f"{_seed(course)}: "))


def _corpus(form: str, scenes: Path, folder: Path) -> None:
    foreign.corpus(form, world.read(scenes), folder)


def _child(course: Course, arm: Arm) -> None:
    if arm.until == "distil":
        _answered(course, arm, STUDENT)
    elif arm == WRITES:
        answered(_bench(course, f"{arm.name}/{_seed(course)}"), course.seed)
    else:
        _bench(course, f"{arm.name}/{_seed(course)}").child(arm, course.seed)


def _answered(course: Course, arm: Arm, model: str) -> None:
    bench = _bench(course, f"{arm.name}/{_seed(course)}")
    bench.answered(bench.child(arm, course.seed), model)


def _bench(course: Course, name: str) -> Bench:
    """Return the lab at hand for one seed; what is told begins with `name`."""
    folder, run = course.file.with_suffix(""), course.loaded()
    shown = Lines("plain", f"{name}: ")
    scenes, runs = world.read(course.world), {course.seed: run}
    return Bench(folder, course.home, scenes, runs, shown, changes=course.changes)
