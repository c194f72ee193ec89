"""Items for other platforms as CSV, and results of theirs."""

import csv
import json
from pathlib import Path

import pytest
from human_claims import CLAIM, claims
from hypothesis import HealthCheck, given, settings

from lskd.errors import UserError
from lskd.human.address import addresses
from lskd.human.sheet import Columns, read, write
from lskd.human.work import Claim
from lskd.types import Judgment

ADDRESS = addresses("https://photos.test/{triple_id}/{name}")
HEAD = "triple_id,image_id,annotator,qa,rationale,seconds\n"


def results(folder: Path, text: str) -> Path:
    file = folder / "results.csv"
    file.write_text(text, encoding="utf-8")
    return file


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(claims())
def test_texts_and_regions_are_word_for_word(tmp_path: Path, claim: Claim) -> None:
    file = tmp_path / "items.csv"
    assert write([claim, claim], file, ADDRESS) == 2
    with file.open(encoding="utf-8", newline="") as opened:
        one, other = csv.DictReader(opened)
    assert one == other
    triple = claim.triple
    assert (one["question"], one["answer"]) == (triple.question, triple.answer)
    assert one["rationale"] == triple.rationale
    assert [
        (r["id"], r["x0"], r["y0"], r["x1"], r["y1"], r["label"])
        for r in json.loads(one["regions"])
    ] == [(region.id, *region.box, region.label) for region in claim.regions]


def test_an_item_says_where_its_picture_is(tmp_path: Path) -> None:
    write([CLAIM], tmp_path / "items.csv", ADDRESS)
    with (tmp_path / "items.csv").open(encoding="utf-8", newline="") as opened:
        (row,) = csv.DictReader(opened)
    assert row["image"] == "https://photos.test/t1/a%20b.jpg"
    assert (row["triple_id"], row["image_id"]) == ("t1", "img1")
    assert (row["width"], row["height"]) == ("640", "480")


def test_no_claims_are_a_header(tmp_path: Path) -> None:
    assert write([], tmp_path / "items.csv", ADDRESS) == 0
    assert (tmp_path / "items.csv").read_text(encoding="utf-8").startswith("triple_id,image_id")


def test_results_become_judgments(tmp_path: Path) -> None:
    file = results(tmp_path, HEAD + "t1,i1,ann,3,2,4.5\nt1,i1, eve ,reject,,\nt2,,ann,1,3,soon\n")
    found = read(file)
    assert found.judgments == (
        Judgment("t1", "i1", "ann", 3, 2, 4.5),
        Judgment("t1", "i1", "eve", 1, None, None),
        Judgment("t2", "", "ann", 1, None, None),
    )
    assert not found.rejects


def test_columns_may_have_a_platforms_own_names(tmp_path: Path) -> None:
    named = Columns("Input.triple_id", "WorkerId", "Answer.qa", "Answer.rationale")
    text = '\ufeff"Input.triple_id",WorkerId,Answer.qa,Answer.rationale\nt1,W1,Accept,maybe\n'
    assert read(results(tmp_path, text), named).judgments == (Judgment("t1", "", "W1", 3, 2, None),)


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("t1,i1,ann,4,2,1", "qa = '4'"),
        ("t1,i1,ann,2.5,2,1", "qa = '2.5'"),
        ("t1,i1,ann,,2,1", "no rating qa"),
        ("t1,i1,ann,2,,1", "wants a rating of the rationale"),
        ("t1,i1,ann,2,nan,1", "rationale = 'nan'"),
        (",i1,ann,2,2,1", "names no triple_id"),
        ("t1,i1, ,2,2,1", "names no annotator"),
        ("t1,i1,ann", "fewer cells"),
        ("t1,i1,ann,2,2,1,extra", "more or fewer cells"),
    ],
)
def test_a_bad_row_is_a_reject_and_the_rest_is_read(tmp_path: Path, row: str, reason: str) -> None:
    found = read(results(tmp_path, f"{HEAD}{row}\nt9,i9,ann,1,,\n"))
    assert [one.triple_id for one in found.judgments] == ["t9"]
    (reject,) = found.rejects
    assert reason in reject.reason
    assert reject.source.endswith("line 2")
    assert "i1" in reject.text


def test_a_file_that_is_no_table_of_results_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="has no column annotator, qa, rationale; it has triple_id"):
        read(results(tmp_path, "triple_id\n"))
    with pytest.raises(UserError, match="it has none"):
        read(results(tmp_path, ""))
    (tmp_path / "results.csv").write_bytes(b"triple_id,annotator\n\xff\xfe")
    with pytest.raises(UserError, match="cannot be read"):
        read(tmp_path / "results.csv")
    with pytest.raises(UserError, match="cannot be read"):
        read(tmp_path / "absent.csv")
