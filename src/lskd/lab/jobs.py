"""Jobs are made side by side, each in a process of its own with its share of the processors.

In: jobs, as the runs of several seeds, and which need which. Out: nothing but the folders of runs;
who then asks for these finds them made. Trainings of the lab are of steps too short for several
threads: two processes make two runs in the time in which two threads make little more than one.

A pool of processes would have begun new ones for jobs at hand after an interrupt, and for one that
was killed it could not tell which job that was.
"""

import os
import signal
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing import connection, get_context, parent_process
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from threading import Thread

from lskd.chat.stopping import stops_gracefully
from lskd.errors import UserError
from lskd.lab import measures, world
from lskd.lab.annotators import Annotators
from lskd.lab.course import Course, control, control_of, take
from lskd.progress import Lines

# A new interpreter for each job: a fork of one whose torch has threads would hang, and one that had
# made five students held 3 GB, where one needs less than one.
SPAWNED = get_context("spawn")


@dataclass(frozen=True, slots=True)
class Job:
    """A call that is made in another process once the jobs that it needs are done."""

    call: Callable[..., None]
    given: tuple[object, ...]
    needs: tuple[str, ...] = ()


def ahead(course: Course, seeds: Sequence[int], controls: Sequence[str], jobs: int) -> None:
    """Make the runs of some seeds, and of the controls of the first, `jobs` at a time.

    The world is there already. Raises as `make` does.
    """
    first, *others = course.of_seeds(seeds)
    planned = {f"seed{one.seed}": Job(_take, (one,)) for one in (first, *others)}
    for name in controls:
        planned[name] = Job(_control, (name, first), (f"seed{first.seed}",))
    make(planned, jobs)


def make(planned: Mapping[str, Job], jobs: int) -> None:
    """Do jobs by name, so many at a time; one begins as soon as those that it needs are done.

    Raises what a job raises, and UserError if its process is killed; then none begins any more, and
    those under way come to their end. Interrupted, it has these stop as soon as they can.
    """
    waiting, made = dict(planned), set[str]()
    running: dict[Connection, tuple[str, SpawnProcess]] = {}
    failure: BaseException | None = None
    try:
        while True:
            ready = [name for name, job in waiting.items() if made.issuperset(job.needs)]
            for name in [] if failure else ready[: jobs - len(running)]:
                heard, process = _begun(waiting.pop(name), jobs)
                running[heard] = name, process
            if not running:
                assert failure or not waiting, f"nobody does what {', '.join(waiting)} need"
                break
            for ended in connection.wait(list(running)):
                assert isinstance(ended, Connection)
                name, process = running.pop(ended)
                raised = _raised(name, ended, process, jobs)
                failure = failure or raised
                made.add(name)
    except KeyboardInterrupt:
        for _, process in running.values():
            process.terminate()
        raise
    finally:
        for _, process in running.values():
            process.join()
    if failure:
        raise failure


def _begun(job: Job, jobs: int) -> tuple[Connection, SpawnProcess]:
    """Begin a job; return where it is heard of, and its process."""
    heard, told = SPAWNED.Pipe(duplex=False)
    process = SPAWNED.Process(target=_done, args=(told, job, jobs))
    process.start()
    told.close()  # else its end would not be heard where it is killed
    return heard, process


def _raised(name: str, heard: Connection, process: SpawnProcess, jobs: int) -> BaseException | None:
    """Return what a job that has ended raised, or None."""
    try:
        raised: BaseException | None = heard.recv()
    except EOFError:
        fewer = "; --jobs 1 takes less memory" if jobs > 1 else ""
        raised = UserError(
            f"the process that made {name} was killed, perhaps for want of memory: the same "
            f"command goes on{fewer}"
        )
    heard.close()
    process.join()
    return raised


def _done(told: Connection, job: Job, jobs: int) -> None:
    """Do a job, and tell what it raised, or None; paid calls come to their end if it is stopped."""
    # torch reads it when a job first needs it; to load it takes seconds of a processor.
    os.environ["OMP_NUM_THREADS"] = str(max(1, (os.cpu_count() or 1) // jobs))
    Thread(target=_end_with_parent, daemon=True).start()
    raised: BaseException | None = None
    try:
        with stops_gracefully():
            job.call(*job.given)
    except (UserError, KeyboardInterrupt) as error:
        raised = error
    except BaseException as error:
        error.add_note(traceback.format_exc())  # where it was raised does not go along
        raised = error
    told.send(raised)


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
    run = control(name, course, course.loaded(), _lines(name))
    if "critic" not in control_of(name, course):
        measures.pointed(run)


def _lines(name: str) -> Lines:
    return Lines("plain", f"{name}: ")
