"""Models of the real classes, tiny ones, are evaluated from their folders."""

from pathlib import Path

import pytest
import torch
from evaluate_world import context, put_visualcomet, settings, world
from scored import counted

from checkpoints import write_blip, write_clip, write_openai_clip, write_stage1, write_student
from lskd.evaluate import presets
from lskd.evaluate.predictions import Contender
from lskd.evaluate.protocol import panels
from lskd.evaluate.scorers.stage1 import Blip2Scorer, StudentScorer
from lskd.evaluate.scorers.views import questions
from lskd.evaluate.trial import read
from lskd.evaluate.work import evaluate
from lskd.stage import Model


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("weights")
    write_clip(root / "clip")
    write_openai_clip(root / "event.pt", root / "clip")
    write_blip(root / "blip")
    write_stage1(root / "stage1")
    write_student(root / "student")
    return root


def rows(root: Path) -> dict[str, dict[str, object]]:
    """Return every row of Table 3 with tiny weights in the place of the published ones."""
    stage1 = {"weights": str(root / "stage1"), "frozen": None, "size": str(root / "stage1")}
    small = {"vocabulary": str(root / "stage1/vocab.txt"), "image": 28, "tokens": 48}
    clip: dict[str, object] = {"checkpoint": str(root / "clip")}
    keys: dict[str, dict[str, object]] = {
        "clip-event": {"weights": str(root / "event.pt"), **clip},
        "clip-vit-b-16": clip,
        "clip-vit-l-14-336": clip,
        "blip-vit-l": {"checkpoint": str(root / "blip"), "first_token": None},
        "blip2-vit-l": {**stage1, **small},
        "blip2-vit-g": {**stage1, **small},
        "lskd": {"folder": str(root / "student")},
    }
    assert tuple(keys) == presets.names()
    return {name: {"preset": name, **own} for name, own in keys.items()}


def test_every_row_of_table_3_is_evaluated_on_all_six_benchmarks(
    weights: Path, tmp_path: Path
) -> None:
    found = evaluate(settings(world(tmp_path), rows(weights)), context(tmp_path / "out"))
    values = [one for one in found.outcomes if one.official and not one.slicing]
    assert len(values) == 7 * 9
    assert all(one.value is not None for one in values)
    text = (tmp_path / "out/summary.md").read_text()
    assert "| BLIP-2 ViT-G + LSKD, the paper | 59.0 | 56.4 | 33.4 | 29.7 | 40.3 | 68.9 |" in text


def test_each_distinct_view_is_encoded_once_over_all_shards(weights: Path, tmp_path: Path) -> None:
    put_visualcomet(tmp_path / "vc", 90)
    where = {"visualcomet": {"folder": str(tmp_path / "vc")}, **world(tmp_path, "aokvqa")}
    keys = {"weights": str(weights / "stage1"), "image": 28, "tokens": 48}
    use = "lskd.evaluate.scorers.stage1:Blip2Scorer"
    chosen = settings(where, {"base": {"use": use, **keys}})
    entry = chosen.models["base"]
    for trial in read(chosen.benchmarks, "error", ()):
        model = Contender("base", Model(use=use, **keys), entry.protocol, context(tmp_path / "o"))
        scorer = Blip2Scorer(**keys)  # type: ignore[arg-type]
        model.scorer = scorer
        with counted(scorer.reader.model.backbone.vision) as seen:
            model.answers(trial)
        views = {one.view for one in questions(panels(trial.items, entry.protocol))}
        assert sum(seen) == len(views)


def test_a_student_that_is_trained_again_is_asked_anew(weights: Path, tmp_path: Path) -> None:
    folder = write_student(tmp_path / "student")
    use = "lskd.evaluate.scorers.stage1:StudentScorer"
    chosen = settings(world(tmp_path, "aokvqa"), {"s": {"use": use, "folder": str(folder)}})
    evaluate(chosen, context(tmp_path / "out"))
    before = {path.name for path in (tmp_path / "out/predictions").iterdir()}
    student = StudentScorer(str(folder)).reader.model
    with torch.no_grad():
        student.matching.weight.add_(1.0)
    from lskd.blip2 import weights as files

    files.save(student, folder)  # of the same size and name, with the same note
    evaluate(chosen, context(tmp_path / "out"))
    after = {path.name for path in (tmp_path / "out/predictions").iterdir()}
    assert len(before) == 1 and len(after) == 2
