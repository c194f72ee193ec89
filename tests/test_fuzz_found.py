"""Inputs of the kinds that bench/fuzz.py takes: what it has found stays mended."""

import io
import re
import struct
import warnings
from pathlib import Path

import PIL.Image
import pytest

from faults.matrix import JOURNAL_BROKEN, pattern
from lskd import table
from lskd.chat.journal import Journal
from lskd.chat.paid import Charge, Paid
from lskd.errors import UserError
from lskd.images import examined
from lskd.stage import named
from lskd.types import Box, Example, Mention, Region

CUP = Region(0, Box(0, 0, 9, 9), "cup", "a white cup", 0.9)
EXAMPLE = Example(
    *("e", "i", "p.png", 64, 48, (CUP,), "description", "Why [a white cup]?", "It.", "So.", (0,)),
    *((Mention("a white cup", 0),), 0.5, "", "", ""),
)


def test_what_pillow_warns_of_a_broken_picture_is_no_line_for_the_user() -> None:
    written = io.BytesIO()
    PIL.Image.new("RGB", (24, 18)).save(written, "TIFF")
    data = bytearray(written.getvalue())
    # The entry of BitsPerSample: tag, type, count; its count promises more than there is.
    entry = data.index(struct.pack("<HHI", 258, 3, 3))
    data[entry + 4 : entry + 8] = struct.pack("<I", 100_000)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        problem, _, _ = examined(bytes(data), 10_000)
    assert problem and not told


def test_a_picture_whose_rows_lie_at_a_fraction_of_a_byte_is_broken() -> None:
    written = io.BytesIO()
    PIL.Image.new("RGB", (24, 18)).save(written, "TIFF")
    data = bytearray(written.getvalue())
    # The entry of StripOffsets becomes a float.
    entry = next(at for kind in (3, 4) if (at := data.find(struct.pack("<HHI", 273, kind, 1))) >= 0)
    data[entry + 2 : entry + 12] = struct.pack("<HIf", 11, 1, 8.5)
    problem, _, _ = examined(bytes(data), 10_000)
    assert problem.startswith("broken image: ")


def test_a_table_whose_inner_columns_have_other_names_is_broken(tmp_path: Path) -> None:
    file = tmp_path / "00000.parquet"
    table.write(Example, file, [EXAMPLE])
    content = file.read_bytes()
    for name, other in ((b"phrase", b"phrasx"), (b"rationale", b"ration\xe1le")):
        file.write_bytes(content.replace(name, other))
        with pytest.raises(UserError, match="--verify makes it again"):
            table.read(Example, file)


@pytest.mark.parametrize("use", [".lab.teacher:LabTeacher", "..:Teacher", ":Teacher", ""])
def test_a_class_without_a_whole_module_name_is_told_in_one_line(use: str) -> None:
    with pytest.raises(UserError, match=r"the form is 'package\.module:Class'"):
        named(use)


def test_a_journal_that_was_not_closed_is_read_through_before_it_is_trusted(tmp_path: Path) -> None:
    file = tmp_path / "journal.sqlite"
    with Journal(file) as journal:
        for number in range(40):
            key = b"key %d" % number
            call = journal.ask(key, Charge(9, 9, 0.1), lambda totals: True)
            assert call is not None
            journal.keep(call, key, Paid("{}", "x" * 300, "stop", 1, 1, 0.1, 0.5))
    whole = file.read_bytes()
    broken = 0
    # Cells in other order than they should be: a look-up then misses what is there.
    for page in range(2, len(whole) // 4096):
        content = bytearray(whole)
        first = page * 4096 + 8
        content[first : first + 4] = content[first + 2 : first + 4] + content[first : first + 2]
        (tmp_path / "journal.sqlite-wal").touch()
        file.write_bytes(content)
        try:
            Journal(file).close()
        except UserError as error:
            assert re.fullmatch(pattern(JOURNAL_BROKEN), str(error))
            assert error.exit_code == JOURNAL_BROKEN.exit_code
            broken += 1
            file.rename(tmp_path / "moved")
            Journal(file).close()
    assert broken > 2


def test_a_journal_that_was_moved_away_leaves_nothing_to_the_next_one(tmp_path: Path) -> None:
    file, log = tmp_path / "journal.sqlite", tmp_path / "journal.sqlite-wal"
    with Journal(file) as journal:
        call = journal.ask(b"k", Charge(9, 9, 0.1), lambda totals: True)
        assert call is not None
        journal.keep(call, b"k", Paid("{}", "x" * 300, "stop", 1, 1, 0.1, 0.5))
        left = log.read_bytes()
    file.unlink()
    log.write_bytes(left)  # as after a kill
    with Journal(file) as journal:
        assert journal.spent().calls == 0 and journal.find(b"k") is None
    assert (tmp_path / "journal.sqlite-wal.old").read_bytes() == left


def test_a_journal_whose_schema_is_no_text_is_damaged(tmp_path: Path) -> None:
    file = tmp_path / "journal.sqlite"
    Journal(file).close()
    file.write_bytes(file.read_bytes().replace(b"TABLE reply", b"T\xb7BLE reply"))
    with pytest.raises(UserError, match="is damaged or no journal"):
        Journal(file)
