"""The folder of an imported corpus: nothing of it counts before all of it is there."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from buckets import fsspec, machine
from export.examples import some
from lskd import exchange, table
from lskd.corpora.source import Source
from lskd.errors import UserError
from lskd.export import lck
from lskd.hold import locked
from lskd.imported import UNFINISHED, filled
from lskd.run import given_examples
from lskd.storage import mirror
from lskd.types import Example


@pytest.fixture
def work(tmp_path: Path) -> Iterator[Path]:
    """Be a machine with a disk of its own."""
    with machine({"LSKD_WORK": str(tmp_path / "work")}):
        yield tmp_path


def written(folder: Path, examples: list[Example]) -> None:
    """Write each example to a shard of its own."""
    for number, example in enumerate(examples):
        table.write(Example, folder / "example" / f"{number:05d}.parquet", [example])


def interrupted(folder: Path, examples: list[Example]) -> None:
    """Write some shards of a corpus, and be told to stop."""
    with pytest.raises(KeyboardInterrupt), filled(folder) as draft:
        written(draft, examples)
        raise KeyboardInterrupt


def test_a_part_of_a_corpus_at_a_place_is_none_and_the_next_import_replaces_it(work: Path) -> None:
    examples = some(work / "photos")
    out = Path("memory://imported/run")
    folder = mirror.opened(out) / "corpus"
    interrupted(folder, examples)
    given = {"examples": str(out)}
    for read in (lambda: exchange.corpus(out, []), lambda: given_examples(work / "a.toml", given)):
        with pytest.raises(
            UserError, match=r"memory://imported/run/corpus is not whole: `lskd imp"
        ):
            read()
    with filled(folder) as draft:
        written(draft, examples[:2])
    found = exchange.corpus(out, []).tables
    assert found.shards(Example) == ["00000", "00001"]
    assert given_examples(work / "a.toml", given) == folder.parent
    names = fsspec.filesystem("memory").find("/imported/run")
    assert names == [f"/imported/run/corpus/example/0000{number}.parquet" for number in (0, 1)]
    with pytest.raises(UserError, match="is there already"), filled(folder):
        pass


def test_another_machine_sees_that_a_corpus_at_a_place_is_not_whole(tmp_path: Path) -> None:
    out = Path("memory://seen/run")
    with machine({"LSKD_WORK": str(tmp_path / "first")}):
        first = mirror.opened(out)
        interrupted(first / "corpus", some(tmp_path / "photos"))
        mirror.push(first)
    with machine({"LSKD_WORK": str(tmp_path / "second")}):
        with pytest.raises(UserError, match="is not whole"):
            exchange.corpus(out, [])
        with filled(mirror.opened(out) / "corpus") as draft:
            written(draft, some(tmp_path / "photos")[:1])
    with machine({"LSKD_WORK": str(tmp_path / "first")}):
        assert exchange.corpus(out, []).tables.shards(Example) == ["00000"]
        assert not (first / "corpus" / UNFINISHED).exists()


def test_of_two_imports_at_one_place_the_later_is_refused_on_every_machine(tmp_path: Path) -> None:
    photos, out = tmp_path / "photos", Path("memory://both/run")
    lck.write(some(photos), tmp_path / "lck", photos)
    source = Source(tmp_path / "lck" / lck.NAME, (photos,))
    with machine({"LSKD_WORK": str(tmp_path / "first")}):
        with locked([mirror.opened(out)]):
            with pytest.raises(UserError, match="another lskd is at work in"):
                exchange.read("lck", source, out)
            with (
                machine({"LSKD_WORK": str(tmp_path / "second")}),
                pytest.raises(UserError, match="another lskd is at work in memory://both/run on "),
            ):
                exchange.read("lck", source, out)
        assert exchange.read("lck", source, out).examples == 4
    names = fsspec.filesystem("memory").find("/both/run")
    assert {name.rpartition("/")[2] for name in names} == {"00000.parquet"}  # no lock is left


def test_of_two_imports_into_one_folder_the_later_is_refused(tmp_path: Path) -> None:
    folder, examples = tmp_path / "out" / "corpus", some(tmp_path / "photos")
    with pytest.raises(UserError, match="is there already"), filled(folder) as draft:
        written(draft, examples)
        written(folder, examples[:1])  # as another process does meanwhile
    assert len(list((folder / "example").iterdir())) == 1
