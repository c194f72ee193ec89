"""Records in a file, by number; and a file that grows until it is finished."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from faults.machine import filled, small_disk
from lskd.distil import ledger
from lskd.distil.ledger import Ledger
from lskd.distil.swaps import Swapped, SwapsOf
from lskd.errors import UserError

words = st.text(max_size=12)
swaps = st.lists(st.builds(Swapped, words, words, words)).map(tuple)
rows = st.lists(st.builds(SwapsOf, words, swaps, swaps))


@given(rows, rows)
def test_what_is_written_is_read_by_number(
    tmp_path_factory: pytest.TempPathFactory, some: list[SwapsOf], more: list[SwapsOf]
) -> None:
    file = tmp_path_factory.mktemp("ledger") / "rows"
    ledger.write(file, some)
    kept = Ledger(SwapsOf, file)
    assert [kept[n] for n in reversed(range(len(kept)))] == some[::-1]
    grown = file.with_name("grown")
    for part in (some, more):
        ledger.append(grown, part)
    assert not ledger.exists(grown) and ledger.begun(grown) == len(some + more)
    ledger.finish(grown)
    again = Ledger(SwapsOf, grown)
    assert [again[n] for n in range(len(again))] == some + more


def test_half_a_line_is_cut_off_and_written_anew(tmp_path: Path) -> None:
    file = tmp_path / "rows"
    first, second = SwapsOf("a", (), ()), SwapsOf("b", (Swapped("q", "a", "r"),), ())
    ledger.append(file, [first, second])
    part = tmp_path / "rows.part"
    part.write_bytes(part.read_bytes()[:-4])  # as a kill or a full disk leaves it
    assert ledger.begun(file) == 1
    ledger.append(file, [second])
    ledger.finish(file)
    kept = Ledger(SwapsOf, file)
    assert [kept[0], kept[1]] == [first, second]


def test_a_broken_or_absent_file_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot read"):
        Ledger(SwapsOf, tmp_path / "rows")
    ledger.write(tmp_path / "rows", [SwapsOf("a", (), ())])
    with (tmp_path / "rows").open("ab") as opened:
        opened.write(b"more")
    with pytest.raises(UserError, match="is broken: remove it"):
        Ledger(SwapsOf, tmp_path / "rows")


@pytest.mark.parametrize("grown", [False, True])
def test_a_disk_that_is_full_where_few_bytes_are_missing_is_told_and_nothing_is_broken(
    tmp_path: Path, grown: bool
) -> None:
    some = [SwapsOf("a", (), ())] * 3

    def make(file: Path) -> None:
        if not grown:
            ledger.write(file, some)
            return
        if not ledger.begun(file):
            ledger.append(file, some)
        ledger.finish(file)

    with small_disk(tmp_path / "disk", 8) as disk:
        # A page for the rows, none for where they begin.
        with filled(disk, 1), pytest.raises(UserError, match=r"rows\.starts: No space"):
            make(disk / "rows")
        assert not ledger.exists(disk / "rows")
        make(disk / "rows")
        assert len(Ledger(SwapsOf, disk / "rows")) == 3
