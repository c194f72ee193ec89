import csv
import json
from pathlib import Path

import pytest
from human_items import BAD, FIRST, GOOD, MAYBE, answer, claim, duel, judging

from lskd import table
from lskd.critique import judgments
from lskd.errors import UserError
from lskd.human import export
from lskd.human.store import Store
from lskd.human.work import Remark, Skip
from lskd.types import Comparison, Judgment


@pytest.fixture
def judged(store: Store) -> Store:
    """Return a store in which Ann has done all items and a gold one, and Bøb has judged one."""
    campaign = judging(store, 12)
    store.put(campaign, [claim(1_000_000, GOOD)])
    ann, bob = store.enrol('Ann, "the first"'), store.enrol("Bøb")
    all_said: list[Remark] = [GOOD, MAYBE, BAD, GOOD, Skip("dark, very"), *[GOOD] * 8]
    for said in all_said:
        answer(store, campaign, ann, said)
    store.undo(campaign, ann)
    answer(store, campaign, bob, BAD)
    return store


@pytest.fixture
def compared(store: Store) -> Store:
    store.campaign("table5", "compare", 3, 7)
    store.put("table5", [duel(1), duel(2)])
    answer(store, "table5", store.enrol("Ann"), FIRST)
    return store


@pytest.mark.parametrize("ending", ["parquet", "csv"])
def test_judgments_leave_in_files_that_the_critic_reads(
    judged: Store, tmp_path: Path, ending: str
) -> None:
    file = tmp_path / f"judgments.{ending}"
    wanted = tuple(judged.judgments("critic"))
    assert export.write(judged, "critic", file) == len(wanted) > 0
    given = judgments.read(file)
    assert (given.judgments, given.rejects) == (wanted, ())


def test_the_parquet_files_are_tables_of_records(
    judged: Store, compared: Store, tmp_path: Path
) -> None:
    assert export.write(judged, "critic", tmp_path / "j.parquet") == len(
        table.read(Judgment, tmp_path / "j.parquet")
    )
    assert export.write(compared, "table5", tmp_path / "c.parquet") == 1
    assert table.read(Comparison, tmp_path / "c.parquet") == list(compared.comparisons("table5"))


def test_gold_labels_leave_only_if_wanted(judged: Store, tmp_path: Path) -> None:
    known = [judgment.triple_id for judgment in judged.judgments("critic", gold=True)]
    assert known.count("t1000000") == 1
    for gold in (False, True):
        export.write(judged, "critic", tmp_path / "j.parquet", gold)
        rows = table.read(Judgment, tmp_path / "j.parquet")
        assert [row.triple_id for row in rows].count("t1000000") == int(gold)


def test_json_lines_hold_everything_that_was_said(judged: Store, tmp_path: Path) -> None:
    file = tmp_path / "entries.jsonl"
    assert export.write(judged, "critic", file) == 15
    rows = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    assert rows == [table.plain(entry) for entry in judged.entries("critic")]
    kinds = ["label"] * 4 + ["skip"] + ["label"] * 8 + ["undo", "label"]
    assert [row["kind"] for row in rows] == kinds
    assert rows[0]["verdict"] == {"qa": 3, "rationale": 3}
    assert rows[4]["reason"] == "dark, very"
    assert {row["annotator"] for row in rows} == {'Ann, "the first"', "Bøb"}


def test_csv_of_comparisons_has_a_column_for_each_field(compared: Store, tmp_path: Path) -> None:
    file = tmp_path / "comparisons.csv"
    assert export.write(compared, "table5", file) == 1
    with file.open(encoding="utf-8", newline="") as opened:
        (row,) = csv.DictReader(opened)
    (wanted,) = compared.comparisons("table5")
    assert row == {name: str(value) for name, value in table.plain(wanted).items()}


def test_nobody_has_said_anything_is_an_empty_table(store: Store, tmp_path: Path) -> None:
    judging(store, 3)
    for ending in ("parquet", "csv", "jsonl"):
        assert export.write(store, "critic", tmp_path / f"none.{ending}") == 0
    assert table.read(Judgment, tmp_path / "none.parquet") == []


def test_an_unknown_ending_and_an_unknown_campaign_write_nothing(
    store: Store, tmp_path: Path
) -> None:
    judging(store, 3)
    with pytest.raises(UserError, match=r"cannot export to 'x.xlsx': the endings are .parquet, .c"):
        export.write(store, "critic", tmp_path / "x.xlsx")
    with pytest.raises(UserError, match="no campaign 'duels'; campaigns: critic"):
        export.write(store, "duels", tmp_path / "x.jsonl")
    assert not list(tmp_path.glob("x.*"))
