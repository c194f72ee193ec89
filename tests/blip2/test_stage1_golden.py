"""The golden values of the official code, through the script that anyone can run."""

import shutil
from pathlib import Path

from safetensors.torch import load_file, save_file

from forked import script

CHECK = Path(__file__).parents[1] / "golden" / "check.py"
TINY = CHECK.parent / "blip2"


def test_every_golden_value_is_met_in_eager_and_sdpa() -> None:
    done = script(CHECK, str(TINY), "tiny")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 beyond tolerance" in done.stdout
    for group in ("eager stage1", "sdpa stage1", "eager critic", "sdpa gradients total"):
        assert group in done.stdout


def test_a_wrong_and_an_unknown_value_fail_the_check(tmp_path: Path) -> None:
    folder = Path(shutil.copytree(TINY, tmp_path / "golden"))
    values = load_file(folder / "tiny_io.safetensors")
    values["stage1.text_feat"][0, 0] += 1e-4
    values["stage1.novelty"] = values["stage1.loss"].clone()
    (folder / "tiny_io.safetensors").unlink()
    save_file(values, folder / "tiny_io.safetensors")
    done = script(CHECK, str(folder), "tiny")
    assert done.returncode == 1
    assert "stage1.text_feat" in done.stdout and "stage1.novelty" in done.stdout
    named = [line for line in done.stdout.splitlines() if line.startswith("BEYOND TOLERANCE")]
    assert len(named) == 4  # both, in eager and in SDPA


def test_a_folder_without_golden_values_fails_the_check(tmp_path: Path) -> None:
    done = script(CHECK, str(tmp_path), "tiny")
    assert done.returncode == 1
    assert "nothing to compare" in done.stdout
