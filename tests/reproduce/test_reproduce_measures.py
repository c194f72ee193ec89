"""What each experiment makes of runs whose scores, judgments and answers are put in."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

import truths
from earned import Shares, evaluation
from lskd import progress, table
from lskd.evaluate.work import Evaluation
from lskd.lab.world import World
from lskd.reproduce import evidence
from lskd.reproduce.answers import BASE, SHORT, STUDENT
from lskd.reproduce.bench import Bench
from lskd.reproduce.evidence import HeldOut
from lskd.reproduce.experiment import Experiment, Measured
from lskd.reproduce.experiments import EXPERIMENTS
from lskd.run import Run, load
from lskd.types import Example, Judgment, Sample, Score

RUNS = Path(__file__).parents[2] / "runs"
ITEMS = 20  # of a task
ACCEPTED, REJECTED = (3, 3), (1, None)


def experiment(name: str) -> Experiment:
    return next(one for one in EXPERIMENTS if one.name == name)


@dataclass(frozen=True)
class Made:
    """A bench, usually of one seed, to which children are put that are there already."""

    home: Path
    world: World | None = None
    children: dict[tuple[str, int], Run] = field(default_factory=dict)
    evaluated: dict[tuple[Path, str], Evaluation] = field(default_factory=dict)
    seeds: tuple[int, ...] = (0,)

    def run(self, name: str) -> Run:
        own = self.home / name
        return load(RUNS / "lab.toml", (f"critic.judgments={own}/judgments.parquet",), own)

    def child(self, name: str) -> Run:
        """Return the child of an arm by its name, and have the bench find it."""
        return self.children.setdefault((name, 0), self.run(name))

    def measured(self, name: str) -> Measured:
        world = self.world or World(self.home, 0, ())
        show = progress.display("plain")
        runs = {seed: self.run(f"seed{seed}") for seed in self.seeds}
        bench = Bench(
            RUNS / "lab", self.home, world, runs, show, False, (), self.children, self.evaluated
        )
        one = experiment(name)
        return one.measure(bench, one)


def judged(run: Run, accept: Sequence[float], accepted: Sequence[bool]) -> None:
    """Have a run's triples scored and judged, one of each image.

    Beside these there are as many that its critic learnt from, about which it errs.
    """
    names = [f"{number:02d}" for number in range(len(accept))]
    held = zip(names, accept, accepted, strict=True)
    learnt = ((f"{name} learnt", 1 - one, not own) for name, one, own in held)
    rows = [*zip(names, accept, accepted, strict=True), *learnt]
    table.write(
        Sample,
        run.tables.file(Sample, "00000"),
        [Sample(n, n, "train" if "learnt" in n else "evaluate") for n, _, _ in rows],
    )
    scored(run, {name: one for name, one, _ in rows})
    table.write(
        Judgment,
        run.own / "judgments.parquet",
        [
            Judgment(name, name, person, *(ACCEPTED if own else REJECTED))
            for name, _, own in rows
            for person in "ab"
        ],
    )


def scored(run: Run, accept: Mapping[str, float], shard: str = "00000") -> None:
    rows = [Score(name, name, one, None, None) for name, one in accept.items()]
    table.write(Score, run.tables.file(Score, shard), rows)


def students(home: Path, name: str, shares: Mapping[str, Shares]) -> Made:
    """Have the students of an experiment answer, by the row of their arm."""
    made = Made(home)
    for arm in (*experiment(name).arms, SHORT):
        run = made.child(arm.name)
        given = evaluation(shares[arm.row], ITEMS)
        made.evaluated.update({(run.own, model): given for model in (BASE, STUDENT)})
    return made


def grown(made: Made, sizes: Mapping[str, int]) -> None:
    """Give the children of some arms, by name, a corpus of so many examples."""
    one = Example("e", "i", "", 9, 9, (), "id", "?", "a", "b", (), (), None, "lskd", "train")
    for name, size in sizes.items():
        table.write(Example, made.child(name).tables.file(Example, "00000"), [one] * size)


def claimed(found: Measured) -> list[float]:
    return [round(one.found.value, 6) for one in found.claims]


def told(found: Measured, column: int = 0) -> dict[str, float | None]:
    """Return a column of what was found, by the title of its row."""
    values = {line.title: line.found[column] for line in found.lines}
    return {title: None if one is None else round(one.value, 2) for title, one in values.items()}


def test_triples_that_the_critic_learnt_from_are_not_held_out(tmp_path: Path) -> None:
    run = Made(tmp_path).run("seed0")
    judged(run, [0.9, 0.2], [True, False])
    assert evidence.held_out(run) == [HeldOut("00", 0.9, True), HeldOut("01", 0.2, False)]


def test_table_1_holds_critics_against_one_with_neither_regression(tmp_path: Path) -> None:
    made = Made(tmp_path)
    truth = [True, True, False, False]
    judged(made.run("seed0"), [0.9, 0.9, 0.9, 0.1], truth)
    judged(made.child("table1-none"), [0.9, 0.1, 0.9, 0.1], truth)
    judged(made.child("table1-qa"), [0.9, 0.9, 0.1, 0.1], truth)
    judged(made.child("table1-rationale"), [0.1, 0.1, 0.9, 0.9], truth)
    found = made.measured("table1")
    # Both: F1 of accepts is 4/5, of rejects 2/3; precision 2/3 and 1, recall 1 and 1/2.
    assert claimed(found) == [50, -50, pytest.approx(70 + 10 / 3 - 50)]
    assert [round(one.paper or 0, 6) for one in found.claims] == [1.4, 0.5, 1.7]
    for column, both in enumerate((83.33, 75, 73.33)):
        assert told(found, column) == {"neither": 50, "QA": 100, "rationale": 0, "both": both}


def test_figure_2_is_of_those_that_the_critic_likes_best(tmp_path: Path) -> None:
    made = Made(tmp_path)
    scores = [0.95, 0.85, 0.75, 0.65, 0.55, 0.45, 0.35, 0.25, 0.15, 0.05]
    judged(made.run("seed0"), scores, [True, True, False, False, True, *[False] * 4, True])
    found = made.measured("figure2")
    assert told(found) == {"all triples": 40, "the critic's best 20 %": 100}
    assert claimed(found) == [60] and found.claims[0].paper == 25


def test_a_threshold_is_measured_on_the_half_that_it_was_not_chosen_on(tmp_path: Path) -> None:
    made = Made(tmp_path, seeds=(0, 1))
    # One half is sorted well, the other is not; the triples of both stand by turns.
    halves = ((0.9, 0.8, 0.4, 0.3), (0.9, 0.6, 0.5, 0.1))
    accepted = ((True, True, False, False), (True, False, False, False))
    turns = [[one for two in zip(*both, strict=True) for one in two] for both in (halves, accepted)]
    scores, truth = (10 * one for one in turns)
    for name in ("seed0", "seed1"):
        judged(made.run(name), scores, truth)
    found = made.measured("threshold")
    # For 60 % 0.4 keeps three of the other half and 0.9 one, each with one that is accepted.
    assert told(found) == {"60 % wished": 50, "70 % wished": 100, "80 % wished": 100}
    assert told(found, 1) == {"60 % wished": 50, "70 % wished": 25, "80 % wished": 25}
    words = [note.split(":")[0].split(",")[0] for note in found.notes]
    assert re.search(r"reached, which is \d+ points wide", found.notes[0])
    assert words == [
        "60% wished is within the interval of what was reached",
        "70% wished was more than met",
        "80% wished was more than met",
    ]


def test_whether_a_threshold_held_cannot_be_told_of_few_images_or_one_seed(tmp_path: Path) -> None:
    one = Made(tmp_path / "one")
    judged(one.run("seed0"), [0.9, 0.9, 0.8, 0.8] * 20, [True, True, False, False] * 20)
    few = Made(tmp_path / "few", seeds=(0, 1))
    for name in ("seed0", "seed1"):  # one image of a half has anything kept
        judged(few.run(name), [0.9, 0.9] + [0.1] * 60, [True, True] + [False] * 60)
    assert "cannot be told: 1 seeds" in one.measured("threshold").notes[0]
    told = few.measured("threshold").notes[0]
    assert "cannot be told: 2 seeds, of 2 images that had any kept" in told


def test_a_seed_of_which_a_threshold_keeps_nothing_has_not_reached_it(tmp_path: Path) -> None:
    made = Made(tmp_path)
    # Only one half has a threshold, and the other no score as high.
    judged(made.run("seed0"), [0.9, 0.5] + [0.4, 0.5] * 20, [True, False] + [False, False] * 20)
    found = made.measured("threshold")
    assert found.lines == ()
    assert found.notes[0] == "no threshold reaches 60% on either half of the images"


def test_a_threshold_that_is_not_reached_is_told(tmp_path: Path) -> None:
    made = Made(tmp_path)
    judged(made.run("seed0"), [0.9, 0.8], [False, False])
    found = made.measured("threshold")
    assert found.lines == ()
    assert found.notes[0] == "no threshold reaches 60% on either half of the images"


def test_table_2_is_by_how_much_the_critic_likes_less_what_was_told_less(tmp_path: Path) -> None:
    made = Made(tmp_path)
    means = dict(zip(experiment("table2").arms, (0.7, 0.6, 0.5, 0.4, 0.9), strict=True))
    for arm, mean in means.items():
        scored(made.child(arm.name), {"a": mean - 0.1, "b": mean + 0.1})
    full = made.run("seed0")
    scored(full, {"a": 0.8, "b": 0.8})
    scored(full, {"c": 0.0}, "00001")  # a shard that the arms have not
    found = made.measured("table2")
    assert told(found) == {"full": 80, **{arm.row: 100 * mean for arm, mean in means.items()}}
    assert claimed(found) == [10, 20, 30, 40, -10]
    assert [round(one.paper or 0, 6) for one in found.claims] == [6.3, 2.3, 4.1, 8.6, 9.4]


def test_figure_3_is_by_how_much_people_like_better_what_is_kept(tmp_path: Path) -> None:
    run = Made(tmp_path).run("seed0")
    true = [True] * 6 + [False] * 14
    world = truths.put(run, tmp_path / "world", true)
    one = Example("", "i", "", 9, 9, (), "id", "?", "a", "b", (), (), None, "lskd", "train")
    kept = [replace(one, id=f"t{number}") for number in range(6)]
    table.write(Example, run.tables.file(Example, "00000"), kept)
    found = Made(tmp_path, world).measured("figure3")
    for column in (0, 1):
        every, best = told(found, column).values()
        assert every is not None and best is not None and every < 2 < best
        assert claimed(found)[column] == pytest.approx(best - every, abs=0.011)


def test_table_3_is_by_how_much_the_student_is_above_the_base(tmp_path: Path) -> None:
    shares = Shares(base=0.25, student=0.75, before=0.6, after=0.7)
    found = students(tmp_path, "table3", {SHORT.row: shares}).measured("table3")
    # Both tasks of VCR are right where the worse one is; Sherlock's points run from -100.
    assert claimed(found) == [50, 10, 45, 20, 10, 10, 10, 10]
    assert [round(one.paper or 0, 6) for one in found.claims[:2]] == [2.9, 6.6]
    base, student = (one for one in found.lines if "(in the paper" in one.title)
    assert base.title.startswith("base") and student.title.startswith("student")
    for line, values in ((base, (25, 60, 25, 20, 60)), (student, (75, 70, 70, 40, 70))):
        first = [one.value for one in line.found[:5] if one is not None]
        assert first == pytest.approx(values)


def test_figure_4_holds_filtered_triples_against_all_and_against_whole_images(
    tmp_path: Path,
) -> None:
    shares = {
        "all, unfiltered": Shares(student=0.5, after=0.5),
        "the better half": Shares(student=0.6, after=0.6),
        "LLaVA's form": Shares(student=0.4, after=0.4),
        SHORT.row: Shares(student=0.7, after=0.65),
    }
    found = students(tmp_path, "figure4", shares).measured("figure4")
    # Best less all, best less whole images, half less all, best less half; then the other column.
    assert claimed(found) == [20, 30, 10, 10, 30, 50, 20, 10]
    assert list(told(found).values()) == [50, 60, 40, 70, 25]
    assert "all, unfiltered" in told(found) and "base" in told(found)


def test_table_4_holds_corpora_against_the_base_and_each_other(tmp_path: Path) -> None:
    shares = {
        "Sherlock, people": Shares(after=0.7),
        "VisualCOMET, people": Shares(after=0.5),
        "LLaVA-Instruct": Shares(after=0.65),
        "LSKD, 150K": Shares(student=0.4, after=0.8),
        SHORT.row: Shares(student=0.75, after=0.8),
    }
    made = students(tmp_path, "table4", shares)
    grown(made, {"short": 4, "table4-small": 2})
    found = made.measured("table4")
    assert claimed(found) == [35, 20, -10, 10, 5, 30]
    # The paper's own differences, each of the columns that the claim is about.
    assert [round(one.paper or 0, 6) for one in found.claims] == [0.1, 11, 11.2, 6.3, 3, 2.8]
    sizes = [line.title for line in found.lines if "the lab's, " in line.title]
    assert sizes == [
        "the lab's, 15 % of it, 2 examples (in the paper LSKD, 150K)",
        "the lab's, 4 examples (in the paper LSKD, 1M)",
    ]


def test_the_labs_student_is_held_against_those_with_one_setting_changed(tmp_path: Path) -> None:
    rows = [arm.row for arm in experiment("negatives").arms]
    shares = dict(zip(rows, map(Shares, [0.25] * 3, (0.6, 0.8, 0.7)), strict=True))
    shares[SHORT.row] = Shares(student=0.7)
    found = students(tmp_path, "negatives", shares).measured("negatives")
    assert claimed(found) == [10, -10, 0]
    assert list(told(found).values()) == [70, 60, 80, 70]


def test_growth_is_told_by_each_doubling_of_the_corpus(tmp_path: Path) -> None:
    shares = {
        "a seventh": Shares(student=0.4, after=0.7),
        "two fifths": Shares(student=0.5, after=0.65),
        SHORT.row: Shares(student=0.6, after=0.6),
    }
    made = students(tmp_path, "scaling", shares)
    grown(made, {"table4-small": 2, "scaling-medium": 4, "short": 8})
    found = made.measured("scaling")
    assert claimed(found) == [10, 10, -10]
    assert told(found) == {"2 examples": 40, "4 examples": 50, "8 examples": 60}
