"""`lskd lab pretrain`: what it begins with, and what a killed or another training goes on from."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from lab_house import BASE
from typer.testing import CliRunner

from lskd.blip2 import weights
from lskd.blip2.files import read_size
from lskd.blip2.given import VOCABULARY
from lskd.blip2.stage1 import new_student
from lskd.cli import app
from lskd.errors import UserError
from lskd.lab.pretrain import note
from lskd.lab.pretrain.plan import Plan, changed
from lskd.lab.pretrain.work import pretrain

# The Q-Former alone: its five parts, a step of each.
SHORT = Plan(
    scenes=2,
    held_back=2,
    patch_steps=0,
    tint_steps=0,
    standing_steps=1,
    standing_batch=2,
    name_steps=1,
    name_batch=2,
    caption_steps=1,
    caption_batch=2,
    plain_steps=1,
    plain_batch=2,
    match_steps=1,
    match_batch=2,
)


def trained(plan: Plan, folder: Path, start: Path | None = None) -> list[str]:
    """Train into a folder; return what was said of it."""
    said: list[str] = []
    pretrain(plan, folder, said.append, start)
    return [line for line in said if line.startswith(("going on", "step"))]


def another(folder: Path) -> Path:
    """Write a base model of the lab with other weights."""
    torch.manual_seed(1)
    weights.save(new_student(read_size(BASE), dropout=0.0), folder)
    (folder / VOCABULARY).write_bytes((BASE / VOCABULARY).read_bytes())
    (folder / note.NOTE).write_text('"another"')
    return folder


def test_a_part_goes_on_only_from_what_it_would_itself_have_come_to(tmp_path: Path) -> None:
    made = tmp_path / "made"
    first = trained(SHORT, made, BASE)
    assert [line.split(":")[0] for line in first] == ["step 1 of 1"] * 5
    assert trained(SHORT, made, BASE) == ["going on after step 1 of 1"] * 5
    longer = trained(replace(SHORT, match_steps=2), made, BASE)
    assert longer[:4] == ["going on after step 1 of 1"] * 4 and longer[4].startswith("step 2 of 2")
    # Without plain statements the last part begins with other weights.
    skipped = trained(replace(SHORT, plain_steps=0), made, BASE)
    assert [line.split(":")[0].split(" after")[0] for line in skipped] == [
        *["going on"] * 3,
        "step 1 of 1",
    ]
    other = trained(SHORT, made, another(tmp_path / "other"))
    assert not any("going on" in line for line in other) and other != first
    assert json.loads((made / note.NOTE).read_text())["start"] == "another"
    assert not any("going on" in line for line in trained(replace(SHORT, first=9), made, BASE))


def test_what_was_learnt_is_told_of_scenes_that_were_held_back(tmp_path: Path) -> None:
    trained(SHORT, tmp_path, BASE)
    told = json.loads((tmp_path / note.NOTE).read_text())
    assert set(told["seconds"]) == {"standing", "names", "captions", "plain", "matching"}
    learnt = told["learnt"]
    assert set(learnt) == {"recall", "precision", "first", "itm"}
    assert all(0 <= learnt[share] <= 1 for share in ("recall", "precision", "first"))
    assert learnt["first"] in (0.0, 0.5, 1.0) and learnt["itm"] > 0  # of two scenes


@pytest.mark.parametrize("lacking", [None, note.NOTE, VOCABULARY])
def test_what_is_no_base_model_is_refused_before_any_work(
    tmp_path: Path, lacking: str | None
) -> None:
    start = tmp_path / "nowhere"
    if lacking is not None:
        (another(start) / lacking).unlink()
    words = ["lab", "pretrain", str(tmp_path / "made"), "--start", str(start)]
    told = CliRunner().invoke(app, words)
    assert told.exit_code == 2
    assert f"{start} is no base model of the lab: it has no {lacking or note.NOTE}" in told.stderr
    assert "scenes drawn" not in told.stderr


def test_any_number_of_the_plan_can_be_given_and_what_it_cannot_have_is_one_line() -> None:
    plan = changed(Plan(), ("match_steps=12", "match_rate=5e-4", "precision=bf16"))
    assert plan == replace(Plan(), match_steps=12, match_rate=5e-4, precision="bf16")
    with pytest.raises(UserError, match="expected KEY=VALUE, of scenes, patch_steps"):
        changed(Plan(), ("steps=12",))
    with pytest.raises(UserError, match="match_steps=many: Input should be a valid integer"):
        changed(Plan(), ("match_steps=many",))
    with pytest.raises(UserError, match="held_back = 0: 1 is the least"):
        changed(Plan(), ("held_back=0",))
