"""LLaVA-Instruct: turns of conversations become examples without regions."""

import json
import random
from pathlib import Path
from typing import Any

import PIL.Image
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lskd.corpora.llava import examples
from lskd.corpora.source import Source, one_line
from lskd.distil.augmentation import fault, show
from lskd.types import Example, Reject


def picture(file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    PIL.Image.linear_gradient("L").resize((60, 40)).convert("RGB").save(file)


def talk(*values: object, image: object = "000000033471.jpg") -> dict[str, Any]:
    turns = [
        {"from": "gpt" if odd % 2 else "human", "value": value} for odd, value in enumerate(values)
    ]
    return {"id": "000000033471", "image": image, "conversations": turns}


def read(folder: Path, *rows: object, prefix: str = "") -> tuple[list[Example], list[Reject]]:
    picture(folder / f"{prefix}000000033471.jpg")
    file = folder / "llava_instruct_150k.json"
    file.write_text(json.dumps(rows))
    made = list(examples(Source(file, (folder,), prefix)))
    return (
        [one for one in made if isinstance(one, Example)],
        [one for one in made if isinstance(one, Reject)],
    )


def test_each_turn_is_an_example_about_the_whole_picture(tmp_path: Path) -> None:
    kept, rejects = read(
        tmp_path, talk("<image>\nWhat is it?", "A bus.", "Of what colour?", "It is red.")
    )
    assert rejects == []
    assert [(one.question, one.answer) for one in kept] == [
        ("What is it?", "A bus."),
        ("Of what colour?", "It is red."),
    ]
    assert [json.loads(one.extra)["turn"] for one in kept] == [0, 1]
    for one in kept:
        assert (one.rationale, one.regions, one.region_ids, one.split) == ("", (), (), "train")
        assert one.style == "description" and fault(one) is None


def test_rows_of_one_id_are_told_apart(tmp_path: Path) -> None:
    kept, _ = read(tmp_path, talk("A?", "B."), talk("A?", "B."))
    assert len({one.id for one in kept}) == 2


@pytest.mark.parametrize("value", ["<image>\nWho?", "Who?\n<image>", "<image> Who?", "Who?"])
def test_the_mark_of_the_picture_is_removed_at_either_end(tmp_path: Path, value: str) -> None:
    (made,), _ = read(tmp_path, talk(value, "Nobody."))
    assert made.question == "Who?"


def test_newlines_are_blanks_so_that_words_do_not_join(tmp_path: Path) -> None:
    (made,), _ = read(tmp_path, talk("What\nis it?", "First line.\n\nSecond line.\r\nThird\tone."))
    assert made.question == "What is it?"
    assert made.answer == "First line. Second line. Third one."


def test_numbers_in_brackets_name_no_region(tmp_path: Path) -> None:
    (made,), _ = read(tmp_path, talk("What is at [0.1, 0.2, 0.3, 0.4] and [1]?", "A [2]."))
    assert made.question == "What is at [0.1, 0.2, 0.3, 0.4] and [1]?"
    assert fault(made) is None


def test_images_may_have_a_prefix(tmp_path: Path) -> None:
    (made,), _ = read(tmp_path, talk("A?", "B."), prefix="COCO_train2014_")
    assert Path(made.path).name == "COCO_train2014_000000033471.jpg"
    picture(tmp_path / "coco" / "x_1.jpg")
    file = tmp_path / "rows.jsonl"
    file.write_text(json.dumps(talk("A?", "B.", image="coco/1.jpg")) + "\n")
    (within,) = examples(Source(file, (tmp_path,), "x_"))
    assert isinstance(within, Example) and within.path.endswith("coco/x_1.jpg")


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (talk("A?", "B.", image=""), "it has no image"),
        (talk("A?", "B.", image="gone.jpg"), "missing file gone.jpg"),
        (talk("A?", "B.", image="/"), "is not named from a folder"),
        (talk("A?", "B.", "C?"), "do not take turns, speakers are: human, gpt, human"),
        (talk(), "do not take turns, speakers are: nobody"),
        ({"image": "000000033471.jpg"}, "lacks 'conversations'"),
        ([], "no JSON object"),
    ],
)
def test_a_row_that_cannot_be_read_is_a_reject_and_the_rest_goes_on(
    tmp_path: Path, bad: object, reason: str
) -> None:
    kept, (reject,) = read(tmp_path, talk("A?", "B."), bad, talk("A?", "B."))
    assert len(kept) == 2
    assert reject.source == "llava_instruct_150k.json row 2" and reason in reject.reason


def test_an_empty_turn_is_a_reject_of_its_own(tmp_path: Path) -> None:
    kept, rejects = read(tmp_path, talk("<image>", "B.", "C?", " ", "E?", None, "G?", "H."))
    assert [one.question for one in kept] == ["G?"]
    assert [reject.reason for reject in rejects] == [
        "a question beside <image> is empty",
        "an answer is empty",
        "an answer is not a text: null",
    ]
    assert rejects[1].source == "llava_instruct_150k.json row 1 turn 1"


def test_a_broken_picture_is_a_reject(tmp_path: Path) -> None:
    (tmp_path / "half.jpg").write_bytes(b"\xff\xd8\xff\xe0 no more")
    _, (reject,) = read(tmp_path, talk("A?", "B.", image="half.jpg"))
    assert "half.jpg" in reject.reason


@given(st.text(max_size=40))
def test_one_line_keeps_all_words_apart(said: str) -> None:
    if said.split():
        assert one_line(said, "x").split() == said.split()
        assert "\n" not in one_line(said, "x")


def test_the_authors_own_question_answer_rows_are_read(tmp_path: Path, shared: Path) -> None:
    file = shared / "data" / "llava_instruct" / "coco2014_val_gpt4_qa.part.jsonl"
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    for row in rows:
        picture(tmp_path / row["image"])
    made = list(examples(Source(file, (tmp_path,))))
    kept = [one for one in made if isinstance(one, Example)]
    assert len(kept) == len(made) == len(rows)
    for one, row in zip(kept, rows, strict=True):
        assert one.answer.split() == row["output"].split()
    assert {one.split for one in kept} == {"validation"}


def test_rows_of_another_form_say_what_they_lack(tmp_path: Path, shared: Path) -> None:
    file = shared / "data" / "llava_instruct" / "caps_boxes_coco2014_val.part.jsonl"
    picture(tmp_path / "000000296284.jpg")
    made = list(examples(Source(file, (tmp_path,))))
    assert made and all(isinstance(one, Reject) for one in made)
    assert isinstance(made[0], Reject) and "lacks 'conversations'" in made[0].reason


def test_nothing_is_drawn_on_the_picture(tmp_path: Path) -> None:
    (made,), _ = read(tmp_path, talk("A?", "B."))
    assert show(made, random.Random(1), described="drawn").view.regions == ()
