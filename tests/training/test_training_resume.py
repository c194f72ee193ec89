"""A training that is killed at any step ends in the weights of one that was not, bit for bit."""

import multiprocessing
import random
import signal
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from toy_task import RECIPE, ROWS, Mortal, Toy, equal, train, weights, work

from lskd.errors import UserError
from lskd.training import checkpoint
from lskd.training.loop import fit
from lskd.training.recipe import Recipe

RECIPES = {
    "plain": replace(RECIPE, accumulate=1),
    "accumulation": RECIPE,
    "average": replace(RECIPE, average=0.9, clip=0.5),
    "bf16": replace(RECIPE, precision="bf16", average=0.9),
}
# The steps in which each is stopped, all of them by one or another: checkpoints follow 4, 9 and 11.
STOPS = {
    "plain": (4, 7, 11),
    "accumulation": (1, 4, 6),
    "average": (0, 3, 4, 5, 9, 10, 11),
    "bf16": (2, 5, 8),
}
KILLS = (0, 1, 14, 15, 16, 35)  # micro-batches
# Processes of its own, which have done nothing but import: a fork of this one could inherit the
# locks of torch's threads.
FORKS = multiprocessing.get_context("forkserver")
# torch imports _dynamo at the first step of an optimiser, which takes longer than all the rest.
FORKS.set_forkserver_preload(["lskd.training.loop", "torch._dynamo", "toy_task"])


def uninterrupted(recipe: Recipe, folder: Path) -> dict[str, Tensor]:
    task = Toy()
    train(task, recipe, folder)
    return weights(task.model)


class Stop(Exception):
    """Ends a training where a kill would."""


def stop() -> None:
    raise Stop


@pytest.mark.parametrize("name", RECIPES)
def test_stopped_at_any_step_the_weights_are_those_of_an_uninterrupted_run(
    tmp_path: Path, name: str
) -> None:
    recipe = RECIPES[name]
    expected = uninterrupted(recipe, tmp_path / "whole")
    history = (tmp_path / "whole/losses.jsonl").read_bytes()
    assert len(history.splitlines()) == recipe.steps
    for last in STOPS[name]:
        folder = tmp_path / f"stopped{last}"
        with pytest.raises(Stop):
            train(Mortal(last * recipe.accumulate, stop), recipe, folder)
        again = Toy()
        torch.manual_seed(last)  # what other code draws in between is nothing to it
        train(again, recipe, folder)
        assert equal(weights(again.model), expected), f"stopped at step {last + 1}"
        assert (folder / "losses.jsonl").read_bytes() == history


def test_a_picture_that_a_kill_or_a_full_disk_left_out_is_drawn_when_training_goes_on(
    tmp_path: Path,
) -> None:
    train(Toy(), RECIPE, tmp_path)
    drawn = (tmp_path / "losses.svg").read_bytes()
    (tmp_path / "losses.svg").unlink()
    train(Toy(), RECIPE, tmp_path)  # after the last checkpoint there is no step left
    assert (tmp_path / "losses.svg").read_bytes() == drawn


# Two of the same kind as others are left to `make check`.
@pytest.mark.parametrize(
    "last", [pytest.param(n, marks=pytest.mark.check) if n in (0, 16) else n for n in KILLS]
)
def test_killed_within_a_step_the_weights_are_those_of_an_uninterrupted_run(
    tmp_path: Path, last: int
) -> None:
    recipe = RECIPES["average"]
    folder = tmp_path / "killed"
    codes = []
    for mortal in (last, -1):
        process = FORKS.Process(target=work, args=(folder, recipe, mortal))
        process.start()
        process.join()
        codes.append(process.exitcode)
    assert codes == [-signal.SIGKILL, 0]
    killed = torch.load(tmp_path / "killed.pt", weights_only=True)
    assert equal(killed, uninterrupted(recipe, tmp_path / "whole"))


def test_killed_from_outside_again_and_again_the_weights_are_the_same(tmp_path: Path) -> None:
    recipe = replace(RECIPE, steps=20, save_every=1, average=0.9)
    folder = tmp_path / "killed"
    rng = random.Random(3)
    kills = 0
    for attempt in range(100):
        process = FORKS.Process(target=work, args=(folder, recipe, -1))
        process.start()
        # Later and later, so that it ends; within it at random, so that writing is hit as well.
        process.join(timeout=rng.uniform(0.05, 0.1) * (1 + attempt / 2))
        if process.exitcode is None:
            process.kill()
            process.join()
            kills += 1
        if process.exitcode == 0:
            break
    assert kills > 0
    killed = torch.load(tmp_path / "killed.pt", weights_only=True)
    assert equal(killed, uninterrupted(recipe, tmp_path / "whole"))
    assert (folder / "losses.jsonl").read_bytes() == (tmp_path / "whole/losses.jsonl").read_bytes()


def test_a_finished_training_is_not_done_again(tmp_path: Path) -> None:
    recipe = RECIPES["average"]
    first = uninterrupted(recipe, tmp_path)
    again, ticks = Toy(), list[int]()
    fit(again, ROWS, recipe, tmp_path, lambda _: None, ticks.append)
    assert not again.rows and ticks == [recipe.steps]
    assert equal(weights(again.model), first)


def test_the_latest_two_checkpoints_are_kept_and_a_broken_one_is_passed_over(
    tmp_path: Path,
) -> None:
    expected = uninterrupted(RECIPE, tmp_path)
    assert checkpoint.steps(tmp_path) == [12, 10]
    latest = checkpoint.path_of(tmp_path, 12)
    latest.write_bytes(latest.read_bytes()[:1000])
    again, said = Toy(), list[str]()
    fit(again, ROWS, RECIPE, tmp_path, said.append, lambda _: None)
    assert "cannot be read" in said[0] and said[1] == "going on after step 10 of 12"
    assert len(again.rows) == 2 * RECIPE.accumulate
    assert equal(weights(again.model), expected)


def test_a_new_checkpoint_outlives_later_ones_that_cannot_be_read(tmp_path: Path) -> None:
    expected = uninterrupted(RECIPE, tmp_path)
    for step in checkpoint.steps(tmp_path):
        file = checkpoint.path_of(tmp_path, step)
        file.write_bytes(file.read_bytes()[:1000])
    with pytest.raises(Stop):
        train(Mortal(7 * RECIPE.accumulate, stop), RECIPE, tmp_path)
    assert checkpoint.steps(tmp_path) == [5]
    again, said = Toy(), list[str]()
    fit(again, ROWS, RECIPE, tmp_path, said.append, lambda _: None)
    assert said[0] == "going on after step 5 of 12"
    assert equal(weights(again.model), expected)


def test_a_line_that_was_cut_off_is_written_again(tmp_path: Path) -> None:
    with pytest.raises(Stop):
        train(Mortal(7 * RECIPE.accumulate, stop), RECIPE, tmp_path)
    file = tmp_path / "losses.jsonl"
    whole = file.read_text(encoding="utf-8")
    assert len(whole.splitlines()) == 7
    file.write_text(whole[:-20], encoding="utf-8")
    train(Toy(), RECIPE, tmp_path)
    uninterrupted(RECIPE, tmp_path / "whole")
    assert file.read_bytes() == (tmp_path / "whole/losses.jsonl").read_bytes()


def test_other_settings_do_not_go_on_from_a_checkpoint(tmp_path: Path) -> None:
    train(Toy(), RECIPE, tmp_path)
    with pytest.raises(UserError, match=r"made with batch = 7 \(now 6\), seed = 0 \(now 1\)"):
        train(Toy(), replace(RECIPE, batch=6, seed=1), tmp_path)
    with pytest.raises(UserError, match=r"made with rows = 23 \(now 22\)"):
        train(Toy(), RECIPE, tmp_path, count=22)
    train(Toy(), replace(RECIPE, log_every=1, save_every=1), tmp_path)


def test_another_model_does_not_go_on_from_a_checkpoint(tmp_path: Path) -> None:
    train(Toy(), RECIPE, tmp_path)
    other = Toy()
    other.model.unused = nn.Linear(3, 4)
    with pytest.raises(UserError, match=r"another model: 2 weights differ, as unused\.bias"):
        train(other, RECIPE, tmp_path)


def test_what_a_kill_left_half_written_is_removed(tmp_path: Path) -> None:
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints/.00000005.pt.99.draft").write_bytes(b"half")
    train(Toy(), RECIPE, tmp_path)
    found = sorted(path.name for path in (tmp_path / "checkpoints").iterdir())
    assert found == ["00000010.pt", "00000012.pt"]
