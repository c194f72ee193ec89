"""A student that writes and its teacher answer the same questions, and judges compare them."""

from pathlib import Path

import pytest

from lskd import execute, progress
from lskd.execute import Selection
from lskd.human import answers
from lskd.human.teacher import TEACHER
from lskd.lab import world
from lskd.lab.course import Course
from lskd.lab.world import Numbers
from lskd.reproduce import page
from lskd.reproduce.bench import Bench
from lskd.reproduce.experiment import Finding, Line
from lskd.reproduce.experiments import EXPERIMENTS
from lskd.reproduce.of_writer import DUELS, STUDENT, WRITES, answered, duelled

ROOT = Path(__file__).parents[2]
SHORT = (
    'score.critic={use="lskd.lab.controls:RandomCritic"}',
    "sample.train=60",
    "sample.evaluate=20",
)
FEW = (
    f"generative.student.checkpoint={ROOT}/src/lskd/lab/speaker",
    "generative.steps=2",
    "generative.batch=2",
    "generative.views=1",
)


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """Return a lab whose student that writes takes two steps, and knows next to nothing."""
    home = tmp_path_factory.mktemp("lab")
    scenes = world.make(home / "world", Numbers(8, 8, 2), 0, lambda count: None)
    run = Course(ROOT / "runs" / "lab.toml", home, home, 0, SHORT).loaded()
    for chosen in (Selection(until="sample"), Selection(only="score"), Selection(only="corpus")):
        execute.execute(run, chosen, progress.display("plain"))
    folder = ROOT / "runs" / "lab"
    return Bench(folder, home, scenes, {0: run}, progress.display("plain"), changes=FEW)


def measured(bench: Bench, name: str) -> Finding:
    (one,) = [one for one in EXPERIMENTS if one.name == name]
    return Finding(one, one.measure(bench, one))


def test_table_5_tells_how_often_judges_prefer_the_teacher_the_student_or_neither(
    bench: Bench,
) -> None:
    found = measured(bench, "table5")
    assert found.measured is not None
    own = [line for line in found.measured.lines if WRITES.row in line.title]
    assert [line.title for line in own] == [
        f"{TEACHER}, against {WRITES.row}",
        WRITES.row,
        f"tie, {WRITES.row}",
    ]

    def values(line: Line) -> list[float]:
        return [one.value for one in line.found if one is not None]

    shares = [values(line) for line in own]
    assert [sum(some) for some in zip(*shares, strict=True)] == pytest.approx([100.0] * 4)
    taught, learnt, _ = shares
    # The teacher knows the table; two steps teach nobody, and say nothing of any rationale.
    assert all(one > other for one, other in zip(taught, learnt, strict=True))
    assert [verdict for _, verdict in page.sentences(found)] == ["by construction"]


def test_what_both_answer_alike_and_what_judges_do_not_decide_is_counted(bench: Bench) -> None:
    found = duelled(bench, 0)
    folder = answered(bench, 0)
    said = {
        name: {one.question_id: one for one in answers.read(folder / f"{name}.jsonl").answers}
        for name in (TEACHER, STUDENT)
    }
    both = said[TEACHER].keys() & said[STUDENT].keys()
    assert found.asked == len(both) > 10
    assert found.pairs == min(DUELS, found.asked - found.alike)
    for decided in found.decided.values():
        assert 0 < len(decided) <= found.pairs
    images = {one.image for one in said[TEACHER].values()}
    assert {image for image, _ in found.decided["overall"]} <= images
    assert images <= {staged.image_id for staged in bench.world.of("test")}


def test_figure_5_leads_to_a_page_of_answers_and_nothing_is_asked_twice(bench: Bench) -> None:
    found = measured(bench, "figure5")
    assert found.measured is not None
    file = Path(found.measured.notes[-1].removeprefix("Answers side by side: "))
    assert TEACHER in file.read_text() and STUDENT in file.read_text()
    before = {one: one.read_bytes() for one in (file.parent / "journal").iterdir()}
    answered(bench, 0)
    assert {one: one.read_bytes() for one in (file.parent / "journal").iterdir()} == before
