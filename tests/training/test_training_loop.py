"""What a training does to a model, and how it ends when it cannot go on."""

import json
import math
import resource
from collections.abc import Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from toy_task import RECIPE, ROWS, Toy, equal, train, weights

from lskd.errors import MissingExtra, UserError
from lskd.training import checkpoint, history
from lskd.training.loop import LIBRARIES, fit
from lskd.training.recipe import Recipe
from lskd.training.task import StepLosses

CALM = replace(RECIPE, steps=4, accumulate=1)


def trained(recipe: Recipe, folder: Path) -> dict[str, Tensor]:
    """Return the weights that a task without randomness of its own ends in."""
    task = Toy(dropout=0.0, noise=0.0)
    train(task, recipe, folder)
    return weights(task.model)


def apart(one: dict[str, Tensor], other: dict[str, Tensor]) -> float:
    """Return the largest difference of two models, buffers aside."""
    return max(float((one[n] - other[n]).abs().max()) for n in one if n != "seen")


def test_training_lowers_the_loss_and_leaves_frozen_and_unused_weights(tmp_path: Path) -> None:
    task = Toy()
    before = weights(task.model)
    fitted = train(task, replace(RECIPE, steps=80), tmp_path)
    after = weights(task.model)
    losses = [measured.loss for measured in history.read(fitted.losses)]
    assert len(losses) == fitted.steps == 80
    assert sum(losses[-10:]) < 0.5 * sum(losses[:10])
    for name in before:
        kept = name.startswith(("frozen", "unused"))
        assert torch.equal(before[name], after[name]) == kept, name


@pytest.mark.parametrize("accumulate", [2, 3, 7])
def test_micro_batches_of_unequal_length_learn_what_a_whole_batch_does(
    tmp_path: Path, accumulate: int
) -> None:
    whole = trained(CALM, tmp_path / "whole")
    parts = trained(replace(CALM, accumulate=accumulate), tmp_path / "parts")
    assert apart(parts, whole) < 1e-6
    one, other = (history.read(tmp_path / name / "losses.jsonl") for name in ("whole", "parts"))
    for step, same in zip(one, other, strict=True):
        assert step.loss == pytest.approx(same.loss, rel=1e-5)
        assert step.gradient == pytest.approx(same.gradient, rel=1e-5)


def test_the_gradient_is_that_of_adamw_written_plainly(tmp_path: Path) -> None:
    task = Toy(dropout=0.0, noise=0.0)
    model = task.model
    named = {n: w for n, w in model.named_parameters() if w.requires_grad}
    bare = torch.optim.AdamW(
        [
            {"params": [w for n, w in named.items() if "bias" in n or "norm" in n]},
            {"params": [w for n, w in named.items() if not ("bias" in n or "norm" in n)]},
        ],
        weight_decay=0.0,
    )
    bare.param_groups[1]["weight_decay"] = 0.05
    recipe = replace(CALM, batch=ROWS)
    for step in range(1, recipe.steps + 1):
        bare.zero_grad()
        for group in bare.param_groups:
            group["lr"] = recipe.rate(step)
        losses = task.losses(model, range(ROWS), torch.Generator().manual_seed(0))
        losses.total.backward()  # type: ignore[no-untyped-call]  # torch's own
        bare.step()
    assert apart(weights(model), trained(recipe, tmp_path)) < 1e-6


def test_clipping_bounds_the_gradient_and_tells_the_unbounded_one(tmp_path: Path) -> None:
    recipe = replace(CALM, steps=2, warmup=0, weight_decay=0.0)
    free = trained(recipe, tmp_path / "free")
    loose = trained(replace(recipe, clip=1e9), tmp_path / "loose")
    # Adam divides by the gradient's own size, unless that is far below its epsilon of 1e-8.
    tight = trained(replace(recipe, clip=1e-12), tmp_path / "tight")
    start = weights(Toy().model)
    assert apart(free, loose) == 0
    assert apart(tight, start) < 1e-3 * apart(free, start)
    norms = [history.read(tmp_path / n / "losses.jsonl")[0].gradient for n in ("free", "tight")]
    assert norms[0] == norms[1] > 1


class Watched(Toy):
    """Notes a weight before each step."""

    def __init__(self) -> None:
        super().__init__(dropout=0.0, noise=0.0)
        self.noted: list[Tensor] = []

    def losses(
        self, model: nn.Module, rows: Sequence[int], generator: torch.Generator
    ) -> StepLosses:
        self.noted.append(weights(self.model)["first.weight"])
        return super().losses(model, rows, generator)


def test_the_average_follows_the_weights_and_is_what_a_training_ends_in(tmp_path: Path) -> None:
    task = Watched()
    train(task, CALM, tmp_path / "plain")
    before, *after = [*task.noted, weights(task.model)["first.weight"]]
    expected = before
    for step, weight in enumerate(after, start=1):
        forget = 1 - min(0.3, (1 + step) / (10 + step))
        expected = expected + forget * (weight - expected)
    average = trained(replace(CALM, average=0.3), tmp_path / "average")["first.weight"]
    assert torch.allclose(average, expected, atol=1e-6)
    assert float((average - after[-1]).abs().max()) > 1e-4


def test_bf16_is_near_float32_and_its_weights_stay_float32(tmp_path: Path) -> None:
    full = trained(CALM, tmp_path / "full")
    half = trained(replace(CALM, precision="bf16"), tmp_path / "half")
    assert all(tensor.dtype == torch.float32 for tensor in half.values())
    assert 0 < apart(full, half) < 0.05


def test_seeds_make_other_trainings(tmp_path: Path) -> None:
    one, other = Toy(), Toy()
    train(one, RECIPE, tmp_path / "one")
    train(other, replace(RECIPE, seed=1), tmp_path / "other")
    assert not equal(weights(one.model), weights(other.model))


def test_what_the_caller_draws_next_is_as_if_there_had_been_no_training(tmp_path: Path) -> None:
    task = Toy()
    task.model.eval()
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    train(task, RECIPE, tmp_path)
    assert torch.equal(torch.rand(1), expected)
    assert not task.model.training


def test_progress_is_told_and_counted(tmp_path: Path) -> None:
    said, ticks = list[str](), list[int]()
    fit(Toy(), ROWS, replace(RECIPE, log_every=5), tmp_path, said.append, ticks.append)
    assert [line.split(":")[0] for line in said] == [f"step {n} of 12" for n in (5, 10, 12)]
    assert "near" in said[0] and "rows/s" in said[0]
    assert sum(ticks) == 12
    first = json.loads((tmp_path / "losses.jsonl").read_text(encoding="utf-8").splitlines()[0])
    assert list(first) == ["step", "loss", "near", "small", "learning_rate", "gradient"]
    assert (tmp_path / "losses.svg").read_text(encoding="utf-8").startswith("<svg")


def test_fewer_rows_than_a_batch_are_all_taken_and_this_is_told(tmp_path: Path) -> None:
    said, task = list[str](), Toy()
    fit(task, 2, RECIPE, tmp_path, said.append, lambda _: None)
    assert said[0] == "batch = 7, but there are 2 rows: each step takes 2"
    assert sorted(task.rows[0] + task.rows[1]) == [0, 1]


def test_nothing_to_train_on_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="0 rows to train on"):
        train(Toy(), RECIPE, tmp_path, count=0)
    task = Toy()
    task.model.requires_grad_(False)
    with pytest.raises(UserError, match="all weights of the model are frozen"):
        train(task, RECIPE, tmp_path)


class Broken(Toy):
    """Gives something else than a loss from a step on."""

    def __init__(self, step: int, broken: str) -> None:
        super().__init__()
        self.step, self.broken = step, broken

    def losses(
        self, model: nn.Module, rows: Sequence[int], generator: torch.Generator
    ) -> StepLosses:
        losses = super().losses(model, rows, generator)
        if len(self.rows) < self.step:
            return losses
        if self.broken == "CUDA":
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        if self.broken == "processor":
            torch.empty(2**52)  # more than any machine has
        if self.broken == "gradient":  # sqrt(0) is 0, its gradient is not a number
            zero = losses.total * 0.0
            return StepLosses(losses.total + zero.sqrt(), losses.parts)
        return StepLosses(losses.total * float(self.broken), losses.parts)


@pytest.mark.parametrize(("broken", "said"), [("nan", "nan"), ("inf", "inf")])
def test_a_loss_that_is_no_number_stops_at_its_step_and_keeps_the_last_checkpoint(
    tmp_path: Path, broken: str, said: str
) -> None:
    recipe = replace(RECIPE, accumulate=1)
    task = Broken(7, broken)
    with pytest.raises(UserError) as error:
        train(task, recipe, tmp_path)
    assert f"at step 7 the loss is no number (loss {said}, near" in str(error.value)
    assert "the checkpoint of step 5 is kept" in str(error.value)
    assert "\n" not in str(error.value)
    assert checkpoint.steps(tmp_path) == [5]
    assert all(bool(tensor.isfinite().all()) for tensor in weights(task.model).values())
    assert math.isnan(history.read(tmp_path / "losses.jsonl")[6].loss)
    # Whatever was wrong put right, it goes on as if nothing had happened.
    again, whole = Toy(), Toy()
    train(again, recipe, tmp_path)
    train(whole, recipe, tmp_path / "whole")
    assert equal(weights(again.model), weights(whole.model))


def test_a_gradient_that_is_no_number_stops_as_well(tmp_path: Path) -> None:
    task = Broken(3, "gradient")
    with pytest.raises(UserError, match=r"at step 3 .* gradient nan\).*there is no checkpoint yet"):
        train(task, replace(RECIPE, accumulate=1), tmp_path)
    assert all(bool(tensor.isfinite().all()) for tensor in weights(task.model).values())


@pytest.mark.parametrize("where", ["CUDA", "processor"])
def test_running_out_of_memory_says_what_to_lower(tmp_path: Path, where: str) -> None:
    with pytest.raises(UserError) as error:
        train(Broken(6, where), RECIPE, tmp_path)
    expected = "out of memory at step 2: lower batch (7) or raise accumulate (3)"
    assert str(error.value) == expected


def test_another_fault_of_the_task_is_not_hidden(tmp_path: Path) -> None:
    task = Toy()
    task.inputs = torch.zeros(ROWS, 5)
    with pytest.raises(RuntimeError, match=r"shape|size"):
        train(task, RECIPE, tmp_path)


class Filling(Toy):
    """Finds the disk full from a step on: no file can grow beyond some bytes."""

    def __init__(self, step: int, room: int) -> None:
        super().__init__()
        self.step, self.room = step, room

    def losses(
        self, model: nn.Module, rows: Sequence[int], generator: torch.Generator
    ) -> StepLosses:
        losses = super().losses(model, rows, generator)
        if len(self.rows) == self.step:
            _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
            resource.setrlimit(resource.RLIMIT_FSIZE, (self.room, hard))
        return losses


@pytest.mark.parametrize(("room", "file"), [(2000, "00000010.pt"), (300, "losses.jsonl")])
def test_a_full_disk_is_told_and_nothing_is_lost(tmp_path: Path, room: int, file: str) -> None:
    recipe = replace(RECIPE, accumulate=1)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        with pytest.raises(UserError, match=rf"cannot write .*{file}: File too large; .*kept|lost"):
            train(Filling(8, room), recipe, tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["00000005.pt"]
    again, whole = Toy(), Toy()
    train(again, recipe, tmp_path)
    train(whole, recipe, tmp_path / "whole")
    assert equal(weights(again.model), weights(whole.model))
    name = "losses.jsonl"
    assert (tmp_path / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_a_folder_that_cannot_be_made_is_told_before_the_first_step(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    task = Toy()
    with pytest.raises(UserError, match=r"cannot write .*beginning\.json: Not a directory"):
        train(task, RECIPE, tmp_path / "file" / "folder")
    assert not task.rows


@pytest.mark.parametrize("tracker", LIBRARIES)
def test_a_tracker_that_is_not_installed_is_named_with_its_extra(
    tmp_path: Path, tracker: str
) -> None:
    if any(find_spec(library) for library in LIBRARIES[tracker]):
        pytest.skip(f"{tracker} is installed here")
    task = Toy()
    with pytest.raises(MissingExtra, match=rf"{tracker}.*lskd\[train\]"):
        train(task, replace(RECIPE, track=(tracker,)), tmp_path)
    assert not task.rows


def test_tensorboard_is_given_the_losses(tmp_path: Path) -> None:
    if not any(find_spec(library) for library in LIBRARIES["tensorboard"]):
        pytest.skip("tensorboard is not installed")
    train(Toy(), replace(RECIPE, track=("tensorboard",), log_every=4), tmp_path)
    assert list(tmp_path.glob("lskd/events.out.tfevents.*"))
