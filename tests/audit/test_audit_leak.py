"""The audit: which items leak, how, and what is told of them; from Python and the command line."""

import contextlib
import json
import random
from dataclasses import replace
from pathlib import Path

import PIL.Image
import pytest
from pictures_to_audit import CHANGES, clouds, jpeg, shapes
from typer.testing import CliRunner

from buckets import fsspec
from lskd import table
from lskd.audit import leak_file
from lskd.audit.leak import AT_ONCE, KINDS, Leak, audit, said_by, touched
from lskd.cli import app
from lskd.errors import UserError
from lskd.picture import image_id
from lskd.types import Example, Item

ANSWERS = {
    "item-0": "a red dog runs home",
    "item-1": "two old friends have met",
    "item-2": "rain will fall before noon",
    "item-3": "nobody paid for this bread",
}


def saved(file: Path, data: bytes) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(data)
    return file


def example(name: str, file: Path, question: str = "", answer: str = "") -> Example:
    data = file.read_bytes()
    with PIL.Image.open(file) as opened:
        width, height = opened.size
    return Example(
        id=name,
        image_id=image_id(data),
        path=str(file),
        width=width,
        height=height,
        regions=(),
        style="description",
        question=question,
        answer=answer,
        rationale="",
        region_ids=(),
        mentions=(),
        score=None,
        source="test",
        split="train",
    )


def item(name: str, file: Path, question: str = "What of it?", task: str = "") -> Item:
    made = example(name, file)
    return Item(
        id=name,
        benchmark="made",
        task=task,
        split="val",
        image_id=made.image_id,
        path=made.path,
        width=made.width,
        height=made.height,
        regions=(),
        pointed=(),
        question=question,
        given=None,
        choices=("nothing at all", ANSWERS.get(name, "it is unknown")),
        right=(1,),
        ratings=(),
        kind="",
    )


def about(folder: Path) -> tuple[list[Item], list[list[Example]]]:
    """Return items and two shards of examples that touch three of four pictures."""
    rng = random.Random(1)
    files = [saved(folder / "bench" / f"{n}.jpg", jpeg(clouds(n))) for n in range(4)]
    items = [item(f"item-{n}", file) for n, file in enumerate(files)]
    items.append(item("item-0", files[0], task="rationale"))
    copy = saved(folder / "corpus" / "copy.jpg", files[0].read_bytes())
    near = saved(folder / "corpus" / "near.jpg", CHANGES["all"](clouds(1), rng))
    other = saved(folder / "corpus" / "other.jpg", jpeg(shapes(9)))
    asked = "What of it? Rain will fall before noon."
    return items, [
        [example("a", copy), example("b", copy), example("c", other, "Is it so?", "It is not.")],
        [example("d", near, "Who?", "Nobody"), example("e", near), example("f", other, asked)],
    ]


def test_copies_near_copies_and_near_texts_are_found_each_with_its_nearest_example(
    tmp_path: Path,
) -> None:
    items, shards = about(tmp_path)
    ticks: list[int] = []
    found = audit(items, shards, tick=ticks.append)
    assert (found.items, found.examples, sum(ticks)) == (5, 6, 3)
    assert found.faults == ()
    kinds = {(leak.item_id, leak.task, leak.kind, leak.example_id) for leak in found.leaks}
    assert kinds == {
        ("item-0", "", "copy", "a"),
        ("item-0", "rationale", "copy", "a"),
        ("item-1", "", "near", "d"),
        ("item-2", "", "text", "f"),
    }
    assert [leak.distance for leak in found.leaks] == sorted(leak.distance for leak in found.leaks)
    assert {leak.distance for leak in found.leaks if leak.kind != "near"} == {0.0}
    assert found.touched() == 4 and found.touched({"copy", "near"}) == 3
    assert touched(found.leaks, {"near"}) == {("item-1", "")}


def test_of_several_examples_the_nearest_is_told(tmp_path: Path) -> None:
    picture, said = clouds(1), "The old man will buy a loaf of bread before he goes home."
    file = saved(tmp_path / "one.jpg", jpeg(picture))
    asked = replace(item("one", file, "What is next?"), choices=("nothing", said))
    far = saved(tmp_path / "far.jpg", CHANGES["all"](picture, random.Random(1)))
    near = saved(tmp_path / "near.jpg", jpeg(picture, 60))
    longer = f"{said} Then he rests."
    shards = [
        [example("far", far, "What is next?", longer)],
        [
            example("near", near, "What is next?", said),
            example("again", far, "What is next?", longer),
        ],
    ]
    alone = [audit([asked], [shard[:1]]).leaks for shard in shards]
    (far_near, far_text), (near_near, near_text) = (
        sorted(leaks, key=lambda leak: leak.kind) for leaks in alone
    )
    assert (far_near.kind, far_text.kind) == ("near", "text")
    assert far_near.distance > near_near.distance and far_text.distance > near_text.distance
    assert set(audit([asked], shards).leaks) == {near_near, near_text}
    assert set(audit([asked], reversed(shards)).leaks) == {near_near, near_text}


def test_a_rationale_says_with_its_question_what_an_item_says(tmp_path: Path) -> None:
    file = saved(tmp_path / "one.jpg", jpeg(clouds(1)))
    other = saved(tmp_path / "two.jpg", jpeg(shapes(9)))
    said = example("e", other, "What of it?", "Not much.")
    asked = item("item-2", file)
    assert audit([asked], [[said]]).leaks == ()
    why = replace(said, rationale=ANSWERS["item-2"])
    (leak,) = audit([asked], [[why]]).leaks
    assert (leak.kind, leak.example_id, leak.distance) == ("text", "e", 0.0)


def test_a_copy_of_a_picture_is_not_told_as_near_too(tmp_path: Path) -> None:
    file = saved(tmp_path / "one.jpg", jpeg(clouds(1)))
    again = saved(tmp_path / "again.jpg", jpeg(clouds(1), 60))
    found = audit([item("one", file)], [[example("same", file), example("again", again)]])
    assert [(leak.kind, leak.example_id) for leak in found.leaks] == [
        ("copy", "same"),
        ("near", "again"),
    ]


def test_pictures_that_cannot_be_compared_are_told_and_their_copies_are_still_found(
    tmp_path: Path,
) -> None:
    plain = saved(tmp_path / "plain.jpg", jpeg(PIL.Image.new("RGB", (64, 64), (9, 90, 9))))
    gone = saved(tmp_path / "gone.jpg", jpeg(clouds(1)))
    broken = saved(tmp_path / "broken.jpg", jpeg(clouds(2)))
    changed = saved(tmp_path / "changed.jpg", jpeg(clouds(3)))
    examples = [example(file.stem, file) for file in (plain, gone, broken, changed)]
    items = [item("plain", plain)]
    gone.unlink()
    data = broken.read_bytes()[:2000]
    examples[2] = replace(examples[2], image_id=image_id(data))
    broken.write_bytes(data)
    changed.write_bytes(jpeg(clouds(4)))
    found = audit(items, [examples])
    assert [(leak.kind, leak.example_id) for leak in found.leaks] == [("copy", "plain")]
    reasons = {Path(fault.source).stem: fault.reason for fault in found.faults}
    assert reasons["plain"].startswith("too plain")
    assert reasons["gone"] == "cannot be read: No such file or directory"
    assert reasons["broken"].startswith("cannot be read: ")
    assert reasons["changed"] == "its file has changed since it was first read"


def test_no_picture_of_a_large_shard_is_left_out(tmp_path: Path) -> None:
    near = example("near", saved(tmp_path / "near.jpg", jpeg(clouds(1), 60)))
    gone = [
        replace(near, id=f"gone-{n}", image_id=f"{n:032x}", path=str(tmp_path / f"{n}.jpg"))
        for n in range(AT_ONCE)
    ]
    found = audit([item("one", saved(tmp_path / "one.jpg", jpeg(clouds(1))))], [[*gone, near]])
    assert [(leak.kind, leak.example_id) for leak in found.leaks] == [("near", "near")]
    assert [fault.source for fault in found.faults] == [one.path for one in gone]


def test_an_item_says_its_question_with_each_right_choice(tmp_path: Path) -> None:
    file = saved(tmp_path / "one.jpg", jpeg(clouds(1)))
    plain = replace(item("x", file), choices=("a", "b", "c"), right=(0, 2))
    assert said_by(plain) == ["What of it? a", "What of it? c"]
    rated = replace(plain, question="", right=(), ratings=((1.0, 3.0, 2.0), (1.0, 1.0, 2.5)))
    assert said_by(rated) == [" c"]
    as_good = replace(rated, ratings=((1.0, 3.0, 3.0), (1.0, 3.0, 3.0)))
    assert said_by(as_good) == [" b", " c"]
    assert said_by(replace(plain, right=())) == ["What of it?"]


def test_an_inference_without_a_question_is_found_by_the_answer_alone(tmp_path: Path) -> None:
    file = saved(tmp_path / "one.jpg", jpeg(clouds(1)))
    asked = replace(item("x", file), question="", choices=("they will eat it soon", "no"))
    rated = replace(asked, right=(), ratings=((2.0, 1.0),))
    other = saved(tmp_path / "two.jpg", jpeg(clouds(2)))
    said = example("e", other, "What can be inferred from [0]?", "They will eat it soon.")
    (leak,) = audit([rated], [[said]]).leaks
    assert (leak.kind, leak.distance) == ("text", 0.0)


def test_nothing_to_compare_is_an_error(tmp_path: Path) -> None:
    file = saved(tmp_path / "one.jpg", jpeg(clouds(1)))
    with pytest.raises(UserError, match="no items"):
        audit([], [[example("e", file)]])
    with pytest.raises(UserError, match="no examples"):
        audit([item("x", file)], [])


LEAKS = [
    Leak("b", "i\u2028d", "", "e [0]", "near", 0.125),
    Leak("b", "j", "answer", "e", "copy", 0.0),
]


@pytest.mark.parametrize("name", ["leaks.jsonl", "leaks.parquet"])
def test_leaks_come_back_from_their_file(tmp_path: Path, name: str) -> None:
    for some in (LEAKS, []):
        leak_file.write(tmp_path / name, some)
        assert leak_file.read(tmp_path / name) == some


def test_a_file_of_something_else_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "x.jsonl"
    for text, message in (
        ('{"item_id": "x"}\n', "x.jsonl:1 is no leak"),
        (json.dumps({**table.plain(LEAKS[0]), "kind": "odd"}), "no kind is called 'odd'"),
        ("[1]", "is no leak"),
        ("[" * 100_000, "is no leak"),
    ):
        file.write_text(text)
        with pytest.raises(UserError, match=message):
            leak_file.read(file)
    with pytest.raises(UserError, match="cannot read"):
        leak_file.read(tmp_path / "nowhere.jsonl")
    with pytest.raises(UserError, match="ends in"):
        leak_file.write(tmp_path / "leaks.csv", [])


@pytest.fixture
def imported(tmp_path: Path) -> Path:
    """Return a folder with an imported corpus, and a table of items."""
    items, shards = about(tmp_path)
    for number, rows in enumerate(shards):
        file = tmp_path / "mine" / "corpus" / "example" / f"{number:05}.parquet"
        table.write(Example, file, rows)
    table.write(Item, tmp_path / "items" / "00000.parquet", items)
    return tmp_path


def test_the_command_prints_shares_and_writes_the_leaks(imported: Path) -> None:
    out = imported / "leaks.jsonl"
    told = CliRunner().invoke(
        app, ["audit", str(imported / "mine"), str(imported / "items"), "--out", str(out)]
    )
    assert told.exit_code == 0, told.stderr
    assert "5 items, 6 examples" in told.stdout and "80.0%" in told.stdout
    assert {leak.kind for leak in leak_file.read(out)} == set(KINDS)


def test_the_command_prints_json(imported: Path) -> None:
    told = CliRunner().invoke(
        app, ["audit", str(imported / "mine"), str(imported / "items" / "00000.parquet"), "--json"]
    )
    found = json.loads(told.stdout)
    assert found["kinds"]["copy"] == {"items": 2, "share": 0.4}
    assert found["any"]["items"] == 4 and len(found["leaks"]) == 4


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("mine", "nothing"), "for a benchmark give its folder too"),
        (("mine", "odd", "folder"), "no benchmark 'odd'"),
        (("mine", "items", "--like", "0"), "--like 0.0: a share over 0"),
        (("mine", "items", "--out", "x.csv"), "ends in .jsonl or .parquet"),
        (("nowhere", "items"), "no run file nowhere"),
        (("mine", "empty"), "empty has no items"),
    ],
)
def test_a_mistake_in_the_command_is_one_line(
    imported: Path, args: tuple[str, ...], message: str
) -> None:
    (imported / "empty").mkdir()
    with contextlib.chdir(imported):
        told = CliRunner().invoke(app, ["audit", *args])
    assert told.exit_code == 2
    assert message in told.stderr and told.stderr.count("\n") == 1


def test_a_benchmark_is_read_from_its_folder_and_its_bad_rows_are_told(imported: Path) -> None:
    folder = imported / "aokvqa"
    row = {
        "split": "val",
        "image_id": 7,
        "question_id": "q7",
        "question": "what is it?",
        "choices": ["a bus", "a cat", "a dog", "a cow"],
        "correct_choice_idx": 0,
        "direct_answers": ["bus"] * 10,
        "difficult_direct_answer": False,
        "rationales": ["it has wheels"] * 3,
    }
    rows = [row, {**row, "question_id": "q8", "image_id": 8}]
    data = (imported / "bench" / "1.jpg").read_bytes()
    saved(folder / "val2017" / "000000000007.jpg", data)
    saved(folder / "aokvqa_v1p0_val.json", json.dumps(rows).encode())
    told = CliRunner().invoke(app, ["audit", str(imported / "mine"), "aokvqa", str(folder)])
    assert told.exit_code == 0, told.stderr
    assert "1 items, 6 examples" in told.stdout and "q7" in told.stdout
    assert "1 rows of aokvqa make no item" in told.stderr


def test_a_picture_of_the_corpus_may_lie_at_a_place(tmp_path: Path) -> None:
    data, other = jpeg(clouds(1)), jpeg(clouds(1), quality=60)
    fsspec.filesystem("memory").pipe("/audited/one.jpg", other)
    there = replace(
        example("away", saved(tmp_path / "b.jpg", other)), path="memory://audited/one.jpg"
    )
    found = audit([item("item-0", saved(tmp_path / "a.jpg", data))], [[there]])
    assert [(leak.kind, leak.example_id) for leak in found.leaks] == [("near", "away")]
    assert not found.faults
