"""Rows and seeds are functions of (seed, step); rates of the step."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lskd.errors import UserError
from lskd.training.order import parts_of, rows_of, seed_of
from lskd.training.recipe import Recipe


@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 5))
def test_each_row_comes_once_an_epoch(count: int, batch: int, seed: int) -> None:
    steps = -(-3 * count // batch)
    line = [row for step in range(1, steps + 1) for row in rows_of(step, count, batch, seed)]
    for epoch in range(3):
        assert sorted(line[epoch * count : (epoch + 1) * count]) == list(range(count))


@given(st.integers(1, 4), st.integers(1, 4), st.integers(1, 12))
def test_processes_share_each_step_whatever_their_number(
    processes: int, accumulate: int, each: int
) -> None:
    rows = rows_of(3, 200, processes * accumulate * each, seed=1)
    of_process = [parts_of(rows, accumulate, p, processes) for p in range(processes)]
    assert sorted(r for parts in of_process for part in parts for r in part.rows) == sorted(rows)
    for together in zip(*of_process, strict=True):
        assert len({len(part.rows) for part in together}) == 1
    for parts in of_process:
        assert len(parts) == accumulate
        assert sum(part.share for part in parts) == pytest.approx(1)

    alone = parts_of(rows, accumulate)
    for one, together in zip(alone, zip(*of_process, strict=True), strict=True):
        assert one.rows == tuple(row for part in together for row in part.rows)
        assert {part.share for part in together} == {one.share}


@given(st.integers(1, 40), st.integers(0, 40))
def test_one_process_takes_any_number_of_rows_in_parts_that_differ_by_one(
    accumulate: int, more: int
) -> None:
    parts = parts_of(range(accumulate + more), accumulate)
    assert [row for part in parts for row in part.rows] == list(range(accumulate + more))
    assert sum(part.share for part in parts) == pytest.approx(1)
    assert max(len(p.rows) for p in parts) - min(len(p.rows) for p in parts) <= 1


def test_epochs_and_seeds_are_in_different_order() -> None:
    orders = [rows_of(step, 50, 50, seed) for step in (1, 2) for seed in (0, 1)]
    assert len({tuple(order) for order in orders}) == 4


@pytest.mark.parametrize(
    ("batch", "accumulate", "processes"), [(7, 1, 2), (4, 3, 2), (1, 1, 4), (256, 3, 2)]
)
def test_a_batch_that_cannot_be_shared_is_an_error(
    batch: int, accumulate: int, processes: int
) -> None:
    with pytest.raises(UserError, match=f"batch = {batch} cannot be shared by {processes}"):
        parts_of(range(batch), accumulate, 0, processes)


@given(st.lists(st.integers(0, 99), min_size=1, max_size=4))
def test_a_seed_is_one_that_torch_takes_and_is_the_same_every_time(of: list[int]) -> None:
    assert 0 <= seed_of(*of) < 2**63
    assert seed_of(*of) == seed_of(*of) != seed_of(*of, 0)


def test_the_rate_climbs_in_a_line_and_falls_in_a_cosine() -> None:
    recipe = Recipe(steps=110, batch=1, warmup=10, learning_rate=2.0)
    assert [recipe.rate(step) for step in (1, 5, 10, 11)] == pytest.approx([0.2, 1.0, 2.0, 2.0])
    assert recipe.rate(61) == pytest.approx(1.0)
    rates = [recipe.rate(step) for step in range(11, 111)]
    assert rates == sorted(rates, reverse=True)
    assert 0 < rates[-1] < 0.001


def test_warm_up_may_be_none_or_all() -> None:
    assert Recipe(steps=1, batch=1).rate(1) == 1e-5
    assert Recipe(steps=4, batch=1, warmup=4, learning_rate=1.0).rate(4) == 1.0


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"steps": 0}, "steps = 0"),
        ({"warmup": 11}, "warmup = 11: expected 0 to 10"),
        ({"accumulate": 5}, "batch of 4 rows"),
        ({"learning_rate": 0.0}, "learning_rate = 0.0"),
        ({"learning_rate": float("nan")}, "learning_rate = nan"),
        ({"average": 1.0}, "average = 1.0"),
        ({"clip": -1.0}, "clip = -1.0"),
        ({"track": ("tensorbord",)}, "known are tensorboard, trackio, wandb"),
    ],
)
def test_a_recipe_that_makes_no_sense_is_an_error(wrong: dict[str, object], said: str) -> None:
    with pytest.raises(UserError, match=said):
        Recipe(**{"steps": 10, "batch": 4, **wrong})  # type: ignore[arg-type]  # wrong on purpose
