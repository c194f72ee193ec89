"""Stage `evaluate`: what it asks, what it keeps, what it says of the answers."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from evaluate_world import CONSTANT, context, lot, put_aokvqa, settings, world

import house
from lskd import table
from lskd.audit import leak_file
from lskd.audit.leak import Leak
from lskd.bootstrap import Bootstrap
from lskd.errors import UserError
from lskd.evaluate import summary, work
from lskd.evaluate.benchmark import Found, Options
from lskd.evaluate.benchmarks import named
from lskd.evaluate.outcome import slicings
from lskd.evaluate.predictions import Contender, digest
from lskd.evaluate.protocol import Protocol
from lskd.evaluate.stage import Settings
from lskd.evaluate.statistics import interval, paired
from lskd.evaluate.trial import key
from lskd.evaluate.trial import read as trials_of
from lskd.evaluate.work import evaluate
from lskd.runfile import checked, wrong_models
from lskd.stage import Model
from lskd.storage.address import located
from lskd.types import Image, Item, Outcome, Prediction


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def asked(log: Path) -> list[str]:
    return log.read_text().splitlines() if log.exists() else []


def of(found: work.Evaluation, model: str, **wanted: object) -> list[Outcome]:
    plain = {"audited": False, "slicing": "", **wanted}
    return [
        one
        for one in found.outcomes
        if one.model == model and all(getattr(one, name) == value for name, value in plain.items())
    ]


def test_all_six_benchmarks_are_asked_and_have_their_official_figures(home: Path) -> None:
    found = evaluate(settings(world(home), {"lot": lot()}), context(home / "out"))
    official = [(o.benchmark, o.task, o.metric) for o in of(found, "lot", official=True)]
    assert official == [
        ("vcr", "answer", "accuracy"),
        ("vcr", "rationale", "accuracy"),
        ("vcr", "both", "accuracy"),
        ("sherlock", "", "comparison"),
        ("visualcomet", "", "Acc@50"),
        ("visualcomet", "", "hit@1"),
        ("aokvqa", "", "accuracy"),
        ("snli_ve", "", "accuracy"),
        ("visual7w", "", "accuracy"),
    ]
    assert [column.title for column in summary.columns(found)][:2] == ["VCR Q→A", "VCR QA→R"]
    assert len(summary.columns(found)) == 8
    for one in found.outcomes:
        assert one.value is not None and one.items > 0
        assert one.low is None or (one.high is not None and one.low <= one.value <= one.high)


def test_a_figure_is_what_its_predictions_on_disk_earn(home: Path) -> None:
    found = evaluate(settings(world(home, "aokvqa"), {"lot": lot()}), context(home / "out"))
    (file,) = (home / "out/predictions").rglob("*.parquet")
    (kept,) = (home / "out/items").rglob("*.parquet")
    said = table.read(Prediction, file)
    items = table.read(Item, kept)
    assert [one.item_id for one in said] == [item.id for item in items]
    hits = [
        float(np.argmax(one.scores) in item.right) for one, item in zip(said, items, strict=True)
    ]
    (official,) = of(found, "lot", official=True)
    alone = interval(hits, [item.image_id for item in items], Bootstrap(resamples=50))
    assert (official.value, official.low, official.high) == (alone.value, alone.low, alone.high)
    assert (official.items, official.images, official.chance) == (12, 3, 0.25)


def test_equal_scores_earn_chance_by_the_fair_rule(home: Path) -> None:
    found = evaluate(settings(world(home), {"same": CONSTANT}), context(home / "out"))
    fair = of(found, "same", official=False)
    assert len(fair) == 9
    for one in fair:
        assert one.chance is not None
        assert one.value == pytest.approx(one.chance, abs=1e-12)
    (acc,) = (o for o in of(found, "same", official=True) if o.metric == "Acc@50")
    assert acc.value == 1.0  # the files list people's own first: what the fair rule is for


def test_models_are_compared_with_the_first_on_the_same_items(home: Path) -> None:
    models = {"one": lot(1), "two": lot(2)}
    found = evaluate(settings(world(home, "aokvqa", "vcr"), models), context(home / "out"))
    for one, two in zip(of(found, "one"), of(found, "two"), strict=True):
        assert one.difference is None and one.p is None
        assert one.value is not None and two.value is not None and two.difference is not None
        assert two.difference == pytest.approx(two.value - one.value)


def test_a_second_evaluation_asks_nothing_whatever_its_bootstrap(home: Path) -> None:
    log = home / "log.txt"
    where = world(home, "vcr", "aokvqa")
    first = evaluate(settings(where, {"lot": lot(log=str(log))}), context(home / "out"))
    assert len(asked(log)) == 12 + 12
    again = settings(where, {"lot": lot(log=str(log))}, resamples=70, seed=3)
    second = evaluate(again, context(home / "out"))
    assert len(asked(log)) == 12 + 12
    assert [o.value for o in first.outcomes] == [o.value for o in second.outcomes]
    assert [o.low for o in first.outcomes] != [o.low for o in second.outcomes]


def test_a_run_that_extends_another_takes_its_predictions(home: Path) -> None:
    log = home / "log.txt"
    where = world(home, "aokvqa")
    chosen = settings(where, {"lot": lot(log=str(log))})
    evaluate(chosen, context(home / "parent"))
    evaluate(chosen, context(home / "child", parents=[home / "parent"]))
    assert len(asked(log)) == 12
    assert list((home / "child/predictions").rglob("*.parquet"))


def test_a_run_at_a_place_asks_nothing_twice_and_its_children_take_its_answers(home: Path) -> None:
    log = home / "log.txt"
    chosen = settings(world(home, "aokvqa"), {"lot": lot(log=str(log))})
    run, child = (located(f"memory://evaluated/{name}") for name in ("run", "child"))
    first = evaluate(chosen, context(run / "evaluate"))
    assert evaluate(chosen, context(run / "evaluate")).answers == first.answers
    found = evaluate(chosen, context(child / "evaluate", parents=[run / "evaluate"]))
    assert found.answers == first.answers
    assert len(asked(log)) == 12


def test_labels_are_asked_with_the_statement_even_without_the_question(home: Path) -> None:
    model = lot() | {"protocol": {"question": False}}
    found = evaluate(settings(world(home, "snli_ve"), {"lot": model}), context(home / "out"))
    ((said,),) = found.answers.values()
    assert len(set(said.values())) == len(said) == 6  # the lot tells texts apart by their words
    assert any("question = false, but the question stays" in note for note in found.notes)


def test_what_differs_from_the_usual_protocol_is_told(home: Path) -> None:
    asked = {"words": 10, "names": "words", "answer_text": "Q: {question} A: {choice}"}
    models = {"plain": lot(), "other": lot() | {"protocol": asked}}
    found = evaluate(settings(world(home, "aokvqa"), models), context(home / "out"))
    plain, other = (one.asked for one in found.models)
    assert plain == "itm, with the question, pointed regions drawn"
    assert other == (
        'itm, with the question, pointed regions drawn; answer_text = "Q: {question} A: {choice}"; '
        'words = 10; names = "words"'
    )


def test_an_answer_is_kept_by_a_model_whose_keys_are_longer_than_a_file_name() -> None:
    model = Model.model_validate({"use": "evaluate_world:Constant", "prompt": "look " * 100})
    assert digest(model, Protocol())


@pytest.mark.parametrize(
    "changed",
    [
        {"seed": 5},
        {"protocol": {"question": False}},
        {"protocol": {"lower": True}},
    ],
)
def test_another_model_or_protocol_is_asked_anew(home: Path, changed: dict[str, Any]) -> None:
    log = home / "log.txt"
    where = world(home, "aokvqa")
    evaluate(settings(where, {"lot": lot(log=str(log))}), context(home / "out"))
    evaluate(settings(where, {"lot": lot(log=str(log)) | changed}), context(home / "out"))
    assert len(asked(log)) == 24


def test_a_kill_loses_no_more_than_the_shard_at_work(home: Path) -> None:
    log = home / "log.txt"
    put_aokvqa(home / "data/aokvqa", 700)
    where = {"aokvqa": {"folder": "data/aokvqa"}}
    broken = {"lot": lot(log=str(log), fails_after=2)}
    with pytest.raises(UserError, match="the lot is lost"):
        evaluate(settings(where, broken), context(home / "out"))
    kept = sorted(file.name for file in (home / "out/predictions").rglob("*.parquet"))
    assert kept == ["00000.parquet", "00001.parquet"]
    before = len(asked(log))
    # The number of calls decides the digest here, so the work goes on with the same model.
    (trial,) = trials_of(settings(where, broken).benchmarks, "error", ())
    entry = settings(where, broken).models["lot"]
    assert entry.model is not None
    model = Contender("lot", entry.model, entry.protocol, context(home / "out"))
    answers = model.answers(trial)
    assert len(answers.scores) == 700
    assert len(asked(log)) == 700 > before > 400


def test_an_image_lies_in_one_shard_so_that_its_views_are_encoded_once(home: Path) -> None:
    put_aokvqa(home / "data/aokvqa", 700)
    chosen = settings({"aokvqa": {"folder": "data/aokvqa"}}, {"lot": lot()})
    (trial,) = trials_of(chosen.benchmarks, "error", ())
    shards = trial.shards()
    assert len(shards) == 3
    images = [{item.image_id for item in items} for items in shards.values()]
    assert sum(map(len, images)) == len(set.union(*images)) == 3
    assert sorted(item.id for items in shards.values() for item in items) == sorted(
        item.id for item in trial.items
    )


def test_rows_that_cannot_be_asked_end_it_before_any_model_is_loaded(home: Path) -> None:
    log = home / "log.txt"
    put_aokvqa(home / "data/aokvqa", 12, broken=5)
    where = {"aokvqa": {"folder": "data/aokvqa"}, **world(home, "vcr")}
    with pytest.raises(UserError) as raised:
        evaluate(settings(where, {"lot": lot(log=str(log))}), context(home / "out"))
    told = str(raised.value)
    assert "aokvqa: 5 rows cannot be asked: 5 because of missing file" in told
    assert "aokvqa_v1p0_val.json row 8" in told and 'faults = "skip"' in told
    assert asked(log) == [] and not (home / "out").exists()


def test_rows_that_are_skipped_are_kept_with_their_reasons(home: Path) -> None:
    put_aokvqa(home / "data/aokvqa", 12, broken=5)
    said: list[str] = []
    where = {"aokvqa": {"folder": "data/aokvqa"}}
    chosen = settings(where, {"lot": lot()}, faults="skip")
    found = evaluate(chosen, context(home / "out", said))
    assert len(found.rejects) == 5 and {o.items for o in of(found, "lot")} == {7}
    assert any("aokvqa: left out, 5 rows cannot be asked" in line for line in said)
    assert {one.source for one in found.rejects} == {
        f"aokvqa_v1p0_val.json row {number}" for number in range(8, 13)
    }


def test_leaks_give_both_figures(home: Path) -> None:
    where = world(home, "vcr", "aokvqa")
    leaks = [
        Leak("aokvqa", "q0", "", "e", "copy", 0.0),
        Leak("aokvqa", "q1", "", "e", "text", 0.1),
        Leak("vcr", "val-2", "rationale", "e", "near", 0.1),
    ]
    leak_file.write(home / "leaks.jsonl", leaks)
    chosen = settings(where, {"lot": lot()}, leaks="leaks.jsonl")
    found = evaluate(chosen, context(home / "out"))

    def items(audited: bool) -> dict[tuple[str, str], int]:
        some = of(found, "lot", audited=audited, official=True)
        return {(o.benchmark, o.task): o.items for o in some}

    assert items(False) == {
        ("vcr", "answer"): 6,
        ("vcr", "rationale"): 6,
        ("vcr", "both"): 6,
        ("aokvqa", ""): 12,
    }
    assert items(True) == {
        ("vcr", "answer"): 6,
        ("vcr", "rationale"): 5,
        ("vcr", "both"): 5,
        ("aokvqa", ""): 10,
    }
    assert "Without what a training corpus touches" in (home / "out/summary.md").read_text()


def test_what_is_left_without_leaks_is_earned_and_compared_on_these_very_items(home: Path) -> None:
    touched = ("q0", "q1")
    leaks = [Leak("aokvqa", name, "", "e", "copy", 0.0) for name in touched]
    leak_file.write(home / "leaks.jsonl", leaks)
    models = {"same": CONSTANT, "lot": lot()}
    chosen = settings(world(home, "aokvqa"), models, leaks="leaks.jsonl")
    found = evaluate(chosen, context(home / "out"))
    (trial,), (scores,) = found.trials, found.answers["lot"]
    clean = [item for item in trial.items if item.id not in touched]
    hits = [float(np.argmax(scores[key(item)]) in item.right) for item in clean]
    images = [item.image_id for item in clean]
    # Of equal scores the first counts officially, and each for its share by the fair rule.
    first = [float(0 in item.right) for item in clean]
    for official, base in ((True, first), (False, [0.25] * len(clean))):
        (one,) = of(found, "lot", audited=True, official=official)
        alone = paired(hits, base, images, Bootstrap(resamples=50))
        assert one.value == alone.first and one.difference == alone.difference.value
        assert one.p == alone.p


def test_leaks_of_one_benchmark_tell_nothing_of_another(home: Path) -> None:
    leak_file.write(home / "leaks.jsonl", [Leak("vcr", "val-2", "rationale", "e", "near", 0.1)])
    where = world(home, "vcr", "aokvqa")
    chosen = settings(where, {"lot": lot()}, leaks="leaks.jsonl")
    found = evaluate(chosen, context(home / "out"))
    assert {one.benchmark for one in of(found, "lot", audited=True)} == {"vcr"}
    (told,) = [note for note in found.notes if note.startswith("aokvqa")]
    assert told == "aokvqa: no file of leaks names an item: it is clean, or was not audited"


def test_leaks_of_another_split_do_not_call_this_one_clean(home: Path) -> None:
    leak_file.write(home / "leaks.jsonl", [Leak("vcr", "train-2", "answer", "e", "near", 0.1)])
    chosen = settings(world(home, "vcr"), {"lot": lot()}, leaks="leaks.jsonl")
    found = evaluate(chosen, context(home / "out"))
    assert not of(found, "lot", audited=True)
    (told,) = [note for note in found.notes if "leaks" in note]
    assert told.startswith("vcr: the files of leaks name items, but none of these")


def test_a_benchmark_that_is_all_leaked_has_no_clean_figure(home: Path) -> None:
    leaks = [Leak("aokvqa", f"q{number}", "", "e", "copy", 0.0) for number in range(12)]
    leak_file.write(home / "leaks.parquet", leaks)
    models = {"one": lot(1), "two": lot(2)}
    chosen = settings(world(home, "aokvqa"), models, leaks="leaks.parquet")
    found = evaluate(chosen, context(home / "out"))
    for one in of(found, "two", audited=True):
        assert (one.items, one.images) == (0, 0)
        assert (one.value, one.low, one.chance, one.difference, one.p) == (None,) * 5
    assert "touches 12 of 12 items" in " ".join(found.notes)


@pytest.mark.parametrize("name", ["Broken", "Bottomless"])
def test_a_score_that_is_no_number_ends_it_and_is_not_kept(home: Path, name: str) -> None:
    model = {"use": f"evaluate_world:{name}"}
    with pytest.raises(UserError, match="broken gives aokvqa q0 a score that is not a number"):
        evaluate(settings(world(home, "aokvqa"), {"broken": model}), context(home / "out"))
    assert not list((home / "out/predictions").rglob("*.parquet"))


def test_a_folder_that_is_not_there_is_told_with_all_others(home: Path) -> None:
    where = {"vcr": {"folder": "nowhere"}, "aokvqa": {"folder": "nothing"}}
    with pytest.raises(UserError) as raised:
        evaluate(settings(where, {"lot": lot()}), context(home / "out"))
    told = str(raised.value)
    assert "vcr: no folder nowhere" in told and "aokvqa: no folder nothing" in told
    assert "skip" not in told


def test_parts_hold_all_items_once(home: Path) -> None:
    found = evaluate(settings(world(home), {"lot": lot()}), context(home / "out"))
    sliced = [one for one in found.outcomes if one.slicing]
    assert {one.slicing for one in sliced} >= {"kind of question"}
    whole = {(o.benchmark, o.task, o.metric): o for o in of(found, "lot", official=True)}
    for place in {(o.benchmark, o.task, o.metric, o.slicing) for o in sliced}:
        some = [o for o in sliced if (o.benchmark, o.task, o.metric, o.slicing) == place]
        total = whole[place[:3]]
        assert sum(o.items for o in some) == total.items
        mean = sum(o.items * (o.value or 0) for o in some) / total.items
        assert mean == pytest.approx(total.value)


def test_slices_are_by_regions_their_size_and_the_kind(home: Path) -> None:
    where = world(home, "vcr")
    found: Found = named("vcr").read(Path(where["vcr"]["folder"]), Options())
    regions, size, kind = slicings(found.items)
    assert set(regions.names) <= {"0", "1", "2", "3", "4", "5"}
    # The largest of VCR's regions that rows point to is 10 x 30 of 40 x 30 pixels or more.
    assert {size.names[place] for place in size.places if place is not None} == {"20 to under 50"}
    assert set(kind.places) == {None}


def test_what_is_cut_from_texts_is_told(home: Path) -> None:
    said: list[str] = []
    model = CONSTANT | {"protocol": {"words": 5}}
    found = evaluate(settings(world(home, "aokvqa"), {"cut": model}), context(home / "out", said))
    told = " ".join(found.notes)
    assert "words = 5 cuts 48 of 48 texts; in 12 items choices become alike" in told
    assert "48 of 48 texts are longer than the model reads" in told
    assert set(found.notes) <= set(said)


def test_the_summary_says_the_same_in_all_forms(home: Path) -> None:
    models = {"first": lot(1), "second": {"preset": "clip-vit-b-16", **lot(2), "checkpoint": "x"}}
    del models["second"]["checkpoint"]
    models["second"] = lot(2) | {"title": "Second | try", "figures": {"aokvqa": 58.3}}
    found = evaluate(settings(world(home, "aokvqa"), models), context(home / "out"))
    told = json.loads((home / "out/summary.json").read_text())
    assert [table.plain(one) for one in found.outcomes] == told["outcomes"]
    assert told["models"][1]["paper"] == {"aokvqa": 58.3}
    rows = (home / "out/summary.csv").read_text().splitlines()
    assert len(rows) == 1 + len(found.outcomes)
    text = (home / "out/summary.md").read_text()
    assert "| Second / try, the paper | 58.3 |" in text
    (official,) = of(found, "first", official=True)
    assert f"| first | {100 * (official.value or 0):.1f} [" in text


def test_a_preset_is_a_model_line_whose_keys_can_be_replaced() -> None:
    where = {"vcr": {"folder": "data"}}
    chosen = settings(
        where,
        {
            "a": "clip-vit-b-16",
            "b": {"preset": "clip-vit-b-16", "checkpoint": "mine", "protocol": {"lower": True}},
        },
    )
    a, b = chosen.models["a"], chosen.models["b"]
    assert a.model is not None and b.model is not None
    assert a.model.keys["checkpoint"] == "openai/clip-vit-base-patch16"
    assert b.model.keys["checkpoint"] == "mine"
    assert (a.protocol.score, a.protocol.lower) == ("itc", False)
    assert (b.protocol.score, b.protocol.lower) == ("itc", True)
    assert a.figures.aokvqa == b.figures.aokvqa == 58.3
    # What is written beside a run is read again as the same.
    assert Settings(**chosen.model_dump(mode="json", exclude_none=True)) == chosen


def test_all_mistakes_of_a_section_are_told_at_once() -> None:
    section = {
        "models": {
            "a": {"use": "evaluate_world:Blind"},
            "b": lot(sead=3),
            "c": {"use": "evaluate_world:Nobody"},
        },
        "benchmarks": {"vcr": {"folder": "data"}},
    }
    with pytest.raises(UserError) as raised:
        checked(Path("run.toml"), {"examples": "x", "evaluate": section}, with_models=True)
    told = str(raised.value)
    assert "[evaluate] models.a.model: evaluate_world:Blind cannot be a Scorer" in told
    assert "[evaluate] models.b.model: " in told and "its settings are: seed, log" in told
    assert "[evaluate] models.c.model: " in told and "no class 'Nobody'" in told


@pytest.mark.parametrize(
    ("section", "told"),
    [
        ({"benchmarks": {"vcr": {"folder": "x"}}}, "needs 'models'"),
        ({"models": {"a": {}}, "benchmarks": {"vcr": {"folder": "x"}}}, "needs a model"),
        ({"models": {"a": "clap"}, "benchmarks": {"vcr": {"folder": "x"}}}, "no preset 'clap'"),
        ({"models": {"a/b": lot()}, "benchmarks": {"vcr": {"folder": "x"}}}, "models.a/b: a name"),
        ({"models": {"a": lot()}, "benchmarks": {"vqa": {"folder": "x"}}}, "no benchmark 'vqa'"),
        (
            {"models": {"a": lot()}, "benchmarks": {"vcr": {"folder": "x", "splitt": "val"}}},
            "no setting 'benchmarks.vcr.splitt'; it has: folder, split, limit, seed, images",
        ),
        (
            {"models": {"a": lot()}, "benchmarks": {"vcr": {"folder": "x", "split": "dev"}}},
            "benchmarks.vcr: no split 'dev'; splits: train, val, test",
        ),
        (
            {
                "models": {"a": lot() | {"protocol": {"score": "best"}}},
                "benchmarks": {"vcr": {"folder": "x"}},
            },
            "models.a.protocol.score",
        ),
    ],
)
def test_a_wrong_section_is_told_with_what_would_be_right(
    section: dict[str, Any], told: str
) -> None:
    with pytest.raises(UserError) as raised:
        checked(Path("run.toml"), {"examples": "x", "evaluate": section})
    assert told in str(raised.value)


def test_a_model_without_the_head_that_is_asked_for_is_refused(home: Path) -> None:
    model = lot() | {"protocol": {"score": "likelihood"}}
    with pytest.raises(UserError, match="needs likelihood; this model gives itm"):
        evaluate(settings(world(home, "aokvqa"), {"lot": model}), context(home / "out"))


def test_roles_of_models_in_tables_are_checked() -> None:
    chosen = settings({"vcr": {"folder": "x"}}, {"a": {"use": "evaluate_world:Blind"}})
    assert wrong_models({"evaluate": chosen}) == [
        "[evaluate] models.a.model: evaluate_world:Blind cannot be a Scorer: it has no .fits()"
    ]


def test_a_shard_of_other_items_is_refused(home: Path) -> None:
    chosen = settings(world(home, "aokvqa"), {"lot": lot()})
    evaluate(chosen, context(home / "out"))
    (file,) = (home / "out/predictions").rglob("*.parquet")
    table.write(Prediction, file, table.read(Prediction, file)[1:])
    with pytest.raises(UserError, match="is not of these items: remove it"):
        evaluate(chosen, context(home / "out"))


SECTION = """
[evaluate.models]
one = { use = "evaluate_world:Lot", seed = 1, log = "log.txt" }
two = { use = "evaluate_world:Lot", seed = 2, log = "log.txt", protocol = { question = false } }

[evaluate.benchmarks]
aokvqa = { folder = "data/aokvqa" }
"""


def test_a_run_evaluates_once_and_its_report_leads_to_the_page(home: Path) -> None:
    house.build(home)
    put_aokvqa(home / "data/aokvqa")
    Path("small.toml").write_text(house.TOML + SECTION)
    run = house.run(Path("small.toml"))
    rows = house.rows(run, Outcome)
    assert {one.model for one in rows} == {"one", "two"}
    assert run.tables.shards(Outcome) == run.tables.shards(Image)
    assert len(asked(home / "log.txt")) == 24
    page = (run.own / "report/report.html").read_text()
    assert '<a href="../evaluate/evaluation.html">' in page
    before = house.files(home / "out")
    house.run(Path("small.toml"))
    assert house.files(home / "out") == before and len(asked(home / "log.txt")) == 24


def test_an_extending_run_with_other_intervals_asks_nothing_again(home: Path) -> None:
    house.build(home)
    put_aokvqa(home / "data/aokvqa")
    Path("small.toml").write_text(house.TOML + SECTION)
    first = house.run(Path("small.toml"))
    Path("child.toml").write_text('extends = "small.toml"\n[evaluate]\nresamples = 77\n')
    second = house.run(Path("child.toml"))
    assert second.own != first.own and (second.own / "evaluate/summary.md").exists()
    assert len(asked(home / "log.txt")) == 24
    assert [o.value for o in house.rows(first, Outcome)] == [
        o.value for o in house.rows(second, Outcome)
    ]
    with pytest.raises(UserError, match=r"models\.one\.protocol\.lower: False, now True"):
        house.run(Path("small.toml"), "evaluate.models.one.protocol.lower=true")


def test_a_scorers_idle_keys_are_no_other_setting(home: Path) -> None:
    house.build(home)
    put_aokvqa(home / "data/aokvqa")
    Path("small.toml").write_text(house.TOML + SECTION)
    house.run(Path("small.toml"))
    house.run(Path("small.toml"), 'evaluate.models.one.log="other.txt"')
    assert not Path("other.txt").exists()
