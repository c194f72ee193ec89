"""A student's card says what the run knows of it, and that the rest is unknown."""

from dataclasses import replace
from pathlib import Path

from huggingface_hub import ModelCard

from lskd.facts import RunFacts
from lskd.fingerprint import path_digest
from lskd.report.card import Held, card
from lskd.report.provenance import Part, parts_of, provenance
from lskd.report.student_card import Card, cards
from lskd.table import Tables
from lskd.types import Fit, GenerativeStudent, Outcome, Student
from report.house import MAKERS, facts, full, put

MORE: dict[type, str] = {
    Fit: "critic",
    Student: "distil",
    GenerativeStudent: "generative",
    Outcome: "evaluate",
}
SETTINGS = """
seed = 7

[generate.teacher]
use = "lskd.chat.teacher:ChatTeacher"
model = "tiny | <b>"
base_url = "http://127.0.0.1/v1"

[score.critic]
use = "lskd.critique.trained:TrainedCritic"
folder = "out/small/critic/model"

[corpus]
threshold = 0.5

[distil]
weights = "{base}"
steps = 3

[dataset]
licence = "cc-by-4.0"
image_licence = "unknown"
image_source = "holidays"

[evaluate.models.base]
title = "base"

[evaluate.models.mine.model]
use = "lskd.evaluate.scorers.stage1:StudentScorer"
folder = "{student}"
"""
FIT = Fit("critic/model", "d", 300, 0.45, 0.7, 0.5, 0.58, 0.66, None, 1.0)


def made(folder: Path, *rows: object) -> Tables:
    """Return the full run's tables, with those of a critic, a student and an evaluation."""
    house = full(folder)
    own = folder / "run"
    both = Tables(
        {**house.folders, **{one: own / one for one in MORE.values()}}, {**MAKERS, **MORE}
    )
    put(both, "00000", rows)
    return both


def student(folder: Path) -> Student:
    where = folder / "run" / "distil" / "student"
    where.mkdir(parents=True)
    return Student(str(where), "f00d", 2, 3)


def said(folder: Path, base: str = "org/base") -> RunFacts:
    settings = SETTINGS.format(base=base, student=folder / "run" / "distil" / "student")
    return replace(facts(), settings=settings)


def one(run: RunFacts, tables: Tables, folder: Path) -> Card:
    (found,) = cards(run, tables, folder / "run")
    return found


def figure(model: str, value: float, audited: bool = False) -> Outcome:
    low, high = value - 0.05, value + 0.05
    task, official = "answer", True
    return Outcome(
        *(model, "vcr", "val", task, "accuracy", official, audited, "", ""),
        *(value, low, high, 0.25, 120, 40, None, None),
    )


def test_the_card_has_seed_base_teacher_critic_threshold_counts_and_licences(
    tmp_path: Path,
) -> None:
    tables = made(tmp_path, student(tmp_path), FIT)
    found = one(said(tmp_path), tables, tmp_path)
    assert found.file == tmp_path / "run/distil/student/README.md"
    for line in (
        "| Base | org/base |",
        "| Examples that could be used | 2 |",
        "| Pictures | 2 |",
        "| Sources of the examples | lskd (2) |",
        "| Seed | 7 |",
        "| Teacher | lskd.chat.teacher:ChatTeacher model = tiny \\| &lt;b>, base\\_url = ",
        "| Kept of the teacher's triples | those that score 0.5 or more |",
        "precision 70.0 %, recall 50.0 % at a score of 0.5; average precision 66.0 %",
        "| Texts of the corpus | cc-by-4.0 |",
        "| Images (holidays) | unknown |",
    ):
        assert line in found.text
    assert "| Versions in use | lskd " in found.text and "torch" in found.text


def test_a_hub_reads_the_front_matter_and_only_a_name_of_a_hub_is_a_base_there(
    tmp_path: Path,
) -> None:
    tables = made(tmp_path, student(tmp_path))
    front = vars(ModelCard(one(said(tmp_path), tables, tmp_path).text).data)
    assert front["license"] == "unknown" and front["base_model"] == "org/base"
    assert front["pipeline_tag"] == "visual-question-answering"
    local = one(said(tmp_path, "some/where/base"), tables, tmp_path).text
    assert vars(ModelCard(local).data)["base_model"] is None


def test_figures_of_the_runs_evaluation_stand_beside_those_of_the_first_model(
    tmp_path: Path,
) -> None:
    rows = [figure("base", 0.25), figure("mine", 0.54), figure("mine", 0.5, audited=True)]
    text = one(said(tmp_path), made(tmp_path, student(tmp_path), *rows), tmp_path).text
    assert (
        "| vcr (val) | answer | accuracy | 54.0 (49.0 to 59.0) | 25.0 | 25.0 | 120 | no |" in text
    )
    assert "| vcr (val) | answer | accuracy | 50.0 (45.0 to 55.0) | – | 25.0 | 120 | yes |" in text


def test_what_is_missing_is_said_to_be_missing(tmp_path: Path) -> None:
    run = replace(facts(threshold=None), settings="[distil]\n")
    text = one(run, made(tmp_path, student(tmp_path)), tmp_path).text
    assert "Unknown: this run has not evaluated it." in text
    assert "how well its scores agree with people is unknown" in text
    for name in ("Base", "Seed", "Teacher", "Kept of the teacher's triples", "Images"):
        assert f"| {name} | unknown |" in text
    assert "| Texts of the corpus | unknown |" in text


def test_a_student_that_writes_has_a_card_too_and_one_of_a_parent_has_none_here(
    tmp_path: Path,
) -> None:
    where = tmp_path / "run" / "generative" / "student"
    where.mkdir(parents=True)
    tables = made(tmp_path, GenerativeStudent(str(where), "f00d", 2, 3))
    text = one(said(tmp_path), tables, tmp_path).text
    assert "writes an answer and its rationale" in text
    assert list(cards(said(tmp_path), tables, tmp_path / "child")) == []


def test_notices_of_models_are_on_the_card(tmp_path: Path) -> None:
    run = replace(said(tmp_path), notices=("the teacher is simulated",))
    assert (
        "> the teacher is simulated" in one(run, made(tmp_path, student(tmp_path)), tmp_path).text
    )


def test_a_card_beside_weights_changes_no_fingerprint(tmp_path: Path) -> None:
    (tmp_path / "weights").write_text("w")
    before = path_digest(tmp_path)
    (tmp_path / "README.md").write_text("a card")
    assert path_digest(tmp_path) == before
    (tmp_path / "weights").write_text("v")
    assert path_digest(tmp_path) != before


def test_models_within_models_are_named() -> None:
    inner = {"use": "b:B", "checkpoint": "c", "revision": "r"}
    found = list(parts_of("regions", {"captioner": {"use": "a:A", "otherwise": inner}, "most": 3}))
    assert found == [
        Part("regions.captioner", "a:A", ""),
        Part("regions.captioner.otherwise", "b:B", "checkpoint = c, revision = r"),
    ]


def test_the_card_of_a_dataset_tells_seed_versions_models_and_critic(tmp_path: Path) -> None:
    tables = made(tmp_path, FIT)
    text = card(said(tmp_path), tables, "", (), Held(2))
    assert "| Seed | 7 |" in text and "| Versions in use | lskd " in text
    assert "| generate.teacher | lskd.chat.teacher:ChatTeacher | model = tiny" in text
    assert "| 70.0 % | 50.0 % | 58.0 % | 66.0 % | unknown |" in text
    assert provenance(said(tmp_path), tables, ("score",)).parts[0].role == "score.critic"


def test_a_dataset_of_a_run_without_people_says_so(tmp_path: Path) -> None:
    text = card(facts(), full(tmp_path), "", (), Held(2))
    assert "No critic was fitted on people's judgments" in text
    assert "| Teacher | unknown |" in text
