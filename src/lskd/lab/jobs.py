"""Runs of the lab are made side by side, each in a process with its share of the processors.

In: a course, its seeds and its controls. Out: nothing but their folders; who then asks for these
runs finds them made. Both trainings are of steps too short for several threads: two processes make
two runs in the time in which two threads make little more than one.
"""

import os
import signal
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context, parent_process
from threading import Thread

from lskd.errors import UserError
from lskd.lab import world
from lskd.lab.annotators import Annotators
from lskd.lab.course import Course, control, take
from lskd.progress import Lines


def ahead(course: Course, seeds: Sequence[int], controls: Sequence[str], jobs: int) -> None:
    """Make the runs of some seeds, and of the controls of the first, `jobs` at a time.

    The world is there already. Raises what a run raises, the others being made to their end, and
    UserError if a process is killed, which ends the others too.
    """
    first, *others = course.of_seeds(seeds)
    runs: dict[Future[None], str] = {}
    with side_by_side(jobs) as pool:
        try:
            for one in (first, *others):
                runs[pool.submit(_take, one)] = f"seed{one.seed}"
            next(iter(runs)).result()  # what controls inherit
            for name in controls:
                runs[pool.submit(_control, name, first)] = name
            for run in runs:
                run.result()
        except BrokenProcessPool as error:
            raise killed(runs, jobs) from error


def side_by_side(jobs: int) -> ProcessPoolExecutor:
    """Return processes that torch works in, `jobs` at a time, each on its share of processors."""
    # A new interpreter for each job: a fork of one whose torch has threads would hang, and one that
    # had made five students held 3 GB, where one needs less than one.
    return ProcessPoolExecutor(jobs, get_context("spawn"), _begin, (jobs,), max_tasks_per_child=1)


def killed(made: Mapping[Future[None], str], jobs: int) -> UserError:
    """Return what to tell where a process was killed that made one of these, by their names."""
    left = [name for one, name in made.items() if not one.done() or one.exception()]
    names = ", ".join(left[:jobs])  # they are begun in their order
    return UserError(
        f"a process was killed while {names} {'was' if len(left[:jobs]) == 1 else 'were'} made, "
        "perhaps for want of memory: the same command goes on; --jobs 1 takes less memory"
    )


def _begin(jobs: int) -> None:
    import torch

    torch.set_num_threads(max(1, (os.cpu_count() or 1) // jobs))
    Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """End this process once who began it is dead, and asks for nothing any more."""
    parent = parent_process()
    if parent is not None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)


def _take(course: Course) -> None:
    take(
        course, world.read(course.world), Annotators(seed=course.seed), _lines(f"seed{course.seed}")
    )


def _control(name: str, course: Course) -> None:
    control(name, course, course.loaded(), _lines(name))


def _lines(name: str) -> Lines:
    return Lines("plain", f"{name}: ")
