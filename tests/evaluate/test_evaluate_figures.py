"""Which choices count as right, and what is told of confidence and of people."""

from dataclasses import replace

import pytest

import earned
from lskd.evaluate.figures import calibrations, figures, people, right_of
from lskd.evaluate.trial import Trial, key
from lskd.types import Item

CHOICES = ("cat", "dog", "cat", "Cat")


def item(
    benchmark: str,
    right: tuple[int, ...] = (0,),
    ratings: tuple[tuple[float, ...], ...] = (),
    task: str = "",
    number: int = 0,
) -> Item:
    made = earned.item(benchmark, number, task, CHOICES, right, ratings)
    return replace(made, id=f"q{number}", image_id=f"i{number}")


def trial(*items: Item) -> Trial:
    return earned.trial(items[0].benchmark, items)


@pytest.mark.parametrize(
    ("benchmark", "right"),
    [("aokvqa", (0, 2)), ("visual7w", (0, 2, 3)), ("vcr", (0,)), ("snli_ve", (0,))],
)
def test_where_words_are_compared_a_choice_that_repeats_the_right_one_is_right(
    benchmark: str, right: tuple[int, ...]
) -> None:
    task = "answer" if benchmark == "vcr" else ""
    asked = trial(item(benchmark, task=task))
    assert right_of(asked.items[0]) == right
    for place in range(len(CHOICES)):
        scores = {("q0", task): tuple(float(n == place) for n in range(len(CHOICES)))}
        found = next(iter(figures(asked, scores)))
        assert found.marks.official.tolist() == [float(place in right)]
        ((_, calibration),) = calibrations(asked, scores)
        assert calibration.accuracy == float(place in right)


def test_of_rated_choices_those_of_the_highest_mean_are_right() -> None:
    rated = item("sherlock", (), ((3.0, 1.0, 2.0, 1.0), (1.0, 3.0, 1.0, 1.0)))
    assert right_of(rated) == (0, 1)


def test_confidence_is_told_of_each_task_whose_right_choices_are_known() -> None:
    asked = trial(
        item("vcr", task="answer"),
        item("vcr", task="rationale"),
        item("vcr", task="answer", number=1),
        item("vcr", (), task="answer", number=2),
    )
    scores = {key(one): (9.0, 0.0, 0.0, 0.0) for one in asked.items}
    scores["q1", "answer"] = (0.0, 9.0, 0.0, 0.0)
    found = {task: (one.items, one.accuracy) for task, one in calibrations(asked, scores)}
    assert found == {"answer": (2, 0.5), "rationale": (1, 1.0)}
    rated = item("sherlock", (), ((3.0, 1.0, 2.0, 1.0),) * 2)
    for other in (trial(rated), trial(item("visualcomet"))):
        assert list(calibrations(other, {("q0", ""): (1.0, 0.0, 0.0, 0.0)})) == []


def test_what_people_reach_is_told_of_what_two_of_them_rated() -> None:
    # Of six pairs they order five alike; their mean has the sixth equal, and takes one's side.
    one, other = (3.0, 2.0, 1.0, 0.0), (3.0, 1.0, 2.0, 0.0)
    asked = trial(item("sherlock", (), (one, other)), item("sherlock", (), (one,), number=1))
    assert people(asked) == "people agree with each other by 66.7, their mean with each by 83.3"
    assert people(trial(item("sherlock", (), (one,)))) == ""
    assert people(trial(item("vcr", task="answer"))) == ""
