"""What was seen is kept on disk: found again, never mixed up, safe from kills and full disks."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import pytest
import torch

from lskd.blip2.features import Limits
from lskd.distil.generative.sights import ENTRY, SightCache
from lskd.errors import UserError
from lskd.types import Box, Image, Region, View
from lskd.writing.writer import Sight

ROOM = Limits(gigabytes=1.0, views=2)


def view(number: int, region: int = 0) -> View:
    box = Region(region, Box(0, 0, 4, 4), "", "", 1.0)
    return View(Image(f"{number:016x}", f"{number}.png", 8, 8), (box,))


def sight(one: View) -> Sight:
    """Return a sight that tells its view; its size differs from view to view."""
    number = int(one.image.id, 16)
    features = torch.full((number + 1, 3), float(number))
    return Sight(features, (features * 2,), (number, one.regions[0].id))


class Eye:
    """Looks, and counts."""

    def __init__(self) -> None:
        self.seen: list[View] = []

    def __call__(self, views: Sequence[View]) -> list[Sight]:
        self.seen += views
        return [sight(one) for one in views]


def filled(
    folder: Path, views: Sequence[View], eye: Eye, said: list[str] | None = None
) -> SightCache:
    cache = SightCache(folder)
    cache.fill(lambda: views, eye, ROOM, ([] if said is None else said).append)
    return cache


def equal(one: Sight, other: Sight) -> bool:
    pairs = zip((one.features, *one.layers), (other.features, *other.layers), strict=True)
    return one.grid == other.grid and all(torch.equal(a, b) for a, b in pairs)


def test_each_view_is_looked_at_once_and_found_again(tmp_path: Path) -> None:
    eye, views = Eye(), [view(0), view(1), view(0), view(2), view(1, region=1)]
    cache = filled(tmp_path, views, eye)
    assert len(eye.seen) == len(cache) == 4
    for opened in (cache, SightCache(tmp_path)):
        assert all(map(equal, opened(views), map(sight, views)))
    said: list[str] = []
    again = filled(tmp_path, [*views, view(7)], eye, said)
    assert eye.seen[4:] == [view(7)] and equal(again([view(7)])[0], sight(view(7)))
    assert "of 1 views will take about" in said[0] and "4 are there" in said[0]
    filled(tmp_path, views, eye, said)
    assert said[1].startswith("all 5 views were seen before")


def test_a_view_that_is_not_there_is_one_clear_line(tmp_path: Path) -> None:
    cache = filled(tmp_path, [view(0)], Eye())
    with pytest.raises(UserError, match="lacks a view that is trained on: remove it"):
        cache([view(1)])


@pytest.mark.parametrize("lost", ["entry", "sight"])
def test_what_a_kill_left_half_done_is_made_again(tmp_path: Path, lost: str) -> None:
    views = [view(1), view(2), view(3)]
    filled(tmp_path, views, Eye())
    file = tmp_path / ("index" if lost == "entry" else "sights")
    data = file.read_bytes()
    file.write_bytes(data[:-5])
    eye = Eye()
    cache = filled(tmp_path, views, eye)
    assert eye.seen == [view(3)]
    assert all(map(equal, SightCache(tmp_path)(views), map(sight, views)))
    assert len((tmp_path / "index").read_bytes()) == len(cache) * ENTRY.size


def test_too_little_room_is_told_before_most_is_looked_at(tmp_path: Path) -> None:
    eye, views = Eye(), [view(n) for n in range(50)]
    cache = SightCache(tmp_path)
    with pytest.raises(UserError, match=r"more than cache_gb = 1e-06: raise it, lower views"):
        cache.fill(lambda: views, eye, Limits(1e-6, 2), list[str]().append)
    assert len(eye.seen) == 2


def test_two_fill_one_after_the_other(tmp_path: Path) -> None:
    filled(tmp_path, [view(0)], Eye())
    late = SightCache(tmp_path)
    filled(tmp_path, [view(1)], Eye())
    eye = Eye()
    late.fill(lambda: [view(0), view(1), view(2)], eye, ROOM, list[str]().append)
    assert eye.seen == [view(2)]


def test_who_comes_while_another_fills_waits_and_does_not_look_again(tmp_path: Path) -> None:
    first, second, told = _Slow(), Eye(), Told()
    with ThreadPoolExecutor(2) as pool:
        one = pool.submit(filled, tmp_path, [view(0), view(1)], first)
        assert first.began.wait(10)
        late = SightCache(tmp_path)
        other = pool.submit(late.fill, lambda: [view(1), view(2)], second, ROOM, told)
        assert told.anything.wait(10)
        first.may_go_on.set()
        one.result()
        other.result()
    assert told.lines[0] == f"waiting: another lskd fills {tmp_path}"
    assert second.seen == [view(2)]
    assert all(map(equal, late([view(1), view(2)]), map(sight, [view(1), view(2)])))


class _Slow(Eye):
    """Looks once it may."""

    def __init__(self) -> None:
        super().__init__()
        self.began, self.may_go_on = Event(), Event()

    def __call__(self, views: Sequence[View]) -> list[Sight]:
        self.began.set()
        assert self.may_go_on.wait(10)
        return super().__call__(views)


class Told:
    """Keeps the lines that are told."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.anything = Event()

    def __call__(self, line: str) -> None:
        self.lines.append(line)
        self.anything.set()
