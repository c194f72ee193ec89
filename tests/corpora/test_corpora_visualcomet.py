"""VisualCOMET's annotations: events and inferences become examples, people become regions."""

import json
from pathlib import Path
from typing import Any

import PIL.Image
import pytest

from lskd.corpora.source import Source
from lskd.corpora.visualcomet import examples
from lskd.distil.augmentation import fault
from lskd.types import Box, Example, Reject

STEM = "film/clip@0"


def house(folder: Path, boxes: int = 4, stem: str = STEM, chairs: tuple[int, ...] = (3,)) -> None:
    """Write a picture and its metadata: people, and chairs at some places."""
    file = folder / "vcr1images" / f"{stem}.jpg"
    file.parent.mkdir(parents=True, exist_ok=True)
    PIL.Image.linear_gradient("L").resize((100, 50)).convert("RGB").save(file)
    metadata = {
        "boxes": [[10.5 * k, 5, 10.5 * k + 10, 45, 0.9] for k in range(boxes)],
        "segms": [[[[10.5 * k, 5], [10.5 * k + 10, 5], [10.5 * k, 45]]] for k in range(boxes)],
        "names": ["chair" if k in chairs else "person" for k in range(boxes)],
        "width": 100,
        "height": 50,
    }
    file.with_suffix(".json").write_text(json.dumps(metadata))


def row(**changes: Any) -> dict[str, Any]:
    return {
        "img_fn": f"{STEM}.jpg",
        "movie": "film",
        "metadata_fn": f"{STEM}.json",
        "place": "at a fancy party",
        "event": "2 is trying to talk to 1",
        "intent": ["ask 1 on a date"],
        "before": ["approach 3 at an event"],
        "after": ["dance"],
    } | changes


def read(folder: Path, *rows: object) -> tuple[list[Example], list[Reject]]:
    file = folder / "train_annots.json"
    file.write_text(json.dumps(rows))
    made = list(examples(Source(file, (folder,))))
    return (
        [one for one in made if isinstance(one, Example)],
        [one for one in made if isinstance(one, Reject)],
    )


def test_each_inference_is_an_example_worded_by_its_relation(tmp_path: Path) -> None:
    house(tmp_path)
    kept, rejects = read(tmp_path, row())
    assert rejects == []
    assert {one.question for one in kept} == {"[1] is trying to talk to [0], at a fancy party"}
    assert [one.answer for one in kept] == [
        "[1] wanted to ask [0] on a date",
        "[1] needed to approach [2] at an event",
        "[1] will most likely dance",
    ]
    assert [one.region_ids for one in kept] == [(0, 1), (0, 1, 2), (0, 1)]
    assert {one.rationale for one in kept} == {""} and {one.style for one in kept} == {"id"}
    assert len({one.id for one in kept}) == 3
    assert [json.loads(one.extra)["relation"] for one in kept] == ["intent", "before", "after"]
    assert all(fault(one) is None for one in kept)


def test_rows_of_an_earlier_release_keep_their_intents(tmp_path: Path) -> None:
    house(tmp_path)
    older = row()
    older["xIntent"] = older.pop("intent")
    only = {key: value for key, value in older.items() if key not in ("before", "after")}
    kept, rejects = read(tmp_path, older, only)
    assert rejects == []
    assert [json.loads(one.extra)["relation"] for one in kept] == [
        *("intent", "before", "after"),
        "intent",
    ]
    assert kept[3].answer == "[1] wanted to ask [0] on a date"


def test_all_boxes_of_the_metadata_are_regions(tmp_path: Path) -> None:
    house(tmp_path)
    regions = read(tmp_path, row())[0][0].regions
    assert [region.id for region in regions] == [0, 1, 2, 3]
    assert [region.label for region in regions] == ["person", "person", "person", "chair"]
    assert regions[1].box == Box(10.5, 5, 20.5, 45) and regions[1].score == 0.9


def test_numbers_that_are_no_person_stay_numbers(tmp_path: Path) -> None:
    house(tmp_path)
    told = "1 sits on 4 beside 9 others at 10:30"
    kept, rejects = read(tmp_path, row(event=told, place="", intent=["pay 1.50 to 2"], before=[]))
    assert rejects == []
    assert kept[0].question == "[0] sits on 4 beside 9 others at 10:30"
    assert kept[0].answer == "[0] wanted to pay 1.50 to [1]"
    assert [one.region_ids for one in kept] == [(0, 1), (0,)]


def test_an_event_without_a_person_has_a_person_x(tmp_path: Path) -> None:
    house(tmp_path)
    kept, _ = read(tmp_path, row(event="it rains", intent=["stay dry"], before=[], after=[]))
    assert [one.answer for one in kept] == ["PersonX wanted to stay dry"]
    assert kept[0].region_ids == ()


def test_newlines_in_texts_are_blanks(tmp_path: Path) -> None:
    house(tmp_path)
    kept, _ = read(tmp_path, row(event="1 is\ntalking", intent=["go \n home"], before=[], after=[]))
    assert kept[0].question.startswith("[0] is talking,")
    assert kept[0].answer == "[0] wanted to go home"


def test_an_inference_that_cannot_be_used_is_a_reject_and_the_others_stay(tmp_path: Path) -> None:
    house(tmp_path, boxes=12, chairs=())
    kept, rejects = read(tmp_path, row(intent=["", "meet 12", "see [1]", 3, "rest"]))
    assert len(kept) == 3
    assert [(reject.source, reject.reason) for reject in rejects] == [
        ("train_annots.json row 1 intent 0", "an inference of 'intent' is empty"),
        ("train_annots.json row 1 intent 1", "the box of object 11 covers no part of the image"),
        (
            "train_annots.json row 1 intent 2",
            "an inference of 'intent' has words that read like a region's tag: 'see [1]'",
        ),
        ("train_annots.json row 1 intent 3", "an inference of 'intent' is not a text: 3"),
    ]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"intent": [], "before": [], "after": []}, "none of intent, before, after"),
        ({"img_fn": "film/other.jpg"}, "missing file vcr1images/film/other.jpg"),
        ({"metadata_fn": "film/other.json"}, "missing file vcr1images/film/other.json"),
        ({"event": ""}, "'event' is empty"),
        ({"after": "dance"}, "'after' is not a list"),
    ],
)
def test_a_row_that_cannot_be_read_is_a_reject_and_the_rest_goes_on(
    tmp_path: Path, changes: dict[str, Any], reason: str
) -> None:
    house(tmp_path)
    kept, (reject,) = read(tmp_path, row(), row(**changes), row())
    assert len(kept) == 6 and len({one.id for one in kept}) == 6
    assert reject.source == "train_annots.json row 2" and reason in reject.reason
    assert json.loads(reject.text) == row(**changes)


def test_the_authors_own_row_is_read(tmp_path: Path, shared: Path) -> None:
    file = shared / "data" / "visualcomet" / "val_annots.readme-row.json"
    (given,) = json.loads(file.read_text())
    house(tmp_path, stem=given["img_fn"].removesuffix(".jpg"))
    made = list(examples(Source(file, (tmp_path / "vcr1images",))))
    kept = [one for one in made if isinstance(one, Example)]
    assert len(kept) == len(made) == 10
    assert kept[0].question == (
        "[0] is trying to talk to the pretty woman in front of him, at a fancy party"
    )
    assert kept[3].answer == "[0] needed to introduce himself to [2]"
    assert {one.split for one in kept} == {"validation"}
