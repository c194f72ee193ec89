"""`lskd plan --images`: the whole corpus, from what the run measured, else from shipped rates."""

import ast
import json
import runpy
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import house
from lskd.chat.paid import Charge
from lskd.cluster import Cluster, read_cluster
from lskd.errors import UserError
from lskd.events import TRACE, Event, append
from lskd.forecast import Forecast, Line, forecast
from lskd.plan import PAYING, estimate
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


def measured(folder: Path, stage: str, paid: Charge | None = None, **spans: float) -> None:
    """Write the trace of four shards of 256 images, one after another, each `paid` so much for."""
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
            paid=paid,
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


def at_once(folder: Path, stage: str, shards: int, gpu: bool = False, **spans: float) -> None:
    """Write the trace of shards of 256 images that were all made in the same time."""
    (folder / stage).mkdir(parents=True, exist_ok=True)
    took = Spans(**spans)
    cpu = took.total - took.waiting
    for k in range(shards):
        name = f"{k:05d}"
        event = Event(9e3, "s", stage, name, "ended", took, cpu=cpu, gpu=gpu, images=256)
        append(folder / stage / TRACE, event)


def test_what_several_workers_did_at_once_is_not_taken_for_the_work_of_one(home: Path) -> None:
    at_once(home / "out/small", "regions", 8, gpu=True, computing=100.0)
    at_once(home / "out/small", "parse", 8, computing=100.0)
    one = forecast(load(SMALL), WHOLE)
    eight = forecast(load(SMALL), WHOLE, Cluster(1, 8, 8))
    for stage in ("regions", "parse"):
        assert of(one, stage).time.value == pytest.approx(WHOLE * 100 / 256)
        assert of(eight, stage).workers == 8  # each keeps a core busy, not eight
        assert of(eight, stage).time.value == pytest.approx(WHOLE * 100 / 256 / 8)


def test_shards_that_wait_together_in_one_process_are_the_work_of_one(home: Path) -> None:
    at_once(home / "out/small", "generate", 4, waiting=80.0, computing=20.0)
    run = load(SMALL, [HOSTED])
    one = of(forecast(run, WHOLE), "generate").time
    assert one.value == pytest.approx(WHOLE * 100 / 1024)
    many = of(forecast(run, WHOLE, Cluster(1, 10)), "generate")
    # Four times 20 seconds of a processor within 20: a worker keeps four cores busy.
    assert many.workers == 2
    assert many.time.value == pytest.approx(WHOLE * (80 + 20 / 2) / 1024)


def test_of_more_shards_that_wait_than_one_process_has_others_were_at_work_too(home: Path) -> None:
    at_once(home / "out/small", "generate", 32, waiting=80.0, computing=20.0)
    run = load(SMALL, [HOSTED])
    # Eight workers had four each: what they waited for the server they waited together.
    one = of(forecast(run, WHOLE), "generate").time
    assert one.value == pytest.approx(WHOLE * (80 + 8 * 20) / (32 * 256))


def test_what_a_worker_takes_is_what_the_section_says(home: Path) -> None:
    cluster = Cluster(4, 16, 8)

    def score(resources: str, cluster: Cluster = cluster) -> Line:
        return of(
            forecast(load(SMALL, [CRITIC, f"score.resources={resources}"]), WHOLE, cluster), "score"
        )

    each = 0.0204 * WHOLE
    for resources, count in {
        "{gpus=1}": 32,
        "{gpus=2}": 16,
        "{gpus=8}": 4,
        "{gpus=1, cpus=4}": 16,
        "{gpus=1, cpus=0}": 32,
        "{gpus=1, workers=5}": 5,
        "{gpus=0.5}": 32,  # two that share one are not faster than one
        "{gpus=0.5, workers=5}": 5,
    }.items():
        found = score(resources)
        assert found.workers == count, resources
        assert found.time.value == pytest.approx(each / count), resources
        assert "supposes" not in found.time.how
    for resources, takes in {
        "{gpus=9}": "1 cpus, 9 gpus",
        "{gpus=1, cpus=17}": "17 cpus, 1",
    }.items():
        found = score(resources)
        assert found.time.value is None and takes in found.time.how and "no room" in found.time.how


def test_a_gpu_that_no_section_gives_is_supposed_and_the_line_says_so(home: Path) -> None:
    cluster = Cluster(1, 16, 8)
    said = "supposes resources = { gpus = 1 } in its section"
    for changes in ([CRITIC], [CRITIC, "score.resources={workers=3}"]):
        score = of(forecast(load(SMALL, changes), WHOLE, cluster), "score")
        assert score.workers == (8 if len(changes) == 1 else 3) and said in score.time.how
        assert "supposes" not in of(forecast(load(SMALL, changes), WHOLE), "score").time.how
    at_once(home / "out/small", "regions", 1, gpu=True, computing=1.0)
    at_once(home / "out/small", "parse", 1, computing=1.0)
    found = forecast(load(SMALL), WHOLE, cluster)
    assert said in of(found, "regions").time.how and "supposes" not in of(found, "parse").time.how


def test_cores_are_given_as_the_section_says_and_never_fewer_than_are_busy(home: Path) -> None:
    at_once(home / "out/small", "parse", 1, computing=1.0)
    for resources, count in {
        "{cpus=4}": 16,
        "{cpus=0.5}": 64,
        "{cpus=4, workers=99}": 16,
        "{cpus=1, workers=7}": 7,
    }.items():
        run = load(SMALL, [f"parse.resources={resources}"])
        assert of(forecast(run, WHOLE, Cluster(4, 16)), "parse").workers == count


DISTIL = ('distil.weights="b.pth"', "distil.steps=1000", "distil.batch=100")


def test_a_training_has_the_workers_that_its_section_says_or_the_line_says_which(
    home: Path,
) -> None:
    def distil(cluster: Cluster | None, *changes: str) -> Line:
        return of(forecast(load(SMALL, [*DISTIL, *changes]), WHOLE, cluster), "distil")

    cluster = Cluster(2, 16, 4)
    said = "supposes resources = { gpus = 1, workers = 8 } in its section"
    for found, count, how in (
        (distil(None), 1, ""),
        (distil(cluster), 8, said),
        (distil(Cluster(1, 16, 1)), 1, ""),
        (distil(cluster, "distil.resources={gpus=1, workers=4}"), 4, ""),
        (distil(cluster, "distil.resources={gpus=1}"), 1, ""),
        (distil(cluster, "distil.resources={workers=4}"), 4, "supposes resources = { gpus = 1 }"),
    ):
        assert found.workers == count and how in found.time.how
        assert ("supposes" in found.time.how) == bool(how)
        assert found.time.value == pytest.approx(100_000 * 3.10 / 790 / count, rel=0.01)
    without = distil(cluster, "distil.resources={gpus=1, workers=9}").time
    assert without.value is None and "9 workers that each take 1 cpus, 1 gpus" in without.how


def test_a_training_is_told_by_whether_its_tower_looks_at_each_step(home: Path) -> None:
    def seconds(*changes: str) -> float | None:
        found = forecast(load(SMALL, [*DISTIL, *changes]), WHOLE)
        return of(found, "distil").time.value

    for change, tera in {
        'distil.views="fresh"': 3.10,
        "distil.views=4": 0.53,
        "distil.train_vision=true": 8.25,
        'distil.size="vit_g"': 3.10,
    }.items():
        assert seconds(change) == pytest.approx(100_000 * tera / 790, rel=0.02), change
    # Of a smaller one nothing was counted.
    assert seconds("distil.image=224") is None and seconds('distil.size="vit_l"') is None
    for change, tera in {"critic.views=1": 0.178, 'critic.views="fresh"': 2.75}.items():
        changes = ['critic.weights="b.pth"', "critic.epochs=10", "critic.train_vision=false"]
        found = forecast(load(SMALL, [*changes, change, "sample.train=10000"]), WHOLE)
        assert of(found, "critic").time.value == pytest.approx(1e5 * tera / 790, rel=0.02)


def test_shipped_rates_are_those_that_the_page_tells_of_a_quarter_of_a_million(home: Path) -> None:
    page = (SOURCE.parents[1] / "docs" / "scale.md").read_text()
    run = load(SMALL, [WEIGHTLESS, 'dataset.pictures="none"'])
    found = forecast(run, WHOLE)
    for stage in ("parse", "score", "corpus", "dataset", "report"):
        (row,) = [line for line in page.splitlines() if line.startswith(f"| {stage} | ")]
        seconds, _, megabytes, _, memory = (float(cell) for cell in row.split("|")[2:-1])
        line = of(found, stage)
        assert line.time.value == pytest.approx(seconds, rel=0.05)
        assert line.storage.value == pytest.approx(megabytes * 1e6, rel=0.05)
        assert line.memory.value == pytest.approx(memory * 1e6, rel=0.05)
    marked = of(forecast(load(SMALL), WHOLE), "dataset")
    assert marked.storage.value == pytest.approx(420e3 * WHOLE)
    plain = of(forecast(load(SMALL, ['dataset.pictures="plain"']), WHOLE), "dataset")
    assert plain.storage.value is None


def test_a_rate_that_the_measurement_does_not_have_is_told_and_no_bar_that_is_met(
    capsys: pytest.CaptureFixture[str],
) -> None:
    bench = runpy.run_path(str(SOURCE.parents[1] / "bench" / "scale.py"), run_name="scale")
    whole, fast, slow = (
        bench["Taken"](name, 9.0, 9.0, 1.0, 1.0, 1, 100.0, 100.0, first, last)
        for name, first, last in (
            ("report", None, None),
            ("parse", 10.0, 9.5),
            ("score", 10.0, 9.4),
        )
    )
    missed = bench["shown"](WHOLE, [whole, fast, slow], 1.0)
    assert missed == ["250,000 images: score slowed down"]
    (row,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("report")]
    assert row.endswith("not measured")
    assert bench["Meter"]().rate_of(slice(None, 1)) is None


def test_what_was_not_measured_is_shipped_or_refused_in_one_line(home: Path) -> None:
    found = forecast(load(SMALL), WHOLE)
    assert of(found, "parse").time.how.startswith("shipped: ")
    assert of(found, "regions").time.value is None  # of a model that nobody knows
    (told,) = [text for text in found.unknown if text.startswith("regions: time")]
    assert "nothing measured" in told and "\n" not in told
    known = [line.time.value for line in found.lines if line.time.value is not None]
    assert found.seconds == pytest.approx(sum(known))


WEIGHTLESS = 'models.critic={use="lskd.critique.grounding:GroundingCritic"}'
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
    (stage,) = [one for one in STAGES if one.name == "generate"]
    asked = estimate(load(SMALL, [HOSTED]), stage, WHOLE)
    assert asked is not None and asked.input_tokens > asked.output_tokens > 0
    whole = (asked.input_tokens * 1.0 + asked.output_tokens * 2.0) / 1e6
    assert generate.value == pytest.approx(whole)
    assert "typical prompts" in generate.how
    batched = HOSTED.replace("teacher:ChatTeacher", "batch:BatchTeacher")
    for more, share in (("", 0.5), (", discount=0.25", 0.25)):
        batch = load(SMALL, [batched.replace("}", f"{more}}}")])
        assert of(forecast(batch, WHOLE), "generate").price.value == pytest.approx(share * whole)
    assert of(found, "parse").price.value == 0.0
    unknown = of(forecast(load(SMALL, [EYES]), WHOLE), "narratives").price
    assert unknown.value is None and "names no input_price" in unknown.how


def test_prices_come_from_the_trace_where_replies_have_no_table(home: Path) -> None:
    measured(home / "out/small", "narratives", Charge(1000, 100, 0.5), waiting=1.0)
    line = of(forecast(load(SMALL, [EYES]), WHOLE), "narratives")
    assert line.price.value == pytest.approx(WHOLE * 0.5 / 256)
    assert line.price.how == "paid for 1,024 images of this run"


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


PLANS = """
import sys
from lskd.cli import app
for file in sys.argv[1:]:
    app(["plan", file], standalone_mode=False)
print(*sys.modules, sep="\\n", file=sys.stderr)
"""


def test_the_plans_of_the_paper_and_its_children_load_no_library_that_holds_weights() -> None:
    files = ["paper/full.toml", "paper/table2-no-concepts.toml", "open/open-coordinates.toml"]
    said = subprocess.run(
        [sys.executable, "-c", PLANS, *(f"runs/{file}" for file in files)],
        cwd=SOURCE.parents[1],
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = set(said.stderr.splitlines())
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
