"""What two processes give each other, told by numbers that can be added up by hand."""

from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from torch import Tensor

import forked
from lskd.blip2 import ranks

ROWS = {  # of the first process and of the second
    "more on the first": (3, 1),
    "more on the second": (1, 4),
    "as many": (2, 2),
    "none on the first": (0, 2),
}
CPU = torch.device("cpu")


@dataclass(frozen=True, slots=True)
class Told:
    """What a process knows after it has met the other."""

    processes: int
    rank: int
    numbers: list[int]
    gathered: Tensor
    gradient: Tensor
    total: Tensor
    own: Tensor
    summand: Tensor
    largest: int


def rows_of(rank: int, number: int) -> Tensor:
    """Return rows, (number, 2, 3), of which no two of any process are equal."""
    return 100.0 * (rank + 1) + torch.arange(6.0 * number).reshape(number, 2, 3)


def weights_of(rank: int, number: int) -> Tensor:
    """Return by what a process multiplies each number of all rows, (number, 2, 3)."""
    return 10.0**rank * torch.arange(1.0, 6.0 * number + 1).reshape(number, 2, 3)


def meet(given: tuple[int, ...]) -> Told:
    """Return what this process has of the others', and of its own gradient."""
    rank = ranks.own()
    rows = rows_of(rank, given[rank]).requires_grad_()
    numbers = ranks.counts(len(rows), CPU)
    gathered = ranks.gather(rows, numbers)
    # Transposed, so that what is sent back lies in memory otherwise than the rows do.
    loss = (gathered.mT.contiguous() * weights_of(rank, sum(given)).mT).sum()
    loss.backward()  # type: ignore[no-untyped-call]  # torch's own
    assert rows.grad is not None
    summand = torch.tensor(5.0 + rank, requires_grad=True)
    total = ranks.total(summand)
    return Told(
        processes=ranks.count(),
        rank=rank,
        numbers=numbers,
        gathered=gathered.detach(),
        gradient=rows.grad,
        total=total,
        own=rows.detach(),
        summand=summand.detach(),
        largest=ranks.largest(len(rows), CPU),
    )


def work(rank: int, folder: str) -> None:
    """Be one of two processes, and leave what it knows in a file."""
    torch.set_num_threads(1)
    store = f"file://{folder}/store"
    dist.init_process_group("gloo", init_method=store, rank=rank, world_size=2)
    told = {name: meet(given) for name, given in ROWS.items()}
    dist.destroy_process_group()
    torch.save(told, f"{folder}/{rank}.pt")


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Told]]:
    folder = tmp_path_factory.mktemp("ranks")
    forked.together(work, str(folder))
    return [torch.load(Path(folder) / f"{rank}.pt", weights_only=False) for rank in range(2)]


@pytest.mark.parametrize("name", ROWS)
def test_every_process_has_all_rows_in_the_order_of_ranks(
    told: list[dict[str, Told]], name: str
) -> None:
    everyones = torch.cat([rows_of(rank, number) for rank, number in enumerate(ROWS[name])])
    for rank, one in enumerate(of[name] for of in told):
        assert (one.processes, one.rank) == (2, rank)
        assert one.numbers == list(ROWS[name]) and one.largest == max(ROWS[name])
        assert torch.equal(one.gathered, everyones)


@pytest.mark.parametrize("name", ROWS)
def test_each_process_gets_back_what_all_send_to_its_rows(
    told: list[dict[str, Told]], name: str
) -> None:
    sent = sum(weights_of(rank, sum(ROWS[name])) for rank in range(2))
    assert isinstance(sent, Tensor)
    first, _ = ROWS[name]
    for one, mine in zip((of[name] for of in told), (sent[:first], sent[first:]), strict=True):
        assert torch.equal(one.gradient, mine)


def test_a_total_is_known_to_all_has_no_gradient_and_leaves_the_summands(
    told: list[dict[str, Told]],
) -> None:
    for rank, one in enumerate(of["as many"] for of in told):
        assert one.total == 11 and not one.total.requires_grad
        assert one.summand == 5 + rank


def test_one_process_alone_has_its_own_rows_and_numbers() -> None:
    rows = torch.ones(3, 2, requires_grad=True)
    assert (ranks.count(), ranks.own()) == (1, 0)
    assert ranks.counts(3, CPU) == [3] and ranks.largest(3, CPU) == 3
    assert ranks.gather(rows, [3]) is rows
    number = torch.tensor(2.0, requires_grad=True)
    total = ranks.total(number)
    assert total == 2 and not total.requires_grad
    total += 1
    assert number == 2
