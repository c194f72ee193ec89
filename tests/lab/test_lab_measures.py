"""What a critic is worth as a filter, of triples whose truth and scores are put in."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from lab_house import RUN

import truths
from lskd import table
from lskd.lab.measures import filtering
from lskd.lab.world import World
from lskd.run import Run, load
from lskd.types import Sample, Score

LEARNT = 2
# Of ten that the critic did not learn from, and two false ones that it did and likes best.
TRUE = [True, True, True, *[False] * 7, *[False] * LEARNT]
SCORES = [0.9, 0.8, 0.1, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.15, 0.99, 0.98]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return load(RUN, (), tmp_path_factory.mktemp("run"))


@pytest.fixture(scope="module")
def world(run: Run, tmp_path_factory: pytest.TempPathFactory) -> World:
    made = truths.put(run, tmp_path_factory.mktemp("world"), TRUE)
    images = [one.image_id for one in made.staged]
    scores(run, images, SCORES)
    sample = [
        Sample(f"t{n}", image, "train" if n >= len(images) - LEARNT else "evaluate")
        for n, image in enumerate(images)
    ]
    table.write(Sample, run.tables.file(Sample, "00000"), sample)
    return made


def scores(run: Run, images: Sequence[str], accept: Sequence[float]) -> None:
    rows = [
        Score(f"t{n}", image, one, None, None)
        for n, (image, one) in enumerate(zip(images, accept, strict=True))
    ]
    table.write(Score, run.tables.file(Score, "00000"), rows)


def test_the_best_are_those_that_the_critic_likes_most_of_what_it_did_not_learn_from(
    run: Run, world: World
) -> None:
    found = filtering(run, world)
    assert found.every.value == pytest.approx(100 * 3 / 12)
    assert found.best.value == 100


def test_random_ones_are_as_many_whatever_the_critic_says(run: Run, world: World) -> None:
    drawn = {filtering(replace(run, seed=seed), world).random.value for seed in range(12)}
    assert {0, 50} <= drawn <= {0, 50, 100}
