"""What the tests of scorers share: panels of small pictures, and a count of what is encoded."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import PIL.Image
import torch

import tiny_models
from lskd import marking
from lskd.marking import MarkStyle
from lskd.picture import load
from lskd.protocols import Fits, Panel, Text
from lskd.types import Box, Region

TEXTS = (
    Text("question: what is [0] ? answer:", "a dog ."),
    Text("question: what is [0] ? answer:", "the red cup is left of it , because it is red"),
    Text("", "a person"),
    Text("question: what is [0] ? answer:", "no"),
)


def panels(folder: Path) -> list[Panel]:
    """Return six panels of five views of three images; two panels are the same view."""
    dog = Region(0, Box(5, 5, 30, 25), "dog", "", 1.0)
    cup = Region(1, Box(20, 3, 38, 28), "cup", "", 1.0)
    outside = Region(2, Box(400, 5, 420, 25), "car", "", 1.0)
    a, b, c = (
        tiny_models.picture(folder, *size, seed).image
        for seed, size in enumerate(((40, 30), (90, 60), (33, 57)))
    )
    copy = Path(a.path).with_name("copy.png")
    copy.write_bytes(Path(a.path).read_bytes())
    return [
        Panel(a, (dog, cup), TEXTS),
        Panel(b, (dog,), TEXTS[:2]),
        Panel(a, (), TEXTS[1:]),
        Panel(replace(a, path=str(copy)), (dog, cup), (Text("", "red , red"), TEXTS[0])),
        Panel(a, (cup, dog), TEXTS[:1]),
        Panel(c, (cup, outside), TEXTS),
    ]


def marked(panel: Panel, size: tuple[int, int], style: MarkStyle, filter: int) -> PIL.Image.Image:
    """Return a panel's picture, resized and then marked."""
    pixels = load(panel.image)
    seen = [region for region in panel.regions if marking.visible(region, pixels.size)]
    scaled = [marking.resized(region, pixels.size, size) for region in seen]
    resized = pixels.resize(size, PIL.Image.Resampling(filter))
    return marking.mark(resized, scaled, style)


@contextmanager
def counted(module: Any) -> Iterator[list[int]]:
    """Count the pictures that pass an encoder, by its first argument's first dimension."""
    seen: list[int] = []

    def look(_: Any, given: tuple[Any, ...], named: dict[str, Any]) -> None:
        first = given[0] if given else next(iter(named.values()))
        seen.append(len(first))

    handle = module.register_forward_pre_hook(look, with_kwargs=True)
    try:
        yield seen
    finally:
        handle.remove()


def close(found: Sequence[float] | None, expected: Sequence[float], within: float = 1e-5) -> None:
    """Check numbers against a reference."""
    assert found is not None
    torch.testing.assert_close(torch.tensor(found), torch.tensor(expected), atol=within, rtol=0)


def alike(some: Sequence[Fits], others: Sequence[Fits], within: float = 1e-5) -> None:
    """Check that two scorings are the same."""
    for one, other in zip(some, others, strict=True):
        for head in ("itm", "itc", "likelihood"):
            expected = getattr(other, head)
            if expected is None:
                assert getattr(one, head) is None
            else:
                close(getattr(one, head), expected, within)
