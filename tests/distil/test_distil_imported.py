"""A student is trained on a corpus that others have made, with one line in its run file."""

import json
from collections.abc import Iterator
from contextlib import chdir
from dataclasses import replace
from pathlib import Path

import pytest
import toys

import house
from lskd import exchange, table
from lskd.corpora.source import Source
from lskd.distil import ledger
from lskd.distil.ledger import Ledger
from lskd.distil.lessons import Lessons, Variety
from lskd.distil.note import read
from lskd.distil.wording import Wording
from lskd.errors import UserError
from lskd.execute import Selection
from lskd.plan import plan
from lskd.run import load
from lskd.status import status
from lskd.types import Example, Reject

STUDENT = """
extends = "small.toml"
examples = "out/llava"

[distil]
weights = "base"
image = 56
tokens = 48
steps = 2
batch = 2
precision = "float32"
learning_rate = 1e-3
workers = 1
"""


def imported(folder: Path, name: str, answer: str) -> None:
    """Import a conversation about four pictures into out/`name`."""
    pictures = toys.examples(folder / "pictures", 4)
    said = [{"from": "human", "value": "what colour?"}, {"from": "gpt", "value": answer}]
    rows = [
        {"id": str(number), "image": Path(path).name, "conversations": said}
        for number, path in enumerate(sorted({one.path for one in pictures}))
    ]
    file = folder / f"{name}_train.json"
    file.write_text(json.dumps(rows))
    exchange.read("llava", Source(file, (folder / "pictures",)), Path("out") / name)


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    with chdir(tmp_path):
        (tmp_path / "small.toml").write_text(house.TOML)
        (tmp_path / "student.toml").write_text(STUDENT)
        toys.base(tmp_path / "base")
        imported(tmp_path, "llava", "it is red")
        yield tmp_path


def test_a_run_on_given_examples_trains_a_student_and_does_nothing_else(home: Path) -> None:
    run = house.run(Path("student.toml"))
    assert [stage.name for stage in run.stages()] == ["distil"]
    assert read(run.own / "distil" / "student").base == "base"
    assert sorted(path.name for path in run.own.iterdir() if path.is_dir()) == ["distil"]
    again = load(run.own)
    assert again.examples == Path("out/llava") and again.tables.shards(Example) == ["00000"]
    assert again.fingerprints == run.fingerprints
    (stage,) = status(again).stages
    assert (stage.shards_done, stage.shards, stage.rejects) == (1, 1, 0)
    (step,) = plan(again, None).steps
    assert (step.stage, step.inherited) == ("distil", False)


def test_other_examples_make_another_student(home: Path) -> None:
    first = house.run(Path("student.toml"))
    before = read(first.own / "distil" / "student").fingerprint
    imported(home, "other", "it is blue")
    second = house.run(Path("student.toml"), "examples=out/other")
    assert second.examples == Path("out/other")
    assert read(second.own / "distil" / "student").fingerprint != before


def test_a_child_on_other_examples_reads_no_student_of_its_parent(home: Path) -> None:
    parent = house.run(Path("student.toml"))
    imported(home, "other", "it is blue")
    (home / "same.toml").write_text('extends = "student.toml"\n')
    (home / "other.toml").write_text('extends = "student.toml"\nexamples = "out/other"\n')
    assert load(Path("same.toml")).folders["distil"] == parent.folders["distil"]
    assert load(Path("other.toml")).folders["distil"] == Path("out/other/distil")


@pytest.mark.parametrize("spelled", ["out/llava/", "./out/llava", "out//llava"])
def test_a_child_reads_the_student_of_its_parent_however_the_examples_are_spelled(
    home: Path, spelled: str
) -> None:
    file = home / "student.toml"
    file.write_text(STUDENT.replace('"out/llava"', f'"{spelled}"'))
    (home / "same.toml").write_text('extends = "student.toml"\n')
    for _ in range(2):  # before the parent has a record, and after
        assert load(Path("same.toml")).folders["distil"] == Path("out/student/distil")
        record = home / "out" / "student" / "run.toml"
        record.parent.mkdir(exist_ok=True)
        record.write_text(load(Path("student.toml")).text())


def test_the_examples_of_a_run_can_be_given_too(home: Path) -> None:
    rows = toys.examples(home / "more", 2)
    table.write(Example, home / "out" / "mine" / "corpus" / "example" / "00000.parquet", rows)
    run = house.run(Path("student.toml"), "examples=out/mine", "distil.swaps=0.5")
    assert (run.own / "distil" / "student").exists()
    assert house.rows(run, Reject, "distil") == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('examples = "nowhere"\n[distil]\nweights = "base"', "no examples there; `lskd import`"),
        ('examples = "out/llava"', "no section that uses them: give one of .distil."),
    ],
)
def test_examples_that_are_missing_or_unused_are_told(home: Path, text: str, message: str) -> None:
    (home / "odd.toml").write_text(text)
    with pytest.raises(UserError, match=message):
        load(Path("odd.toml"))


def test_a_stage_that_is_left_out_cannot_be_asked_for(home: Path) -> None:
    with pytest.raises(UserError, match="no stage is called 'corpus'; stages: distil"):
        house.run(Path("student.toml"), selection=Selection(until="corpus"))


def test_a_rationale_that_is_not_there_is_never_said(tmp_path: Path) -> None:
    for nothing in ("", "  ", None):
        assert Wording().text("q", "a", nothing) == "question: q answer: a"
    example = toys.examples(tmp_path / "pictures", 1)[0]
    bare = replace(example, rationale="")
    ledger.write(tmp_path / "examples.jsonl", [example, bare])
    variety = Variety(1.0, None, "plain", 1.0, 0.0, None, 0)
    lessons = Lessons(Ledger(Example, tmp_path / "examples.jsonl"), variety, Wording())
    for seed in range(20):
        whole, without = lessons.take(0, seed), lessons.take(1, seed)
        assert "rationale: Because" in whole.text and "rationale" not in without.text
        assert without.wrong and not any("rationale" in one for one in without.wrong)
