"""A training at a place goes on wherever it is started again, after the same checkpoint."""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from test_training_ranks import SHARED, work
from toy_task import RECIPE, Mortal, Toy, equal, train, weights

import buckets
from buckets import bucket, fsspec, machine
from forked import together
from lskd.errors import UserError
from lskd.storage import files, mirror
from lskd.storage.address import located
from lskd.training import checkpoint, processes, published
from lskd.training.history import LOSSES

TRAINING = "distil/training/x"


class Stop(Exception):
    """Ends a training where a kill would."""


def stop() -> None:
    raise Stop


def begun(url: str) -> Path:
    """Return the folder of a training in a run that this machine has just taken up."""
    mirror.opened(url)
    return located(url) / TRAINING


def test_stopped_at_a_place_it_goes_on_there_and_on_another_machine(tmp_path: Path) -> None:
    whole = Toy()
    train(whole, RECIPE, tmp_path / "whole")
    history = (tmp_path / "whole" / LOSSES).read_bytes()
    url, checkpoints = "memory://halted/run", f"/halted/run/{TRAINING}/checkpoints"
    system = fsspec.filesystem("memory")
    with machine({"LSKD_WORK": str(tmp_path / "first")}):
        folder = begun(url)
        with pytest.raises(Stop):
            train(Mortal(3 * 7, stop), RECIPE, folder)  # after the checkpoint of step 5
        with pytest.raises(Stop):
            train(Mortal(3 * 1, stop), RECIPE, begun(url))
        assert checkpoint.steps(folder) == [5]
    assert system.find(checkpoints) == [f"{checkpoints}/00000005.pt"]
    with machine({"LSKD_WORK": str(tmp_path / "second")}):
        there = begun(url)
        assert not there.exists()
        again = Mortal(3 * 6, stop)
        with pytest.raises(Stop):
            train(again, RECIPE, there)
        assert len(again.rows) == 3 * 6  # of steps 6 to 11
        assert checkpoint.steps(there) == [10, 5]
    with machine({"LSKD_WORK": str(tmp_path / "first")}):
        last = Toy()
        train(last, RECIPE, begun(url))
        assert len(last.rows) == 3 * 2
        assert equal(weights(last.model), weights(whole.model))
        assert (folder / LOSSES).read_bytes() == history
        kept = [f"{checkpoints}/000000{step}.pt" for step in (10, 12)]
        assert system.find(checkpoints) == kept
        assert files.read_bytes(folder / LOSSES) == history
        published.clear(folder.parent.parent)
        assert system.find(checkpoints) == []
        assert system.find(f"/halted/run/{TRAINING}")  # its losses


def test_what_a_machine_has_and_the_place_has_not_is_published_when_it_goes_on(
    tmp_path: Path,
) -> None:
    url = "memory://behind/run"
    with machine({"LSKD_WORK": str(tmp_path / "first")}):
        folder = begun(url)
        with pytest.raises(Stop):
            train(Mortal(3 * 11, stop), RECIPE, folder)
        place = fsspec.filesystem("memory")
        place.rm(f"/behind/run/{TRAINING}/checkpoints/00000010.pt")  # as if the upload had failed
        published.bring(folder, leads=True)
        assert files.names(folder / "checkpoints", ".pt") == ["00000005.pt", "00000010.pt"]
        # Who follows has what the place has, whatever a training that it led has left here.
        place.rm(f"/behind/run/{TRAINING}/checkpoints/00000010.pt")
        published.bring(folder, leads=False)
        assert checkpoint.steps(folder) == [5]
    with machine({"LSKD_WORK": str(tmp_path / "second")}):
        there = begun(url)
        published.bring(there, leads=False)
        published.bring(there, leads=True)  # who has followed leads, after the one that led is lost
        assert checkpoint.steps(there) == [5]
        assert len((there / LOSSES).read_text().splitlines()) >= 5
        # One of the same name that another machine has made counts.
        file, size = there / "checkpoints" / "00000005.pt", place.size
        name = f"/behind/run/{TRAINING}/checkpoints/00000005.pt"
        place.pipe_file(name, b"another's")
        published.bring(there, leads=True)
        assert file.read_bytes() == b"another's" and size(name) == 9


def go_on_apart(variables: Mapping[str, str], rank: int, folder: Path) -> None:
    """Train on two machines until a stop, and again on others; leave what came of it."""
    recipe = replace(SHARED, average=0.9)
    whole, again, prepared = Toy(), Toy(), list[str]()
    train(whole, recipe, folder / "whole")
    for name in ("first", "then"):
        # The one that leads goes on where it was, the other on another machine.
        own = f"{name}{rank}" if rank else "leads"
        with machine({**variables, **buckets.disk(folder / own)}):
            place = begun("s3://apart/run")
            with processes.first(place):
                if not (place / "examples.jsonl").exists():
                    place.mkdir(parents=True, exist_ok=True)
                    (place / "examples.jsonl").write_text(f"by {rank}, {name}")
            prepared.append((place / "examples.jsonl").read_text())
            if name == "first":
                with pytest.raises(Stop):
                    train(Mortal(13, stop), recipe, place)
                dist.barrier()
            else:
                train(again, recipe, place)
    torch.save((weights(whole.model), weights(again.model), prepared), folder / f"apart{rank}.pt")


def test_processes_that_share_no_disk_go_on_from_the_checkpoint_of_their_place(
    tmp_path: Path,
) -> None:
    with buckets.served() as address:
        bucket(address, "apart")
        together(work, tmp_path, partial(go_on_apart, buckets.variables(address)))
    for rank in range(2):
        whole, again, prepared = torch.load(tmp_path / f"apart{rank}.pt", weights_only=True)
        assert equal(whole, again)
        assert prepared == ["by 0, first"] * 2


def test_what_the_first_has_prepared_is_brought_once_and_known_by_its_checksum(
    tmp_path: Path,
) -> None:
    url = "memory://prepared/run"
    with machine({"LSKD_WORK": str(tmp_path / "first")}):
        folder = begun(url)
        folder.mkdir(parents=True)
        for name in ("examples.jsonl", "examples.jsonl.starts", LOSSES, "swaps.jsonl.part"):
            (folder / name).write_text(f"{name} of the first")
        published.share(folder)
    system, root = fsspec.filesystem("memory"), f"/prepared/run/{TRAINING}"
    names = ["examples.jsonl", "examples.jsonl.starts", "prepared.json"]
    assert system.find(root) == [f"{root}/{name}" for name in names]
    with machine({"LSKD_WORK": str(tmp_path / "second")}):
        there = begun(url)
        published.receive(there)
        file = there / "examples.jsonl"
        assert file.read_text() == "examples.jsonl of the first"
        before = file.stat().st_mtime_ns
        published.receive(there)
        assert file.stat().st_mtime_ns == before
        file.write_text("half of it")
        published.receive(there)
        assert file.read_text() == "examples.jsonl of the first"
        system.pipe_file(f"{root}/examples.jsonl", b"another's")
        file.unlink()
        with pytest.raises(UserError, match=r"is not what prepared\.json beside it says"):
            published.receive(there)
        system.rm(f"{root}/examples.jsonl")
        with pytest.raises(UserError, match=r"is not what prepared\.json beside it says"):
            published.receive(there)
        published.clear(there.parent.parent)
        assert system.find(root) == []


def test_on_a_disk_nothing_is_published(tmp_path: Path) -> None:
    train(Toy(), RECIPE, tmp_path)
    before = sorted(path.name for path in tmp_path.rglob("*"))
    published.share(tmp_path)
    published.receive(tmp_path)
    published.bring(tmp_path, leads=False)
    published.clear(tmp_path)
    assert sorted(path.name for path in tmp_path.rglob("*")) == before
