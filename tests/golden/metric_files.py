"""Golden files of metrics and texts: what they are, by their keys, and how far values are apart."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

ALLOWED = 1e-9


@dataclass(frozen=True, slots=True)
class Check:
    """How far our values are from those of a file."""

    file: Path
    what: str
    values: int
    worst: float

    @property
    def bad(self) -> bool:
        """Say whether it is beyond what is allowed, as whatever is not a number is."""
        return not self.worst <= ALLOWED


@dataclass(frozen=True, slots=True)
class Found:
    """A file and what is in it."""

    file: Path
    form: str
    content: Any

    def check(self, what: str, mine: object, theirs: object) -> Check:
        """Return how far our value, or list of values, is from the authors'."""
        number = len(theirs) if isinstance(theirs, list) else 1
        return Check(self.file, what, number, apart(mine, theirs))


BROKEN, OTHER = "no JSON", "other"
FORMS: dict[str, set[str]] = {
    "vcr": {"answer_scores", "rationale_scores", "answer_label", "rationale_label"},
    "visual7w": {"pairs", "results"},
    "sherlock key": {"annotations", "test_id_map"},
    "sherlock expected": {"human", "model", "oracle"},
    "aokvqa expected": {"mc_accuracy"},
}
INNER: dict[str, tuple[str, set[str]]] = {  # a list of rows, and the keys of each
    "visualcomet": ("groups", {"perplexity", "num_gt"}),
    "sherlock cases": ("cases", {"scores", "labels", "pairwise_acc"}),
}
ROWS: dict[str, set[str]] = {
    "vcr texts": {"annot_id", "mc_texts_qa"},
    "aokvqa rows": {"question_id", "choices", "correct_choice_idx", "direct_answers"},
    "snli rows": {"pairID", "sentence2"},
}
TEXTS = {"truncation", "punctuation", "aokvqa", "snli_ve", "vcr"}


def form(content: object) -> str:
    """Return which form of golden file or companion this is, or OTHER."""
    if isinstance(content, list):
        return next((name for name, keys in ROWS.items() if _rows(content, keys)), OTHER)
    if not isinstance(content, dict) or not content:
        return OTHER
    for name, keys in FORMS.items():
        if keys <= content.keys():
            return name
    for name, (key, keys) in INNER.items():
        if _rows(content.get(key), keys):
            return name
    if content.keys() & TEXTS:
        return "texts"
    values = list(content.values())
    if all(isinstance(value, float | int) for value in values):
        return "sherlock predictions"
    said = {"multiple_choice", "direct_answer"}
    if all(isinstance(value, dict) and said & value.keys() for value in values):
        return "aokvqa predictions"
    return OTHER


def _rows(content: object, keys: set[str]) -> bool:
    if not isinstance(content, list) or not content or not isinstance(content[0], dict):
        return False
    return keys <= content[0].keys()


def read(file: Path) -> Found:
    """Return what is in a file of JSON, or of lines of JSON, which count as a list."""
    text = file.read_text(encoding="utf-8")
    try:
        if file.suffix == ".jsonl":
            content = [json.loads(line) for line in text.splitlines() if line]
        else:
            content = json.loads(text)
    except json.JSONDecodeError as error:
        return Found(file, BROKEN, str(error))
    return Found(file, form(content), content)


def read_folder(folder: Path) -> list[Found]:
    """Return the files of JSON of a folder, in order of their names."""
    files = sorted(folder.glob("*.json")) + sorted(folder.glob("*.jsonl"))
    return [read(file) for file in files]


def apart(mine: object, theirs: object) -> float:
    """Return the largest difference; None is as NaN, and as an error that the authors' code raises.

    It is not a number where one has more values than the other, or another kind.
    """
    if isinstance(theirs, list):
        if not isinstance(mine, Sequence | np.ndarray) or len(mine) != len(theirs):
            return float("nan")
        return max((apart(*pair) for pair in zip(mine, theirs, strict=True)), default=0.0, key=_bad)
    if theirs is None or theirs != theirs or (isinstance(theirs, str) and "Error" in theirs):
        return 0.0 if mine is None else float("nan")
    if isinstance(theirs, str):
        return 0.0 if mine == theirs else 1.0
    if isinstance(mine, float | int) and isinstance(theirs, float | int):
        return float(abs(mine - theirs))
    return float("nan")


def _bad(difference: float) -> float:
    return float("inf") if difference != difference else difference
