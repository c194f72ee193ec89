"""The script that checks golden files: on the authors' values, on others, and on broken copies."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from forked import script

SCRIPT = Path(__file__).parents[1] / "golden" / "metrics.py"


def run(folder: Path, *more: str) -> tuple[int, str]:
    done = script(SCRIPT, str(folder), *more)
    assert not done.stderr
    return done.returncode, done.stdout


def write(folder: Path, **contents: object) -> Path:
    folder.mkdir(exist_ok=True)
    for name, content in contents.items():
        (folder / f"{name}.json").write_text(json.dumps(content), encoding="utf-8")
    return folder


def copied(shared: Path, folder: Path) -> Path:
    """Return a copy of the golden files, with the rows that they are about beside it."""
    shutil.copytree(shared / "data" / "golden", folder, copy_function=shutil.copyfile)
    folder.chmod(0o755)
    return folder


def test_all_golden_values_are_met(shared: Path) -> None:
    code, said = run(shared / "data" / "golden")
    assert code == 0, said
    for name in (
        "aokvqa_expected",
        "lskd_texts",
        "sherlock_comparison_expected",
        "sherlock_pairwise_unit",
        "vcr_q2ar",
        "visual7w_mc",
        "visualcomet_acc50",
    ):
        assert f"{name}.json" in said


Spoil = Callable[[Any], None]


def nudge(*path: str | int) -> Spoil:
    """Return what adds a little to the number at the end of a path."""

    def spoil(content: Any) -> None:
        for key in path[:-1]:
            content = content[key]
        content[path[-1]] += 2e-9

    return spoil


def drop_text(content: Any) -> None:
    content["punctuation"][0][1] += " "


SPOILS: list[tuple[str, Spoil]] = [
    ("vcr_q2ar", nudge("expected", "q2ar")),
    ("visual7w_mc", nudge("expected", "accuracy_authors")),
    ("visualcomet_acc50", nudge("groups", 3, "recall")),
    ("visualcomet_acc50", nudge("expected_mean_recall")),
    ("sherlock_pairwise_unit", nudge("cases", 0, "pairwise_acc")),
    ("sherlock_comparison_expected", nudge("human")),
    ("sherlock_comparison_expected", nudge("per_annotation_model", 7)),
    ("aokvqa_expected", nudge("mc_accuracy")),
    ("aokvqa_expected", nudge("da_accuracy")),
    ("lskd_texts", drop_text),
    ("vcr_q2ar", lambda content: content["answer_label"].pop()),
    ("visual7w_mc", lambda content: content["results"].pop()),
    ("sherlock_comparison_predictions", lambda content: content.popitem()),
    ("sherlock_comparison_expected", lambda content: content["per_annotation_model"].pop()),
]


def test_every_change_of_a_copy_is_found_out(shared: Path, tmp_path: Path) -> None:
    clean = copied(shared, tmp_path / "golden")
    # One folder for each change, all in one run: each must have a bad line of its own.
    root = tmp_path / "spoilt"
    for number, (name, spoil) in enumerate(SPOILS):
        folder = root / f"{number:02}"
        shutil.copytree(clean, folder)
        file = folder / f"{name}.json"
        content = json.loads(file.read_text(encoding="utf-8"))
        spoil(content)
        file.write_text(json.dumps(content), encoding="utf-8")
    code, said = run(root)
    assert code == 1
    bad = [line for line in said.splitlines() if line.endswith("BEYOND")]
    assert {line[:2] for line in bad} == {f"{number:02}" for number in range(len(SPOILS))}, said
    for number, (name, _) in enumerate(SPOILS):
        stem = name.removesuffix("predictions")
        assert any(line.startswith(f"{number:02}/{stem}") for line in bad), (number, name)


def test_files_are_known_by_their_keys_whatever_their_names(shared: Path, tmp_path: Path) -> None:
    golden = copied(shared, tmp_path / "golden")
    names = sorted(golden.iterdir())
    for number, file in enumerate(names):
        file.rename(golden / f"{(7 * number) % len(names)}.json")
    code, said = run(golden)
    assert code == 0, said
    assert "34 checks" in said


def test_nothing_known_is_a_failure(tmp_path: Path) -> None:
    assert run(write(tmp_path, notes={"a": "b"})) == (
        1,
        f"{'notes.json':42} is not of a known form\n0 checks, 0 beyond 1e-09\n",
    )
    assert run(tmp_path / "nowhere")[0] == 1


def test_a_file_that_is_no_json_is_a_failure(tmp_path: Path) -> None:
    (tmp_path / "cut.json").write_text('{"cases": [', encoding="utf-8")
    code, said = run(tmp_path)
    assert code == 1
    assert "cut.json" in said


def test_a_file_without_its_companions_is_a_failure(tmp_path: Path) -> None:
    figures = {"human": 1.0, "model": 1.0, "oracle": 1.0}
    for name, content in (
        ("expected", figures),
        ("key", {"annotations": [], "test_id_map": {}}),
        ("said", {"1": {"multiple_choice": "a"}}),
        ("accuracy", {"mc_accuracy": 50.0}),
    ):
        code, said = run(write(tmp_path / name, **{name: content}))
        assert code == 1, said
        assert "lacks" in said


def question(number: int) -> dict[str, object]:
    return {
        "question_id": f"q{number}",
        "question": "Which?",
        "choices": ["a", "b", "a", "c"],
        "correct_choice_idx": 0,
        "direct_answers": ["a"] * 2 + ["b"] * 8,
        "difficult_direct_answer": number == 0,
    }


def test_two_sets_of_a_form_are_told_apart_by_their_ids_and_numbers(tmp_path: Path) -> None:
    # Ties: of two equal scores the noise lifts the second place; a large one is first regardless.
    rated = [{"source_iid": "x", "annot1": "1.0", "annot2": 1}, {"source_iid": "y", "annot1": 2.0}]
    rated[1]["annot2"] = "1.0"
    one = {
        "annotations": [{"Input_iid": "i", "candidates": rated}],
        "test_id_map": {
            "one-x": {"Input_iid": "i", "candidate": "x"},
            "one-y": {"Input_iid": "i", "candidate": "y"},
        },
    }
    other = json.loads(json.dumps(one).replace("one-", "other-"))
    other["annotations"] *= 2
    folder = write(
        tmp_path / "sets",
        rows=[question(number) for number in range(3)],
        some={"q0": {"multiple_choice": "a", "direct_answer": "a"}, "q1": {"direct_answer": "a"}},
        said={f"q{number}": {"multiple_choice": "b", "direct_answer": "b"} for number in range(3)},
        first={"mc_accuracy": 100 / 3, "da_accuracy": 100 / 3, "n_questions": 3, "n_predicted": 2},
        second={"mc_accuracy": 0.0, "da_accuracy": 100.0, "n_questions": 3, "n_predicted": 3},
        tied={"one-x": 0.5, "one-y": 0.5},
        reverse={"other-x": 0.6, "other-y": 0.5},
        key=one,
        lock=other,
        # Ratings 1, 2 against 1, 1: the second tells nothing apart, and both orders are found.
        good={"human": 50.0, "model": 50.0, "oracle": 50.0, "N": 1, "per_annotation_model": [0.5]},
        poor={"human": 50.0, "model": -50.0, "oracle": 50.0, "N": 2},
        vcr={
            "answer_scores": [[1, 1, 0, 0], [0, 1, 1, 0]],
            "rationale_scores": [[0, 0, 0, 0], [0, 0, 1, 0]],
            "answer_label": [0, 2],
            "rationale_label": [0, 2],
            "expected": {"q2a": 0.5, "qa2r": 1.0, "q2ar": 0.5},
        },
        empty={
            "answer_scores": [],
            "rationale_scores": [],
            "answer_label": [],
            "rationale_label": [],
            "expected": {"q2a": None, "qa2r": float("nan"), "q2ar": None},
        },
    )
    code, said = run(folder)
    assert code == 0, said
    assert run(folder, "--annotations", str(folder / "rows.json"))[0] == 0
    assert run(folder, "--annotations", str(folder / "vcr.json"))[0] == 1


@pytest.mark.parametrize("scores", [[0.5] * 11, [0.5] * 3])
def test_an_error_of_the_authors_code_must_be_one_of_ours(
    scores: list[float], tmp_path: Path
) -> None:
    case = {"scores": scores, "labels": [1.0] * len(scores), "pairwise_acc": "ValueError: shapes"}
    assert run(write(tmp_path, cases={"cases": [case]}))[0] == (0 if len(scores) > 10 else 1)
