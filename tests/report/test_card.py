from dataclasses import replace
from pathlib import Path

import pytest
from datasets import Image as Pixels
from datasets import load_dataset
from huggingface_hub import DatasetCard

from lskd.export.hf import features_yaml, write
from lskd.report.card import Held, Source, card, licence_fields, size_category
from lskd.report.markdown import cell, fenced
from lskd.types import Example
from report.house import facts, full, tables

HELD = Held(2)
EVIL = 'a "b": [c] | <i>d</i> `e`\n---\nlicense: mit'


def front(text: str) -> dict[str, object]:
    found: dict[str, object] = vars(DatasetCard(text).data)
    return found


def test_the_front_matter_is_what_the_hub_reads(tmp_path: Path) -> None:
    text = card(facts(), full(tmp_path), "cc-by-4.0", (), HELD, features_yaml())
    found = front(text)
    assert found["license"] == "cc-by-4.0"
    assert found["language"] == ["en"]
    assert found["size_categories"] == ["n<1K"]
    assert found["task_categories"] == ["image-text-to-text", "visual-question-answering"]
    assert found["configs"] == [
        {
            "config_name": "default",
            "data_files": [{"split": "train", "path": "data/train-*.parquet"}],
        }
    ]


def test_a_folder_with_the_card_loads_with_its_pictures(tmp_path: Path) -> None:
    house = full(tmp_path)
    rows = [row for shard in house.shards(Example) for row in house.read(Example, shard)]
    text = card(facts(), house, "", (), HELD, features_yaml())
    write(rows, tmp_path / "export", readme=text)
    loaded = load_dataset(
        str(tmp_path / "export"), cache_dir=str(tmp_path / "cache"), split="train"
    )
    assert isinstance(loaded.features["image"], Pixels)
    assert loaded.num_rows == 2
    assert loaded[0]["image"].size == (64, 48)


def test_the_numbers_are_those_of_the_run(tmp_path: Path) -> None:
    text = card(facts(), full(tmp_path), "cc-by-4.0", (), HELD)
    assert "| Triples made | 3 |" in text
    assert "| Triples kept | 2 |" in text and "| Rows of this dataset | 2 |" in text
    assert "| Share kept | 66.7 % |" in text
    assert "Triples were kept from a score of 0.5 on." in text
    assert "| parse | names unknown region # | 2 |" in text
    assert "| generate | tiny | 2 | at least 100 | at least 10 | at least 0.2500 |" in text


def test_a_best_share_tells_the_lowest_score_that_was_kept(tmp_path: Path) -> None:
    text = card(facts(threshold=None), full(tmp_path), "", (), HELD)
    assert "the lowest score among them is 0.5." in text


def test_what_is_not_known_is_said_to_be_unknown(tmp_path: Path) -> None:
    text = card(facts(), full(tmp_path), "", [Source("scraped")], HELD)
    assert front(text)["license"] == "unknown"
    assert "Texts: unknown." in text
    assert "| scraped | unknown |  |" in text
    assert "Images: unknown." in card(facts(), full(tmp_path / ""), "", (), HELD)


def test_the_card_of_an_empty_run_claims_nothing(tmp_path: Path) -> None:
    text = card(facts(done=0, threshold=None), tables(tmp_path), "", (), HELD)
    assert "| Triples made | unknown |" in text
    assert "tokens and price are unknown" in text
    assert text.count("This stage has made nothing.") == 9
    assert "No triple was kept by its score." in text


def test_every_stage_is_told_with_its_settings(tmp_path: Path) -> None:
    text = card(facts(), full(tmp_path), "", (), HELD)
    assert text.index("### images") < text.index("### generate") < text.index("### corpus")
    assert '````toml\nthreshold = 0.5\nsource = "```"\n````' in text


def test_texts_from_outside_stay_text(tmp_path: Path) -> None:
    run = replace(facts(notices=(EVIL,)), name=EVIL)
    text = card(run, full(tmp_path), EVIL, [Source(EVIL, EVIL, EVIL)], HELD)
    found = front(text)
    assert found["pretty_name"] == EVIL
    assert (found["license"], found["license_name"]) == ("other", EVIL)
    assert "<i>" not in text.split("---\n", 2)[2].replace(EVIL, "")
    row = next(line for line in text.splitlines() if line.startswith('| a "b"'))
    assert row.replace("\\|", "").count("|") == 4


def test_splits_get_their_own_files(tmp_path: Path) -> None:
    text = card(facts(), full(tmp_path), "", (), Held(2, splits=("train", "test")))
    configs = front(text)["configs"]
    assert isinstance(configs, list)
    assert configs[0]["data_files"] == [
        {"split": split, "path": f"data/{split}-*.parquet"} for split in ("train", "test")
    ]


def test_a_row_for_each_image_and_a_single_style_are_told(tmp_path: Path) -> None:
    text = card(facts(), full(tmp_path), "", (), Held(1_200, "image", styles=("id",)))
    assert "Each row is one image with all of its triples." in text
    assert "only the texts of style `id` are here" in text
    assert "| Rows of this dataset | 1,200 |" in text and "| Triples kept | 2 |" in text
    assert front(text)["size_categories"] == ["1K<n<10K"]


@pytest.mark.parametrize(
    ("rows", "word"),
    [(0, "n<1K"), (999, "n<1K"), (1_000, "1K<n<10K"), (4_500_000, "1M<n<10M")],
)
def test_sizes_are_named_as_the_hub_names_them(rows: int, word: str) -> None:
    assert size_category(rows) == word


def test_a_licence_is_an_identifier_or_other_with_a_name() -> None:
    assert licence_fields(" cc-by-4.0 ") == (("license", "cc-by-4.0"),)
    assert licence_fields("My own") == (("license", "other"), ("license_name", "My own"))
    assert licence_fields("  ") == (("license", "unknown"),)


def test_cells_and_fences_hold_whatever_stands_in_them() -> None:
    assert cell("a|b\n<c> [d]") == "a\\|b &lt;c> \\[d\\]"
    assert fenced("````") == "`````toml\n````\n`````"
