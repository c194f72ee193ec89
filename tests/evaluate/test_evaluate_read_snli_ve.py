"""SNLI-VE: built from SNLI and two lists, or read ready-made, in the release's words and order."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from gold_files import Json, load_lines, only, picture, put, put_lines, reasons

from lskd.errors import UserError
from lskd.evaluate.benchmark import Options
from lskd.evaluate.snli_ve import flickr_splits, read

DEV = Options("dev")


def row(image: str, kind: str = "e", **changes: object) -> Json:
    labels = {"e": "entailment", "n": "neutral", "c": "contradiction"}
    made: Json = {
        "gold_label": labels[kind],
        "pairID": f"{image}.jpg#0r1{kind}",
        "captionID": f"{image}.jpg#0",
        "sentence1": "A man sits.",
        "sentence2": f"A man rests {kind}.",
    }
    return made | changes


def put_snli(
    folder: Path, train: Sequence[object], dev: Sequence[object], test: Sequence[object]
) -> Path:
    """Write SNLI, lists of 1 test, 1,000 dev and 2 train images, and a picture of some."""
    for part, rows in (("train", train), ("dev", dev), ("test", test)):
        put_lines(folder / f"snli_1.0_{part}.jsonl", rows)
    put(folder / "flickr30k_test.lst", "900\n")
    others = ["1", "2", *(str(number) for number in range(1000, 2000))]
    put(folder / "flickr30k_train_val.lst", "\n".join(others))
    for image in ("1", "2", "900", "1000", "1999"):
        picture(folder / f"flickr30k_images/{image}.jpg")
    return folder


def test_an_item_asks_the_releases_question_with_its_order_of_labels(tmp_path: Path) -> None:
    put_lines(tmp_path / "snli_ve_dev.jsonl", [{**row("1000", "n"), "Flickr30K_ID": "1000"}])
    picture(tmp_path / "flickr30k_images/1000.jpg")
    item = only(read(tmp_path, DEV))
    assert (item.id, item.split) == ("1000.jpg#0r1n", "dev")
    assert item.question == "Does the image describe A man rests n.?"
    assert item.choices == ("contradiction", "neutral", "entailment")
    assert item.right == (1,)


def test_the_image_decides_the_split_whatever_file_of_snli_a_row_is_in(tmp_path: Path) -> None:
    folder = put_snli(
        tmp_path,
        [row("1000", "c"), row("900", "e"), row("1", "n")],
        [row("1", "e"), row("1999", "e")],
        [row("2", "e"), row("1000", "e")],
    )

    def ids(split: str) -> list[str]:
        found = read(folder, Options(split))
        assert found.faults == ()
        return [item.id for item in found.items]

    assert ids("dev") == ["1000.jpg#0r1c", "1000.jpg#0r1e", "1999.jpg#0r1e"]
    assert ids("test") == ["900.jpg#0r1e"]
    assert ids("train") == ["1.jpg#0r1n", "1.jpg#0r1e", "2.jpg#0r1e"]
    assert ids("val") == ids("dev")


def test_dev_are_the_last_thousand_of_the_list() -> None:
    others = tuple(str(number) for number in range(2500))
    splits = flickr_splits(("t",), others)
    assert [image for image in others if splits[image] == "dev"] == list(others[1500:])
    assert [image for image in others if splits[image] == "train"] == list(others[:1500])
    assert splits["t"] == "test"


def test_undecided_rows_and_those_of_visual_genome_are_no_part_and_counted(tmp_path: Path) -> None:
    left = [
        row("1000", "n", gold_label="-"),
        row("vg_len10", "n", pairID="vg_len10r1n"),
        row("77", "e"),
    ]
    found = read(put_snli(tmp_path, [row("1000")], left, []), DEV)
    assert [item.id for item in found.items] == ["1000.jpg#0r1e"]
    assert found.faults == ()
    assert found.notes == (
        "built from SNLI 1.0, of which 1 rows have no agreed label, 1 are about Visual Genome and "
        "1 about images that no list names",
    )


def test_a_malformed_line_of_snli_is_a_fault_with_its_place(tmp_path: Path) -> None:
    folder = put_snli(tmp_path, [row("1000")], ["{", {"gold_label": "neutral"}], [])
    found = read(folder, DEV)
    assert len(found.items) == 1
    assert [fault.source for fault in found.faults] == [
        "snli_1.0_dev.jsonl line 1",
        "snli_1.0_dev.jsonl line 2",
    ]
    assert reasons(found)[1] == "its 'pairID' is not a text"


@pytest.mark.parametrize(
    "field", [{"Flickr30K_ID": "1000"}, {"Flikr30kID": "1000.jpg"}, {"Flickr30K_ID": 1000}, {}]
)
def test_both_spellings_of_the_image_are_read(tmp_path: Path, field: Json) -> None:
    put_lines(tmp_path / "snli_ve_dev.jsonl", [row("1000") | field])
    picture(tmp_path / "flickr30k_images/1000.jpg")
    assert only(read(tmp_path, DEV)).path.endswith("flickr30k_images/1000.jpg")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"gold_label": "-"}, "its label is '-', not contradiction, neutral, entailment"),
        ({"gold_label": "Neutral"}, "its label is 'Neutral', not contradiction, neutral,"),
        ({"gold_label": 1}, "'gold_label' is not a text: 1"),
        ({"Flickr30K_ID": "77"}, "missing file flickr30k_images/77.jpg in "),
        ({"Flickr30K_ID": "900"}, "its image 900 is of split test, not of dev"),
        ({"Flickr30K_ID": "1"}, "its image 1 is of split train, not of dev"),
        ({"pairID": "1000.jpg#0r1e"}, "its id '1000.jpg#0r1e' is that of snli_ve_dev.jsonl line"),
    ],
)
def test_a_row_of_snli_ve_that_cannot_be_asked_is_a_fault(
    tmp_path: Path, changes: Json, reason: str
) -> None:
    folder = put_snli(tmp_path, [], [], [])
    wrong = {**row("1000", "n"), "Flickr30K_ID": "1000"} | changes
    put_lines(folder / "snli_ve_dev.jsonl", [row("1000"), wrong])
    found = read(folder, DEV)
    assert len(found.items) == 1
    (fault,) = found.faults
    assert fault.reason.startswith(reason)
    assert fault.source == "snli_ve_dev.jsonl line 2"
    assert json.loads(fault.text) == wrong


@pytest.mark.parametrize("file", ["snli_1.0_test.jsonl", "flickr30k_train_val.lst"])
def test_a_file_that_the_split_is_built_from_is_named_if_missing(tmp_path: Path, file: str) -> None:
    (put_snli(tmp_path, [row("1000")], [], []) / file).unlink()
    with pytest.raises(UserError, match=f"{file} is missing"):
        read(tmp_path, DEV)


def test_sample_rows_of_snli_ve_are_worded_as_the_release_has_them(
    tmp_path: Path, shared: Path
) -> None:
    rows = load_lines(shared / "data/snli_ve/snli_ve_dev.jsonl")
    put_lines(tmp_path / "snli_ve_dev.jsonl", rows)
    for image in {str(row["Flickr30K_ID"]) for row in rows}:
        picture(tmp_path / f"flickr30k_images/{image}.jpg", 4, 3)
    found = read(tmp_path, DEV)
    assert found.faults == ()
    by_id = {item.id: item for item in found.items}
    golden = json.loads((shared / "data/golden/lskd_texts.json").read_text())["snli_ve"]
    assert len(golden) == len(by_id) == 84
    for expected in golden:
        item = by_id[expected["pairID"]]
        asked = [f"question: {item.question} Answer: {choice}" for choice in item.choices]
        assert [text.lower() for text in asked] == expected["texts"]
        assert item.right == (expected["label"],)


def test_rows_of_snlis_own_dev_may_all_be_of_train(tmp_path: Path, shared: Path) -> None:
    rows = load_lines(shared / "data/snli_ve/snli_1.0_dev.partial.jsonl")
    images = {str(row["pairID"]).partition(".jpg")[0] for row in rows}
    test = (shared / "data/snli_ve/flickr30k_test.lst").read_text()
    assert not images & set(test.split())
    put_lines(tmp_path / "snli_1.0_dev.jsonl", rows)
    put(tmp_path / "snli_1.0_train.jsonl", "")
    put(tmp_path / "snli_1.0_test.jsonl", "")
    put(tmp_path / "flickr30k_test.lst", test)
    others = [*sorted(images), *(f"other{number}" for number in range(1000))]
    put(tmp_path / "flickr30k_train_val.lst", "\n".join(others))
    for image in images:
        picture(tmp_path / f"flickr30k_images/{image}.jpg", 4, 3)
    train = read(tmp_path, Options("train"))
    assert train.faults == ()
    assert len(train.items) == 379 - 7  # whose label is "-"
    assert reasons(read(tmp_path, DEV)) == ["it has no rows of this split"]
