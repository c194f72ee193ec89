"""`lskd plan --images`: the whole corpus, from what the run measured, else from shipped rates."""

import ast
import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import house
from lskd.cluster import Cluster, read_cluster
from lskd.errors import UserError
from lskd.events import TRACE, Event, append
from lskd.forecast import Forecast, Line, forecast
from lskd.plan import PAYING
from lskd.rates import rates
from lskd.run import load
from lskd.stages import STAGES
from lskd.trace import Spans
from typed import lskd

SMALL = Path("small.toml")
SOURCE = Path(__file__).parents[1] / "src" / "lskd"
WHOLE = 250_000


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    house.build(tmp_path)
    return tmp_path


def of(found: Forecast, stage: str) -> Line:
    (line,) = [line for line in found.lines if line.stage == stage]
    return line


def measured(folder: Path, stage: str, **spans: float) -> None:
    """Write the trace of four shards of 256 images, one after another."""
    (folder / stage).mkdir(parents=True, exist_ok=True)
    took = Spans(**spans)
    for k in range(4):
        event = Event(
            time=1000.0 + (k + 1) * took.total,
            session="s",
            stage=stage,
            shard=f"{k:05d}",
            what="ended",
            spans=took,
            cpu=took.total - took.waiting,
            memory=500_000_000,
            images=256,
            bytes={"Row": 25_600},
        )
        append(folder / stage / TRACE, event)


def test_what_the_run_measured_is_multiplied_and_says_so(home: Path) -> None:
    measured(home / "out/small", "regions", computing=10.0, reading=2.8)
    line = of(forecast(load(SMALL), WHOLE), "regions")
    assert line.time.value == pytest.approx(WHOLE * 12.8 / 256)
    assert line.storage.value == pytest.approx(WHOLE * 100)
    assert line.memory.value == 500_000_000
    for figure in (line.time, line.storage, line.memory):
        assert figure.how.startswith("measured on 1,024 images of this run")


def test_workers_share_the_work_but_not_the_waiting_for_one_server(home: Path) -> None:
    measured(home / "out/small", "generate", computing=2.0, waiting=8.0)
    run = load(SMALL)
    one = of(forecast(run, WHOLE), "generate").time
    many = of(forecast(run, WHOLE, Cluster(4, 16)), "generate")
    assert one.value == pytest.approx(WHOLE * 10 / 256)
    assert many.workers == 64
    assert many.time.value == pytest.approx(WHOLE * (8 + 2 / 64) / 256)
    assert "waits for a server 80% of the time" in many.time.how


def test_there_are_no_more_workers_than_shards_and_one_for_whole_tables(home: Path) -> None:
    measured(home / "out/small", "parse", computing=1.0)
    measured(home / "out/small", "report", computing=1.0)
    found = forecast(load(SMALL), 10, Cluster(4, 16))
    assert of(found, "parse").workers == 3  # shards of 4 images
    assert of(found, "report").workers == of(found, "images").workers == 1


def test_a_stage_that_keeps_two_cores_busy_gets_half_as_many_workers(home: Path) -> None:
    folder = home / "out/small/regions"
    folder.mkdir(parents=True)
    event = Event(9.0, "s", "regions", "00000", "ended", Spans(computing=4.0), cpu=8.0, images=256)
    append(folder / TRACE, event)
    assert of(forecast(load(SMALL), WHOLE, Cluster(4, 16)), "regions").workers == 32


def test_what_was_not_measured_is_shipped_or_refused_in_one_line(home: Path) -> None:
    found = forecast(load(SMALL), WHOLE)
    assert of(found, "parse").time.how.startswith("shipped: ")
    assert of(found, "regions").time.value is None  # of a model that nobody knows
    (told,) = [text for text in found.unknown if text.startswith("regions: time")]
    assert "nothing measured" in told and "\n" not in told
    known = [line.time.value for line in found.lines if line.time.value is not None]
    assert found.seconds == pytest.approx(sum(known))


CRITIC = 'models.critic={use="lskd.critique.trained:TrainedCritic", folder="x"}'


def test_a_critic_of_real_size_is_told_from_counted_operations_and_wants_a_gpu(home: Path) -> None:
    run = load(SMALL, [CRITIC])
    score = of(forecast(run, WHOLE, Cluster(1, 16, 8)), "score")
    assert score.workers == 8 and "lower bound" in score.time.how
    # 4.5 million triples at 881 a second on each of 8.
    assert score.time.value == pytest.approx(4_500_000 / 881 / 8, rel=0.01)
    without = of(forecast(run, WHOLE, Cluster(4, 16)), "score")
    assert without.time.value is None and "give gpus=" in without.time.how


HOSTED = (
    'models.teacher={use="lskd.chat.teacher:ChatTeacher", model="m", '
    'base_url="http://127.0.0.1:9/v1", input_price=1.0, output_price=2.0}'
)
EYES = 'models.eyes={use="lskd.verbalize.remote:RemoteVision", model="m", base_url="http://127.0.0.1:9/v1"}'


def test_prices_come_from_the_settings_before_anything_was_paid(home: Path) -> None:
    found = forecast(load(SMALL, [HOSTED]), WHOLE)
    generate = of(found, "generate").price
    assert generate.value is not None and generate.value > 100
    assert "typical prompts" in generate.how
    assert of(found, "parse").price.value == 0.0
    unknown = of(forecast(load(SMALL, [EYES]), WHOLE), "narratives").price
    assert unknown.value is None and "names no input_price" in unknown.how


def test_a_run_of_given_examples_and_a_wrong_cluster_are_refused_in_one_line(home: Path) -> None:
    run = load(SMALL)
    settings = {name: value for name, value in run.settings.items() if name != "images"}
    bare = type(run)(run.name, run.own, 0, settings, run.folders, (), home)
    with pytest.raises(UserError, match="given examples"):
        forecast(bare, WHOLE)
    for text in ("", "nodes", "nodes=x", "nodes=0", "cpus=0", "nodes=1,nodes=2", "disks=3"):
        with pytest.raises(UserError, match="the form is nodes=4"):
            read_cluster(text)


@given(st.integers(1, 999), st.integers(1, 999), st.integers(0, 99))
def test_a_cluster_is_read_as_it_is_written(nodes: int, cpus: int, gpus: int) -> None:
    cluster = Cluster(nodes, cpus, gpus)
    assert read_cluster(str(cluster)) == cluster


def test_the_whole_paper_is_planned_within_a_second_from_a_trace_of_a_thousand_shards(
    home: Path,
) -> None:
    for stage in STAGES:
        folder = home / "out/small" / stage.name
        folder.mkdir(parents=True)
        lines = [
            json.dumps(
                Event(
                    float(k), "s", stage.name, f"{k:05d}", "ended", Spans(computing=1.0), images=256
                ).as_json()
            )
            for k in range(1000)
        ]
        (folder / TRACE).write_text("\n".join(lines))
    run = load(SMALL)
    began = time.thread_time()
    found = forecast(run, WHOLE, Cluster(4, 16, 8))
    assert time.thread_time() - began < 1.0
    assert found.seconds > 0


def test_every_shipped_rate_names_a_stage_and_its_source() -> None:
    names = {stage.name for stage in STAGES}
    for rate in rates():
        assert rate.stage in names and rate.source and rate.seconds > 0
        assert rate.on in ("cpu", "gpu") and rate.each in ("image", "sample")
        if rate.use:
            module, _, name = rate.use.partition(":")
            text = (SOURCE.parent / f"{module.replace('.', '/')}.py").read_text()
            assert f"class {name}" in text


def test_only_the_modules_that_are_named_here_buy_replies() -> None:
    for file in SOURCE.rglob("*.py"):
        module = ".".join(file.relative_to(SOURCE.parent).with_suffix("").parts)
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.FunctionDef) and node.name == "__init__":
                buys = "journal" in [argument.arg for argument in node.args.args]
                if module.startswith("lskd.journal."):
                    continue  # it keeps replies, and buys none
                assert not buys or f"{module}:".startswith(PAYING), file


def test_the_plan_of_the_whole_paper_loads_no_library_that_holds_weights() -> None:
    said = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "lskd", "plan", "runs/paper/full.toml"],
        cwd=SOURCE.parents[1],
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = {line.rpartition("|")[2].strip() for line in said.stderr.splitlines()}
    assert "lskd.forecast" in loaded and not {"torch", "transformers"} & loaded


def test_the_command_prints_every_source_and_what_it_does_not_know(home: Path) -> None:
    measured(home / "out/small", "regions", computing=10.0)
    asked = ("plan", "small.toml", "--images", "250000", "--cluster", "nodes=4,cpus=16")
    shown = lskd(*asked, folder=home)
    assert shown.returncode == 0, shown.stderr
    assert "250,000 images, cluster nodes=4,cpus=16,gpus=0: at least" in shown.stdout
    assert "measured on 1,024 images" in " ".join(shown.stdout.split())
    assert "narratives: time, memory, storage not known: nothing measured" in shown.stdout
    found = json.loads(lskd(*asked, "--json", folder=home).stdout)
    assert found["images"] == WHOLE and found["cluster"]["nodes"] == 4
    assert {line["stage"] for line in found["lines"]} >= {"images", "regions", "report"}
    alone = lskd("plan", "small.toml", "--cluster", "nodes=4", folder=home)
    assert alone.returncode == 2 and alone.stderr.count("\n") == 1
