"""Predictions of other programs: complete ones count, incomplete ones are refused with counts."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from evaluate_world import context, lot, settings, world

from lskd.errors import UserError
from lskd.evaluate import foreign
from lskd.evaluate.trial import Trial, read
from lskd.evaluate.work import evaluate

Lines = list[dict[str, Any]]


@pytest.fixture
def trials(tmp_path: Path) -> list[Trial]:
    return read(settings(world(tmp_path, "vcr", "aokvqa"), {"a": lot()}).benchmarks, "error", ())


def complete(trials: list[Trial]) -> Lines:
    return [
        {
            "benchmark": trial.name,
            "task": item.task,
            "item_id": item.id,
            "scores": list(range(len(item.choices))),
        }
        for trial in trials
        for item in trial.items
    ]


def write(file: Path, lines: Lines) -> Path:
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return file


def test_a_complete_file_is_read_in_any_order(trials: list[Trial], tmp_path: Path) -> None:
    lines = complete(trials)[::-1]
    found = foreign.read(write(tmp_path / "p.jsonl", lines), trials)
    assert {name: len(scores) for name, scores in found.items()} == {"vcr": 12, "aokvqa": 12}
    assert found["vcr"]["val-0", "rationale"] == (0.0, 1.0, 2.0, 3.0)


def shorter(lines: Lines) -> None:
    lines[0]["scores"] = [1, 2]


def other(lines: Lines) -> None:
    lines.append({**lines[0], "item_id": "val-99"})
    lines.append({**lines[0], "benchmark": "vqa"})


def twice(lines: Lines) -> None:
    lines.append(dict(lines[3]))


def fewer(lines: Lines) -> None:
    del lines[:5]


def strange(lines: Lines) -> None:
    lines[0]["scores"][0] = "NaN"
    lines[1].pop("item_id")


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (
            shorter,
            ["1 of wrong length", "line 1: vcr val-0 answer has 2 scores for 4", "1 missing"],
        ),
        (other, ["2 unknown (p.jsonl line 25: vcr val-99 answer; p.jsonl line 26: vqa"]),
        (twice, ["1 given twice (p.jsonl line 25"]),
        (fewer, ["5 missing (vcr val-0 answer; vcr val-0 rationale; vcr val-1 answer, ...)"]),
        (strange, ["2 malformed", "a score is not a number", "lacks 'item_id'", "2 missing"]),
    ],
)
def test_what_does_not_answer_the_items_is_counted_and_named(
    spoil: Callable[[Lines], None], told: list[str], trials: list[Trial], tmp_path: Path
) -> None:
    lines = complete(trials)
    spoil(lines)
    with pytest.raises(UserError) as raised:
        foreign.read(write(tmp_path / "p.jsonl", lines), trials)
    for part in ["does not answer these 24 items", *told]:
        assert part in str(raised.value)


def test_an_incomplete_file_ends_it_before_any_model_is_loaded(tmp_path: Path) -> None:
    where = world(tmp_path, "aokvqa")
    (tmp_path / "p.jsonl").write_text("")
    log = tmp_path / "log.txt"
    models = {"lot": lot(log=str(log)), "them": {"predictions": str(tmp_path / "p.jsonl")}}
    with pytest.raises(UserError, match=r"models\.them: .*12 missing"):
        evaluate(settings(where, models), context(tmp_path / "out"))
    assert not log.exists()
