"""One short course of the lab: scenes to evaluated student, with bars that a short one can meet."""

from pathlib import Path

import pytest
from lab_house import FEW, RUN

from lskd import progress, show
from lskd.errors import UserError
from lskd.lab import measures, page
from lskd.lab.annotators import Annotators
from lskd.lab.course import Course, control, make_world, take
from lskd.lab.jobs import ahead
from lskd.lab.world import Numbers, World
from lskd.reproduce.bench import Bench
from lskd.reproduce.experiments import EXPERIMENTS
from lskd.reproduce.work import QUICK, report
from lskd.run import Run
from lskd.types import Example, Fit, Outcome, Student, Triple

# Half a minute on a core: few scenes and few steps of runs/lab.toml.
SHORT = (
    *FEW,
    "images.shard_size=8",  # so that two shards, which is all that Table 2 reads, are few
    "distil.steps=4",  # it begins to point in hundreds: test_lab_pointing.py
    "distil.save_every=2",
    "distil.batch=8",
    "evaluate.benchmarks.vcr.limit=40",
    "evaluate.resamples=200",
)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("lab")


@pytest.fixture(scope="module")
def scenes(home: Path) -> World:
    return make_world(home / "world", Numbers(48, 10, 6), 0, progress.display("plain"))


@pytest.fixture(scope="module")
def course(home: Path) -> Course:
    return Course(RUN, home, home, 0, SHORT)


@pytest.fixture(scope="module")
def done(course: Course, scenes: World) -> Run:
    return take(course, scenes, Annotators(), progress.display("plain"))


@pytest.mark.timeout(600)
def test_a_course_ends_in_a_critic_a_student_and_a_table(done: Run) -> None:
    tables = done.tables
    assert sum(tables.count(Triple, shard) for shard in tables.shards(Triple)) > 520
    assert sum(tables.count(Fit, shard) for shard in tables.shards(Fit)) == 1
    (student,) = [row for shard in tables.shards(Student) for row in tables.read(Student, shard)]
    assert Path(student.folder, "student.toml").is_file()
    kept = sum(tables.count(Example, shard) for shard in tables.shards(Example))
    assert kept == student.examples
    rows = [row for shard in tables.shards(Outcome) for row in tables.read(Outcome, shard)]
    told = {row.benchmark for row in rows if row.model == "student" and row.value is not None}
    assert told == {"vcr", "sherlock", "visualcomet", "aokvqa", "snli_ve", "visual7w"}


def test_the_critic_of_a_short_course_ranks_what_people_accept_above_the_rest(done: Run) -> None:
    """At random its average precision would be the share that people accept."""
    tables = done.tables
    (fit,) = [row for shard in tables.shards(Fit) for row in tables.read(Fit, shard)]
    assert fit.average_precision is not None
    assert fit.average_precision > fit.accepted + 0.1


def test_about_45_percent_of_a_short_course_is_acceptable(done: Run, scenes: World) -> None:
    found = measures.filtering(done, scenes)
    assert 35 < found.every.value < 55  # a full one: 45 +/- 5
    assert found.every.low < found.every.value < found.every.high
    # A few dozen triples: their 95 % interval is left once in twenty courses, by so much hardly.
    width = found.random.high - found.random.low
    assert abs(found.random.value - found.every.value) < width / 2 + 3


def test_the_base_is_at_chance_on_localised_choice_and_texts_tell_nothing(
    done: Run, scenes: World
) -> None:
    test = measures.evaluated(done, scenes.folder, "test")
    base = measures.result(test, "base", "vcr", "answer")
    # Each picture's questions are balanced; few pictures leave a wide interval.
    assert base.low - 3 < 25 < base.high + 3
    for found in measures.blind(done, 0).values():
        assert found.low - 5 < 0 < found.high + 5


def test_questions_about_held_out_combinations_are_answered_apart(done: Run, scenes: World) -> None:
    held = measures.evaluated(done, scenes.folder, "held")
    (vcr,) = held.trials
    asked = {item.image_id for item in vcr.items}
    assert vcr.name == "vcr" and asked
    assert asked <= {scene.image_id for scene in scenes.of("held")}
    gained = measures.gain(held, "vcr", "answer")
    assert gained.low <= gained.value <= gained.high


def test_the_same_course_again_trains_and_asks_nothing(
    course: Course, scenes: World, done: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    made = done.own / "distil" / "student" / "model.safetensors"
    before = made.stat().st_mtime_ns
    take(course, scenes, Annotators(), progress.display("plain"))
    assert made.stat().st_mtime_ns == before
    assert "step" not in capsys.readouterr().err


@pytest.mark.check
@pytest.mark.timeout(1200)
def test_what_several_processes_have_made_is_found_and_made_no_other_way(
    course: Course, scenes: World, done: Run, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ahead(course, (0, 1), ("undrawn",), jobs=2)
    capsys.readouterr()
    take(course.of_seeds((0, 1))[1], scenes, Annotators(seed=1), progress.display("plain"))
    child = control("undrawn", course, done, progress.display("plain"))
    assert "step" not in capsys.readouterr().err
    assert (child.own / "distil" / "student" / "model.safetensors").is_file()


@pytest.mark.check
def test_a_control_inherits_all_but_what_it_changes(course: Course, done: Run) -> None:
    child = control("shuffled", course, done, progress.display("plain"))
    assert child.folders["corpus"].resolve() == done.folders["corpus"].resolve()
    assert child.folders["distil"].resolve() != done.folders["distil"].resolve()
    (student,) = [
        row for shard in child.tables.shards(Student) for row in child.tables.read(Student, shard)
    ]
    assert student.digest != _student(done).digest
    # Its views are those of its parent, with other texts: the tower need not look again.
    assert not (child.own / "distil" / "features").exists()
    (model, other) = measures.pointed(child).answers
    assert (model, other) == ("base", "student")


def test_the_page_shows_scenes_curve_and_answers_and_asks_no_server(
    done: Run, scenes: World
) -> None:
    file = page.write(done, scenes)
    text = file.read_text()
    assert text.count("<figure>") >= page.SHOWN
    assert "Figure 2" in text and "<svg" in text
    assert "http://" not in text.replace("http://www.w3.org/", "") and "https://" not in text


@pytest.mark.timeout(600)
def test_the_paper_is_told_table_by_table_of_the_same_run(
    course: Course, scenes: World, done: Run
) -> None:
    show = progress.display("plain")
    bench = Bench(RUN.parent / "lab", course.home, scenes, {0: done}, show, quick=True)
    file = report(bench, EXPERIMENTS)
    text = (file.parent / "report.md").read_text()
    assert text.count(f"Not run: {QUICK}") == sum(one.trains for one in EXPERIMENTS)
    for told in (
        "## Table 2",
        "## Figure 2",
        "## Figure 3",
        "student (in the paper",
        "texts alone",
        "simulated",
    ):
        assert told in text
    # Nobody judged what a teacher wrote who was told less: the run's own critic scores it.
    child = course.home / "reproduce" / "table2-no-local" / "seed0"
    assert (child / "score").is_dir() and not (child / "critic").exists()
    assert not (child / "dialogue").exists()


def test_show_prints_what_is_known_of_a_scene_in_a_run_with_a_student(done: Run) -> None:
    shard = done.tables.shards(Triple)[0]
    image_id = done.tables.read(Triple, shard)[0].image_id
    place, image = show.find(done, image_id)
    kinds = {type(row.record).__name__ for row in show.rows(done, place, image)}
    assert {"Image", "Regions", "Triple", "Score"} <= kinds
    assert not {"Student", "Outcome", "Fit"} & kinds


def test_a_run_file_without_people_is_no_run_of_the_lab(home: Path, scenes: World) -> None:
    other = Course(RUN.parent / "photos.toml", home, home / "other")
    with pytest.raises(UserError):
        take(other, scenes, Annotators(), progress.display("plain"))


def _student(run: Run) -> Student:
    (found,) = [
        row for shard in run.tables.shards(Student) for row in run.tables.read(Student, shard)
    ]
    return found
