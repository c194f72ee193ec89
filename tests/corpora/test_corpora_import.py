"""`lskd import` of every foreign corpus, and its examples where an export and a run find them."""

import json
import signal
import time
from pathlib import Path
from typing import Any

import PIL.Image
import pytest
from typer.testing import CliRunner, Result

from forked import at_work
from lskd import exchange, table
from lskd.cli import app
from lskd.types import Example, Reject


def picture(file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    PIL.Image.linear_gradient("L").resize((60, 40)).convert("RGB").save(file)


def sherlock(folder: Path) -> tuple[list[Any], list[str]]:
    picture(folder / "vg" / "VG_100K" / "7.jpg")
    row = {
        "inputs": {
            "image": {"url": "https://host/VG_100K/7.jpg", "width": 60, "height": 40},
            "bboxes": [{"left": 1, "top": 1, "width": 20, "height": 20}],
            "clue": "a wet umbrella",
        },
        "targets": {"inference": "it has rained"},
        "instance_id": "abc",
    }
    return [row, {"inputs": {}}], ["--images", str(folder / "vg"), "--images", str(folder)]


def visualcomet(folder: Path) -> tuple[list[Any], list[str]]:
    picture(folder / "vcr1images" / "film" / "1.jpg")
    metadata = {"boxes": [[1, 1, 20, 20, 1]], "names": ["person"], "width": 60, "height": 40}
    (folder / "vcr1images" / "film" / "1.json").write_text(json.dumps(metadata))
    row = {
        "img_fn": "film/1.jpg",
        "metadata_fn": "film/1.json",
        "event": "1 smiles",
        "intent": ["be kind"],
    }
    return [row, {**row, "intent": []}], ["--images", str(folder)]


def llava(folder: Path) -> tuple[list[Any], list[str]]:
    picture(folder / "COCO_train2014_1.jpg")
    said = [{"from": "human", "value": "<image>\nWhat?"}, {"from": "gpt", "value": "A bus."}]
    row = {"id": "1", "image": "1.jpg", "conversations": said}
    return [row, {"id": "2"}], ["--images", str(folder), "--prefix", "COCO_train2014_"]


MADE = {"sherlock": sherlock, "visualcomet": visualcomet, "llava": llava}


def ran(*args: object) -> Result:
    return CliRunner().invoke(app, [str(arg) for arg in args])


@pytest.mark.parametrize("form", MADE)
def test_examples_and_rejects_of_a_foreign_corpus_lie_in_one_folder(
    tmp_path: Path, form: str
) -> None:
    rows, options = MADE[form](tmp_path)
    file = tmp_path / "some_val.json"
    file.write_text(json.dumps(rows))
    out = tmp_path / "out"
    told = ran("import", form, file, *options, "--out", out)
    assert told.exit_code == 0, told.stderr
    assert told.stdout == f"{out / 'corpus'}: 1 examples, 1 rejects\n"
    (made,) = table.read(Example, out / "corpus" / "example" / "00000.parquet")
    (reject,) = table.read(Reject, out / "corpus" / "reject" / "00000.parquet")
    assert (made.source, made.split) == (form, "validation")
    assert reject.source == "some_val.json row 2" and json.loads(reject.text) == rows[1]
    again = ran("import", form, file, *options, "--out", out)
    assert again.exit_code == 2 and "is there already" in again.stderr


@pytest.mark.parametrize("form", MADE)
def test_an_imported_corpus_is_exported_like_ones_own(tmp_path: Path, form: str) -> None:
    rows, options = MADE[form](tmp_path)
    (tmp_path / "train.json").write_text(json.dumps(rows))
    ran("import", form, tmp_path / "train.json", *options, "--out", tmp_path / "out")
    told = ran("export", tmp_path / "out", "--to", "hf", "--out", tmp_path / "hf")
    assert told.exit_code == 0, told.stderr
    assert "1 rows, 0 rejected" in told.stderr


def test_json_lines_and_a_split_of_ones_own_are_read(tmp_path: Path) -> None:
    rows, options = llava(tmp_path)
    file = tmp_path / "train.jsonl"
    file.write_text(f"{json.dumps(rows[0])}\n\nodd\n")
    out = tmp_path / "out"
    told = ran("import", "llava", file, *options, "--split", "test", "--out", out)
    assert "1 examples, 1 rejects" in told.stdout
    (made,) = table.read(Example, out / "corpus" / "example" / "00000.parquet")
    (reject,) = table.read(Reject, out / "corpus" / "reject" / "00000.parquet")
    assert made.split == "test"
    assert reject.source == "train.jsonl line 3" and reject.text == "odd"


def test_a_corpus_of_which_few_pictures_are_here_is_read_to_its_end(tmp_path: Path) -> None:
    (here, _), options = llava(tmp_path)
    away = [{**here, "id": f"away {n}", "image": "not.jpg"} for n in range(exchange.SHARD + 5)]
    file = tmp_path / "rows.json"
    file.write_text(json.dumps([*away, here]))
    told = ran("import", "llava", file, *options, "--out", tmp_path / "out")
    assert told.exit_code == 0, told.stderr
    assert f"1 examples, {len(away)} rejects" in told.stdout


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["llava", "--split", "dev"], "no split 'dev'"),
        (["lck", "--split", "val"], "leave out --prefix and --split"),
        (["lck", "--images", "a", "--images", "b"], "give --images once"),
        (["sherlock", "--prefix", "a_"], "sherlock: rows name whole files; leave out --prefix"),
        (["visualcomet", "--prefix", "a_"], "visualcomet: rows name whole files; leave out"),
        (["odd"], f"cannot import 'odd'; known: {', '.join(exchange.FOREIGN)}"),
        (["sherlock"], "has no row of that form; the first: 'inputs' is no JSON object"),
    ],
)
def test_a_mistake_is_one_line_and_makes_no_folder(
    tmp_path: Path, args: list[str], message: str
) -> None:
    file = tmp_path / "rows.json"
    file.write_text(json.dumps(llava(tmp_path)[0]))
    told = ran("import", args[0], file, *args[1:], "--out", tmp_path / "out")
    assert told.exit_code == 2 and message in told.stderr
    assert told.stderr.count("\n") == 1 and not (tmp_path / "out").exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL], ids=["SIGINT", "SIGKILL"])
def test_an_import_that_is_ended_leaves_no_part_of_a_corpus_and_the_same_command_makes_it_whole(
    tmp_path: Path, number: signal.Signals
) -> None:
    rows, options = llava(tmp_path)
    count = 3 * exchange.SHARD
    many = (json.dumps({**rows[0], "id": str(one)}) + "\n" for one in range(count))
    (tmp_path / "train.jsonl").write_text("".join(many))
    words = ("import", "llava", "train.jsonl", *options, "--out", "out")
    with at_work(*words, folder=tmp_path) as started:
        while not list((tmp_path / "out").glob(".*/corpus/example/*.parquet")):
            assert started.process.is_alive(), started.streams[1].read_text()
            time.sleep(0.005)
        started.signal(number)
        ended = started.ended()
    assert ended.returncode == {signal.SIGINT: 130}.get(number, -number), ended.stderr
    assert not (tmp_path / "out" / "corpus").exists()
    exported = ran("export", tmp_path / "out", "--to", "lck", "--out", tmp_path / "lck")
    assert exported.exit_code == 2 and exported.stderr.startswith("error: ")
    again = ran(*words[:2], tmp_path / "train.jsonl", *options, "--out", tmp_path / "out")
    assert again.stdout == f"{tmp_path / 'out' / 'corpus'}: {count} examples, 0 rejects\n"
    assert [entry.name for entry in (tmp_path / "out").iterdir()] == ["corpus"]
    # All rows are about one picture, so that shards are twice as large.
    assert len(list((tmp_path / "out/corpus/example").iterdir())) == 2
