"""Records to shards and back."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lskd import table
from lskd.errors import UserError
from lskd.types import (
    Box,
    Dialogue,
    Example,
    Exchange,
    Mention,
    Message,
    Record,
    Region,
    Regions,
    Reject,
    Reply,
    Score,
    Triple,
)

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
NUMBERS = st.floats(allow_nan=False, width=64)
REGIONS = st.builds(
    Region,
    id=st.integers(0, 99),
    box=st.builds(Box, NUMBERS, NUMBERS, NUMBERS, NUMBERS),
    label=TEXTS,
    description=TEXTS,
    score=NUMBERS,
    polygons=st.lists(st.lists(NUMBERS, max_size=6).map(tuple), max_size=3).map(tuple),
)
RECORDS: dict[type, st.SearchStrategy[Record]] = {
    Reject: st.builds(Reject, TEXTS, TEXTS, TEXTS),
    Regions: st.builds(Regions, TEXTS, st.lists(REGIONS, max_size=3).map(tuple)),
    Dialogue: st.builds(
        Dialogue, TEXTS, st.lists(st.builds(Exchange, TEXTS, TEXTS), max_size=3).map(tuple)
    ),
    Score: st.builds(Score, TEXTS, TEXTS, NUMBERS, st.none() | NUMBERS, st.none() | NUMBERS),
    Triple: st.builds(
        Triple,
        *[TEXTS] * 3,
        st.sampled_from(["id", "description"]),
        *[TEXTS] * 3,
        st.lists(st.integers(0, 9), max_size=3).map(tuple),
        st.lists(st.builds(Mention, TEXTS, st.integers(0, 9)), max_size=2).map(tuple),
    ),
    Reply: st.builds(
        Reply,
        id=TEXTS,
        image_id=TEXTS,
        style=st.sampled_from(["id", "description"]),
        turn=st.integers(0, 5),
        messages=st.lists(st.builds(Message, st.just("user"), TEXTS), max_size=2).map(tuple),
        text=TEXTS,
        model=TEXTS,
        finish=TEXTS,
        input_tokens=st.none() | st.integers(0, 10**9),
        output_tokens=st.none() | st.integers(0, 10**9),
        price=st.none() | NUMBERS,
        seconds=NUMBERS,
        error=st.none() | TEXTS,
    ),
    Example: st.builds(
        Example,
        *[TEXTS] * 3,
        st.integers(1, 9999),
        st.integers(1, 9999),
        st.lists(REGIONS, max_size=2).map(tuple),
        st.sampled_from(["id", "description"]),
        *[TEXTS] * 3,
        st.lists(st.integers(0, 9), max_size=3).map(tuple),
        st.just(()),
        st.none() | NUMBERS,
        *[TEXTS] * 3,
    ),
}


@given(st.data(), st.sampled_from(list(RECORDS)))
def test_records_come_back_from_disk_as_they_went(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, kind: type
) -> None:
    rows = data.draw(st.lists(RECORDS[kind], max_size=4))
    file = tmp_path_factory.getbasetemp() / "back.parquet"
    table.write(kind, file, rows)
    assert table.read(kind, file) == rows


def test_a_write_that_fails_leaves_the_old_file_and_no_draft(tmp_path: Path) -> None:
    file = tmp_path / "reject" / "00000.parquet"
    table.write(Reject, file, [Reject("a", "b", "c")])
    with pytest.raises(AssertionError):
        table.write(Reject, file, [Score("not", "a reject", 1.0, None, None)])
    assert table.read(Reject, file) == [Reject("a", "b", "c")]
    assert [f.name for f in file.parent.iterdir()] == ["00000.parquet"]


def test_a_broken_shard_is_named_with_what_to_do(tmp_path: Path) -> None:
    file = tmp_path / "00000.parquet"
    file.write_bytes(b"PAR1 no more")
    with pytest.raises(UserError, match=r"is broken .* --verify makes it again"):
        table.read(Reject, file)


def test_a_shard_of_other_columns_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "00000.parquet"
    table.write(Reject, file, [])
    with pytest.raises(UserError, match="another version of lskd"):
        table.read(Score, file)


def test_a_folder_that_cannot_be_written_is_a_users_error(tmp_path: Path) -> None:
    (tmp_path / "reject").write_text("a file where a folder should be")
    with pytest.raises(UserError, match="cannot write"):
        table.write(Reject, tmp_path / "reject" / "00000.parquet", [])


def test_a_digest_changes_with_any_row_and_not_with_time(tmp_path: Path) -> None:
    tables = table.Tables({"score": tmp_path}, {Score: "score"})
    row = Score("t", "i", 0.5, None, None)
    table.write(Score, tables.file(Score, "00000"), [row])
    first = tables.digest([Score])
    table.write(Score, tables.file(Score, "00000"), [row])
    assert tables.digest([Score]) == first
    table.write(Score, tables.file(Score, "00000"), [Score("t", "i", 0.6, None, None)])
    assert tables.digest([Score]) != first
