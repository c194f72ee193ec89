"""Shards are made in this process: one after the other, or several at once where models wait.

A stage that waits for paid replies has several shards in flight, so that the tail of one, when few
of its conversations are still under way, never idles the teacher.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed

from lskd import shards
from lskd.executors.job import Executor, Job, at_once
from lskd.shards import Finished
from lskd.watch import lies


def make(job: Job) -> Iterator[Finished]:
    """Make the shards of a job, its models loaded once."""
    run, stage, watch = job.run, job.stage, job.watch
    assert stage.each is not None
    with watch.shard(""):
        work = stage.each(job.settings, job.context)

    def one(shard: str) -> Finished:
        with watch.shard(shard) as laps:
            finished = job.noted(shards.make(run, stage, work, shard))
            laps.made = lies(run, stage, shard, finished.rows)
        return finished

    yield from each_of(one, job.shards, at_once(stage, job.settings) if job.context.waits else 1)


def each_of(
    one: Callable[[str], Finished], todo: Sequence[str], in_flight: int
) -> Iterator[Finished]:
    """Yield one(shard) for every shard as it ends, `in_flight` at once; the first failure ends it.

    Shards in flight then come to their own end first, so that what they paid for is kept.
    """
    if in_flight == 1:
        yield from map(one, todo)
        return
    with ThreadPoolExecutor(in_flight) as pool:
        try:
            for job in as_completed([pool.submit(one, shard) for shard in todo]):
                yield job.result()
        finally:
            # After a failure or an interrupt no other shard begins.
            pool.shutdown(cancel_futures=True)


def make_whole(job: Job) -> Iterator[Finished]:
    """Make the shards of a stage on whole tables as it yields them."""
    yield from map(job.noted, shards.make_whole(job.run, job.stage, job.context))


HERE = Executor(make, make_whole)
