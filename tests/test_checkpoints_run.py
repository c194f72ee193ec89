"""A run through every adapter of transformers, on tiny checkpoints of the real classes."""

import json
from pathlib import Path

import pytest

import checkpoints
import house
from lskd.errors import UserError
from lskd.execute import Selection
from lskd.types import Concepts, Dialogue, Example, Narratives, Regions

RUN = """
[images]
source = "pictures"

[models]
teacher = { use = "models:Parrot" }
critic = { use = "models:Judge" }

[models.tagger]
use = "lskd.verbalize.dual_encoder:DualEncoder"
checkpoint = "clip"
cache = "cache"

[models.narrator]
use = "lskd.verbalize.vlm:VisionLanguageModel"
checkpoint = "vlm"
narrative_tokens = 6

[models.proposer]
use = "lskd.verbalize.detector:ObjectDetector"
checkpoint = "detr"
threshold = 0.0

[models.captioner]
use = "lskd.verbalize.vlm:VisionLanguageModel"
checkpoint = "blip2"
region_tokens = 6

[models.answerer]
use = "lskd.verbalize.vlm:VisionLanguageModel"
checkpoint = "blip2"
answer_tokens = 4

[narratives]
samples = 2

[regions]
most = 3
smallest = 0.0

[dialogue]
questions = 2

[corpus]
threshold = 0.8
"""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for seed in range(2):
        house.picture(tmp_path / "pictures" / f"{seed}.png", seed)
    checkpoints.write_clip(tmp_path / "clip")
    checkpoints.write_idefics3(tmp_path / "vlm")
    checkpoints.write_detr(tmp_path / "detr")
    checkpoints.write_owlv2(tmp_path / "owl")
    checkpoints.write_blip2(tmp_path / "blip2")
    (tmp_path / "tiny.toml").write_text(RUN)
    return tmp_path


def test_a_run_goes_through_every_adapter_of_transformers(home: Path) -> None:
    run = house.run(Path("tiny.toml"))
    for concepts in house.rows(run, Concepts):
        assert (len(concepts.places), len(concepts.objects), len(concepts.concepts)) == (2, 3, 3)
    assert [len(row.texts) for row in house.rows(run, Narratives)] == [2, 2]
    assert all(1 <= len(row.regions) <= 3 for row in house.rows(run, Regions))
    assert len(house.rows(run, Dialogue)) == 2
    assert (run.own / "report" / "report.html").exists()
    by_id = [row for row in house.rows(run, Example) if row.style == "id"]
    assert len(by_id) == 2 * 3


def test_the_zero_shot_detector_takes_the_proposers_place_by_one_change(home: Path) -> None:
    spec = {
        "use": "lskd.verbalize.detector:ZeroShotDetector",
        "checkpoint": "owl",
        "labels": ["dog", "cat"],
        "threshold": 0.0,
    }
    text = ", ".join(f"{key} = {json.dumps(value)}" for key, value in spec.items())
    change = f"models.proposer={{{text}}}"
    run = house.run(Path("tiny.toml"), change, selection=Selection(until="regions"))
    labels = {region.label for row in house.rows(run, Regions) for region in row.regions}
    assert labels and labels <= {"dog", "cat"}


def test_a_checkpoint_that_changed_counts_as_another_setting(home: Path) -> None:
    house.run(Path("tiny.toml"), selection=Selection(until="concepts"))
    config = home / "clip" / "config.json"
    config.write_text(config.read_text() + "\n")
    with pytest.raises(UserError, match="checkpoint=clip"):
        house.run(Path("tiny.toml"), selection=Selection(until="concepts"))
