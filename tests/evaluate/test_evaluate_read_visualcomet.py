"""VisualCOMET's files: fifty candidates to an event, its own first, people as regions."""

import json
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from gold_files import NAMES, SCENE, Json, picture, put, put_scene, reasons
from hypothesis import given
from hypothesis import strategies as st

from lskd.errors import UserError
from lskd.evaluate.benchmark import Found, Options
from lskd.evaluate.protocol import Protocol, panels
from lskd.evaluate.rows import Wrong
from lskd.evaluate.visualcomet import read, tagged
from lskd.types import Item


def event(number: int = 0, **changes: object) -> Json:
    made: Json = {
        "img_fn": f"{SCENE}.jpg",
        "metadata_fn": f"{SCENE}.json",
        "movie": "film",
        "place": "at a party",
        "event": f"2 is talking to 1 at {number}{number}:30",
        "intent": [f"ask 4 out {number}", f"be kind {number}"],
        "before": [f"meet 1 {number}00", f"dress up {number}00", f"come {number}00"],
        "after": [f"dance with 3 {number}00"],
    }
    return made | changes


def put_comet(folder: Path, *rows: object, split: str = "val") -> Path:
    put_scene(folder)
    put(folder / f"{split}_annots.json", list(rows))
    return folder


def many(folder: Path, count: int = 20) -> Found:
    """Return the items of a folder with six inferences to each of `count` events."""
    return read(put_comet(folder, *(event(number) for number in range(count))), Options())


def first(folder: Path, *rows: object) -> Item:
    found = read(put_comet(folder, *rows), Options())
    assert found.faults == ()
    return found.items[0]


def test_each_event_and_relation_is_an_item_with_its_own_inferences_first(tmp_path: Path) -> None:
    found = many(tmp_path)
    assert found.faults == ()
    assert [item.id for item in found.items[:4]] == [
        "val-0-intent",
        "val-0-before",
        "val-0-after",
        "val-1-intent",
    ]
    assert [item.kind for item in found.items[:3]] == ["intent", "before", "after"]
    assert [item.right for item in found.items[:3]] == [(0, 1), (0, 1, 2), (0,)]
    assert found.items[0].choices[:2] == ("[1] wanted to ask [3] out 0", "[1] wanted to be kind 0")
    assert found.items[2].choices[0].startswith("[1] will most likely dance with 3")


def test_there_are_fifty_candidates_and_the_own_ones_are_among_them(tmp_path: Path) -> None:
    for item in many(tmp_path).items:
        assert len(item.choices) == 50
        assert len(set(item.choices)) == 50  # here no two inferences are alike


def test_a_candidate_keeps_the_relation_that_it_was_written_for(tmp_path: Path) -> None:
    prompts = {"ask": "wanted to", "meet": "needed to", "dance": "will most likely"}
    for item in many(tmp_path).items:
        for choice in item.choices:
            for word, prompt in prompts.items():
                assert f" {word} " not in choice or choice.startswith(f"[1] {prompt} {word} ")
    relations = {choice.split()[1] for choice in many(tmp_path).items[0].choices}
    assert relations == {"wanted", "needed", "will"}


def test_candidates_follow_the_seed_and_the_item_not_the_number_of_items(tmp_path: Path) -> None:
    whole = many(tmp_path)
    again = read(tmp_path, Options(limit=4))
    assert again.items == whole.items[:4]
    other = read(tmp_path, Options(seed=1))
    assert [item.choices for item in other.items] != [item.choices for item in whole.items]
    assert whole.notes == ("candidates drawn with seed 0, 50 to a question",)


def test_every_other_inference_of_the_split_is_drawn_alike(tmp_path: Path) -> None:
    rows = [event(n, intent=[f"a{n}"], before=[f"b{n}"], after=[]) for n in range(50)]
    found = read(put_comet(tmp_path, *rows), Options())
    drawn = [choice.split()[-1] for item in found.items for choice in item.choices[1:]]
    counts = [drawn.count(text) for n in range(50) for text in (f"a{n}", f"b{n}")]
    # 100 items draw 49 of 99 others: 49 times each in expectation, 5 at one standard deviation.
    assert sum(counts) == 4900
    assert min(counts) > 49 - 25
    assert max(counts) < 49 + 25


def test_a_split_of_few_inferences_gives_fewer_candidates_and_says_so(tmp_path: Path) -> None:
    found = read(put_comet(tmp_path, event()), Options())
    assert [len(item.choices) for item in found.items] == [6, 6, 6]
    assert found.notes == ("candidates drawn with seed 0, 6 to a question",)


def test_rows_of_one_image_and_event_are_one_group(tmp_path: Path) -> None:
    rows = [event(intent=["rest"]), event(1), event(intent=["eat", "sleep"], before=[], after=[])]
    found = read(put_comet(tmp_path, *rows), Options())
    assert len(found.items) == 6
    assert found.items[0].choices[:3] == (
        "[1] wanted to rest",
        "[1] wanted to eat",
        "[1] wanted to sleep",
    )
    assert found.items[0].right == (0, 1, 2)


def test_people_count_from_1_in_texts_and_from_0_in_tags(tmp_path: Path) -> None:
    item = first(tmp_path, event(event="2 and 4's friend, 1."))
    assert item.question == "[1] and [3]'s friend, [0]."
    assert item.pointed[:3] == (1, 3, 0)


def test_numbers_that_are_no_persons_of_the_image_stay(tmp_path: Path) -> None:
    assert NAMES[2] == "dog"
    item = first(tmp_path, event(event="3 barks at 5 men and 1,000 others at 1:30, 2-year-old 2"))
    assert item.question == "3 barks at 5 men and 1,000 others at 1:30, 2-year-old [1]"


def test_an_event_without_a_person_has_person_x_and_is_about_all_persons(tmp_path: Path) -> None:
    row = event(event="people talk", intent=["rest"], before=[], after=[])
    item = first(tmp_path, row)
    assert item.choices == ("PersonX wanted to rest",)
    assert item.pointed == (0, 1, 3)


def test_regions_pointed_at_are_those_of_event_and_candidates(tmp_path: Path) -> None:
    item = first(tmp_path, event(intent=["ask 4 out"], before=["meet 1"], after=[]))
    assert item.pointed == (1, 0, 3)  # 2 is talking to 1; 4 is in a candidate


@given(st.permutations(["ask 4 out", "meet 1", "wave", "see 3 and 4", "go"]))
def test_the_order_of_candidates_says_nothing_in_the_numbers_of_people(said: list[str]) -> None:
    # People's own stand first: numbers in the order of first mention would give them away.
    with TemporaryDirectory() as name:
        row = event(event="2 talks", intent=said, before=[], after=[])
        made = first(Path(name), row)
    assert made.pointed == (1, 0, 3)
    asked = panels([made], Protocol())[0]
    assert [region.box for region in asked.regions] == [made.regions[n].box for n in (1, 0, 3)]
    renumbered = {"ask [2] out", "meet [1]", "wave", "see 3 and [2]", "go"}
    assert {text.target for text in asked.texts} == {f"[0] wanted to {one}" for one in renumbered}


def test_people_whom_only_candidates_name_come_in_ascending_order(tmp_path: Path) -> None:
    row = event(event="people talk", intent=["ask 4 out"], before=["meet 2 and 1"], after=[])
    assert first(tmp_path, row).pointed == (0, 1, 3)


def test_the_place_is_left_out(tmp_path: Path) -> None:
    item = first(tmp_path, event())
    assert not any("party" in text for text in (item.question, *item.choices))


def test_rows_of_an_earlier_release_keep_their_intents(tmp_path: Path) -> None:
    row = event()
    row["xIntent"] = row.pop("intent")
    assert first(tmp_path, row).kind == "intent"


def published(found: Found, rows: list[Json], **changes: object) -> list[Json]:
    """Return published groups that rank each item's own inferences and then all others."""
    flat = [
        (number, relation)
        for number, row in enumerate(rows)
        for relation in ("intent", "before", "after")
        for _ in row[relation]  # type: ignore[attr-defined]
    ]
    groups = []
    for item in found.items:
        number = int(item.id.split("-")[1])
        own = [i for i, key in enumerate(flat) if key == (number, item.kind)]
        others = [i for i in reversed(range(len(flat))) if i not in own]
        groups.append(
            {
                "img_fn": rows[number]["img_fn"],
                "event": rows[number]["event"],
                "inference_relation": item.kind,
                "inference_candidate_indices": own + others,
            }
            | changes
        )
    return groups


@pytest.mark.parametrize("form", ["results", "list", "object"])
def test_published_candidates_are_used_where_they_are(tmp_path: Path, form: str) -> None:
    rows = [event(0), event(1)]
    folder = put_comet(tmp_path, *rows)
    groups = published(read(folder, Options()), rows)
    forms: dict[str, object] = {
        "results": {"mean_recall": 0.4, "results": groups},
        "list": groups,
        "object": {str(number): group for number, group in enumerate(groups)},
    }
    put(folder / "val_rank_random_50.json", forms[form])
    found = read(folder, Options())
    assert found.faults == ()
    assert found.notes == ("candidates as published in val_rank_random_50.json",)
    intent = found.items[0]
    assert intent.choices[:3] == (
        "[1] wanted to ask [3] out 0",
        "[1] wanted to be kind 0",
        "[1] will most likely dance with 3 100",
    )
    assert len(intent.choices) == 12


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"inference_candidate_indices": []}, "do not begin with its own inferences"),
        ({"inference_candidate_indices": ["0"]}, "are no list of whole numbers"),
        ({"event": "another"}, "has no candidates for it"),
    ],
)
def test_published_candidates_of_other_annotations_are_faults(
    tmp_path: Path, changes: Json, reason: str
) -> None:
    rows = [event()]
    folder = put_comet(tmp_path, *rows)
    groups = published(read(folder, Options()), rows, **changes)
    put(folder / "val_rank_random_50.json", {"results": groups})
    found = read(folder, Options())
    assert found.items == ()
    assert len(found.faults) == 3
    assert all(reason in fault for fault in reasons(found))


@pytest.mark.parametrize("wrong", [[0, 1, 1], [0, 1, 6], [0, 1, -1]])
def test_published_candidates_that_repeat_or_do_not_exist_are_a_fault(
    tmp_path: Path, wrong: list[int]
) -> None:
    rows = [event()]
    folder = put_comet(tmp_path, *rows)
    groups = published(read(folder, Options()), rows)
    groups[0]["inference_candidate_indices"] = wrong
    put(folder / "val_rank_random_50.json", groups)
    (reason,) = reasons(read(folder, Options()))
    assert "repeat, or are not 0 to 5" in reason


def test_published_candidates_are_refused_where_a_row_cannot_be_counted(tmp_path: Path) -> None:
    rows = [event(0), event(1), event(2)]
    folder = put_comet(tmp_path, *rows)
    groups = published(read(folder, Options()), rows)
    put(folder / "val_rank_random_50.json", groups)
    put(folder / "val_annots.json", [rows[0], rows[1] | {"intent": "rest"}, rows[2]])
    # Row 1 has its own inferences where they were; all after row 2 would be others' texts.
    with pytest.raises(UserError) as caught:
        read(folder, Options())
    assert str(caught.value) == (
        f"{folder / 'val_rank_random_50.json'} counts the inferences of all rows, but 1 cannot be "
        "read, the first being val_annots.json row 2 ('intent' is not a list: \"rest\"): mend the "
        "rows, or remove that file to have candidates drawn"
    )


def test_a_published_file_without_candidates_is_an_error(tmp_path: Path) -> None:
    folder = put_comet(tmp_path, event())
    put(folder / "val_rank_random_50.json", {"results": [{"rank": [1]}]})
    with pytest.raises(UserError, match="has no groups with inference_candidate_indices"):
        read(folder, Options())


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"intent": "rest"}, "'intent' is not a list: \"rest\""),
        ({"event": None}, "'event' is not a text: null"),
        ({"img_fn": "film/none.jpg"}, "missing file vcr1images/film/none.jpg in "),
        ({"event": "[1] talks"}, "words that read like a region's tag: '[1] talks'"),
    ],
)
def test_a_row_of_visualcomet_that_cannot_be_asked_is_a_fault(
    tmp_path: Path, changes: Json, reason: str
) -> None:
    row = event(1, before=[], after=[]) | changes
    found = read(put_comet(tmp_path, event(), row), Options())
    assert len(found.items) == 3
    (fault,) = found.faults
    assert fault.reason.startswith(reason)
    assert fault.source.startswith("val_annots.json row 2")
    assert json.loads(fault.text) == row


def test_rows_without_inferences_cannot_be_ranked(tmp_path: Path) -> None:
    row = {key: value for key, value in event().items() if not isinstance(value, list)}
    found = read(put_comet(tmp_path, row), Options())
    assert reasons(found) == [
        "it has none of intent, before, after: no inferences to be ranked",
        "it has no rows of this split",
    ]
    with pytest.raises(UserError, match="no split 'test'; splits: train, val"):
        read(tmp_path, Options("test"))


def test_the_sample_row_is_read(tmp_path: Path, shared: Path) -> None:
    rows = json.loads((shared / "data/visualcomet/val_annots.readme-row.json").read_text())
    name = rows[0]["img_fn"].removesuffix(".jpg")
    put(tmp_path / "val_annots.json", rows)
    put_scene(tmp_path, name, names=["person"] * 4)
    picture(tmp_path / f"vcr1images/{name}.jpg")
    found = read(tmp_path, Options())
    assert found.faults == ()
    intent, before, after = found.items
    assert intent.question == "[0] is trying to talk to the pretty woman in front of him"
    assert before.choices[:2] == (
        "[0] needed to approach [2] at an event",
        "[0] needed to introduce himself to [2]",
    )
    assert after.choices[0] == "[0] will most likely ask [2] to dance"
    assert (intent.right, before.right, after.right) == ((0, 1), (0, 1, 2, 3), (0, 1, 2, 3))
    assert len(intent.choices) == 10


@given(st.text(st.characters(codec="utf-8"), max_size=40), st.sets(st.integers(0, 998)))
def test_tagging_changes_nothing_but_the_numbers_of_persons(said: str, persons: set[int]) -> None:
    try:
        made = tagged(said, persons)
    except Wrong:
        return
    undone = made
    for region_id in persons:
        undone = undone.replace(f"[{region_id}]", str(region_id + 1))
    assert undone == said


@given(st.lists(st.integers(1, 9), min_size=1, max_size=6), st.sets(st.integers(0, 8)))
def test_a_number_becomes_a_tag_just_where_it_is_a_person(
    numbers: list[int], persons: set[int]
) -> None:
    expected = [f"[{n - 1}]" if n - 1 in persons else str(n) for n in numbers]
    assert tagged(" and ".join(map(str, numbers)), persons) == " and ".join(expected)
