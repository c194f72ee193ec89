"""Two processes learn what one learns from the same rows."""

from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from tiny_blip2 import shake, tiny_size
from torch import Tensor
from torch.nn.parallel import DistributedDataParallel

import forked
from lskd.blip2.negatives import Kin, keys
from lskd.blip2.objectives import Batch, Losses, StudentObjective
from lskd.blip2.stage1 import new_student
from lskd.blip2.text import collate

DEC = 39
ENCODED = [
    (2, 11, 12, 13, 3),
    (2, 14, 3),
    (2, 15, 16, 3),
    (2, 17, 18, 19, 20, 21, 22, 3),
    (2, 14, 3),  # the words of another row, on the other process
    (2, 23, 24, 3),
]
SWAPPED = {1: (2, 30, 31, 3), 5: (2, 32, 33, 34, 35, 36, 37, 38, 30, 3)}


@dataclass(frozen=True, slots=True)
class Case:
    kin: Kin
    gathered_gradient: bool
    first: int  # rows of the first process
    views: tuple[int, ...] | None = None  # which of the six views a row is about
    frozen: bool = True
    images: str = "abcade"  # one image lies on both processes


CASES = {
    "gradients flow": Case("apart", True, 3),
    "gradients stop": Case("apart", False, 3),
    "as in the release": Case("release", False, 3),
    "ids shared": Case("shared", True, 3),
    "unequal processes": Case("apart", True, 5),
    "shared views": Case("apart", True, 3, (0, 0, 1, 3, 3, 3)),
    "nothing frozen": Case("apart", True, 2, frozen=False),
    "all ids equal": Case("apart", True, 3, images="aaaaaa"),
    "one row each": Case("apart", True, 1, images="ab"),
    "one row each, equal ids": Case("apart", True, 1, images="aa"),
}


def batch_of(objective: StudentObjective, rows: range, case: Case) -> Batch:
    pixels = torch.randn(6, 3, 28, 28, generator=torch.Generator().manual_seed(5))
    views = case.views or tuple(range(6))
    used = sorted({views[row] for row in rows})
    swapped = [row for row in SWAPPED if row in rows]
    return Batch(
        features=objective.student.backbone.features(pixels[used]),
        texts=collate([ENCODED[row] for row in rows]),
        images=keys(case.images[row] for row in rows),
        wordings=keys(str(ENCODED[row]) for row in rows),
        view=torch.tensor([used.index(views[row]) for row in rows]) if case.views else None,
        swapped=collate([SWAPPED[row] for row in swapped]) if swapped else None,
        swapped_rows=torch.tensor([row - rows[0] for row in swapped]) if swapped else None,
    )


def objective_of(case: Case) -> StudentObjective:
    student = shake(new_student(tiny_size(), dropout=0.0))
    with torch.no_grad():
        student.contrast.temperature.fill_(0.3)
    student.backbone.freeze(vision=case.frozen)
    return StudentObjective(student, DEC, case.kin, case.gathered_gradient)


class Step(torch.nn.Module):
    """Features and losses in one forward pass, as DistributedDataParallel wants them."""

    def __init__(self, objective: StudentObjective) -> None:
        super().__init__()
        self.objective = objective

    def forward(self, rows: range, case: Case) -> Tensor:
        batch = batch_of(self.objective, rows, case)
        losses: Losses = self.objective(batch, torch.Generator().manual_seed(11))
        return torch.stack([losses.itc, losses.itm, losses.itg])


def learn(case: Case, rows: range) -> dict[str, Tensor]:
    """Return the three losses and all gradients, each a mean over the processes."""
    objective = objective_of(case)
    step: torch.nn.Module = Step(objective)
    if dist.is_initialized():
        step = DistributedDataParallel(step)
    losses: Tensor = step(rows, case)
    losses.sum().backward()  # type: ignore[no-untyped-call]  # torch's own
    mean = losses.detach()
    if dist.is_initialized():
        dist.all_reduce(mean)
        mean = mean / dist.get_world_size()
    gradients = {n: p.grad for n, p in objective.named_parameters() if p.grad is not None}
    return {"losses": mean} | gradients


def work(rank: int, folder: str) -> None:
    torch.set_num_threads(1)
    store = f"file://{folder}/store"
    dist.init_process_group("gloo", init_method=store, rank=rank, world_size=2)
    for name, case in CASES.items():
        rows = range(case.first) if rank == 0 else range(case.first, len(case.images))
        learned = learn(case, rows)
        if rank == 0:
            torch.save(learned, f"{folder}/{name}.pt")
    dist.destroy_process_group()


@pytest.fixture(scope="module")
def together(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ranks")
    forked.together(work, str(folder))
    return folder


@pytest.mark.parametrize("name", CASES)
def test_two_processes_learn_what_one_learns(together: Path, name: str) -> None:
    two = torch.load(together / f"{name}.pt", weights_only=True)
    one = learn(CASES[name], range(len(CASES[name].images)))
    assert two.keys() == one.keys()
    torch.testing.assert_close(two["losses"], one["losses"], atol=1e-5, rtol=1e-5)
    scale = max(float(one[n].abs().max()) for n in one if n != "losses")
    for weight in one.keys() - {"losses"}:
        apart = (two[weight] - one[weight]).abs().max()
        assert float(apart) < 2e-5 * scale, weight
