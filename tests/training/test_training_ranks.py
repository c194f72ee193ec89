"""Several processes train as one does, and the model of the paper trains on them."""

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from torch import Tensor, nn
from toy_task import RECIPE, ROWS, Mortal, Toy, equal, train, weights

from forked import together
from lskd.blip2.negatives import keys
from lskd.blip2.objectives import Batch, Losses, StudentObjective
from lskd.blip2.size import QFormerSize, Size, VisionSize
from lskd.blip2.stage1 import new_student
from lskd.blip2.text import collate
from lskd.errors import UserError
from lskd.training.loop import fit
from lskd.training.recipe import Recipe
from lskd.training.task import StepLosses

SHARED = replace(RECIPE, batch=12, accumulate=2)
# Of rounding in a small gradient AdamW makes a part of a step, on some processors a tenth of it.
GENTLE = replace(SHARED, learning_rate=1e-3)
TEXTS = [(2, *range(5 + row, 8 + row + row % 3), 3) for row in range(ROWS)]


class Student(nn.Module):
    """Features and losses of a tiny student in one forward pass."""

    def __init__(self, dropout: float) -> None:
        super().__init__()
        torch.manual_seed(2)
        size = Size(
            VisionSize("eva", image=28, patch=14, width=24, depth=1, heads=2, mlp=40),
            QFormerSize(16, 2, 2, 32, queries=3, vocabulary=40, positions=24),
            embedding=8,
        )
        student = new_student(size, dropout=dropout)
        student.backbone.freeze()
        self.objective = StudentObjective(student, 39)

    def forward(self, rows: Sequence[int], pixels: Tensor, generator: torch.Generator) -> Losses:
        """Return the losses of rows."""
        features = self.objective.student.backbone.features(pixels[list(rows)])
        images, wordings = (
            keys(str(row // 2) for row in rows),
            keys(str(TEXTS[row]) for row in rows),
        )
        batch = Batch(features, collate([TEXTS[row] for row in rows]), images, wordings)
        losses: Losses = self.objective(batch, generator)
        return losses


class StudentTask:
    """The student on random pixels."""

    def __init__(self, dropout: float = 0.0) -> None:
        self.model = Student(dropout)
        self.pixels = torch.randn(ROWS, 3, 28, 28, generator=torch.Generator().manual_seed(5))

    def losses(
        self, model: nn.Module, rows: Sequence[int], generator: torch.Generator
    ) -> StepLosses:
        losses: Losses = model(rows, self.pixels, generator)
        parts = (("itc", losses.itc), ("itm", losses.itm), ("itg", losses.itg))
        return StepLosses(losses.total, parts)


def stop() -> None:
    raise InterruptedError


def work(rank: int, folder: Path, job: Callable[[int, Path], None]) -> None:
    """Do a job as one of two processes."""
    for name, value in {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": 2}.items():
        os.environ[name] = str(value)
    os.environ.update(LOCAL_WORLD_SIZE="2", OMP_NUM_THREADS="1")
    store = f"file://{folder}/store"
    dist.init_process_group("gloo", init_method=store, rank=rank, world_size=2)
    job(rank, folder)
    dist.destroy_process_group()


def train_toy(rank: int, folder: Path) -> None:
    """Train without randomness; leave rows and weights."""
    task, said = Toy(dropout=0.0), list[str]()
    fit(task, ROWS, SHARED, folder / "toy", said.append, lambda _: None)
    torch.save((task.rows, weights(task.model), said), folder / f"toy{rank}.pt")


def stop_and_go_on(rank: int, folder: Path) -> None:
    """Train at once, and again with a stop; leave both weights."""
    recipe = replace(SHARED, average=0.9)
    whole, again = Toy(), Toy()
    train(whole, recipe, folder / "whole")
    for last in (2, 13):
        try:
            train(Mortal(last, stop), recipe, folder / "stopped")
        except InterruptedError:
            dist.barrier()
    train(again, recipe, folder / "stopped")
    torch.save((weights(whole.model), weights(again.model)), folder / f"stopped{rank}.pt")


def train_student(rank: int, folder: Path) -> None:
    """Train a student; leave its weights."""
    task = StudentTask()
    train(task, GENTLE, folder / "student")
    torch.save(weights(task.model), folder / f"student{rank}.pt")


def train_few(rank: int, folder: Path) -> None:
    """Train on fewer rows than a batch has; leave what is said."""
    task, said = Toy(dropout=0.0), list[str]()
    fit(task, 11, SHARED, folder / "few", said.append, lambda _: None)
    torch.save((task.rows, said), folder / f"few{rank}.pt")


def see_errors(rank: int, folder: Path) -> None:
    """Ask for what cannot be; leave what is said."""
    said = []
    wrong: list[tuple[Recipe, Path]] = [
        (RECIPE, folder / "odd"),
        (SHARED, folder / f"own{rank}"),
    ]
    train(Toy(), SHARED, folder / "own0")  # written by the first process alone
    for recipe, place in wrong:
        try:
            train(Toy(), recipe, place)
        except UserError as error:
            said.append(str(error))
    torch.save(said, folder / f"errors{rank}.pt")


def test_two_processes_share_the_rows_of_one_and_learn_the_same(tmp_path: Path) -> None:
    together(work, tmp_path, train_toy)
    rows, learned, said = zip(
        *(torch.load(tmp_path / f"toy{rank}.pt", weights_only=True) for rank in range(2)),
        strict=True,
    )
    alone = Toy(dropout=0.0)
    train(alone, SHARED, tmp_path / "alone")
    for part, left, right in zip(alone.rows, *rows, strict=True):
        assert part == left + right
    line = [row for part in alone.rows for row in part]
    epochs = len(line) // ROWS
    assert epochs == 6
    for epoch in range(epochs):
        assert sorted(line[epoch * ROWS : (epoch + 1) * ROWS]) == list(range(ROWS))
    assert equal(learned[0], learned[1])
    for name, weight in weights(alone.model).items():
        torch.testing.assert_close(learned[0][name], weight, atol=1e-5, rtol=1e-4)
    assert said[0] and not said[1]
    lines = [(tmp_path / f"{n}/losses.jsonl").read_text("utf-8") for n in ("toy", "alone")]
    assert [len(text.splitlines()) for text in lines] == [SHARED.steps] * 2


def test_two_processes_take_as_many_of_few_rows_as_they_can_share(tmp_path: Path) -> None:
    together(work, tmp_path, train_few)
    rows, said = torch.load(tmp_path / "few0.pt", weights_only=True)
    assert said[0] == "batch = 12, but there are 11 rows: each step takes 8"
    assert {len(part) for part in rows} == {2}


def test_two_processes_that_are_stopped_end_in_the_weights_of_two_that_are_not(
    tmp_path: Path,
) -> None:
    together(work, tmp_path, stop_and_go_on)
    for rank in range(2):
        whole, again = torch.load(tmp_path / f"stopped{rank}.pt", weights_only=True)
        assert equal(whole, again)


def test_a_student_learns_on_two_processes_what_it_learns_on_one(tmp_path: Path) -> None:
    together(work, tmp_path, train_student)
    two, other = (
        torch.load(tmp_path / f"student{rank}.pt", weights_only=True) for rank in range(2)
    )
    assert equal(two, other)
    alone = StudentTask()
    start = weights(alone.model)
    train(alone, GENTLE, tmp_path / "alone")
    one = weights(alone.model)
    for name in one:
        if not name.endswith("key.bias"):  # the loss does not depend on it: it is rounding alone
            torch.testing.assert_close(two[name], one[name], atol=2e-4, rtol=1e-3)
    moved = [name for name in one if not torch.equal(one[name], start[name])]
    assert moved and not any("backbone.vision" in name for name in moved)


def test_a_student_with_dropout_that_was_stopped_ends_in_the_same_weights(tmp_path: Path) -> None:
    recipe = replace(RECIPE, average=0.9, precision="bf16")
    whole, again = StudentTask(dropout=0.3), StudentTask(dropout=0.3)
    train(whole, recipe, tmp_path / "whole")

    def tick(_: int) -> None:
        if len((tmp_path / "stopped/losses.jsonl").read_text("utf-8").splitlines()) == 8:
            stop()

    with pytest.raises(InterruptedError):
        fit(StudentTask(0.3), ROWS, recipe, tmp_path / "stopped", lambda _: None, tick)
    train(again, recipe, tmp_path / "stopped")
    assert equal(weights(whole.model), weights(again.model))


def test_what_processes_cannot_share_is_an_error_on_each(tmp_path: Path) -> None:
    together(work, tmp_path, see_errors)
    for rank in range(2):
        odd, own = torch.load(tmp_path / f"errors{rank}.pt", weights_only=True)
        assert odd == (
            "batch = 7 cannot be shared by 2 processes in 3 micro-batches each: "
            "expected a multiple of 6"
        )
        assert "choose a folder they share" in own
