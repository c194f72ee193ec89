"""Judgments are read from any of three forms, labels follow the paper's rule, nothing is lost."""

import csv
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lskd import table
from lskd.critique.judgments import read
from lskd.critique.labels import labelled
from lskd.errors import UserError
from lskd.types import Judgment

GOOD = [
    Judgment("t1", "i1", "ann", 3, 2, 4.5),
    Judgment("t1", "i1", "bob", 2, 3, None),
    Judgment("t2", "i1", "ann", 1, None, None),
    Judgment("t2", "i1", "zoë, or", 3, 3, None),
]


def write_parquet(folder: Path, rows: Sequence[Judgment]) -> Path:
    table.write(Judgment, folder / "judgments.parquet", rows)
    return folder / "judgments.parquet"


def write_lines(folder: Path, rows: Sequence[Judgment]) -> Path:
    file = folder / "judgments.jsonl"
    file.write_text("".join(json.dumps(table.plain(row)) + "\n" for row in rows))
    return file


def write_csv(folder: Path, rows: Sequence[Judgment]) -> Path:
    file = folder / "judgments.csv"
    with file.open("w", encoding="utf-8-sig", newline="") as opened:
        names = ["triple_id", "image_id", "annotator", "qa", "rationale", "seconds"]
        writer = csv.DictWriter(opened, names)
        writer.writeheader()
        writer.writerows(table.plain(row) for row in rows)
    return file


@pytest.mark.parametrize("write", [write_parquet, write_lines, write_csv])
def test_all_forms_give_the_same_judgments(
    tmp_path: Path, write: Callable[[Path, Sequence[Judgment]], Path]
) -> None:
    given = read(write(tmp_path, GOOD))
    assert given.judgments == tuple(GOOD) and given.rejects == ()


def test_a_folder_of_files_is_read_whole(tmp_path: Path) -> None:
    write_csv(tmp_path, GOOD[:1])
    write_lines(tmp_path, GOOD[1:3])
    write_parquet(tmp_path, GOOD[3:])
    (tmp_path / "notes.txt").write_text("not a judgment")
    assert sorted(read(tmp_path).judgments, key=repr) == sorted(GOOD, key=repr)


@pytest.mark.parametrize("write", [write_parquet, write_lines, write_csv])
def test_a_table_without_rows_holds_no_judgments(
    tmp_path: Path, write: Callable[[Path, Sequence[Judgment]], Path]
) -> None:
    assert read(write(tmp_path, [])).judgments == ()


@pytest.mark.parametrize("ending", ["parquet", "jsonl", "csv"])
def test_an_empty_file_holds_no_judgments(tmp_path: Path, ending: str) -> None:
    file = tmp_path / f"judgments.{ending}"
    file.write_bytes(b"")
    assert not read(file).judgments and not read(file).rejects


def line(**changes: object) -> dict[str, object]:
    return {"triple_id": "t", "annotator": "ann", "qa": 3, "rationale": 3} | changes


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (line(qa=0), "qa is 0: expected 1 (reject), 2 (maybe) or 3"),
        (line(qa=4), "qa is 4"),
        (line(qa=2.5), "qa is 2.5"),
        (line(qa=True), "qa is True"),
        (line(qa="good"), "qa is 'good'"),
        (line(qa=float("nan")), "qa is nan"),
        (line(qa=None), "has no qa rating"),
        (line(rationale=7), "rationale is 7"),
        (line(rationale=None), "has no rationale rating, though qa is not rejected"),
        (line(triple_id=""), "names no triple_id"),
        (line(annotator=None), "names no annotator"),
        ([1, 2], "is no row of this table"),
    ],
)
def test_a_bad_row_is_rejected_with_its_place_and_words_and_the_others_are_read(
    tmp_path: Path, row: object, reason: str
) -> None:
    file = tmp_path / "judgments.jsonl"
    text = json.dumps(row)
    file.write_text(f"{json.dumps(line())}\n\n{text}\n{json.dumps(line(annotator='bob'))}\n")
    given = read(file)
    assert [one.annotator for one in given.judgments] == ["ann", "bob"]
    (reject,) = given.rejects
    assert reject.source == f"{file} line 3" and reject.reason.startswith(reason)
    assert reject.text == text


def test_a_line_that_was_cut_off_is_rejected(tmp_path: Path) -> None:
    file = tmp_path / "judgments.jsonl"
    file.write_text(json.dumps(line()) + '\n{"triple_id": "t", "anno')
    given = read(file)
    assert len(given.judgments) == 1 and given.rejects[0].text == '{"triple_id": "t", "anno'


def test_a_csv_line_with_too_many_or_too_few_cells_is_rejected(tmp_path: Path) -> None:
    file = tmp_path / "judgments.csv"
    file.write_text("triple_id,annotator,qa,rationale\nt,ann,3,3,3\nt,bob,3\nt,cy,3,3\n")
    given = read(file)
    assert [one.annotator for one in given.judgments] == ["cy"]
    assert [reject.source.rpartition(" ")[2] for reject in given.rejects] == ["2", "3"]


def test_ratings_in_a_csv_may_be_written_as_spreadsheets_write_them(tmp_path: Path) -> None:
    file = tmp_path / "judgments.csv"
    file.write_text("triple_id,annotator,qa,rationale,note\n7,ann, 3 ,2.0,fine\n7,bob,1,,bad\n")
    assert [(j.triple_id, j.qa, j.rationale) for j in read(file).judgments] == [
        ("7", 3, 2),
        ("7", 1, None),
    ]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("judgments.csv", b"triple_id,qa\nt,3\n", "no column annotator, rationale; it has"),
        ("judgments.jsonl", b'{"triple_id": "t", "rating": 3}\n', "no column annotator, qa, ra"),
        ("judgments.parquet", b"PAR1 is how it began", "cannot be read from"),
        ("judgments.csv", b"\xff\xfe\x00bad", "cannot be read from"),
        ("judgments.xlsx", b"PK", "the forms are .parquet, .jsonl, .csv"),
    ],
)
def test_a_file_that_is_no_table_of_judgments_is_an_error_of_one_line(
    tmp_path: Path, name: str, content: bytes, said: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError) as caught:
        read(tmp_path / name)
    assert said in str(caught.value) and "\n" not in str(caught.value)


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be read"):
        read(tmp_path / "judgments.csv")


@given(
    content=st.one_of(
        st.binary(max_size=80),
        st.builds(
            lambda rows: b"triple_id,annotator,qa,rationale\n" + rows.encode(),
            st.text('ab,123\n"', max_size=60),
        ),
    ),
    ending=st.sampled_from(["csv", "jsonl", "parquet"]),
)
def test_whatever_a_file_holds_is_read_rejected_or_refused(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, ending: str
) -> None:
    file = tmp_path_factory.mktemp("any") / f"judgments.{ending}"
    file.write_bytes(content)
    try:
        given = read(file)
    except UserError as error:
        assert "\n" not in str(error)
        return
    for judgment in given.judgments:
        assert judgment.qa in (1, 2, 3) and (judgment.rationale is None) == (judgment.qa == 1)
    assert all(reject.reason for reject in given.rejects)


def judged(*ratings: tuple[int, int | None]) -> list[Judgment]:
    return [Judgment("t", "i", f"a{n}", qa, why) for n, (qa, why) in enumerate(ratings)]


@pytest.mark.parametrize(
    ("ratings", "accepted", "qa", "rationale"),
    [
        ([(3, 3), (3, 3)], True, 1.0, 1.0),
        ([(2, 2), (2, 2)], True, 0.5, 0.5),  # two maybes are no reject
        ([(3, 2), (2, 2)], True, 0.75, 0.5),
        ([(3, 1), (3, 3)], False, 1.0, 0.0),  # either annotator, either question
        ([(1, None), (3, 3)], False, 0.0, 0.0),  # the first question rejects the second
        ([(1, None), (1, None)], False, 0.0, 0.0),
        ([(3, 3), (3, 3), (3, 1)], False, 1.0, 0.0),  # the rule holds for a third
    ],
)
def test_labels_follow_the_papers_rule(
    ratings: list[tuple[int, int | None]], accepted: bool, qa: float, rationale: float
) -> None:
    (label,) = labelled(judged(*ratings)).labels
    assert (label.accepted, label.qa, label.rationale) == (accepted, qa, rationale)
    assert label.annotators == len(ratings)


def test_one_annotator_is_too_few_unless_the_settings_say_so() -> None:
    given = labelled(judged((3, 3)))
    assert given.labels == ()
    assert [r.reason for r in given.rejects] == ["judged by 1 of 2 annotators"]
    assert json.loads(given.rejects[0].text)["annotator"] == "a0"
    assert len(labelled(judged((3, 3)), annotators=1).labels) == 1


def test_equal_judgments_of_one_person_count_once() -> None:
    twice = [Judgment("t", "i", "ann", 3, 3, 1.0), Judgment("t", "i", "ann", 3, 3, 9.0)]
    assert labelled(twice).labels == ()
    (label,) = labelled([*twice, Judgment("t", "i", "bob", 2, 2)]).labels
    assert label.annotators == 2 and label.qa == 0.75


def test_judgments_of_one_person_that_differ_do_not_count_and_are_kept_as_rejects() -> None:
    differ = [Judgment("t", "i", "ann", 3, 3), Judgment("t", "i", "ann", 1, None)]
    others = [Judgment("t", "i", "bob", 3, 3), Judgment("t", "i", "cy", 3, 3)]
    given = labelled([*differ, *others])
    assert [label.accepted for label in given.labels] == [True]
    assert [r.reason for r in given.rejects] == ["ann contradicts it"] * 2
    assert labelled([*differ, others[0]]).labels == ()


RATINGS: Any = st.one_of(st.just((1, None)), st.tuples(st.integers(2, 3), st.integers(1, 3)))


@given(
    st.lists(
        st.builds(
            lambda t, a, r: Judgment(t, "i", a, r[0], r[1]),
            st.sampled_from("tu"),
            st.sampled_from("abc"),
            RATINGS,
        )
    ),
    st.randoms(use_true_random=False),
)
def test_labels_do_not_hang_on_the_order_and_nothing_is_lost(
    judgments: list[Judgment], rng: Any
) -> None:
    given = labelled(judgments)
    shuffled = rng.sample(judgments, len(judgments))
    by_id = sorted(given.labels, key=lambda label: label.triple_id)
    assert sorted(labelled(shuffled).labels, key=lambda label: label.triple_id) == by_id
    used = {label.triple_id for label in given.labels}
    left_out = {reject.source for reject in given.rejects}
    assert used | left_out == {judgment.triple_id for judgment in judgments}
    for label in given.labels:
        assert label.accepted == (label.qa > 0 and label.rationale > 0)
        assert label.qa > 0 or label.rationale == 0
