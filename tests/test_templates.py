"""The run files that the project ships are read by the code that it ships."""

from pathlib import Path

import pytest

from lskd.run import load
from lskd.runfile import wrong_models

RUNS = Path(__file__).parents[1] / "runs"


# Those wait for what recipes train first, and have their own: reproduce/test_reproduce_files.py.
ELSEWHERE = ("paper", "open")
FILES = [file for file in sorted(RUNS.rglob("*.toml")) if file.parent.name not in ELSEWHERE]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_template_has_no_mistake_and_names_models_that_are_there(file: Path) -> None:
    run = load(file)
    assert wrong_models(run.settings) == []


def test_a_changed_teacher_leaves_sight_to_the_parent() -> None:
    run = load(RUNS / "student.toml")
    inherited = {name for name, folder in run.folders.items() if folder.parent != run.own}
    assert {"images", "regions", "generate", "corpus"} <= inherited and "distil" not in inherited
