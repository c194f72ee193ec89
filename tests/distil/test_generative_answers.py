"""`lskd answers`: files of answers to compare, a page of them, and nothing asked twice."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import toys
from typer.testing import CliRunner

import generative_students
from lskd import table
from lskd.cli import app
from lskd.distil import note
from lskd.distil.ask import Manner
from lskd.distil.generative import answers as answering
from lskd.distil.generative.answers import Pupil, Wanted
from lskd.distil.generative.panel import exhibit, pieces
from lskd.errors import UserError
from lskd.human import answers, duels
from lskd.human.answers import Answer
from lskd.human.teacher import TEACHER, answer_of
from lskd.table import Tables
from lskd.types import Box, Example, Image, Region

RUN = """
examples = "corpus"

[generative]
student = { use = "lskd.writing.blip2:Blip2Writer", checkpoint = "base" }
steps = 2
batch = 2
precision = "float32"
workers = 1
tokens = 5
"""


@pytest.fixture(scope="module")
def examples(tmp_path_factory: pytest.TempPathFactory) -> list[Example]:
    return toys.examples(tmp_path_factory.mktemp("pictures"), 3)


@pytest.fixture(scope="module")
def student(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("students")
    base = generative_students.write_base(root / "base")
    return generative_students.write_generative_student(root / "mine", base)


@pytest.fixture
def tables(examples: list[Example], tmp_path: Path) -> Tables:
    made = Tables(
        {"corpus": tmp_path / "corpus", "images": tmp_path / "images"},
        {Example: "corpus", Image: "images"},
    )
    table.write(Example, made.file(Example, "00000"), examples)
    images = {e.image_id: Image(e.image_id, e.path, e.width, e.height) for e in examples}
    table.write(Image, made.file(Image, "00000"), images.values())
    return made


def wanted(
    limit: int = 99, seed: int = 0, split: str | None = None, file: Path | None = None
) -> Wanted:
    return Wanted(split, limit, seed, file)


def written(
    tables: Tables, folder: Path, student: Path, say: list[str], limit: int = 99, tokens: int = 3
) -> list[Path]:
    asked = answering.asked(tables, wanted(limit=limit))
    pupils = answering.pupils([f"ours={student}"])
    return answering.write(pupils, asked, Manner(tokens=tokens), folder, say.append)


def test_each_system_gets_a_file_that_compare_reads_and_joins(
    tables: Tables, examples: list[Example], student: Path, tmp_path: Path
) -> None:
    teacher, ours, page = written(tables, tmp_path / "out", student, [])
    assert (teacher.name, ours.name, page.name) == ("teacher.jsonl", "ours.jsonl", "panel.html")
    given = [answers.read(file) for file in (teacher, ours)]
    assert not any(one.rejects for one in given)
    rows = [answer for one in given for answer in one.answers]
    assert answers.systems(rows) == [TEACHER, "ours"] and len(rows) == 18
    find = duels.among(tables.read(Image, "00000"))
    joined = duels.joined(rows, TEACHER, "ours", find)
    assert len(joined.posed) == 9 and not joined.rejects
    said = {one.question_id: one for one in given[0].answers}
    for example in examples:
        # A file names regions and says where they are; that of the source is its own.
        regions = tuple(replace(one, description="", score=1.0) for one in example.regions)
        right = replace(answer_of(example), source="", regions=regions)
        assert replace(said[example.id], source="") == right


def test_what_was_answered_is_not_asked_again_and_a_half_line_is(
    tables: Tables, student: Path, tmp_path: Path
) -> None:
    out, said = tmp_path / "out", list[str]()
    written(tables, out, student, said, limit=4)
    assert said == ["ours: 4 of 4 answered"]
    (journal,) = (out / "journal").iterdir()
    first = journal.read_bytes()
    written(tables, out, student, said, limit=9)
    assert said[1:] == ["ours: 5 of 5 answered"]
    assert journal.read_bytes().startswith(first)
    before = (out / "ours.jsonl").read_bytes()
    journal.write_bytes(journal.read_bytes()[:-9])  # as a kill leaves it
    written(tables, out, student, said, limit=9)
    assert said[2:] == ["ours: 1 of 1 answered"]
    assert (out / "ours.jsonl").read_bytes() == before
    assert len(journal.read_text().splitlines()) == 9


def test_another_question_of_the_same_id_is_asked_anew(
    tables: Tables, examples: list[Example], student: Path, tmp_path: Path
) -> None:
    said: list[str] = []
    written(tables, tmp_path / "out", student, said)
    other = replace(examples[0], question="Why is [0] here?")
    table.write(Example, tables.file(Example, "00000"), [other, *examples[1:]])
    written(tables, tmp_path / "out", student, said)
    assert said == ["ours: 9 of 9 answered", "ours: 1 of 1 answered"]


def test_another_manner_and_a_student_that_was_trained_again_are_asked_anew(
    tables: Tables, student: Path, tmp_path: Path
) -> None:
    ours = Path(shutil.copytree(student, tmp_path / "ours"))
    said: list[str] = []
    written(tables, tmp_path / "out", ours, said, limit=2)
    written(tables, tmp_path / "out", ours, said, limit=2, tokens=2)
    note.write(ours, replace(note.read(ours), fingerprint="another"))
    written(tables, tmp_path / "out", ours, said, limit=2)
    assert said == ["ours: 2 of 2 answered"] * 3
    written(tables, tmp_path / "out", student, said, limit=2)  # as it was first
    assert len(said) == 3


def test_two_systems_of_one_name_are_refused(
    tables: Tables, examples: list[Example], student: Path, tmp_path: Path
) -> None:
    file = tmp_path / "questions.jsonl"
    for given, name in (("ours", "ours"), ("ou_rs", "ou/rs")):
        rows = [replace(answer_of(examples[0]), system=given)]
        file.write_text("".join(answers.written(rows)))
        asked = answering.asked(tables, wanted(file=file))
        with pytest.raises(UserError, match="would be one: name the student otherwise"):
            answering.write(
                [Pupil(name, student)], asked, Manner(), tmp_path / "out", list[str]().append
            )


def test_questions_are_drawn_by_seed(tables: Tables) -> None:
    def ids(seed: int) -> list[str]:
        asked = answering.asked(tables, wanted(limit=4, seed=seed))
        return [one.question.question_id for one in asked]

    assert ids(1) == ids(1) and len({tuple(ids(seed)) for seed in range(6)}) > 2
    with pytest.raises(UserError, match="no examples of the split 'validation'"):
        answering.asked(tables, wanted(split="validation"))


def test_questions_can_come_from_a_file_with_answers_of_others(
    tables: Tables, examples: list[Example], student: Path, tmp_path: Path
) -> None:
    truth = [replace(answer_of(one), system="truth", image=one.image_id) for one in examples[:2]]
    file = tmp_path / "questions.jsonl"
    file.write_text("".join(answers.written(truth)))
    asked = answering.asked(tables, wanted(file=file))
    made = answering.write(
        answering.pupils([f"ours={student}"]), asked, Manner(), tmp_path / "out", list[str]().append
    )
    assert [one.name for one in made] == ["truth.jsonl", "ours.jsonl", "panel.html"]
    stray = replace(truth[0], image="nowhere.png")
    file.write_text("".join(answers.written([stray])))
    with pytest.raises(UserError, match=r"the run has no image 'nowhere\.png'"):
        answering.asked(tables, wanted(file=file))
    file.write_text("{}\n")
    with pytest.raises(UserError, match=r"1 rows cannot be used; questions\.jsonl line 1"):
        answering.asked(tables, wanted(file=file))


def test_a_question_about_what_cannot_be_seen_is_told_and_left_out(
    tables: Tables, examples: list[Example], student: Path, tmp_path: Path
) -> None:
    regions = (Region(0, Box(500, 500, 600, 600), "", "", 1.0),)
    lost = replace(examples[0], id="lost", regions=regions, question="Why [0]?")
    table.write(Example, tables.file(Example, "00001"), [lost])
    said: list[str] = []
    _, ours, _ = written(tables, tmp_path / "out", student, said)
    assert said[0] == "ours cannot be asked lost: it names [0], which lies outside of the picture"
    assert said[-1] == "ours: 1 of 10 questions have no answer and are left out"
    assert "lost" not in {one.question_id for one in answers.read(ours).answers}


def test_the_page_shows_all_systems_and_needs_no_host(
    tables: Tables, student: Path, tmp_path: Path
) -> None:
    *_, page = written(tables, tmp_path / "out", student, [], limit=2)
    text = page.read_text()
    assert text.count("<article>") == 2 and text.count("<h3>teacher</h3>") == 2
    assert text.count("<h3>ours</h3>") == 2 and "data:image/jpeg;base64," in text
    assert "http" not in text.replace("http-equiv", "") and "<script" not in text


def test_names_in_an_answer_are_coloured_and_one_that_is_not_drawn_is_struck() -> None:
    found = list(pieces("[0] and [7] see <b>[1, 0]</b> [it]", frozenset({0, 1})))
    assert [piece.text for piece in found if piece.colour] == ["[0]", "[7]", "[1, 0]"]
    assert [piece.text for piece in found if piece.lost] == ["[7]"]
    assert "".join(piece.text for piece in found) == "[0] and [7] see <b>[1, 0]</b> [it]"
    region = Region(0, Box(1, 1, 5, 5), "dog", "", 1.0)
    row = Answer("q", "i", 9, 9, (region,), "Why?", "ours", "[7] is <i>", "", "")
    shown = exhibit(Image("0" * 16, "gone.png", 9, 9), [row])
    assert shown.picture.missing and shown.alt == "Image with marked regions: [0] dog"


def test_students_have_names_of_their_own(student: Path, tmp_path: Path) -> None:
    run = tmp_path / "photos" / "generative"
    run.mkdir(parents=True)
    (run / "student").symlink_to(student)
    given = [str(student), str(run / "student"), f"third={student}"]
    assert [one.name for one in answering.pupils(given)] == ["mine", "photos", "third"]
    assert answering.pupils(given)[0] == Pupil("mine", student)
    for wrong in ([str(student)] * 2, [f"teacher={student}"]):
        with pytest.raises(UserError, match="is taken: name the student, as other="):
            answering.pupils(wrong)
    with pytest.raises(UserError, match="is no student"):
        answering.pupils([str(tmp_path)])


def test_a_run_trains_a_student_and_has_it_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, examples: list[Example]
) -> None:
    monkeypatch.chdir(tmp_path)
    generative_students.write_base(tmp_path / "base")
    table.write(Example, tmp_path / "corpus/corpus/example/00000.parquet", examples)
    said = '[substituted]\nteacher = "a small one stands in for a large one"\n'
    (tmp_path / "run.toml").write_text(f"{RUN}\n{said}")
    command = CliRunner()
    assert command.invoke(app, ["answers", "run.toml"]).exit_code == 2
    made = command.invoke(app, ["run", "run.toml", "--log", "plain"])
    assert made.exit_code == 0, made.output
    result = command.invoke(app, ["answers", "run.toml", "--limit", "3", "--tokens", "2"])
    assert result.exit_code == 0, result.output
    folder = Path("out/run/answers")
    files = ["teacher.jsonl", "run.jsonl", "panel.html"]
    assert result.stdout.splitlines() == [str(folder / name) for name in files]
    assert "the run's own student was trained on these" in result.stderr
    assert "a small one stands in for a large one" in (folder / "panel.html").read_text("utf-8")
    rows = [json.loads(line) for line in (folder / "run.jsonl").read_text().splitlines()]
    assert {row["system"] for row in rows} == {"run"} and len(rows) == 3
