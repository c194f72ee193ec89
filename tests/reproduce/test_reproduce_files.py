"""Run files of the paper's setting and of today's open models: none runs here, all are checked."""

import ast
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from forked import lskd
from lskd import table
from lskd.cluster import read_cluster
from lskd.errors import UserError
from lskd.evaluate.stage import Settings as Evaluate
from lskd.fingerprint import all_models
from lskd.forecast import forecast
from lskd.run import load
from lskd.runfile import wrong_models
from lskd.types import Example

ROOT = Path(__file__).parents[2]
TESTS = ROOT / "tests"
EVERY = sorted([*(ROOT / "runs/paper").glob("*.toml"), *(ROOT / "runs/open").glob("*.toml")])
# Students of corpora of others: they read no pictures of their own, and wait for `lskd import`.
GIVEN = [ROOT / f"runs/paper/table4-{name}.toml" for name in ("sherlock", "visualcomet", "llava")]
FILES = [file for file in EVERY if file not in GIVEN]
# What a recipe trains first: nothing is wrong with a run file that waits for it.
TRAINED_FIRST = ("out/captioner/captioner", "out/narrator/narrator")
# A checkpoint: the test that holds its family to a reference, on a tiny one, and what writes that.
COVERED = {
    "openai/clip-vit-large-patch14-336": (
        "verbalize/test_dual_encoder.py",
        "test_scores_are_those_of_a_plain_forward_pass",
        "write_clip",
    ),
    "openai/clip-vit-base-patch16": (
        "evaluate/test_evaluate_scorer_dual_encoder.py",
        "test_each_text_has_the_cosine_that_the_model_gives_it_alone",
        "write_clip",
    ),
    "openai/clip-vit-base-patch32": (
        "evaluate/test_evaluate_scorer_dual_encoder.py",
        "test_a_file_of_openais_names_equals_the_model_that_it_is_of",
        "write_openai_clip",
    ),
    "Salesforce/blip-itm-large-coco": (
        "evaluate/test_evaluate_scorer_blip.py",
        "test_both_heads_say_of_each_text_what_they_say_of_it_alone",
        "write_blip",
    ),
    "google/siglip2-so400m-patch14-384": (
        "verbalize/test_dual_encoder.py",
        "test_scores_are_those_of_a_plain_forward_pass",
        "write_siglip",
    ),
    "PekingU/rtdetr_v2_r101vd": (
        "verbalize/test_detector.py",
        "test_boxes_are_those_of_a_plain_use_of_the_model",
        "write_rt_detr_v2",
    ),
    "google/owlv2-large-patch14-ensemble": (
        "verbalize/test_detector.py",
        "test_zero_shot_boxes_are_those_of_a_plain_use_of_the_model",
        "write_owlv2",
    ),
    "Salesforce/blip2-flan-t5-xxl": (
        "writing/test_writing_blip2.py",
        "test_the_loss_is_that_of_transformers_token_by_token",
        "write_blip2_writer",
    ),
    "lmsys/vicuna-13b-v1.1": (
        "writing/test_writing_minigpt4.py",
        "test_tower_and_qformer_are_blip2s_the_projection_is_the_authors_and_the_rest_vicunas",
        "write_vicuna",
    ),
    "Qwen/Qwen2.5-VL-7B-Instruct": (
        "writing/test_chat_writer_families.py",
        "test_the_loss_is_that_of_the_model_itself_over_the_targets_alone",
        "FAMILIES",
    ),
}
# Those that chat: their family among the FAMILIES that are held to a reference there.
CHATS = {"Qwen/Qwen2.5-VL-7B-Instruct": "qwen2_5_vl"}
# Weights that are files of LAVIS, and tests that read such files.
LAVIS = {
    "blip2_pretrained.pth": "test_a_pretrained_file_takes_its_frozen_tower_from_another",
    "blip2_pretrained_vitL.pth": "test_a_pretrained_file_takes_its_frozen_tower_from_another",
}


def checkpoints(value: Any) -> set[str]:
    """Return every checkpoint that settings name, however deep."""
    if isinstance(value, dict):
        own = {value["checkpoint"]} if isinstance(value.get("checkpoint"), str) else set()
        return own.union(*(checkpoints(part) for part in value.values()))
    if isinstance(value, list | tuple):
        return set().union(*(checkpoints(part) for part in value))
    return set()


def functions(file: Path) -> set[str]:
    """Return the names of a test file's functions."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


def families() -> set[str]:
    """Return the families of models that chat, of which tests have tiny ones."""
    tree = ast.parse((TESTS / "writing/chat_checkpoints.py").read_text(encoding="utf-8"))
    (known,) = [
        node.value
        for node in tree.body
        if isinstance(node, ast.AnnAssign) and ast.unparse(node.target) == "FAMILIES"
    ]
    assert isinstance(known, ast.Dict)
    return {str(ast.literal_eval(key)) for key in known.keys if key is not None}


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_class_is_there_and_every_setting_is_known(file: Path) -> None:
    wrong = wrong_models(load(file).settings)
    assert [one for one in wrong if not any(folder in one for folder in TRAINED_FIRST)] == []


@pytest.mark.parametrize("file", GIVEN, ids=lambda file: file.stem)
def test_a_student_of_a_corpus_of_others_waits_for_it_and_is_asked_alone(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UserError, match="no examples there; `lskd import` makes such a folder"):
        load(file)
    there = tmp_path / "out" / file.stem.removeprefix("table4-") / "corpus/example/00000.parquet"
    there.parent.mkdir(parents=True)
    table.write(Example, there, [])
    monkeypatch.chdir(tmp_path)
    run = load(file)
    assert wrong_models(run.settings) == []
    evaluate = run.settings["evaluate"]
    assert isinstance(evaluate, Evaluate) and list(evaluate.models) == ["lskd"]


def test_no_two_files_would_be_made_in_one_folder() -> None:
    names = [file.stem for file in EVERY]
    names += [file.stem for file in (ROOT / "runs").glob("*.toml")]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_checkpoint_is_of_a_family_that_a_test_holds_to_a_reference(file: Path) -> None:
    run = load(file)
    for settings in run.settings.values():
        for name in checkpoints(settings.model_dump()):
            where, test, writer = COVERED[name]
            assert test in functions(TESTS / where)
            text = (TESTS / where).read_text(encoding="utf-8")
            assert re.search(rf"\b{writer}\b", text)
            assert name not in CHATS or CHATS[name] in families()
            assert (name in CHATS) is (writer == "FAMILIES")
        for model in all_models(settings):
            weights = model.keys.get("weights", "blip2_pretrained.pth")
            if model.use.endswith(":Blip2Scorer"):
                assert LAVIS[weights] in functions(TESTS / "blip2/test_stage1_weights.py")


def test_the_settings_are_those_of_the_papers_text() -> None:
    run = load(ROOT / "runs/paper/full.toml")
    told = {name: settings.model_dump() for name, settings in run.settings.items()}
    assert (told["narratives"]["samples"], told["narratives"]["temperature"]) == (5, 1.1)
    assert told["dialogue"]["questions"] == 15
    generate = told["generate"]
    assert len(generate["styles"]) * generate["turns"] * generate["triples"] == 18
    assert (generate["temperature"], told["corpus"]["threshold"]) == (0.8, 0.8)
    assert (told["sample"]["train"], told["sample"]["evaluate"]) == (20_000, 4_000)
    critic, distil, generative = told["critic"], told["distil"], told["generative"]
    assert (critic["batch"], critic["epochs"], critic["train_vision"]) == (256, 10, True)
    assert (distil["batch"], distil["steps"], distil["tokens"]) == (256, 10_000, 128)
    assert (generative["batch"], generative["steps"]) == (64, 20_000)
    assert {one["learning_rate"] for one in (critic, distil, generative)} == {1e-5}
    assert {critic["image"], distil["image"]} == {480}
    assert (distil["swaps"], distil["misnamed"], distil["train_vision"]) == (0.0, 0.0, False)
    assert run.planned is not None and run.planned.images == 250_000


@pytest.mark.parametrize("name", ["verbalized", "table3"])
def test_each_number_of_the_paper_has_its_section_beside_it(name: str) -> None:
    # Sizes of a token's price, and how many answers come in one reply, are not the paper's.
    own = ("_price", "at_a_time", "seed")
    for line in (ROOT / f"runs/paper/{name}.toml").read_text(encoding="utf-8").splitlines():
        key, _, value = line.partition(" = ")
        number = value.partition("#")[0].strip().replace("_", "").replace(".", "").replace("-", "")
        if number.replace("e", "").isdigit() and not any(one in key for one in own):
            assert "section" in line or "beyond the paper" in line, line


@pytest.mark.parametrize("name", ["paper/full.toml", "open/open.toml"])
def test_what_is_substituted_stands_where_every_reader_looks(name: str) -> None:
    run = load(ROOT / "runs" / name)
    told = run.facts().notices
    for thing in ("narrator", "proposer", "teacher"):
        assert any(one.startswith(f"substituted: {thing}: ") for one in told)
    # A child of the run's folder says so too.
    assert tomllib.loads(run.text())["substituted"] == dict(run.substituted)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_file_is_planned_and_priced_from_shipped_rates(file: Path) -> None:
    run = load(file)
    assert run.planned is not None
    found = forecast(run, run.planned.images, read_cluster(run.planned.cluster))
    known = [line for line in found.lines if line.time.known]
    assert known and all(line.time.how.startswith("shipped") for line in known)
    assert all(line.price.known for line in found.lines)
    assert (found.price > 0) == ("/paper/" in file.as_posix())


def test_a_plan_says_what_a_child_takes_over_and_its_price() -> None:
    shown = lskd("plan", "runs/paper/figure4-0.2.toml", folder=ROOT)
    assert shown.returncode == 0, shown.stderr
    first, second = [line for line in shown.stdout.splitlines() if "taken over" in line]
    whole = re.search(r"price ([\d.]+)", shown.stdout)
    assert whole and first.startswith("images to parse are those of out/verbalized: ")
    assert f", {whole[1]} of the price and " in first  # a student buys no reply
    assert second.startswith("sample to critic are those of out/table3: ")
    assert "price" not in second


def test_the_whole_paper_is_planned_without_its_pictures_and_says_whose_numbers_these_are() -> None:
    shown = lskd("plan", "runs/paper/full.toml", folder=ROOT)
    assert shown.returncode == 0, shown.stderr
    assert "250,000 images" in shown.stdout and "shipped, a lower bound" in shown.stdout


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[substituted]\nteacher = 3\n", "[substituted] has a line for each thing"),
        ("[plan]\nimages = 0\n", "[plan] needs images"),
        ("[plan]\nimages = 5\nmachines = 2\n", "[plan] needs images"),
    ],
)
def test_a_wrong_word_about_the_run_itself_is_one_clear_line(
    tmp_path: Path, text: str, told: str
) -> None:
    file = tmp_path / "own.toml"
    extends = f'extends = "{(ROOT / "runs/photos.toml").as_posix()}"\n'
    file.write_text(f"{extends}{text}")
    with pytest.raises(UserError) as caught:
        load(file)
    assert told in str(caught.value) and "\n" not in str(caught.value)
