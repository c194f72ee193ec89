"""`lskd answers`: the teacher answers a benchmark's questions, or a file's, from verbalizations."""

import json
from collections.abc import Sequence
from pathlib import Path

import gold_files
import pytest
from typer.testing import CliRunner, Result

import generative_students
import house
from lskd.cli import app
from lskd.execute import Selection
from lskd.generate import given
from lskd.human import answers, duels
from lskd.human.answers import Answer
from lskd.posing import questions as posing
from lskd.protocols import Conversation
from lskd.run import load
from lskd.types import Image, Message, Reply

RUN = """
[images]
source = "data/vcr1images/film/*.jpg"

[models]
teacher = { use = "test_gen_gaps_answers:Sage" }
tagger = "eyes"
narrator = "eyes"
proposer = "eyes"
captioner = "eyes"
answerer = "eyes"
eyes = { use = "models:Eyes", boxes = 1 }
critic = { use = "models:Judge" }

[corpus]
keep = 0.5

[dialogue]
questions = 1
"""


WORDS = ("here", "now", "again")


class Sage:
    """Answers the question that it is asked, and leaves what it was told in a file."""

    def __init__(self, habit: str = "answers") -> None:
        self.habit = habit

    def converse(self, conversations: Sequence[Conversation]) -> list[tuple[Reply, ...]]:
        return [(self.reply(one),) for one in conversations]

    def reply(self, one: Conversation) -> Reply:
        asked = one.turns[0]
        if "Somebody who sees" in asked:
            with Path("told.jsonl").open("a") as opened:
                opened.write(json.dumps({"system": one.system, "text": asked}) + "\n")
        texts = {
            "answers": "Answer: [region 1] is glad.\nRationale: [1] waves; people who are glad do.",
            "json": json.dumps({"answer": "[1] is glad.", "rationale": "[1] waves."}),
            "strays": "Question: What is [0]?\nAnswer: A dog.\nRationale: It barks.",
            "refuses": "I'm sorry, but I cannot help with that.",
        }
        return Reply(
            id=f"{one.id}-0",
            image_id=one.image_id,
            style=one.style,
            turn=0,
            messages=(Message("user", asked),),
            text="Is it day?" if "short questions" in asked else texts[self.habit],
            model="sage",
            finish="stop",
            input_tokens=None,
            output_tokens=None,
            price=None,
            seconds=0.0,
        )


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with VCR's files, a run that has described its picture, and a student."""
    folder = tmp_path_factory.mktemp("answers")
    rows = [
        gold_files.vcr_row(n, question=["Why", "does", [1], "wave", word, "?"])
        for n, word in enumerate(WORDS)
    ]
    other = gold_files.vcr_row(3, img_fn="film/other@1.jpg", metadata_fn="film/other@1.json")
    gold_files.put_vcr(folder / "data", *rows, other)
    gold_files.put_scene(folder / "data", "film/other@1")
    (folder / "run.toml").write_text(RUN.replace("*.jpg", "clip*.jpg"))
    base = generative_students.write_base(folder / "base")
    generative_students.write_generative_student(folder / "ours", base)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        house.run(Path("run.toml"), selection=Selection(until="dialogue"))
    return folder


@pytest.fixture
def here(root: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(root)
    (root / "told.jsonl").unlink(missing_ok=True)
    return root


def asked(*words: str, habit: str = "answers", file: str = "run.toml") -> Result:
    sage = f'models.teacher={{use = "test_gen_gaps_answers:Sage", habit = "{habit}"}}'
    more = ["--student", "ours=ours", "--tokens", "3", "--set", sage]
    return CliRunner().invoke(app, ["answers", file, *more, *words])


def said(file: Path) -> list[Answer]:
    found = answers.read(file)
    assert not found.rejects
    return list(found.answers)


def test_a_benchmarks_questions_are_answered_by_truth_teacher_and_student(
    here: Path, tmp_path: Path
) -> None:
    done = asked("--benchmark", "vcr=data", "--teacher", "--to", str(tmp_path))
    assert done.exit_code == 0, done.output
    names = ["truth.jsonl", "teacher.jsonl", "ours.jsonl", "panel.html"]
    assert done.stdout.splitlines() == [str(tmp_path / name) for name in names]
    assert "vcr: 1 of 4 questions are about other pictures" in done.stderr
    truth, teacher, ours = (said(tmp_path / name) for name in names[:3])
    assert [row.question for row in truth] == [f"Why does [1] wave {word}?" for word in WORDS]
    assert {row.answer for row in truth} == {"[3], [0] ask."} and truth[0].rationale == "A [2]."
    assert {row.answer for row in teacher} == {"[1] is glad."}
    assert teacher[0].rationale == "[1] waves; people who are glad do."
    for rows in (teacher, ours):
        assert [row.question_id for row in rows] == [row.question_id for row in truth]
        # What the question is about, and what is named in the right answer and its reason.
        assert [[region.id for region in row.regions] for row in rows] == [[0, 1, 2, 3]] * 3
    run = load(Path("run.toml"))
    find = duels.among(house.rows(run, Image))
    joined = duels.joined([*teacher, *ours], "teacher", "ours", find)
    assert len(joined.posed) == len(ours) and not joined.rejects
    page = (tmp_path / "panel.html").read_text()
    assert all(f"<h3>{name}</h3>" in page for name in ("truth", "teacher", "ours"))


def test_the_teacher_is_told_of_the_questions_regions_and_of_the_runs_descriptors(
    here: Path, tmp_path: Path
) -> None:
    done = asked("--benchmark", "vcr=data", "--teacher", "--limit", "1", "--to", str(tmp_path))
    assert done.exit_code == 0, done.output
    (line,) = (here / "told.jsonl").read_text().splitlines()
    told = json.loads(line)
    assert "You cannot see the picture" in told["system"]
    text = told["text"]
    # The captioner has described VCR's own boxes by VCR's own numbers.
    for number, name in enumerate(gold_files.NAMES):
        x0, y0, x1, y1 = gold_files.BOXES[number]
        place = f"[{number}] ({x0:.0f}, {y0:.0f}, {min(x1, 40):.0f}, {y1:.0f})"
        assert f"{place}: a {name} at place {number}" in text
    assert "Narratives:" in text and "Objects: dog" in text and "Dialogue:" in text
    assert "asks: Why does [1] wave" in text


def test_a_file_of_bare_questions_is_asked(here: Path, tmp_path: Path) -> None:
    image = house.rows(load(Path("run.toml")), Image)[0]
    row = {
        "image": image.id,
        "width": 40,
        "height": 30,
        "regions": [{"id": 1, "box": [10, 0, 20, 30], "label": "person"}],
    }
    bare = [{**row, "question_id": f"q{n}", "question": f"Why is [1] here, {n}?"} for n in (1, 2)]
    file = tmp_path / "questions.jsonl"
    file.write_text("".join(json.dumps(one) + "\n" for one in bare))
    out = tmp_path / "out"
    done = asked("--questions", str(file), "--teacher", "--to", str(out), habit="json")
    assert done.exit_code == 0, done.output
    names = [Path(line).name for line in done.stdout.splitlines()]
    assert names == ["teacher.jsonl", "ours.jsonl", "panel.html"]
    rows = said(out / "teacher.jsonl")
    assert [(one.question_id, one.answer) for one in rows] == [
        ("q1", "[1] is glad."),
        ("q2", "[1] is glad."),
    ]
    alone = asked("--questions", str(file), "--to", str(tmp_path / "alone"))
    assert alone.exit_code == 0, alone.output
    assert [Path(line).name for line in alone.stdout.splitlines()] == names[1:]


@pytest.mark.parametrize(
    ("habit", "fault"),
    [("strays", "the reply answers a question of its own"), ("refuses", "refusal")],
)
def test_what_the_teacher_does_not_answer_is_told_and_left_out(
    here: Path, tmp_path: Path, habit: str, fault: str
) -> None:
    words = ["--benchmark", "vcr=data", "--teacher", "--to", str(tmp_path)]
    done = asked(*words, habit=habit)
    assert done.exit_code == 0, done.output
    assert f"teacher: 3 of 3 have no answer, as vcr answer val-0: {fault}" in done.stderr
    assert not (tmp_path / "teacher.jsonl").exists() and (tmp_path / "ours.jsonl").exists()


@pytest.mark.parametrize(
    ("cut", "whole"),
    [
        ("Is n't [1] happy , or is [2] 's dog ?", "Isn't [1] happy, or is [2]'s dog?"),
        ("At 3 :30 they 'll go .", "At 3 :30 they'll go."),
        ("He said 'no' .", "He said 'no'."),
        ("Why?", "Why?"),
    ],
)
def test_words_that_a_benchmark_cuts_apart_are_joined(cut: str, whole: str) -> None:
    assert posing.tidy(cut) == whole


def test_a_question_may_be_repeated_before_its_answer() -> None:
    text = "Question: Why is [1] here?\nAnswer: To look.\nRationale: It looks."
    reply = Sage("json").reply(_conversation())
    same = given.said("Why is [1] here?", _with(reply, text))
    assert (same.answer, same.rationale, same.fault) == ("To look.", "It looks.", "")
    lost = given.said("Why?", _with(reply, "", error="status 500"))
    assert lost.fault == "no reply: status 500"
    assert given.said("Why?", _with(reply, "Because.")).fault == "the reply has no answer"


def _conversation() -> Conversation:
    return Conversation("c", "i", "id", "", ("",), 0.0, 9)


def _with(reply: Reply, text: str, error: str | None = None) -> Reply:
    from dataclasses import replace

    return replace(reply, text=text, error=error)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--teacher"], "--teacher is for --questions and --benchmark"),
        (["--benchmark", "vcr"], "the form is NAME=FOLDER"),
        (["--benchmark", "vcr=data", "--questions", "x.jsonl"], "give one of them, not both"),
        (["--benchmark", "vcr=data", "--split", "test"], "test.jsonl is missing"),
        (["--benchmark", "riddles=data"], "no benchmark 'riddles'"),
    ],
)
def test_what_cannot_be_asked_is_one_clear_line(here: Path, words: list[str], said: str) -> None:
    done = asked(*words)
    assert done.exit_code == 2
    (line,) = done.stderr.splitlines()
    assert said in line


def test_a_run_that_has_no_such_picture_or_has_not_described_it_says_so(
    here: Path, tmp_path: Path
) -> None:
    words = ["--benchmark", "vcr=data", "--teacher", "--out", str(tmp_path / "new")]
    done = asked(*words)
    assert "none of the 4 questions of vcr is about a picture of this run" in done.stderr
    load_new = load(Path("run.toml"), [], tmp_path / "new")
    from lskd.execute import execute
    from lskd.progress import Lines

    execute(load_new, Selection(only="images"), Lines("plain"))
    done = asked(*words)
    assert done.exit_code == 2 and "has not described" in done.stderr
