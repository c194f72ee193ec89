"""The verdicts of the lab's bars, on evaluations whose figures are put in."""

from collections.abc import Iterator, Mapping
from functools import cache
from itertools import islice
from pathlib import Path

import pytest
from lab_house import RUN

from earned import Shares, evaluation
from lskd import progress
from lskd.cli.options import seeds_of
from lskd.errors import UserError
from lskd.evaluate.work import Evaluation
from lskd.lab import measures
from lskd.lab.bars import Bar, Seed, bars, blindly, compared, judged
from lskd.lab.course import Course
from lskd.lab.measures import Filtering, Measure
from lskd.lab.world import World


def measure(value: float) -> Measure:
    return Measure(value, value - 2, value + 2)


def filtering(every: float = 45, best: float = 80, drawn: float = 46) -> Filtering:
    return Filtering(measure(every), measure(best), measure(drawn))


@cache
def seed(shares: Shares) -> Seed:
    test = evaluation(shares)
    return Seed(filtering(), test, test)


def by_claim(found: Iterator[Bar]) -> Mapping[str, Bar]:
    return {bar.claim: bar for bar in found}


def first(found: Iterator[Bar], words: str) -> Bar:
    """Return the first bar whose claim has some words; none after it is worked out."""
    return next(bar for bar in found if words in bar.claim)


def test_all_bars_are_met_where_the_student_points_and_forgets_nothing() -> None:
    found = by_claim(judged([seed(Shares())] * 3))
    assert [bar.claim for bar in found.values() if bar.met is False] == []
    pointing = found["student above base, with swaps"]
    assert pointing.found.value == pytest.approx(50)
    assert pointing.seeds == pytest.approx((50.0,) * 3)
    assert pointing.found.low < 50 < pointing.found.high
    reported = [bar.claim for bar in found.values() if bar.met is None]
    gains = ["vcr rationale", "visualcomet", "sherlock"]
    assert [claim.rsplit(" on ")[1] for claim in reported] == [
        *gains,
        *gains,
        *("aokvqa", "snli_ve", "visual7w"),
    ]
    begins = found["base on aokvqa"]
    assert begins.found.value == pytest.approx(60)


@pytest.mark.parametrize(
    ("shares", "missed"),
    [
        (Shares(student=0.69), ["student above base, with swaps"]),
        (Shares(base=0.3, student=0.8), ["base on localised choice"]),
        (
            Shares(after=0.58),
            [f"student above base on {name}" for name in ("aokvqa", "snli_ve", "visual7w")],
        ),
        (Shares(after=0.595), []),
    ],
)
def test_a_bar_that_is_missed_says_so(shares: Shares, missed: list[str]) -> None:
    found = by_claim(judged([seed(shares)]))
    assert [bar.claim for bar in found.values() if bar.met is False] == missed


@pytest.mark.parametrize(
    ("critic", "missed"),
    [
        (filtering(every=50, best=75, drawn=45), []),
        (filtering(best=74.5), ["acceptable of the critic's best 20 %"]),
        (filtering(every=50.5), ["acceptable of all triples"]),
        (filtering(every=39.5, drawn=44), ["acceptable of all triples"]),
        (filtering(drawn=50.5), ["acceptable of random 20 %"]),
        (filtering(drawn=39.5), ["acceptable of random 20 %"]),
    ],
)
def test_what_a_critic_keeps_is_judged_before_any_student(
    critic: Filtering, missed: list[str]
) -> None:
    nobody = Evaluation((), (), {}, (), (), (), ())
    found = list(islice(judged([Seed(critic, nobody, nobody)]), 3))
    assert [bar.claim for bar in found if not bar.met] == missed


def test_a_bar_is_judged_on_the_median_of_the_seeds() -> None:
    good, bad = seed(Shares()), seed(Shares(student=0.3))
    for seeds, met in (((good, bad, good), True), ((bad, good, bad), False)):
        pointing = first(judged(seeds), "student above base, with swaps")
        assert pointing.met is met
        assert sorted(pointing.seeds)[1] == pointing.found.value


def course(file: Path, tmp_path: Path) -> Course:
    return Course(file, tmp_path, tmp_path, 0, ())


def test_a_run_file_without_controls_is_told_before_anything_is_made(tmp_path: Path) -> None:
    nothing = World(tmp_path, 0, ())
    asked = course(RUN.parent / "lab" / "demo.toml", tmp_path)
    with pytest.raises(UserError, match=r"no control .*demo/controls/.*\.toml: the bars are"):
        bars(asked, (0,), nothing, progress.display("plain"))
    assert not list(tmp_path.iterdir())


def test_an_even_number_of_seeds_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    nothing = World(tmp_path, 0, ())
    with pytest.raises(UserError, match="seeds 0,1: a bar is judged on the middle one"):
        bars(course(RUN, tmp_path), (0, 1), nothing, progress.display("plain"))
    assert not list(tmp_path.iterdir())


def test_what_is_held_out_must_keep_half_of_the_gain() -> None:
    whole, half, less = (evaluation(Shares(student=share)) for share in (0.75, 0.51, 0.48))
    for held, met in ((half, True), (less, False)):
        bar = first(judged([Seed(filtering(), whole, held)]), "held-out")
        assert bar.met is met and bar.wanted == "at least 25.0, half of the gain"


PERMUTED = "acceptable of the best 20 % of a critic with permuted images"
UNFILTERED = "student on unfiltered triples, localised choice"
CONTROLLED = {
    "paper": Shares(student=0.4),
    "undrawn": Shares(student=0.29),
    "shuffled": Shares(student=0.21),
    "unfiltered": Shares(student=0.7),
}


def controlled(changed: Mapping[str, Shares], best: float) -> Mapping[str, Bar]:
    tests = {name: evaluation(shares) for name, shares in {**CONTROLLED, **changed}.items()}
    return by_claim(compared(seed(Shares(student=0.75)), tests, filtering(best=best)))


def test_controls_stand_beside_the_first_seed() -> None:
    found = controlled({}, 49)
    assert {bar.claim: (round(bar.found.value, 6), bar.met) for bar in found.values()} == {
        "student above base, the paper's losses": (15, None),
        "control undrawn above base": (4, True),
        "control shuffled above base": (-4, True),
        UNFILTERED: (70, True),
        PERMUTED: (49, True),
    }
    assert found[UNFILTERED].wanted == "below 75.0, that on as many filtered ones"
    assert found[PERMUTED].wanted == "45.0 +/- 5"


def test_controls_that_do_what_they_should_not_miss_their_bars() -> None:
    above, below = Shares(student=0.31), Shares(student=0.19)
    for undrawn, shuffled, best in ((above, below, 39), (below, above, 51)):
        controls = {"undrawn": undrawn, "shuffled": shuffled, "unfiltered": Shares(student=0.8)}
        found = controlled(controls, best)
        assert [bar.met for bar in found.values()] == [None, False, False, False, False]


def test_texts_alone_may_be_by_so_much_above_or_below_chance() -> None:
    """Sherlock's points are half as large."""
    for vcr, sherlock, met in ((2.9, -5.9, True), (-2.9, 5.9, True), (3.1, 6.1, False)):
        for sign in (1, -1):
            texts = {"vcr answer": measure(sign * vcr), "sherlock": measure(sign * sherlock)}
            found = by_claim(blindly(texts))
            assert [bar.met for bar in found.values()] == [met, met]
            assert [bar.found for bar in found.values()] == list(texts.values())
    told = {"vcr rationale": measure(47), "visualcomet": measure(20)}
    assert [bar.met for bar in blindly(told)] == [None, None]


def test_what_is_of_one_image_has_no_interval_and_says_so() -> None:
    with pytest.raises(UserError, match="2 items of 1 images have no interval"):
        measures.measure([1.0, 0.0], ["a", "a"])


@pytest.mark.parametrize("given", ["0,0,0", "0,1,0"])
def test_a_seed_that_is_named_twice_is_no_second_run(given: str) -> None:
    with pytest.raises(UserError, match="a seed again is the same run again"):
        seeds_of(given)
    assert seeds_of("0, 2,1") == (0, 2, 1)
