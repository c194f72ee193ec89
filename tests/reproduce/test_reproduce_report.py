"""The report, the paper's numbers, other makers' corpora, and run files laid over each other."""

import re
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from lskd import exchange, progress, table
from lskd.errors import UserError
from lskd.evaluate import trial
from lskd.evaluate.stage import Source
from lskd.lab import gold, world
from lskd.lab.words import an, answer
from lskd.lab.world import Numbers, Staged, World, stage
from lskd.reproduce import answers, foreign, page, work
from lskd.reproduce.bench import (
    DESCRIBED,
    SHARDS,
    own_sections,
    parent_file,
    without_people,
)
from lskd.reproduce.chart import Curve, Point, svg
from lskd.reproduce.critics import AtLeast
from lskd.reproduce.experiment import Claim, Experiment, Figure, Finding, Line, Measured
from lskd.reproduce.experiments import EXPERIMENTS
from lskd.reproduce.of_student import telling
from lskd.reproduce.page import Facts
from lskd.reproduce.paper import reported
from lskd.reproduce.work import Wanted
from lskd.run import load
from lskd.types import Example, Score, Triple
from typed import lskd

RUNS = Path(__file__).parents[2] / "runs"
LAB = RUNS / "lab"


def experiment(name: str) -> Experiment:
    return next(one for one in EXPERIMENTS if one.name == name)


def found(name: str, low: float, high: float, learned: bool = True) -> Finding:
    one = Figure((low + high) / 2, low, high, (low, high))
    reason = "" if learned else "it was put in"
    claim = Claim("the first is above the second", one, 2.0, learned, reason)
    line = Line("full <b>", (58.4,), (one,))
    lines = (line, replace(line, title="paper alone", found=(None,)))
    return Finding(experiment(name), Measured(("score",), lines, (claim,), ("a `note`",), "<svg/>"))


def triple(number: int) -> Triple:
    return Triple(f"t{number}", "r", f"i{number % 7}", "id", "What is [0]?", "A ball.", "", (0,))


def test_every_number_of_the_paper_is_in_its_text(shared: Path) -> None:
    text = "\n".join(file.read_text() for file in sorted((shared / "paper").glob("*.txt")))
    for one in reported().values():
        for row, values in one.rows.items():
            for value in values:
                # "45%" and "70% acceptance" in the text of Figure 2.
                if value is not None:
                    spelled = re.escape(f"{value:.1f}") + rf"(?!\d)|{value:.0f}%"
                    assert re.search(rf"(?<![\d.])(?:{spelled})", text), (row, value)


def test_rows_of_table_2_and_3_stand_in_the_paper_in_this_order(shared: Path) -> None:
    text = "\n".join(file.read_text() for file in sorted((shared / "paper").glob("*.txt")))
    numbers = [float(value) for value in re.findall(r"(?<![\d.])\d{1,2}\.\d(?!\d)", text)]
    for name in ("table2", "table3", "table4", "table5"):
        told = [v for row in reported()[name].rows.values() for v in row if v is not None]
        places = iter(numbers)
        assert all(value in places for value in told), name


def test_every_experiment_names_what_the_paper_reports_and_run_files_that_are_there() -> None:
    for one in EXPERIMENTS:
        assert one.paper in (*reported(), "")
        assert one.learned or one.why
        for arm in one.arms:
            assert own_sections(LAB / f"{arm.file}.toml", LAB.parent / "lab.toml")
            if one.paper and one.name not in ("figure4", "table5", "figure5"):
                assert arm.row in reported()[one.paper].rows
    assert {one.paper for one in EXPERIMENTS if one.paper} == set(reported())


def test_the_report_shows_both_numbers_and_a_sentence_and_asks_no_server(tmp_path: Path) -> None:
    findings = [
        found("table1", 1.0, 2.0),
        found("table2", 1.0, 2.0, learned=False),
        Finding(experiment("table5"), None, "nobody compared them"),
    ]
    file = page.write(tmp_path, findings, Facts("lab.toml", ("all is simulated",)))
    html, markdown = file.read_text(), (tmp_path / "report.md").read_text()
    for text in (html, markdown):
        assert "1.5" in text and "58.4" in text and "all is simulated" in text
        assert "Agrees in direction: the first is above the second" in text
        assert "By construction, no evidence either way" in text
        assert text.count("By construction, since it was put in.") == 1
        # What was not run still stands with the paper's numbers.
        assert "FlanT5 + LSKD, the paper" in text and "41.2" in text
        assert "Not run: nobody compared them" in text
    assert "full &lt;b&gt;" in html and "<svg/>" in html
    assert "a <code>note</code></p>" in html and "a `note`" in markdown
    assert "http://" not in html and "https://" not in html and "<script" not in html
    assert markdown.count("| *the paper* | 58.4 |") == 2


def test_what_is_beyond_the_paper_is_not_counted_as_agreement() -> None:
    one = found("negatives", 1.0, 2.0)
    assert one.measured is not None
    claims = tuple(replace(claim, beyond=True) for claim in one.measured.claims)
    beyond = replace(one, measured=replace(one.measured, claims=claims))
    assert page.counted(one, "agrees") == 1 and page.counted(beyond, "agrees") == 0
    assert page.counted(beyond, "holds") == 1


def test_a_change_to_what_makes_an_experiment_differ_is_refused(tmp_path: Path) -> None:
    wanted = Wanted(
        LAB, tmp_path, Numbers(1, 1, 1), changes=("distil.steps=20", "distil.kin=apart")
    )
    with pytest.raises(UserError, match=r"distil\.kin=apart: .*kin-release\.toml") as told:
        work.reproduce(wanted, progress.display("plain"))
    assert "\n" not in str(told.value) and not list(tmp_path.iterdir())
    work.check_changes(wanted, work.selected(("figure4",)))
    whole = replace(wanted, changes=("score={}",))
    with pytest.raises(UserError, match=r"score\.critic is what makes"):
        work.check_changes(whole, work.selected(("figure4",)))


def test_a_finding_without_claims_is_still_told_to_be_by_construction() -> None:
    one = found("figure5", 0, 1, learned=False)
    assert one.measured is not None
    bare = replace(one, measured=replace(one.measured, claims=()))
    ((said, verdict),) = page.sentences(bare)
    assert verdict == "by construction" and bare.experiment.why in said


def test_a_picture_says_its_numbers_in_words_and_keeps_names_apart() -> None:
    curves = [Curve(f"line {n}", (Point(0, 1, 0.5, 1.5), Point(1, 2))) for n in range(3)]
    text = svg("A <title>", "share", "points", [*curves, Curve("none", ())])
    assert "line 0: 1.0 at 0, 2.0 at 1." in text and "A &lt;title&gt;" in text
    places = [float(y) for y in re.findall(r'x="498.0" y="([\d.]+)"', text)]
    assert len(places) == 3 and min(b - a for a, b in pairwise(places)) >= 15
    assert svg("nothing", "x", "y", [Curve("none", ())]) == ""


def test_a_run_file_is_laid_over_those_between_it_and_the_labs() -> None:
    own = own_sections(LAB / "no-swaps.toml", RUNS / "lab.toml")
    short = {"steps": 500, "batch": 24, "rehearsed": 0.35, "save_every": 500}
    assert own["distil"] == {**short, "learning_rate": 1e-3, "swaps": 0.0}
    assert set(own) == {"distil", "evaluate"}


@pytest.mark.parametrize(
    ("text", "told"),
    [("[distil]\nsteps = 3\n", "does not extend"), ("[distil", "cannot read"), (None, "no run")],
)
def test_a_run_file_that_cannot_be_laid_over_the_labs_is_one_clear_line(
    tmp_path: Path, text: str | None, told: str
) -> None:
    file = tmp_path / "own.toml"
    if text is not None:
        file.write_text(text)
    with pytest.raises(UserError, match=told):
        own_sections(file, RUNS / "lab.toml")


def test_triples_that_nobody_judged_are_scored_without_sample_and_critic(tmp_path: Path) -> None:
    out, few = tmp_path / "out", tmp_path / "few"
    run = load(RUNS / "lab.toml", (), out)
    out.mkdir()
    (out / "run.toml").write_text(run.text())
    for name in DESCRIBED:
        (out / name / "image").mkdir(parents=True)
        (out / name / "stage.json").write_text(name)
        for shard in range(SHARDS + 1):
            (out / name / "image" / f"{shard:05d}.parquet").write_text(name)
    told = without_people(run, {"generate": {"descriptors": ["regions"]}}, few)
    assert not {"sample", "critic", "distil", "evaluate", "extends"} & told.keys()
    assert told["generate"]["descriptors"] == ["regions"] and told["generate"]["turns"] == 4
    assert told["read_from"]["dialogue"] == (few / "dialogue").resolve().as_posix()
    for name in DESCRIBED:
        assert len(list((few / name).glob("image/*.parquet"))) == SHARDS
        assert (few / name / "stage.json").read_text() == name


def test_a_folder_without_its_run_file_is_refused_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"beside runs/lab\.toml"):
        parent_file(tmp_path)
    with pytest.raises(UserError, match="table1"):
        work.selected(("tabel1",))
    shown = lskd("reproduce", tmp_path, "--only", "table2", folder=tmp_path)
    assert shown.returncode == 2 and shown.stderr.startswith("error: ")


@pytest.fixture
def scores(tmp_path: Path) -> Path:
    rows = [Score(f"t{n}", f"i{n % 7}", n / 100, None, None) for n in range(100)]
    for number, some in enumerate((rows[:60], rows[60:])):
        table.write(Score, tmp_path / "score" / f"{number:05d}.parquet", some)
    return tmp_path


@pytest.mark.parametrize(("threshold", "best", "lowest"), [(0.4, None, 40), (None, 0.25, 75)])
def test_as_many_are_drawn_from_those_that_are_liked_enough(
    scores: Path, threshold: float | None, best: float | None, lowest: int
) -> None:
    critic = AtLeast(str(scores), threshold, best)
    (said,) = critic.score([], [[triple(n) for n in range(100)]])
    drawn = sorted(said, key=lambda one: -one.accept)[:20]
    numbers = {int(one.triple_id[1:]) for one in drawn}
    assert min(numbers) >= lowest and numbers != set(range(80, 100))
    assert all((one.accept >= 0.5) == (int(one.triple_id[1:]) >= lowest) for one in said)
    (again,) = AtLeast(str(scores), threshold, best, 1).score([], [[triple(n) for n in range(100)]])
    assert [one.accept for one in again] != [one.accept for one in said]


def test_wrong_ways_to_draw_are_one_clear_line(scores: Path, tmp_path: Path) -> None:
    table.write(Score, tmp_path / "empty" / "score" / "00000.parquet", [])
    wrong: list[tuple[Callable[[], object], str]] = [
        (lambda: AtLeast(str(scores)), "either"),
        (lambda: AtLeast(str(scores), 0.5, 0.5), "either"),
        (lambda: AtLeast(str(scores), best=1.5), "from 0 to 1"),
        (lambda: AtLeast(str(tmp_path / "none"), best=0.5), "no scores"),
        (lambda: AtLeast(str(tmp_path / "empty"), best=0.5), "no triple was scored"),
        (lambda: AtLeast(str(scores), best=0.5).score([], [[triple(100)]]), "not scored"),
    ]
    for act, told in wrong:
        with pytest.raises(UserError, match=told):
            act()


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> World:
    folder = tmp_path_factory.mktemp("world")
    return world.make(folder, Numbers(12, 2, 2), 0, lambda count: None)


def examples(folder: Path) -> list[Example]:
    tables = exchange.corpus(folder, ()).tables
    return [row for shard in tables.shards(Example) for row in tables.read(Example, shard)]


def test_sherlocks_form_says_what_is_true_of_one_region(small: World, tmp_path: Path) -> None:
    made = foreign.corpus("sherlock", small, tmp_path)
    rows = examples(made)
    assert len(rows) == 3 * 12
    for row in rows:
        staged = small.by_id[row.image_id]
        (region,) = row.regions
        entity = world.entity_at(staged, region.box)
        assert entity is not None
        true = {answer(staged.scene, entity, ask) for ask in ("why", "before", "next")}
        assert row.answer in true and row.style == "id" and row.rationale
    before = (made / "corpus" / "example" / "00000.parquet").stat().st_mtime_ns
    assert foreign.corpus("sherlock", small, tmp_path) == made
    assert (made / "corpus" / "example" / "00000.parquet").stat().st_mtime_ns == before


def test_visualcomets_form_says_what_is_true_of_one_person(small: World, tmp_path: Path) -> None:
    rows = examples(foreign.corpus("visualcomet", small, tmp_path))
    pictures = {row.image_id for row in rows}
    assert len(pictures) > 6 and len(rows) == 3 * len(pictures)
    for row in rows:
        staged = small.by_id[row.image_id]
        (about,) = row.region_ids
        entity = world.entity_at(staged, row.regions[about].box)
        assert entity is not None and staged.scene.entities[entity].is_person
        person = f"[{about}]"
        assert row.question == f"{person} is {place_of(staged)}, {place_of(staged)}"
        assert row.answer.startswith(person) and not row.rationale
        true = " ".join(answer(staged.scene, entity, ask) for ask in ("why", "before", "next"))
        # Whatever words a relation puts before it, the inference is the world's own.
        assert set(row.answer.split()[-2:]) <= set(true.split())


def place_of(staged: Staged) -> str:
    return f"at {an(staged.scene.place)}"


def test_llavas_form_asks_about_whole_pictures_and_names_no_region(
    small: World, tmp_path: Path
) -> None:
    rows = examples(foreign.corpus("llava", small, tmp_path))
    assert len(rows) == 3 * 12
    assert all(row.style == "description" and not row.regions for row in rows)
    assert all(row.question.endswith("?") and row.answer.endswith(".") for row in rows)


def test_columns_that_texts_alone_can_do_are_named(tmp_path: Path) -> None:
    scenes = [stage(tmp_path, 7, "test", number) for number in range(24)]
    gold.vcr.write(tmp_path / "vcr", tmp_path, scenes, 7)
    asked = trial.read({"vcr": Source(folder=str(tmp_path / "vcr"))}, "error", ())
    columns = reported()["table3"].columns
    texts = answers.by_texts(asked, 7, columns)
    assert set(texts.earned) == {"VCR Q→A", "VCR QA→R", "VCR Q→AR"}
    assert texts.telling() == ["VCR QA→R", "VCR Q→AR"]
    said = telling(texts)
    assert "VCR QA→R (" in said and "need not come from looking" in said and "Q→A (" not in said
