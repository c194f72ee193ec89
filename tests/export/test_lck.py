"""Rows of the released corpus become Examples and return; Examples become rows and return."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from export.examples import lines, painted, saved, some
from lskd import table
from lskd.errors import UserError
from lskd.export import lck
from lskd.picture import image_id
from lskd.types import Box, Example, Mention, Region, Reject


def a_row(**changed: Any) -> dict[str, Any]:
    """Return a row as the corpus has them: word lists, ids by name, boxes as pixels."""
    row = {
        "image": "VG_100K/1.png",
        "source": "chatgpt_region_any_v4_people",
        "split": "train",
        "index": "chatgpt_region_any_v4_people-1",
        "region": [4],
        "region_all": [0, 2, 4],
        "references": [
            {
                "name": name,
                "boxes": [[10.1234567891, 5.5, 60.0, 70.25]],
                "segms": None,
                "obj_guess": "shirt",
                "tag": "region",
            }
            for name in ("0", "2", "4")
        ],
        "question": ["What", "is", "on", [4], "'s", "shirt", "?"],
        "answer": ["A", "lion", "that", [0, 2], "see", ",", "too", "."],
        "rationale": ["Lions", "are", "symbols", "of", "strength."],
        "prediction": 0.940065,
    }
    return row | changed


def written_rows(folder: Path, rows: list[Any]) -> Path:
    file = folder / "corpus.jsonl"
    text = "\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows)
    file.write_text(text, encoding="utf-8")
    return file


def there_and_back(folder: Path, rows: list[Any], root: Path) -> list[dict[str, Any]]:
    """Return what `write` makes of what `read` makes of rows, none of which may be a reject."""
    examples = [row for row in lck.read(written_rows(folder, rows), root)]
    assert not [row for row in examples if isinstance(row, Reject)]
    lck.write([row for row in examples if isinstance(row, Example)], folder / "out", root)
    return lines(folder / "out/lck.jsonl")


def same(one: object, other: object) -> bool:
    """Return whether two JSON values are one, 1 and 1.0 being two."""
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return a folder with the pictures that the rows here name."""
    for name in ("VG_100K/1.png", "VG_100K/2348412.png", "VG_100K_2/2378381.png"):
        saved(tmp_path / "images", name, painted(500, 400, len(name)))
    # The sample rows name JPEG files; pictures are known by their bytes, not by their names.
    for png in (tmp_path / "images").rglob("2*.png"):
        png.rename(png.with_suffix(".jpg"))
    return tmp_path / "images"


def test_a_row_becomes_an_example_with_its_pictures_size_and_id(tmp_path: Path, root: Path) -> None:
    (example,) = lck.read(written_rows(tmp_path, [a_row()]), root)
    assert isinstance(example, Example)
    assert example.path == str(root / "VG_100K/1.png")
    assert (example.width, example.height) == (500, 400)
    assert example.image_id == image_id((root / "VG_100K/1.png").read_bytes())
    assert example.question == "What is on [4]'s shirt ?"
    assert example.answer == "A lion that [0, 2] see , too ."
    assert example.region_ids == (0, 2, 4)
    box = Box(10.1234567891, 5.5, 60.0, 70.25)
    assert example.regions == tuple(Region(name, box, "shirt", "", 1.0) for name in (0, 2, 4))
    assert (example.score, example.style, example.split) == (0.940065, "id", "train")
    assert example.id == "chatgpt_region_any_v4_people-1"


def test_the_row_of_the_docstring_returns_without_loss(
    tmp_path: Path, root: Path, shared: Path
) -> None:
    rows = json.loads((shared / "data/lck/chatgpt_row.from-docstring.json").read_text())
    (example,) = lck.read(written_rows(tmp_path, rows), root)
    assert isinstance(example, Example)
    assert example.question == rows[0]["qar"]["question"]
    assert example.region_ids == (0,)
    assert example.regions[2].label == "tank_(storage_vessel)"
    assert same(there_and_back(tmp_path, rows, root), rows)


def test_the_row_of_the_readme_returns_without_loss(
    tmp_path: Path, root: Path, shared: Path
) -> None:
    row = json.loads((shared / "data/lck/lck_readme_row.partial.json").read_text())
    del row["_note"]
    box = [379.6391601562, 152.5, 480.25, 390.0625]
    references = [
        {"name": name, "boxes": [box], "segms": None, "obj_guess": "person", "tag": "region"}
        for name in ("0", "2", "4")
    ]
    texts = {
        "question": ["What", "is", "the", "significance", "of", "the", "gold", "lion", [4], "?"],
        "answer": ["The", "gold", "lion", "on", "the", "woman's", "shirt,", "in", [4], ",", "is"],
        "rationale": ["Lions", "are", "often", "used", "as", "symbols", "of", "strength", "."],
    }
    as_lists = row | texts | {"references": references}
    # As the README prints it: Python's text of each list.
    as_texts = as_lists | {key: str(value) for key, value in as_lists.items() if key in texts}
    as_texts["references"] = str(references)
    (example,) = lck.read(written_rows(tmp_path, [as_texts]), root)
    assert isinstance(example, Example)
    assert example.question == "What is the significance of the gold lion [4]?"
    assert example.region_ids == (4,)
    assert same(there_and_back(tmp_path, [as_lists, as_texts], root), [as_lists, as_texts])


@pytest.mark.parametrize(
    "changed",
    [
        {"region": "[4]", "region_all": "[0, 2, 4]"},
        {"region": 4, "region_all": None},
        {"region": "4"},
        {"index": 17, "prediction": 1, "source": "", "split": None},
        {"unknown": {"deep": [1, 2.0, None, "ä\u2028"]}, "lskd_like": True},
        {"answer": ["", "two  blanks", [], " ", "[4,", "2]", "a[4]b", [2]]},
        {"answer": [["4"], [0, 0], "\n"]},
        {"answer": "Plain text with [4] in it"},
        {"answer": "[4] begins the text"},
        {"answer": "[" * 10_000},
        {"question": [[4], ",", [2], "and", "(", [0], ")"]},
    ],
    ids=lambda changed: str(changed)[:40],
)
def test_a_row_returns_whatever_its_spelling(
    tmp_path: Path, root: Path, changed: dict[str, Any]
) -> None:
    row = a_row(**changed)
    assert same(there_and_back(tmp_path, [row], root), [row])


@pytest.mark.parametrize(
    ("changed", "region"),
    [
        ({"name": 7}, Region(7, Box(1, 2, 3, 4), "dog", "", 1.0)),
        ({"boxes": [[1, 2, 3, 4, 0.5]]}, Region(0, Box(1, 2, 3, 4), "dog", "", 0.5)),
        ({"boxes": [[1, 2, 3, 4], [2, 1, 9, 3]]}, Region(0, Box(1, 1, 9, 4), "dog", "", 1.0)),
        (
            {"segms": [[[1, 2], [3, 2], [3, 4]]]},
            Region(0, Box(1, 2, 3, 4), "dog", "", 1.0, ((1, 2, 3, 2, 3, 4),)),
        ),
        (
            {"segms": [[1, 2, 3, 2, 3, 4]]},
            Region(0, Box(1, 2, 3, 4), "dog", "", 1.0, ((1, 2, 3, 2, 3, 4),)),
        ),
        (
            {"segms": {"counts": "abc", "size": [4, 4]}, "new": [1]},
            Region(0, Box(1, 2, 3, 4), "dog", "", 1.0),
        ),
        ({"obj_guess": None}, Region(0, Box(1, 2, 3, 4), "", "", 1.0)),
    ],
    ids=str,
)
def test_a_reference_becomes_a_region_and_returns_as_it_was(
    tmp_path: Path, root: Path, changed: dict[str, Any], region: Region
) -> None:
    plain = {"name": "0", "boxes": [[1, 2, 3, 4]], "segms": None, "obj_guess": "dog"}
    row = a_row(region=None, references=[plain | changed], question=["Why", "?"], answer=["So."])
    (example,) = lck.read(written_rows(tmp_path, [row]), root)
    assert isinstance(example, Example)
    assert example.regions == (region,)
    assert same(there_and_back(tmp_path, [row], root), [row])


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=6,
)
TOKENS = st.lists(
    st.text(st.characters(codec="utf-8"), max_size=6)
    | st.sampled_from(["?", ",", "'s", "(", "[4]", "[4,", "2]"])
    | st.lists(st.sampled_from([0, 2, 4]), max_size=3),
    max_size=8,
)
ROWS = st.builds(
    lambda texts, other: a_row(**texts) | {f"x{key}": value for key, value in other.items()},
    st.dictionaries(st.sampled_from(["question", "answer", "rationale"]), TOKENS),
    st.dictionaries(st.text(max_size=3), JSON, max_size=2),
)


@given(ROWS)
def test_any_row_returns_or_is_a_reject_with_all_its_text(
    tmp_path_factory: pytest.TempPathFactory, row: dict[str, Any]
) -> None:
    folder = tmp_path_factory.mktemp("any_row")
    row["lskd"] = {"image_id": "a", "width": 500, "height": 400}
    file = written_rows(folder, [row])
    (read,) = lck.read(file, folder)
    if isinstance(read, Reject):
        assert json.loads(read.text) == row
        assert read.source == f"{file}:1"
    else:
        assert same(lck.row_of(read, folder), row)


@given(JSON, st.sampled_from(sorted(a_row())))
def test_no_value_in_any_column_breaks_the_reader(
    tmp_path_factory: pytest.TempPathFactory, value: object, column: str
) -> None:
    folder = tmp_path_factory.mktemp("any_value")
    row = a_row(lskd={"image_id": "a", "width": 500, "height": 400}, **{column: value})
    (read,) = lck.read(written_rows(folder, [row]), folder)
    if isinstance(read, Reject):
        assert read.reason
        assert json.loads(read.text) == row
    else:
        assert same(lck.row_of(read, folder), row)


TEXTS = st.text(st.characters(codec="utf-8"), min_size=1).filter(str.strip)
SAID = st.lists(TEXTS | st.sampled_from(["[0]", " [3]?", "[0, 3]", "[0 and 3]", "\n"])).map("".join)
FLOATS = st.floats(-10, 1000, allow_nan=False)
BOXES = st.builds(
    lambda x, y, width, height: Box(x, y, x + width, y + height),
    FLOATS,
    FLOATS,
    st.floats(1, 100),
    st.floats(1, 100),
)
POLYGONS = st.lists(FLOATS, min_size=6, max_size=6).map(tuple)


@st.composite
def any_example(draw: st.DrawFn) -> Example:
    regions = tuple(
        Region(
            number,
            draw(BOXES),
            draw(st.text(st.characters(codec="utf-8"), max_size=5)),
            draw(st.text(st.characters(codec="utf-8"), max_size=5)),
            draw(st.floats(0, 1)),
            tuple(draw(st.lists(POLYGONS, max_size=2))),
        )
        for number in (0, 3)
    )
    by_id = draw(st.booleans())
    return Example(
        id=draw(st.text(st.characters(codec="utf-8"), min_size=1, max_size=5)),
        image_id=draw(st.text("0123456789abcdef", min_size=1)),
        path="/photos/a.png",
        width=draw(st.integers(1, 9999)),
        height=draw(st.integers(1, 9999)),
        regions=regions,
        style="id" if by_id else "description",
        question=draw(SAID.map(lambda text: f"Why {text}")),
        answer=draw(SAID.map(lambda text: f"{text} so")),
        rationale=draw(TEXTS),
        region_ids=(0, 3),
        mentions=() if by_id else (Mention("the dog", 0),),
        score=draw(st.none() | st.floats(0, 1)),
        source=draw(st.sampled_from(["", "lskd"])),
        split=draw(st.sampled_from(["", "train", "test"])),
        extra=draw(st.sampled_from(["", "free text", '{"a": [1]}'])),
    )


@given(any_example())
def test_any_example_returns_equal(
    tmp_path_factory: pytest.TempPathFactory, example: Example
) -> None:
    folder = tmp_path_factory.mktemp("any_example")
    written = lck.write([example], folder / "out", Path("/photos"))
    assert (written.rows, written.rejected) == (1, 0)
    assert [*lck.read(folder / "out/lck.jsonl", Path("/photos"))] == [example]


def test_our_examples_return_equal_without_their_pictures(tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    examples = some(photos)
    lck.write(examples, tmp_path / "out", photos)
    for picture in photos.rglob("*.*"):
        picture.unlink()
    assert [*lck.read(tmp_path / "out/lck.jsonl", photos)] == examples
    moved = [*lck.read(tmp_path / "out/lck.jsonl", Path("/elsewhere"))]
    assert [row.path for row in moved if isinstance(row, Example)] == [
        "/elsewhere/a/first.png",
        "/elsewhere/a/first.png",
        "/elsewhere/b/second.jpg",
        "/elsewhere/b/second.jpg",
    ]


def test_other_readers_find_the_columns_of_the_corpus_in_our_rows(tmp_path: Path) -> None:
    lck.write(some(tmp_path / "photos")[:1], tmp_path / "out", tmp_path / "photos")
    (row,) = lines(tmp_path / "out/lck.jsonl")
    assert set(a_row()) <= set(row)
    assert row["image"] == "a/first.png"
    assert row["question"] == ["Why", "does", [0], "look", "at", [3], "?"]
    assert row["references"][0] == {
        "name": "0",
        "boxes": [[4.0, 6.0, 40.0, 50.0]],
        "segms": None,
        "obj_guess": "dog",
        "tag": "region",
    }
    assert (row["region"], row["region_all"], row["prediction"]) == ([0, 3], [0, 1, 3], 0.875)


def test_a_changed_example_keeps_what_still_holds_of_its_row(tmp_path: Path, root: Path) -> None:
    row = a_row(region="[4]", new={"kept": 1}, answer=["odd ", [4], "", "."])
    (example,) = lck.read(written_rows(tmp_path, [row]), root)
    assert isinstance(example, Example)
    scored = lck.row_of(replace(example, score=0.5), root)
    assert scored["prediction"] == 0.5
    assert {key: scored[key] for key in row if key != "prediction"} == {
        key: row[key] for key in row if key != "prediction"
    }
    asked = lck.row_of(replace(example, answer="It is [2].", region_ids=(2, 4)), root)
    assert asked["answer"] == ["It", "is", [2], "."]
    assert (asked["new"], asked["references"]) == (row["new"], row["references"])


def test_other_spellings_of_a_text_do_not_outlive_a_change_of_it(
    tmp_path: Path, root: Path
) -> None:
    texts = {"question": "Why [4]?", "answer": "So.", "rationale": "It is so."}
    row = a_row(qa="Question: Why [4]? Answer: So.", qar=texts)
    for part in texts:
        del row[part]
    (example,) = lck.read(written_rows(tmp_path, [row]), root)
    assert isinstance(example, Example)
    assert same(lck.row_of(example, root), row)
    changed = lck.row_of(replace(example, answer="No."), root)
    assert not {"qa", "qar"} & set(changed)
    assert changed["answer"] == ["No."]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("{not json", "not JSON"),
        ("7", "not a JSON object"),
        (a_row(image=None), "no image"),
        (a_row(image="VG_100K/none.png"), "give the folder that image names start from"),
        (a_row(question=None), "no question"),
        (a_row(answer=[" "]), "no answer"),
        (a_row(rationale=[7]), "7 is neither a word nor a list of ids"),
        (a_row(region=[5]), "names [5], which no reference has"),
        (a_row(answer=["So", "does", [9], "."]), "names [9], which no reference has"),
        (a_row(references=[{"name": "person", "boxes": [[1, 2, 3, 4]]}]), "name"),
        (a_row(references=[{"name": "4", "boxes": []}]), "no box of 4 or 5 numbers"),
        (a_row(references=[{"name": "4", "boxes": [[1, 2, 3]]}]), "no box of 4 or 5 numbers"),
        (a_row(references=[{"name": "4", "boxes": [[9, 2, 3, 4]]}]), "no area"),
        (a_row(references=[{"name": "4", "boxes": [[1, 2, 3, "4"]]}]), "not a number"),
        (a_row(references=[{"name": n, "boxes": [[1, 2, 3, 4]]} for n in ("4", 4)]), "two ref"),
        (a_row(references=[{"name": "4", "boxes": [[1, 2, 3, 10**400]]}]), "not a number"),
        (a_row(references=[{"name": "9" * 5000, "boxes": [[1, 2, 3, 4]]}]), "name"),
        (a_row(region=[10**30]), "not the number of a region"),
        (a_row(prediction="high"), "prediction holds 'high', not a number"),
        ('{"image": "\\ud800"}', "not Unicode text"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_bad_row_is_a_reject_with_its_line_and_the_others_are_read(
    tmp_path: Path, root: Path, line: object, reason: str
) -> None:
    file = written_rows(tmp_path, [a_row(), "", line, a_row()])
    first, reject, last = lck.read(file, root)
    assert isinstance(first, Example)
    assert isinstance(last, Example)
    assert isinstance(reject, Reject)
    assert reason in reject.reason
    assert reject.source == f"{file}:3"
    assert reject.text == (line if isinstance(line, str) else json.dumps(line))


def test_a_broken_picture_is_a_reason(tmp_path: Path, root: Path) -> None:
    (root / "VG_100K/1.png").write_bytes(b"no picture")
    (reject,) = lck.read(written_rows(tmp_path, [a_row()]), root)
    assert isinstance(reject, Reject)
    assert "not an image that Pillow knows" in reject.reason


def test_a_line_that_is_no_unicode_is_a_reject(tmp_path: Path, root: Path) -> None:
    file = tmp_path / "corpus.jsonl"
    file.write_bytes(b'{"image": "\xff"}\n' + json.dumps(a_row()).encode())
    reject, example = lck.read(file, root)
    assert isinstance(reject, Reject)
    assert isinstance(example, Example)
    assert reject.text == '{"image": "\\xff"}'


@pytest.mark.parametrize(
    "changed",
    [{"answer": ["\ud83d"]}, {"x\udc00": 1}, {"image": "\ud83d.png"}],
    ids=["text", "key", "image"],
)
def test_half_a_surrogate_pair_in_a_list_is_a_reject(
    tmp_path: Path, root: Path, changed: dict[str, Any]
) -> None:
    file = tmp_path / "corpus.json"
    file.write_text(json.dumps([a_row(**changed), a_row()]))
    reject, example = lck.read(file, root)
    assert isinstance(reject, Reject) and isinstance(example, Example)
    assert reject.reason == "not Unicode text"
    assert json.loads(reject.text) == a_row(**changed)
    table.write(Reject, tmp_path / "00000.parquet", [reject])


@pytest.mark.parametrize(
    "changed",
    [
        {"answer": '["\\ud83d"]'},
        {"answer": "['\\ud83d']"},
        {"qar": '{"answer": "\\ud83d"}', "answer": None},
        {"references": [{"name": "4", "boxes": [[1, 2, 3, 4]], "obj_guess": "a"}], "region": [4]}
        | {"lskd": '{"regions": [["\\ud83d", 1]]}', "answer": ["So"], "rationale": ["So"]},
    ],
    ids=["json", "python", "qar", "region"],
)
def test_half_a_surrogate_pair_in_the_text_of_a_list_is_a_reject(
    tmp_path: Path, root: Path, changed: dict[str, Any]
) -> None:
    (reject,) = lck.read(written_rows(tmp_path, [a_row(**changed)]), root)
    assert isinstance(reject, Reject)
    assert reject.reason == "not Unicode text"
    table.write(Reject, tmp_path / "00000.parquet", [reject])


def test_a_file_that_is_a_json_list_is_read_too(tmp_path: Path, root: Path) -> None:
    file = tmp_path / "corpus.json"
    file.write_text(json.dumps([a_row(), 7], indent=1), encoding="utf-8-sig")
    example, reject = lck.read(file, root)
    assert isinstance(example, Example)
    assert isinstance(reject, Reject)
    assert reject.source == f"{file}:2"


def test_a_missing_file_and_a_broken_list_are_said_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot read"):
        list(lck.read(tmp_path / "none.jsonl"))
    for broken in ("[{", "[" * 100_000):
        (tmp_path / "broken.json").write_text(broken)
        with pytest.raises(UserError, match="neither JSON lines nor a JSON list"):
            list(lck.read(tmp_path / "broken.json"))


@pytest.mark.parametrize("root", ["photos", "./photos", "{here}/photos"])
def test_pictures_are_named_from_a_folder_however_it_is_spelled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, root: str
) -> None:
    monkeypatch.chdir(tmp_path)
    examples = some(tmp_path / "photos")
    lck.write(examples, tmp_path / "out", root=Path(root.format(here=tmp_path)))
    names = {row["image"] for row in lines(tmp_path / "out/lck.jsonl")}
    assert names == {Path(one.path).relative_to(tmp_path / "photos").as_posix() for one in examples}


def test_only_the_styles_that_are_asked_for_are_written(tmp_path: Path) -> None:
    written = lck.write(some(tmp_path / "photos"), tmp_path / "out", styles=("description",))
    assert (written.rows, written.left_out) == (2, 2)
    assert {row["lskd"]["style"] for row in lines(tmp_path / "out/lck.jsonl")} == {"description"}


def test_what_a_row_cannot_say_is_a_reject_not_a_lie(tmp_path: Path) -> None:
    example = some(tmp_path / "photos")[0]
    unnamed = replace(example, id="unnamed", region_ids=(0,))
    unknown = replace(example, id="unknown", question="Who is [8]?")
    written = lck.write([unnamed, unknown, example], tmp_path / "out")
    assert (written.rows, written.rejected) == (1, 2)
    first, second = lines(tmp_path / "out/rejects.jsonl")
    assert "read back otherwise" in first["reason"]
    assert "names [8]" in second["reason"]
