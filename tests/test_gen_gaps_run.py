"""`lskd run` by several processes: all of them train, one makes the rest, and writes."""

import csv
import hashlib
import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

import checkpoints
import forked
import house
import launched
import tiny_writers
from lskd.errors import JudgmentsNeeded
from lskd.run import load
from lskd.types import Example, Fit, GenerativeStudent, Image, Sample, Student, Triple

WEIGHTS = {
    "critic": "critic/model/model.safetensors",
    "distil": "distil/student/model.safetensors",
    "generative": "generative/student/writer/trained.safetensors",
}
SCHOOL = """
precision = "float32"
learning_rate = 1e-3
workers = 1
save_every = 2
"""
STAGES = f"""
[sample]
train = 12
evaluate = 6

[critic]
judgments = "judgments.csv"
weights = "stage1"
image = 28
tokens = 32
epochs = 2
batch = 6
dropout = 0.0
{SCHOOL}

[distil]
weights = "stage1"
image = 28
tokens = 32
views = 2
steps = 4
batch = 4
dropout = 0.0
{SCHOOL}

[generative]
student = {{ use = "lskd.writing.blip2:Blip2Writer", checkpoint = "blip2" }}
views = 2
tokens = 6
steps = 4
batch = 4
{SCHOOL}
"""


def made(folder: Path, until: str) -> None:
    """Make a folder in which one process has made the run up to a stage, judgments and all."""
    build(folder)
    waiting = forked.lskd("run", "small.toml", folder=folder)
    assert "people each to judge" in waiting.stderr
    judge(folder / "judgments.csv", house.rows(load(folder / "out" / "small"), Sample))
    done = forked.lskd("run", "small.toml", "--until", until, folder=folder)
    assert done.returncode == 0, done.stderr


def judge(file: Path, samples: list[Sample]) -> None:
    """Write what two people think of each sample."""
    with file.open("w", newline="") as opened:
        writer = csv.writer(opened)
        writer.writerow(["triple_id", "annotator", "qa", "rationale"])
        for sample in samples:
            good = hashlib.sha256(sample.triple_id.encode()).digest()[0] % 2
            for person in ("ann", "bob"):
                writer.writerow([sample.triple_id, person, 3 if good else 1, 2 if good else ""])


def build(folder: Path) -> Path:
    """Make a folder with all that a run of two trainings and a critic needs."""
    house.build(folder)
    checkpoints.write_stage1(folder / "stage1")
    base = tiny_writers.write_blip2_writer(folder / "blip2")
    config = json.loads((base / "config.json").read_text("utf-8"))
    # Each process would drop out something else than one alone.
    config["qformer_config"] |= {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    (base / "config.json").write_text(json.dumps(config), encoding="utf-8")
    file = folder / "small.toml"
    file.write_text(file.read_text() + STAGES)
    return file


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder in which one process has made out/one, and two have made out/two."""
    folder = tmp_path_factory.mktemp("home")
    build(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        with pytest.raises(JudgmentsNeeded):
            house.run(Path("small.toml"))
        judge(Path("judgments.csv"), house.rows(load(Path("small.toml")), Sample))
    shutil.rmtree(folder / "out")
    alone = forked.lskd("run", "small.toml", "--out", "out/one", folder=folder)
    assert alone.returncode == 0, alone.stderr
    said = forked.lskd_twice(folder, "run", "small.toml", "--out", "out/two")
    (folder / "said.txt").write_text(said)
    return folder


def losses(home: Path, name: str, stage: str) -> list[dict[str, float]]:
    (file,) = (home / "out" / name / stage / "training").glob("*/losses.jsonl")
    return [json.loads(line) for line in file.read_text("utf-8").splitlines()]


@pytest.mark.timeout(900)
@pytest.mark.parametrize("stage", WEIGHTS)
def test_two_processes_end_in_the_weights_of_one(home: Path, stage: str) -> None:
    one, two = (load_file(home / "out" / name / WEIGHTS[stage]) for name in ("one", "two"))
    assert one.keys() == two.keys()
    for name, weight in one.items():
        # The loss does not depend on a key's bias: of rounding, AdamW makes whole steps.
        if not name.endswith("key.bias"):
            torch.testing.assert_close(two[name], weight, atol=1e-4, rtol=0)
    alone, both = losses(home, "one", stage), losses(home, "two", stage)
    assert len(alone) == len(both) == 4
    assert abs(alone[-1]["loss"] - alone[0]["loss"]) > 1e-2
    for first, second in zip(alone, both, strict=True):
        assert second["loss"] == pytest.approx(first["loss"], abs=1e-4)


@pytest.mark.timeout(900)
def test_all_tables_are_those_of_one_process_and_are_written_once(home: Path) -> None:
    runs = {name: load(home / "small.toml", out=home / "out" / name) for name in ("one", "two")}
    kinds: tuple[type[Image | Triple | Example], ...] = (Image, Triple, Example)
    for kind in kinds:
        one, two = (house.rows(run, kind) for run in runs.values())
        assert [row.id for row in one] == [row.id for row in two] and one
    made: tuple[type, ...] = (Fit, Student, GenerativeStudent)
    for record in made:
        assert len(house.rows(runs["two"], record)) == 1
    for stage in ("images", *WEIGHTS):
        log = (home / "out/two" / stage / "shards.jsonl").read_text("utf-8")
        shards = [json.loads(line)["shard"] for line in log.splitlines() if line]
        assert shards == sorted(set(shards))
    said = (home / "said.txt").read_text()
    assert said.count("report: ") == 1 and said.count("the student is in") == 2
    assert "process 2 of 2" not in said


@pytest.mark.check  # a real launcher starts what writing/test_writing_ranks_fsdp.py looks at
@pytest.mark.timeout(900)
def test_what_torchrun_starts_ends_in_the_same_weights(home: Path) -> None:
    launched.lskd_twice(home, "run", "small.toml", "--out", "out/launched")
    for file in WEIGHTS.values():
        made, known = (load_file(home / "out" / name / file) for name in ("launched", "two"))
        for name, weight in known.items():
            torch.testing.assert_close(made[name], weight, atol=1e-6, rtol=0)


@pytest.mark.check  # that what is made is not made again, other tests show of one process
@pytest.mark.timeout(900)
def test_the_same_command_again_makes_nothing(home: Path) -> None:
    before = house.files(home / "out/two")
    said = launched.lskd_twice(home, "run", "small.toml", "--out", "out/two")
    assert house.files(home / "out/two") == before
    assert said.count("up to date") >= len(WEIGHTS)


@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    ("setting", "said"),
    [
        pytest.param(
            "critic.annotators=3",
            "error: judgments.csv has no judged triple to train on",
            marks=pytest.mark.check,
        ),
        ("images.source=nowhere", "error: images.source"),
    ],
)
def test_a_mistake_ends_all_processes_with_a_line_that_says_it(
    home: Path, setting: str, said: str
) -> None:
    with pytest.raises(AssertionError) as found:
        # Started by none that would end the other: each has to end by itself.
        forked.lskd_twice(home, "run", "small.toml", "--out", f"out/{said[7:13]}", "--set", setting)
    assert said in str(found.value) and "src/lskd/" not in str(found.value)
