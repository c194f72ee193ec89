"""The exports for training vision-language models: LLaVA, ms-swift and TRL."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import datasets
import pytest

from buckets import fsspec
from export.examples import REGIONS, about, distance, lines, loaded, painted, saved, seen, some
from lskd.export import llava, swift, trl
from lskd.export.conversation import Talk, conversation
from lskd.export.folder import Written
from lskd.export.pictures import Look
from lskd.marking import mark
from lskd.types import Example

ID_TURNS = [
    "Why does [0] look at [3]?",
    "[0] is thirsty, and [3] is near.",
    "Why?",
    "A dog's tongue hangs out when it is thirsty, as [0]'s does.",
]


def json_rows(cache: Path, file: Path) -> Any:
    return datasets.load_dataset("json", data_files=str(file), split="train", cache_dir=str(cache))


@pytest.fixture
def examples(tmp_path: Path) -> list[Example]:
    return some(tmp_path / "photos")


def test_llava_rows_are_a_question_an_answer_and_then_why(
    tmp_path: Path, examples: list[Example]
) -> None:
    out = tmp_path / "out"
    written = llava.write(examples, out)
    rows = json_rows(tmp_path / "cache", out / "train.json")
    assert [file.name for file in written.files] == ["images", "train.json", "validation.json"]
    assert rows.column_names == ["id", "image", "conversations"]
    turns = rows[0]["conversations"]
    assert [turn["from"] for turn in turns] == ["human", "gpt", "human", "gpt"]
    assert [turn["value"] for turn in turns] == [f"<image>\n{ID_TURNS[0]}", *ID_TURNS[1:]]


@pytest.mark.parametrize("rationale", ["turn", "answer"])
def test_an_example_without_a_rationale_ends_with_its_answer(
    examples: list[Example], rationale: Any
) -> None:
    bare = replace(examples[0], rationale=" ")
    turns = conversation(bare, Talk(rationale=rationale), marked=True, reserved=())
    assert [turn.parts for turn in turns] == [(ID_TURNS[0],), (ID_TURNS[1],)]


def test_llava_pictures_are_marked_for_ids_and_plain_for_phrases(
    tmp_path: Path, examples: list[Example]
) -> None:
    out = tmp_path / "out"
    llava.write(examples, out)
    by_id, by_description = json.loads((out / "train.json").read_text())
    original = seen(examples[0].path)
    marked = mark(original, (REGIONS[0], REGIONS[2]), "clear")
    assert distance(seen(out / by_id["image"]), marked) < 2
    assert distance(seen(out / by_description["image"]), original) == 0


def test_a_view_is_written_once_and_other_boxes_under_the_same_ids_are_another_view(
    tmp_path: Path,
) -> None:
    file = saved(tmp_path, "a.png", painted(100, 80, 1))
    example = about(file)[0]
    again = replace(example, id="again")
    moved = replace(REGIONS[0], box=REGIONS[1].box)
    other = replace(example, id="other", regions=(moved, *REGIONS[1:]))
    llava.write([example, again, other], tmp_path / "out")
    rows = json.loads((tmp_path / "out/train.json").read_text())
    assert rows[0]["image"] == rows[1]["image"] != rows[2]["image"]
    assert len(list((tmp_path / "out/images").rglob("*.jpg"))) == 2


def test_plain_pictures_come_with_the_boxes_of_the_ids_that_are_named(
    tmp_path: Path, examples: list[Example]
) -> None:
    llava.write(examples[:1], tmp_path / "out", Look("plain"))
    (row,) = json.loads((tmp_path / "out/train.json").read_text())
    assert row["conversations"][0]["value"] == (
        "<image>\nRegions: [0] is [0.040, 0.075, 0.400, 0.625], "
        "[3] is [0.200, 0.375, 0.700, 0.875].\nWhy does [0] look at [3]?"
    )


def test_boxes_can_stand_in_the_texts_themselves(tmp_path: Path, examples: list[Example]) -> None:
    several = replace(examples[0], question="What do [0, 3] share?")
    talk = Talk(naming="box", rationale="none")
    llava.write([several, examples[1]], tmp_path / "out", Look("plain"), talk)
    by_id, by_description = json.loads((tmp_path / "out/train.json").read_text())
    assert by_id["conversations"][0]["value"] == (
        "<image>\nWhat do [0.040, 0.075, 0.400, 0.625] and [0.200, 0.375, 0.700, 0.875] share?"
    )
    assert by_description["conversations"][1]["value"] == (
        "the woman in pink [0.502, 0.125, 0.905, 0.550] says: sit!"
    )
    assert len(by_id["conversations"]) == 2


def test_the_rationale_can_be_part_of_the_answer(tmp_path: Path, examples: list[Example]) -> None:
    llava.write(examples[:1], tmp_path / "out", talk=Talk(rationale="answer"))
    (row,) = json.loads((tmp_path / "out/train.json").read_text())
    assert row["conversations"][1]["value"] == f"{ID_TURNS[1]} {ID_TURNS[3]}"


def test_without_pictures_a_row_names_the_original_file(
    tmp_path: Path, examples: list[Example]
) -> None:
    llava.write(examples[:1], tmp_path / "out", Look("none"))
    (row,) = json.loads((tmp_path / "out/train.json").read_text())
    assert row["image"] == examples[0].path
    assert not (tmp_path / "out/images").exists()


def test_swift_names_an_original_by_its_path_or_its_url(
    tmp_path: Path, examples: list[Example]
) -> None:
    data = Path(examples[0].path).read_bytes()
    fsspec.filesystem("memory").pipe_file("/photos/a.png", data)
    away = replace(examples[0], path="memory://photos/a.png")
    swift.write([examples[0], away], tmp_path / "out", Look("none"))
    rows = lines(tmp_path / "out/train.jsonl")
    assert [row["images"] for row in rows] == [[examples[0].path], ["memory://photos/a.png"]]


def test_a_picture_on_its_side_is_not_left_to_readers_who_would_not_turn_it(
    tmp_path: Path, examples: list[Example]
) -> None:
    written = llava.write(examples, tmp_path / "out", Look("none"))
    assert (written.rows, written.rejected) == (2, 2)
    assert "on its side" in lines(tmp_path / "out/rejects.jsonl")[0]["reason"]


def test_swift_rows_have_a_box_in_pixels_for_each_sign_in_the_texts(
    tmp_path: Path, examples: list[Example]
) -> None:
    swift.write(examples, tmp_path / "out", Look("plain"), Talk(naming="box"))
    rows = json_rows(tmp_path / "cache", tmp_path / "out/train.jsonl")
    for row in rows:
        texts = "".join(message["content"] for message in row["messages"])
        assert texts.count("<image>") == len(row["images"]) == 1
        assert texts.count("<bbox>") == len(row["objects"]["bbox"]) > 0
        assert texts.count("<ref-object>") == len(row["objects"]["ref"])
        assert row["objects"]["bbox_type"] == "real"
        assert [message["role"] for message in row["messages"]] == ["user", "assistant"] * 2
        assert Path(row["images"][0]).is_absolute()
        assert seen(row["images"][0]).size == (100, 80)
    first, second = (row["objects"] for row in rows)
    assert first["bbox"][:2] == [[4, 6, 40, 50], [20, 30, 70, 70]]
    assert second["ref"] == ["the woman in pink", "the dog", "the woman in pink"]
    assert second["bbox"][1] == [4, 6, 40, 50]


def test_swift_says_where_the_ids_of_a_plain_picture_are(
    tmp_path: Path, examples: list[Example]
) -> None:
    swift.write(examples, tmp_path / "out", Look("plain"))
    first, second = lines(tmp_path / "out/train.jsonl")
    assert first["messages"][0]["content"] == (
        "<image>Regions: [0] is <bbox>, [3] is <bbox>.\nWhy does [0] look at [3]?"
    )
    assert first["objects"]["bbox"] == [[4, 6, 40, 50], [20, 30, 70, 70]]
    assert second["objects"] == {"ref": [], "bbox": [], "bbox_type": "real"}


def test_swift_needs_no_boxes_where_regions_are_drawn(
    tmp_path: Path, examples: list[Example]
) -> None:
    swift.write(examples, tmp_path / "out")
    first, _ = lines(tmp_path / "out/train.jsonl")
    assert set(first) == {"messages", "images"}
    assert first["messages"][0]["content"] == f"<image>{ID_TURNS[0]}"
    marked = mark(seen(examples[0].path), (REGIONS[0], REGIONS[2]), "clear")
    assert distance(seen(first["images"][0]), marked) < 2


@pytest.mark.parametrize(
    ("write", "sign"),
    [
        (swift.write, "<image>"),
        (swift.write, "<bbox>"),
        (swift.write, "<ref-object>"),
        (swift.write, "<video>"),
        (swift.write, "<audio>"),
        (llava.write, "<image>"),
        (trl.write, "<image>"),
    ],
    ids=lambda one: one if isinstance(one, str) else one.__module__,
)
def test_a_text_that_holds_a_sign_of_the_format_is_a_reject(
    tmp_path: Path, examples: list[Example], write: Callable[..., Written], sign: str
) -> None:
    posing = replace(examples[0], id="posing", answer=f"Look: {sign}")
    written = write([posing, examples[1]], tmp_path / "out", Look("plain"))
    assert (written.rows, written.rejected) == (1, 1)
    (reject,) = lines(tmp_path / "out/rejects.jsonl")
    assert reject["source"] == "posing"
    assert sign in reject["reason"]


def test_trl_rows_are_pictures_and_messages_of_typed_parts(
    tmp_path: Path, examples: list[Example]
) -> None:
    trl.write(examples, tmp_path / "out")
    rows = loaded(tmp_path / "out", tmp_path / "cache")
    first = rows[0]
    assert [turn["role"] for turn in first["messages"]] == ["user", "assistant"] * 2
    parts = [[part["type"] for part in turn["content"]] for turn in first["messages"]]
    assert parts == [["image", "text"], ["text"], ["text"], ["text"]]
    assert [turn["content"][-1]["text"] for turn in first["messages"]] == ID_TURNS
    marked = mark(seen(examples[0].path), (REGIONS[0], REGIONS[2]), "clear")
    assert distance(first["images"][0], marked) < 2
    assert len(loaded(tmp_path / "out", tmp_path / "cache", "validation")) == 2


@pytest.mark.check
def test_the_collator_of_trl_makes_a_batch_of_the_rows(
    tmp_path: Path, examples: list[Example]
) -> None:
    trainer = pytest.importorskip("trl.trainer.sft_trainer", reason="TRL is not installed")
    transformers = pytest.importorskip("transformers")
    from tiny_models import CHAT, byte_tokenizer

    tokenizer = byte_tokenizer(
        "<fake_token_around_image>", "<image>", "<end_of_utterance>", "<global-img>"
    )
    images = transformers.Idefics3ImageProcessorPil(
        size={"longest_edge": 32}, max_image_size={"longest_edge": 32}, do_image_splitting=False
    )
    processor = transformers.Idefics3Processor(
        images, tokenizer, image_seq_len=4, chat_template=CHAT
    )
    trl.write(examples, tmp_path / "out")
    rows = list(loaded(tmp_path / "out", tmp_path / "cache"))
    batch = trainer.DataCollatorForVisionLanguageModeling(processor)(rows)
    assert batch["pixel_values"].shape[:2] == (2, 1)
    picture = tokenizer.convert_tokens_to_ids("<image>")
    assert ((batch["input_ids"] == picture).sum(dim=1) == 4).all()
    assert ID_TURNS[3] in tokenizer.decode(batch["input_ids"][0])
