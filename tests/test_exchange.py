"""Exports from the command line, read back by others' libraries; imports and back."""

import json
import os
from pathlib import Path

import pytest

import house
from lskd.run import load
from lskd.types import Example
from typed import lskd

# Read by the libraries when they are first imported: nothing here may ask a hub.
os.environ["HF_HUB_OFFLINE"] = "1"


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder in which small.toml was run."""
    folder = tmp_path_factory.mktemp("done")
    house.build(folder)
    assert lskd("run", "small.toml", folder=folder).returncode == 0
    return folder


def test_the_datasets_folder_of_a_run_shows_pictures_and_has_a_card(
    done: Path, tmp_path: Path
) -> None:
    datasets = pytest.importorskip("datasets")
    folder = done / "out" / "small" / "dataset" / "hf"
    rows = datasets.load_dataset(str(folder), split="train", cache_dir=str(tmp_path))
    assert len(rows) == 18
    assert rows[0]["image"].size == rows[0]["marked"].size == (64, 48)
    assert rows[0]["image"].tobytes() != rows[0]["marked"].convert("RGB").tobytes()
    text = (folder / "README.md").read_text()
    assert text.startswith("---\n") and "the eyes of this run are a test" in text


@pytest.mark.parametrize("form", ["hf", "llava", "swift", "trl", "lck", "coco"])
def test_every_format_is_written_from_the_command_line(
    done: Path, tmp_path: Path, form: str
) -> None:
    result = lskd("export", "small.toml", "--to", form, "--out", tmp_path / form, folder=done)
    assert result.returncode == 0, result.stderr
    assert "0 rejected" in result.stderr
    files = [Path(line) for line in result.stdout.splitlines()]
    assert files and all((done / file).exists() for file in files)


def test_an_exported_hf_folder_has_the_card_too(done: Path, tmp_path: Path) -> None:
    lskd("export", "out/small", "--to", "hf", "--out", tmp_path / "hf", folder=done)
    assert (tmp_path / "hf" / "README.md").read_text().startswith("---\n")


def test_an_export_with_a_row_for_each_image_loads_as_its_card_says(
    done: Path, tmp_path: Path
) -> None:
    datasets = pytest.importorskip("datasets")
    rows = ("--set", "dataset.rows=image", "--styles", "id")
    lskd("export", "small.toml", *rows, "--to", "hf", "--out", tmp_path / "hf", folder=done)
    text = (tmp_path / "hf" / "README.md").read_text()
    assert "| Rows of this dataset | 6 |" in text and "only the texts of style `id`" in text
    found = datasets.load_dataset(str(tmp_path / "hf"), split="train", cache_dir=str(tmp_path))
    assert [len(row["triples"]) for row in found] == [3] * 6


def test_every_split_of_what_a_run_was_given_is_loaded(done: Path, tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    lskd("export", "small.toml", "--to", "lck", "--out", tmp_path / "lck", folder=done)
    rows = [json.loads(line) for line in (tmp_path / "lck" / "lck.jsonl").read_text().splitlines()]
    for number, row in enumerate(rows):
        row["split"] = "val" if number % 3 == 0 else "train"
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    given = ("--images", done, "--out", tmp_path / "given")
    assert lskd("import", "lck", "rows.jsonl", *given, folder=tmp_path).returncode == 0
    (tmp_path / "child.toml").write_text('examples = "given"\n[distil]\nweights = "none.pth"\n')
    out = ("--to", "hf", "--out", "hf")
    result = lskd("export", "child.toml", *out, folder=tmp_path)
    assert result.returncode == 0, result.stderr
    loaded = datasets.load_dataset(str(tmp_path / "hf"), cache_dir=str(tmp_path / "cache"))
    assert {name: len(split) for name, split in loaded.items()} == {"train": 12, "validation": 6}


def test_styles_and_naming_can_be_chosen(done: Path, tmp_path: Path) -> None:
    options = ["--pictures", "plain", "--naming", "box", "--styles", "id"]
    out = tmp_path / "llava"
    lskd("export", "small.toml", "--to", "llava", "--out", out, *options, folder=done)
    rows = json.loads((out / "train.json").read_text())
    assert len(rows) == 18
    said = " ".join(turn["value"] for row in rows for turn in row["conversations"])
    assert "[0]" not in said and "<image>" in said


@pytest.mark.parametrize(
    ("form", "option"),
    [
        *((form, ("--naming", "box")) for form in ("hf", "lck", "coco")),
        *((form, ("--images", ".")) for form in ("hf", "llava", "swift", "trl", "coco")),
        *(("lck", ("--pictures", kind)) for kind in ("plain", "none")),
        *((form, ("--style", "release")) for form in ("lck", "coco")),
    ],
)
def test_an_option_that_does_not_fit_the_format_is_refused(
    done: Path, tmp_path: Path, form: str, option: tuple[str, str]
) -> None:
    refused = lskd(
        "export", "small.toml", "--to", form, "--out", tmp_path / "x", *option, folder=done
    )
    assert refused.returncode == 2 and refused.stderr.count("\n") == 1
    assert f"error: {form}: " in refused.stderr and f"leave out {option[0]}" in refused.stderr
    assert not (tmp_path / "x").exists()


def test_swift_rows_that_name_pictures_of_this_machine_go_to_no_url(done: Path) -> None:
    out = "s3://none/swift"
    refused = lskd("export", "small.toml", "--to", "swift", "--out", out, folder=done)
    assert refused.returncode == 2 and refused.stderr == (
        "error: swift: rows name pictures by their absolute path on this machine, so they are of "
        "no use at s3://none/swift; give --out a folder\n"
    )


@pytest.mark.parametrize(("form", "name"), [("lck", "lck.jsonl"), ("coco", "instances.json")])
def test_a_style_can_be_chosen_in_formats_that_are_no_conversations(
    done: Path, tmp_path: Path, form: str, name: str
) -> None:
    out = tmp_path / form
    chosen = lskd(
        "export", "small.toml", "--to", form, "--out", out, "--styles", "description", folder=done
    )
    assert chosen.returncode == 0 and "0 rows, 0 rejected" in chosen.stderr
    assert (out / name).exists()


def test_a_corpus_goes_out_as_lck_and_comes_back_equal(done: Path, tmp_path: Path) -> None:
    lskd("export", "small.toml", "--to", "lck", "--out", tmp_path / "lck", folder=done)
    imported = lskd(
        "import", "lck", tmp_path / "lck" / "lck.jsonl", "--out", tmp_path / "back", folder=done
    )
    assert imported.returncode == 0, imported.stderr
    assert "18 examples, 0 rejects" in imported.stdout
    again = tmp_path / "again"
    lskd("export", tmp_path / "back", "--to", "lck", "--out", again, folder=done)
    first, second = (folder / "lck.jsonl" for folder in (tmp_path / "lck", again))
    assert sorted(first.read_text().splitlines()) == sorted(second.read_text().splitlines())
    refused = lskd("import", "lck", first, "--out", tmp_path / "back", folder=done)
    assert refused.returncode == 2 and "is there already" in refused.stderr


def test_a_run_without_examples_says_what_to_run(tmp_path: Path) -> None:
    house.build(tmp_path, 1)
    result = lskd("export", "small.toml", "--to", "hf", "--out", "x", folder=tmp_path)
    assert result.returncode == 2 and "has no examples yet" in result.stderr


def test_the_released_corpus_row_can_be_imported_and_shown_again(
    tmp_path: Path, shared: Path
) -> None:
    rows = json.loads((shared / "data" / "lck" / "chatgpt_row.from-docstring.json").read_text())
    house.picture(tmp_path / "vg" / rows[0]["image"].replace(".jpg", ".png"), 1, (400, 300))
    (tmp_path / "vg" / rows[0]["image"]).symlink_to(
        tmp_path / "vg" / rows[0]["image"].replace(".jpg", ".png")
    )
    (tmp_path / "lck.json").write_text(json.dumps(rows))
    read = lskd("import", "lck", "lck.json", "--images", "vg", "--out", "corpus", folder=tmp_path)
    assert "1 examples, 0 rejects" in read.stdout, read.stderr
    back = lskd(
        "export", "corpus", "--to", "lck", "--images", "vg", "--out", "back", folder=tmp_path
    )
    assert back.returncode == 0, back.stderr
    (line,) = (tmp_path / "back" / "lck.jsonl").read_text().splitlines()
    assert json.loads(line) == rows[0]


def test_the_examples_of_a_run_are_those_that_were_exported(done: Path, tmp_path: Path) -> None:
    lskd("export", "small.toml", "--to", "lck", "--out", tmp_path / "lck", folder=done)
    exported = (tmp_path / "lck" / "lck.jsonl").read_text().splitlines()
    assert len(exported) == len(house.rows(load(done / "out" / "small"), Example))
