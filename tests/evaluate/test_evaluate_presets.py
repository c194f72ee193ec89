"""Presets: every row of Table 3 is there, with the paper's figures, and runs on tiny weights."""

import math
import re
from pathlib import Path
from typing import Any

import pytest

import checkpoints
import tiny_models
from lskd.errors import UserError
from lskd.evaluate.presets import Figures, Preset, names, preset
from lskd.evaluate.protocol import chosen, panels
from lskd.protocols import Scorer
from lskd.stage import check, named
from lskd.types import Box, Item, Region

TABLE = (
    "clip-event",
    "clip-vit-b-16",
    "clip-vit-l-14-336",
    "blip-vit-l",
    "blip2-vit-l",
    "blip2-vit-g",
    "lskd",
)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """Return the keys that each preset's scorer needs to run on tiny weights of its own class."""
    root = tmp_path_factory.mktemp("tiny")
    clip = checkpoints.write_clip(root / "clip")
    event = checkpoints.write_openai_clip(root / "event.pt", clip, "module.", "state_dict")
    blip = checkpoints.write_blip(root / "blip")
    size: dict[str, Any] = {"frozen": None, "image": 28, "tokens": 48}
    towers = {
        kind: str(checkpoints.write_stage1(root / kind, "clip" if kind == "vit-l" else "eva"))
        for kind in ("vit-l", "vit-g")
    }
    return {
        "clip-event": {"weights": str(event), "checkpoint": str(clip)},
        "clip-vit-b-16": {"checkpoint": str(clip)},
        "clip-vit-l-14-336": {"checkpoint": str(clip)},
        "blip-vit-l": {"checkpoint": str(blip), "first_token": 62},
        "blip2-vit-l": {
            **size,
            "weights": towers["vit-l"],
            "size": towers["vit-l"],
            "vocabulary": towers["vit-l"],
        },
        "blip2-vit-g": {
            **size,
            "weights": towers["vit-g"],
            "size": towers["vit-g"],
            "vocabulary": towers["vit-g"],
        },
        "lskd": {"folder": str(checkpoints.write_student(root / "student"))},
    }


@pytest.fixture(scope="module")
def items(tmp_path_factory: pytest.TempPathFactory) -> list[Item]:
    picture = tiny_models.picture(tmp_path_factory.mktemp("pictures"), 40, 30, 5).image
    regions = (
        Region(0, Box(2, 2, 20, 20), "person", "", 1.0),
        Region(1, Box(15, 5, 35, 28), "dog", "", 1.0),
    )

    def item(task: str, given: str | None, question: str, choices: tuple[str, ...]) -> Item:
        return Item(
            id=task,
            benchmark="vcr",
            task=task,
            split="val",
            image_id=picture.id,
            path=picture.path,
            width=picture.width,
            height=picture.height,
            regions=regions,
            pointed=(1, 0),
            question=question,
            given=given,
            choices=choices,
            right=(0,),
            ratings=(),
            kind="",
        )

    return [
        item("answer", None, "What is [1] ?", ("[1] is a dog .", "[0] is .", "red", "no .")),
        item("rationale", "[1] is a dog .", "What is [1] ?", ("it is red .", "[0] is left .")),
        item("comparison", None, "", ("a house .", "the person is right .")),
    ]


def test_the_rows_of_table_3_are_there_in_its_order() -> None:
    assert names() == TABLE


def test_the_figures_are_those_of_the_paper(shared: Path) -> None:
    paper = next((shared / "paper").glob("*.txt")).read_text()
    rows = dict(re.findall(r"^((?:CLIP|BLIP)[^\t\n]*)\t(.*)$", paper, re.MULTILINE))
    told = {title.split(" [")[0].rstrip("*"): row for title, row in rows.items()}
    for name, title in zip(
        TABLE,
        (
            "CLIP-Event",
            "CLIP ViT-B-16",
            "CLIP ViT-L-14x336",
            "BLIP ViT-L",
            "BLIP-2 ViT-L",
            "BLIP-2 ViT-G",
            "BLIP-2 ViT-G + LSKD",
        ),
        strict=True,
    ):
        cells = [re.sub(r"<.*?>", "", cell) for cell in told[title].split("\t")][:8]
        expected = [None if cell == "-" else float(cell) for cell in cells]
        figures = preset(name).figures
        assert [getattr(figures, field) for field in Figures.model_fields] == expected


@pytest.mark.parametrize("name", TABLE)
def test_every_preset_names_a_scorer_and_its_keys(name: str) -> None:
    check(Scorer, preset(name).model)


@pytest.mark.parametrize("name", TABLE)
def test_every_preset_runs_on_tiny_weights_of_the_real_classes(
    name: str, tiny: dict[str, dict[str, Any]], items: list[Item]
) -> None:
    row = preset(name)
    scorer = named(row.model.use)(**(row.model.keys | {"device": "cpu"} | tiny[name]))
    assert isinstance(scorer, Scorer)
    fits = scorer.fits(panels(items, row.protocol))
    for item, one in zip(items, fits, strict=True):
        scores = chosen(one, row.protocol)
        assert len(scores) == len(item.choices)
        assert all(math.isfinite(score) for score in scores)
        assert len(set(scores)) == len(scores), "different choices are told apart"


def test_clip_reads_no_question_and_blip2_does(items: list[Item]) -> None:
    def said(name: str, task: int) -> str:
        return panels(items, preset(name).protocol)[task].texts[0].whole

    assert said("clip-vit-b-16", 0) == "the dog is a dog ."
    assert said("clip-vit-b-16", 1) == "the dog is a dog . it is red ."
    assert said("clip-event", 0) == "dog is a dog ." and said("clip-event", 1) == "it is red ."
    assert said("blip2-vit-g", 0) == ("question: what is the dog ? answer: the dog is a dog .")
    assert said("lskd", 1) == (
        "question: what is [0] ? answer: [0] is a dog . rationale: it is red ."
    )
    assert [len(panels(items, preset(name).protocol)[0].regions) for name in TABLE] == [
        *[0] * 6,
        2,
    ]


def test_a_users_own_file_is_a_preset_too(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(
        'row = 8\ntitle = "Mine"\n[model]\nuse = "mine.module:Mine"\n'
        '[protocol]\nscore = "likelihood"\n'
    )
    mine = preset(str(file))
    assert isinstance(mine, Preset) and mine.model.use == "mine.module:Mine"
    assert mine.figures == Figures()


def test_a_preset_that_cannot_be_used_is_refused_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no preset 'gpt'; known: blip-vit-l, .*, lskd, or the"):
        preset("gpt")
    file = tmp_path / "mine.toml"
    for text, said in (
        ("row = ", "cannot be read"),
        ("row = 1\nrows = 2\n", "model"),
        ('row = 1\ntitle = "a"\n[model]\nuse = "a:B"\n[protocol]\nscore = 1', "score"),
    ):
        file.write_text(text)
        with pytest.raises(UserError, match=said) as caught:
            preset(str(file))
        assert "\n" not in str(caught.value)
