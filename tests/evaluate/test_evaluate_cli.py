"""`lskd evaluate` and `lskd benchmarks`, as a user types them."""

import json
import shutil
from pathlib import Path

import PIL.Image
import pytest
from evaluate_world import WRITERS, put_aokvqa, put_vcr, put_visualcomet
from typer.testing import CliRunner

from checkpoints import write_clip, write_student
from lskd import table
from lskd.cli import app
from lskd.types import Item, Outcome, Prediction

RUNNER = CliRunner()


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    put_aokvqa(tmp_path / "aokvqa")
    put_vcr(tmp_path / "vcr")
    (tmp_path / "mine.toml").write_text('[model]\nuse = "evaluate_world:Lot"\nseed = 3\n')
    return tmp_path


def lskd(*words: str | Path, code: int = 0) -> str:
    """Run a command and return what it printed."""
    result = RUNNER.invoke(app, list(map(str, words)), env={"COLUMNS": "200"})
    said = " ".join((result.stdout + result.stderr).split())
    assert result.exit_code == code, said
    return said


def test_a_toml_file_is_a_model_and_results_are_printed_and_kept(home: Path) -> None:
    said = lskd("evaluate", "mine.toml", "--benchmark", "aokvqa=aokvqa", "--out", "results")
    assert "A-OKVQA" in said and "summary: results/summary.md" in said
    rows = table.read(Outcome, home / "results/outcome/00000.parquet")
    assert {one.model for one in rows} == {"mine"}
    assert table.read(Item, next((home / "results/items").rglob("*.parquet")))
    assert table.read(Prediction, next((home / "results/predictions").rglob("*.parquet")))


def test_a_student_and_a_preset_are_asked_together(home: Path) -> None:
    write_student(home / "out/lab/distil/student")
    write_clip(home / "clip")
    words = ["evaluate", "clip-vit-b-16", "out/lab/distil/student", "--benchmark", "vcr=vcr"]
    change = 'evaluate.models.clip-vit-b-16.checkpoint="clip"'
    told = json.loads(
        RUNNER.invoke(app, [*words, "--limit", "3", "--set", change, "--json"]).stdout
    )
    assert [one["name"] for one in told["models"]] == ["clip-vit-b-16", "lab"]
    assert told["models"][0]["title"] == "CLIP ViT-B/16"
    assert told["models"][0]["paper"]["vcr_answer"] == 54.8
    assert {one["items"] for one in told["outcomes"] if not one["slicing"]} == {3}
    assert "itm, with the question, pointed regions drawn" in told["models"][1]["asked"]


def test_a_model_can_be_given_a_name_and_two_of_one_name_are_refused(home: Path) -> None:
    on = ("--benchmark", "aokvqa=aokvqa")
    said = lskd("evaluate", "a=mine.toml", "b=mine.toml", *on)
    assert " a " in said and " b " in said
    said = lskd("evaluate", "mine.toml", "mine.toml", *on, code=2)
    assert "two models are called 'mine'" in said


def test_predictions_of_others_are_scored(home: Path) -> None:
    lskd("evaluate", "mine.toml", "--benchmark", "aokvqa=aokvqa")
    ours = next(Path("out/evaluate/predictions").rglob("*.parquet"))
    lines = [
        {"benchmark": "aokvqa", "item_id": one.item_id, "scores": list(one.scores)}
        for one in table.read(Prediction, ours)
    ]
    Path("theirs.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    words = ["evaluate", "mine.toml", "--predictions", "theirs.jsonl"]
    told = json.loads(RUNNER.invoke(app, [*words, "--benchmark", "aokvqa=aokvqa", "--json"]).stdout)
    both = [one for one in told["outcomes"] if one["official"] and not one["slicing"]]
    assert [one["model"] for one in both] == ["mine", "theirs"]
    assert both[0]["value"] == both[1]["value"] and both[1]["difference"] == 0


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["evaluate", "mine.toml"], "one of [evaluate.benchmarks]"),
        (["evaluate", "--benchmark", "vcr=vcr"], "needs a model"),
        (["evaluate", "clap", "--benchmark", "vcr=vcr"], "no preset 'clap'"),
        (["evaluate", "aokvqa", "--benchmark", "vcr=vcr"], "aokvqa is no student"),
        (["evaluate", "mine.toml", "--benchmark", "vcr"], "the form is NAME=FOLDER"),
        (["evaluate", "mine.toml", "--benchmark", "vcr=no"], "no folder no"),
        (["evaluate", "mine.toml", "--benchmark", "vcr=vcr", "--leaks", "x.jsonl"], "no such file"),
        (["evaluate", "mine.toml", "--benchmark", "vcr=vcr", "--faults", "x"], "faults"),
        (
            ["evaluate", "mine.toml", "--benchmark", "vcr=vcr", "--set", "corpus.threshold=1"],
            "evaluate.key=value",
        ),
        (["benchmarks", "vqa"], "no benchmark 'vqa'"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(home: Path, words: list[str], told: str) -> None:
    said = lskd(*words, code=2)
    assert told in said and said.startswith("error: ")


def test_benchmarks_are_listed_with_what_to_get_and_where(home: Path) -> None:
    said = lskd("benchmarks")
    for name in WRITERS:
        assert name in said
    assert "licence: " in said and "https://visualcommonsense.com" in said
    listed = json.loads(RUNNER.invoke(app, ["benchmarks", "--json"]).stdout)
    assert [one["name"] for one in listed] == list(WRITERS)
    assert listed[0]["files"][0]["pattern"] == "{split}.jsonl"


def test_a_folder_is_checked_and_exit_code_2_says_that_it_is_not_ready(home: Path) -> None:
    said = lskd("benchmarks", "vcr", "vcr")
    assert "ready: 12 items (6 answer, 6 rationale) on 1 images" in said
    put_aokvqa(home / "broken", 12, broken=2)
    said = lskd("benchmarks", "aokvqa", "broken", code=2)
    assert "not ready: 10 items" in said and "missing file" in said
    shutil.rmtree("aokvqa")
    result = RUNNER.invoke(app, ["benchmarks", "aokvqa", "aokvqa", "--json"])
    told = json.loads(result.stdout)
    assert result.exit_code == 2 and not told["ready"] and "no folder aokvqa" in told["problem"]


def test_task_files_for_lmms_eval_are_read_by_yaml_and_datasets(home: Path) -> None:
    datasets = pytest.importorskip("datasets")
    yaml = pytest.importorskip("yaml")
    for name in ("visual7w", "snli_ve"):
        WRITERS[name](home / name)
    on = [f"--benchmark={name}={name}" for name in ("vcr", "aokvqa", "visual7w", "snli_ve")]
    said = lskd("evaluate", *on, "--lmms-eval", "tasks")
    assert "tasks/lskd_vcr_rationale.yaml: 6 questions" in said
    for file in sorted(Path("tasks").glob("*.yaml")):
        task = yaml.safe_load(file.read_text())
        assert task["task"] == file.stem and task["output_type"] == "multiple_choice"
        data = datasets.load_dataset(
            task["dataset_path"], cache_dir=str(home / "cache"), split=task["test_split"]
        )
        for key in ("doc_to_visual", "doc_to_text", "doc_to_choice", "doc_to_target"):
            assert task[key] in data.features
        row = data[0]
        assert isinstance(row["image"], PIL.Image.Image)
        assert all(0 <= place < len(row["choices"]) for place in row["answer"])
    data = datasets.load_dataset(
        str(home / "tasks/lskd_vcr_rationale"), cache_dir=str(home / "cache"), split="test"
    )
    assert data[0]["prompt"] == "Question: Why does [0] wave 0 ? Answer: [1] , [0] ask . Rationale:"
    assert data[0]["choices"][1:] == ["B .", "C .", "D ."] and data[0]["answer"] == [0]


def test_ranking_benchmarks_have_no_task_file(home: Path) -> None:
    put_visualcomet(home / "comet")
    said = lskd("evaluate", "--benchmark", "visualcomet=comet", "--lmms-eval", "t", code=2)
    assert "visualcomet is not multiple choice" in said
