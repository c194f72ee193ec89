"""Where shards are made changes no row: the executors' seam, lost workers, and what users are told.

The cluster here is one of threads (`threads_cluster`); that of Ray is in `test_executors_ray`.
"""

import gc
import json
import os
import random
import signal
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

import house
from lskd import __version__
from lskd.chat.teacher import ChatTeacher
from lskd.errors import UserError
from lskd.events import TRACE, Event, read
from lskd.execute import Selection, execute
from lskd.executors import ray
from lskd.executors.choice import chosen
from lskd.executors.job import Executor, Job
from lskd.executors.local import each_of, make_whole
from lskd.executors.maker import Maker, Order
from lskd.executors.pool import LOSSES, Pool
from lskd.progress import Lines
from lskd.resources import Resources, resources_of
from lskd.run import Run, load
from lskd.shards import Finished
from lskd.status import status
from lskd.types import Concepts, Image, Narratives, Regions
from threads_cluster import ThreadsCluster
from typed import lskd

SMALL = Path("small.toml")
TAGGER = 'models.tagger={{use = "executor_models:Tagger", {}}}'


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    house.build(tmp_path, 14)
    return tmp_path


def pooled(cluster: ThreadsCluster) -> Executor:
    """Return an executor that makes shards on a cluster of threads."""

    def make(job: Job) -> Iterator[Finished]:
        pool = Pool(cluster, job, {}, None)
        try:
            yield from pool.make()
        finally:
            pool.close()
            cluster.end()

    return Executor(make, make_whole)


def run_on(cluster: ThreadsCluster, *changes: str, until: str = "regions") -> Run:
    loaded = load(SMALL, changes)
    execute(loaded, Selection(until=until), Lines("plain"), (), pooled(cluster))
    return loaded


def tables(run: Run) -> list[object]:
    return [house.rows(run, record) for record in (Concepts, Narratives, Regions)]


def events(run: Run, stage: str) -> list[Event]:
    return read(run.folders[stage] / TRACE)


def reference(home: Path) -> list[object]:
    loaded = load(SMALL, (), home / "out" / "reference")
    execute(loaded, Selection(until="regions"), Lines("plain"))
    return tables(loaded)


def test_shards_of_a_pool_are_those_of_one_process_row_for_row(home: Path) -> None:
    cluster = ThreadsCluster()
    run = run_on(cluster)
    assert tables(run) == reference(home)
    assert len(cluster.asked) <= 3 * 4 and cluster.killed == len(cluster.asked)
    told = [json.loads(line) for line in shard_log(run, "regions") if line]
    assert sorted(one["shard"] for one in told) == run.tables.shards(Regions)


def shard_log(run: Run, stage: str) -> list[str]:
    return (run.folders[stage] / "shards.jsonl").read_text().splitlines()


def test_what_workers_measured_is_in_the_trace_and_reaches_who_listens(home: Path) -> None:
    heard: list[Event] = []
    loaded = load(SMALL)
    listeners = (heard.append,)
    execute(
        loaded, Selection(until="concepts"), Lines("plain"), listeners, pooled(ThreadsCluster())
    )
    ended = [one for one in events(loaded, "concepts") if one.what == "ended" and one.shard]
    assert sorted(one.shard for one in ended) == loaded.tables.shards(Concepts)
    assert sum(one.images for one in ended) == 14
    assert all(one.spans is not None and one.spans.writing > 0 for one in ended)
    assert all(one.rows == {"Concepts": one.images} and one.bytes["Concepts"] for one in ended)
    written = [(one.shard, one.what) for one in events(loaded, "concepts")]
    assert [(one.shard, one.what) for one in heard if one.stage == "concepts"] == written
    (stage,) = [one for one in status(loaded).stages if one.stage == "concepts"]
    assert stage.state == "done" and stage.shards_done == 4 and stage.seconds is not None


@pytest.mark.parametrize("seed", range(3))
def test_workers_that_are_lost_at_random_moments_change_no_row(home: Path, seed: int) -> None:
    chance = random.Random(seed)
    lost: dict[str, int] = {}

    def loses(shard: str) -> bool:
        if lost.get(shard, 0) >= LOSSES or chance.random() > 0.3:
            return False
        lost[shard] = lost.get(shard, 0) + 1
        return True

    run = run_on(ThreadsCluster(loses))
    assert sum(lost.values()) > 3
    assert tables(run) == reference(home)
    for stage in ("concepts", "narratives", "regions"):
        last = {one.shard: one for one in events(run, stage)}
        assert all(one.what == "ended" for one in last.values())
    assert not status(run).errors


def test_a_shard_that_loses_every_worker_ends_the_run_with_what_to_do(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(UserError, match=r"00002.*\[concepts\] resources = \{memory_gb") as told:
        run_on(ThreadsCluster(lambda shard: shard == "00002"))
    assert "the node went down" in str(told.value)
    assert "another takes its place" in capsys.readouterr().err
    run = load(SMALL)
    told_of = events(run, "concepts")
    failed = [one for one in told_of if one.what == "failed"]
    assert len(failed) > LOSSES and {one.shard for one in failed} == {"00002"}
    made = {one.shard for one in told_of if one.what == "ended"} - {""}
    assert made == {*run.tables.shards(Image)} - {"00002"}  # it came last
    assert tables(run_on(ThreadsCluster())) == reference(home)


def test_losses_among_which_others_are_finished_do_not_end_the_run(home: Path) -> None:
    left = {"00001": LOSSES, "00002": 2 * LOSSES, "00003": 3 * LOSSES}

    def loses(shard: str) -> bool:
        left[shard] = left.get(shard, 0) - 1
        return left[shard] >= 0

    alone = "concepts.resources={workers = 1}"
    run = run_on(ThreadsCluster(loses), alone, until="concepts")
    failed = [one.shard for one in events(run, "concepts") if one.what == "failed"]
    assert failed.count("00003") == 3 * LOSSES
    assert len(house.rows(run, Concepts)) == 14


def test_workers_that_never_load_end_the_run(home: Path) -> None:
    with pytest.raises(UserError, match="models half loaded"):
        run_on(ThreadsCluster(lambda shard: not shard))


def test_a_mistake_in_a_worker_is_the_users_and_keeps_its_exit_code(home: Path) -> None:
    with pytest.raises(UserError, match="no money is left") as told:
        run_on(ThreadsCluster(), TAGGER.format("broke = true"))
    assert told.value.exit_code == 3
    run = load(SMALL)
    (failed, *_) = [one for one in events(run, "concepts") if one.what == "failed"]
    told_where = f"no money is left (on {socket.gethostname()})"
    assert failed.error == told_where and failed.spans is not None


def test_a_model_that_cannot_be_built_is_an_error_of_the_stage(home: Path) -> None:
    with pytest.raises(UserError, match="the weights are gone"):
        run_on(ThreadsCluster(), 'models.critic={use = "scale_models:Unbuilt"}', until="score")


def test_a_defect_in_a_worker_is_raised_here(home: Path) -> None:
    with pytest.raises(Exception, match="ZeroDivisionError"):
        run_on(ThreadsCluster(), TAGGER.format("defect = true"))


def test_warnings_of_workers_reach_the_user_once(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run_on(ThreadsCluster(), TAGGER.format("warns = true"), until="concepts")
    assert capsys.readouterr().err.count("this tagger is a test's") == 1


def test_a_worker_gets_what_its_section_says_and_there_are_never_more(home: Path) -> None:
    cluster = ThreadsCluster()
    given = "concepts.resources={cpus = 0.5, gpus = 1, memory_gb = 2, workers = 2}"
    run_on(cluster, given, until="concepts")
    wanted = {"num_cpus": 0.5, "num_gpus": 1.0, "memory": float(2 << 30), "max_concurrency": 1}
    assert cluster.asked == [wanted, wanted]


def test_resources_change_no_row_and_a_run_goes_on_with_others(home: Path) -> None:
    before = run_on(ThreadsCluster(), until="concepts")
    changed = load(SMALL, ["concepts.resources={workers = 3}"])
    assert changed.fingerprints == before.fingerprints
    assert resources_of(changed.settings["concepts"]).workers == 3
    assert resources_of(before.settings["concepts"]) == Resources()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("{cpu = 1}", "it has: cpus, gpus, memory_gb, workers"),
        ("{gpus = 1.5}", "above 1 only whole ones"),
        ("{cpus = 0}", "needs some of one"),
        ("{workers = 0}", "workers"),
    ],
)
def test_wrong_resources_are_told_before_any_work(home: Path, given: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        load(SMALL, [f"score.resources={given}"])
    with pytest.raises(UserError, match="no setting 'resources'"):
        load(SMALL, ["images.resources={cpus = 1}"])


def test_a_node_that_sees_other_files_or_has_another_lskd_says_so(home: Path) -> None:
    run = run_on(ThreadsCluster(), until="images")
    there, gone = (run.tables.file(Image, shard) for shard in ("00000", "00077"))
    here = Order(run, "concepts", there, str(home), (), __version__)
    elsewhere = str(home / "pictures")
    for wrong, message in (
        (Order(run, "concepts", there, elsewhere, (), __version__), "does not see .*same path"),
        (
            Order(run, "concepts", gone, str(home), (), __version__),
            "does not see .*00077",
        ),
        (Order(run, "concepts", there, str(home), (), "0.0"), "install one on all nodes"),
    ):
        outcome = Maker().load(wrong, {})
        assert outcome.trouble is not None and outcome.trouble.exit_code == 2
        with pytest.raises(UserError, match=message):
            raise outcome.trouble.error()
    assert Maker().load(here, {}).trouble is None


def test_workers_get_the_keys_that_their_models_name_and_no_other_secret(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    places = {"AWS_SECRET_ACCESS_KEY", "FSSPEC_S3_SECRET"}
    for name in ("TEACHERS_KEY", "OPENAI_API_KEY", "SOME_PASSWORD", *places):
        monkeypatch.setenv(name, "secret")
    hosted = f"{ChatTeacher.__module__}:{ChatTeacher.__name__}"
    named = f'models.teacher={{use = "{hosted}", model = "m", key_env = "TEACHERS_KEY"}}'
    default = f'models.teacher={{use = "{hosted}", model = "m"}}'
    found = ray.environment(load(SMALL, [named]).settings["generate"])
    assert {"TEACHERS_KEY", *places} <= found.keys()
    assert not {"OPENAI_API_KEY", "SOME_PASSWORD"} & found.keys()
    assert "OPENAI_API_KEY" in ray.environment(load(SMALL, [default]).settings["generate"])
    assert "TEACHERS_KEY" not in ray.environment(load(SMALL, [named]).settings["regions"])
    assert found.keys() <= os.environ.keys()


def test_an_address_without_a_cluster_is_refused(home: Path) -> None:
    here = chosen("local", "host:6379")
    with pytest.raises(UserError, match="--executor ray"), here:
        pass
    with pytest.raises(UserError, match="on a node of the cluster"), ray.connected("ray://h:1"):
        pass


def test_where_no_cluster_answers_one_line_says_so(home: Path) -> None:
    nowhere = ("--executor", "ray", "--address", "127.0.0.1:1")
    result = lskd("run", "small.toml", *nowhere, folder=home)
    assert result.returncode == 2
    (line,) = result.stderr.strip().splitlines()
    assert line.startswith("error: --executor ray: no cluster at 127.0.0.1:1: Connection refused")
    wrong = lskd("run", "small.toml", "--executor", "dask", folder=home)
    assert wrong.returncode == 2 and "one of local, ray" in wrong.stderr
    assert not (home / "out").exists()


def test_of_several_shards_in_flight_each_is_yielded_as_soon_as_it_is_there() -> None:
    first_is_told = threading.Event()

    def one(shard: str) -> Finished:
        if shard == "0":
            assert first_is_told.wait(30)
        return Finished(shard, {}, 0.0, {})

    made = each_of(one, ["0", "1"], 2)
    assert next(made).shard == "1"
    first_is_told.set()
    assert [finished.shard for finished in made] == ["0"]


def test_after_a_failure_no_further_shard_begins_and_those_in_flight_end() -> None:
    begun, ended = [], []
    both = threading.Barrier(2)

    def one(shard: str) -> Finished:
        begun.append(shard)
        if shard in "01":
            both.wait(30)
        if shard == "0":
            raise UserError("broken")
        threading.Event().wait(0.1)
        ended.append(shard)
        return Finished(shard, {}, 0.0, {})

    with pytest.raises(UserError, match="broken"):
        list(each_of(one, [str(number) for number in range(50)], 2))
    assert "1" in ended and begun == sorted(begun, key=int) and len(begun) < 50
    assert set(begun) == {"0", *ended}


@pytest.fixture
def no_garbage() -> Iterator[None]:
    """Have no garbage collected meanwhile.

    Python ignores an interrupt that is raised in a callback of the collector, and libraries of the
    tests have such callbacks.
    """
    gc.disable()
    yield
    gc.enable()


def test_an_interrupt_begins_no_further_shard_and_waits_for_those_in_flight(
    no_garbage: None,
) -> None:
    begun, ended = [], []

    def one(shard: str) -> Finished:
        begun.append(shard)
        if shard == "3":
            # Let the main thread get to its waiting.
            threading.Event().wait(0.05)
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
        threading.Event().wait(0.1)
        ended.append(shard)
        return Finished(shard, {}, 0.0, {})

    with pytest.raises(KeyboardInterrupt):
        list(each_of(one, [str(number) for number in range(200)], 2))
    assert sorted(begun) == sorted(ended) and len(begun) < 200
