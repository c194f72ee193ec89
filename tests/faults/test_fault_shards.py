"""Tables that are not what was written: found, named, and made again with what followed."""

import random
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from chat.server import Server
from faults import machine
from faults.machine import House
from faults.matrix import BROKEN_FOUND, BROKEN_NOTE, BROKEN_READ, PAID_BROKEN, heard
from lskd.run import load
from lskd.soundness import broken
from test_paid import teacher


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> House:
    found = machine.build(tmp_path_factory.mktemp("shards"))
    assert found.run().exit_code == 0
    return found


def tables(home: House) -> list[Path]:
    return sorted(home.folder / "broken" / name for name in home.tables("broken"))


def test_a_changed_bit_of_any_table_is_found_by_its_checksum(home: House) -> None:
    run = load(home.folder / "broken")
    stages = [stage for stage in run.stages() if stage.writes]
    chance = random.Random(1)
    assert not list(broken(run, stages))
    for file in tables(home):
        whole = file.read_bytes()
        machine.flip(file, chance)
        (found,) = broken(run, stages)
        assert found.file == file and found.shard == file.stem
        file.write_bytes(whole)


def test_any_changed_bit_of_any_table_is_found_and_made_again(home: House) -> None:
    chance = random.Random(2)
    run = home.folder / "broken"
    machine.flip(run / "images" / "image" / "00000.parquet", chance)
    triples = run / "parse" / "triple" / "00001.parquet"
    triples.write_bytes(triples.read_bytes()[:-100])
    (run / "score" / "score" / "00000.parquet").write_bytes(b"")
    (run / "corpus" / "reject" / "00001.parquet").unlink()
    result = home.lskd("status", "broken", "--verify")
    heard(BROKEN_FOUND, result)
    assert "4 of the tables' files are broken" in result.said
    mended = home.run("--verify")
    assert mended.exit_code == 0, mended.said
    for name in ("image/00000", "triple/00001", "score/00000", "reject/00001"):
        assert f"{name}.parquet is broken: " in mended.said
    assert home.is_as_undisturbed()
    assert "all tables are sound" in home.run("--verify").said


@pytest.mark.parametrize("harm", ["changed", "truncated", "empty"])
def test_a_broken_table_is_named_by_the_stage_that_reads_it(home: House, harm: str) -> None:
    file = home.folder / "broken" / "parse" / "triple" / "00001.parquet"
    (home.folder / "broken" / "score" / "score" / "00001.parquet").unlink()
    whole = file.read_bytes()
    # The checksums that are compared when a stage reads are those of values, not of headers.
    column = pq.read_metadata(file).row_group(0).column(4)
    last = column.dictionary_page_offset + column.total_compressed_size - 1
    changed = whole[:last] + bytes([whole[last] ^ 1]) + whole[last + 1 :]
    file.write_bytes({"changed": changed, "truncated": whole[:-9], "empty": b""}[harm])
    result = home.run()
    heard(BROKEN_READ, result)
    assert "parse/triple/00001.parquet" in result.said
    assert home.run("--verify").exit_code == 0
    assert home.is_as_undisturbed()


def test_a_broken_table_of_paid_replies_is_made_again_for_nothing(home: House) -> None:
    with Server() as server:
        paid = ("--set", teacher(server))
        assert home.run(*paid, out="paid").exit_code == 0
        before, calls = home.tables("paid"), server.tally().calls
        for stage in ("dialogue", "generate"):
            replies = home.folder / "paid" / stage / "reply" / "00000.parquet"
            replies.write_bytes(replies.read_bytes()[:200])
        (home.folder / "paid" / "parse" / "triple" / "00000.parquet").unlink()
        heard(PAID_BROKEN, home.run(*paid, out="paid"))
        mended = home.run(*paid, "--verify", out="paid")
        assert mended.exit_code == 0, mended.said
        assert server.tally().calls == calls
    assert home.tables("paid") == before


def test_a_damaged_note_is_told(home: House) -> None:
    note = home.folder / "broken" / "regions" / "stage.json"
    whole = note.read_text()
    note.write_text(whole[:20])
    heard(BROKEN_NOTE, home.run())
    note.unlink()
    assert home.run().exit_code == 0
    assert home.is_as_undisturbed() and note.read_text() == whole
