"""Rehearsal: texts about whole pictures among the rows of a student's training."""

import json
from dataclasses import replace
from pathlib import Path

import PIL.Image
import pytest
import toys

from lskd.distil import ledger, rehearsal
from lskd.distil.ledger import Ledger
from lskd.distil.lessons import Lessons, Variety
from lskd.distil.wording import Wording
from lskd.errors import UserError
from lskd.types import Example

VARIETY = Variety(0.0, None, "plain", 0.0, 0.0, None, 0)


def file_of(folder: Path, *lines: object) -> Path:
    """Write a file of statements about two pictures."""
    folder.mkdir(exist_ok=True)
    for name, colour in (("a.png", "red"), ("b.png", "blue")):
        PIL.Image.new("RGB", (40, 30), colour).save(folder / name)
    file = folder / "statements.jsonl"
    file.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    return file


def lines(count: int) -> list[object]:
    return [
        {"image": "ab"[n % 2] + ".png", "text": f"true {n}", "wrong": [f"false {n}", f"true {n}"]}
        for n in range(count)
    ]


def lessons(folder: Path, share: float) -> Lessons:
    made = toys.examples(folder / "pictures", 10)
    ledger.write(folder / "examples.jsonl", made)
    old = rehearsal.prepared(file_of(folder / "old", *lines(10)), folder)
    variety = replace(VARIETY, views=2, rehearsed=share)
    kept = Ledger(Example, folder / "examples.jsonl")
    return Lessons(kept, variety, Wording(), None, old)


def test_statements_come_with_their_picture_and_what_is_false_of_it(tmp_path: Path) -> None:
    found = rehearsal.prepared(file_of(tmp_path / "old", *lines(3)), tmp_path)
    assert [one.text for one in (found[0], found[1], found[2])] == ["true 0", "true 1", "true 2"]
    assert found[0].wrong == ("false 0",)  # what is said to be true is not false as well
    assert (found[0].image.width, found[0].image.height) == (40, 30)
    assert found[0].image == found[2].image != found[1].image
    (tmp_path / "old" / "statements.jsonl").unlink()
    assert len(rehearsal.prepared(tmp_path / "old" / "statements.jsonl", tmp_path)) == 3


@pytest.mark.parametrize("share", [0.0, 0.25, 0.5])
def test_a_share_of_an_epochs_rows_is_rehearsed_and_each_example_comes_once(
    tmp_path: Path, share: float
) -> None:
    rows = lessons(tmp_path, share)
    texts = [rows.take(row, 7 + row).text for row in range(len(rows))]
    old = [text for text in texts if text.startswith("true")]
    assert len(old) / len(texts) == pytest.approx(share, abs=0.02)
    assert len(texts) - len(old) == 30


def test_a_rehearsed_row_is_any_statement_and_nothing_is_drawn_into_its_picture(
    tmp_path: Path,
) -> None:
    rows = lessons(tmp_path, 0.5)
    taken = [rows.take(len(rows) - 1, seed) for seed in range(200)]
    assert {one.text for one in taken} == {f"true {n}" for n in range(10)}
    for one in taken:
        assert one.view.regions == () and one.wrong == (one.text.replace("true", "false"),)
    assert rows.take(len(rows) - 1, 3) == rows.take(len(rows) - 1, 3)


def test_all_views_are_those_that_rows_have(tmp_path: Path) -> None:
    rows = lessons(tmp_path, 0.25)
    known = set(rows.all_views())
    seen = {rows.take(row, seed).view for row in range(len(rows)) for seed in range(20)}
    assert seen <= known
    old = {"a.png", "b.png"}
    assert {Path(view.image.path).name for view in known} & old == old
    none = lessons(tmp_path / "none", 0.0).all_views()  # what is not rehearsed is not looked at
    assert not {Path(view.image.path).name for view in none} & old


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ({"image": "a.png"}, "line 2: text: Field required"),
        ({"image": "a.png", "text": " "}, "line 2: text: String should have at least 1"),
        ({"image": "a.png", "text": "x", "wrong": "y"}, "line 2: wrong: "),
        ({"image": "a.png", "text": "x", "worng": ["y"]}, "line 2: worng: Extra inputs"),
        ({"image": "c.png", "text": "x"}, r"line 2: cannot read .*c\.png: No such file"),
        ({"image": "statements.jsonl", "text": "x"}, "line 2: .* is no picture that can be read"),
        ("text", "line 2: : Input should be"),
    ],
)
def test_a_wrong_line_is_told_with_its_number(tmp_path: Path, line: object, message: str) -> None:
    file = file_of(tmp_path / "old", *lines(1), line)
    with pytest.raises(UserError, match=message):
        rehearsal.prepared(file, tmp_path)
    assert not ledger.exists(tmp_path / rehearsal.FILE)  # nothing half


def test_a_file_that_is_absent_empty_or_no_json_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"cannot read .*nothing\.jsonl"):
        rehearsal.prepared(tmp_path / "nothing.jsonl", tmp_path / "a")
    with pytest.raises(UserError, match="has no lines: nothing is there to rehearse"):
        rehearsal.prepared(file_of(tmp_path / "old"), tmp_path / "b")
    broken = file_of(tmp_path / "old")
    for text in ("{", "[" * 100_000):
        broken.write_text(text)
        with pytest.raises(UserError, match="line 1 is no JSON"):
            rehearsal.prepared(broken, tmp_path / "c")
    broken.write_bytes(b"\xff\xfe\n")
    with pytest.raises(UserError, match=r"cannot read .*statements\.jsonl"):
        rehearsal.prepared(broken, tmp_path / "d")
