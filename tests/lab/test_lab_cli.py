"""The commands of the lab: what they print, and a user's mistakes in one line."""

from pathlib import Path

import pytest

from forked import lskd


def test_make_makes_a_world_and_says_where(tmp_path: Path) -> None:
    done = lskd(
        "lab", "make", "w", "--scenes", "8", "--tests", "4", "--log", "plain", folder=tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert "w: 16 scenes" in done.stdout
    assert (tmp_path / "w" / "gold" / "test" / "vcr" / "val.jsonl").is_file()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("bars", "run.toml", "--seeds", "one"), "whole numbers, apart by commas"),
        (("run", "absent.toml", "--scenes", "8", "--tests", "4"), "no run file"),
        (("judge", "absent.toml", "--world", "w", "--judgments", "j.parquet"), "no run file"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(
    words: tuple[str, ...], said: str, tmp_path: Path
) -> None:
    done = lskd("lab", *words, folder=tmp_path)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr
