"""Scenes to pre-train on, rendered once in the base model's size, with what each patch shows.

Seeds of these scenes are used nowhere else, and none has a held-out combination.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import PIL.Image
from numpy.typing import NDArray

from lskd.lab import words
from lskd.lab.combinations import shown
from lskd.lab.drawing import SIDE, staged
from lskd.lab.knowledge import knowledge
from lskd.lab.pretrain.frames import Framed, framed, shares
from lskd.lab.scene import COLOURS, FURS, KINDS, PEOPLE, Scene
from lskd.lab.workers import workers
from lskd.lab.world import PRETRAINING
from lskd.training.order import seed_of

FRAMINGS = 3  # times that each scene is shown with other frames: first rectangles alone
COVERED = 0.3  # a patch shows an entity that covers so much of it

THINGS = (*sorted(knowledge().places), *PEOPLE, *KINDS)
NONE = "none"  # of paints and uses: no entity is there
PAINTS = (NONE, *sorted({*COLOURS, *FURS}))
USES = (
    NONE, "free", "used", "holds", "gives", "takes", "rides", "sits", "points", "stands", "walks"
)  # fmt: skip


@dataclass(frozen=True)
class Still:
    """A rendered scene: `pixels` are (SIDE, SIDE, 3) uint8, `frames` the same with frames.

    `things`, `paints` and `uses`, (GRID * GRID,) uint8, are the places in THINGS, PAINTS and USES
    of what each patch shows.
    """

    scene: Scene
    pixels: NDArray[np.uint8]
    frames: tuple[Framed, ...]
    things: NDArray[np.uint8]
    paints: NDArray[np.uint8]
    uses: NDArray[np.uint8]


def still(seed: int) -> Still:
    """Return the still of a seed."""
    scene, rendered = staged(PRETRAINING + seed, allowed=shown)
    square = rendered.picture.resize((SIDE, SIDE), PIL.Image.Resampling.BICUBIC)
    top = PIL.Image.fromarray(rendered.top).resize((SIDE, SIDE), PIL.Image.Resampling.NEAREST)
    masks = [np.asarray(top) == number for number in range(1, len(scene.entities) + 1)]
    covered = np.stack([shares(mask) for mask in masks])  # (entities, patches)
    best = np.where(covered.max(axis=0) >= COVERED, covered.argmax(axis=0) + 1, 0)
    pixels = np.asarray(square)
    scale = (SIDE / scene.width, SIDE / scene.height) * 2
    boxes = [
        tuple(edge * by for edge, by in zip(box, scale, strict=True)) for box in rendered.boxes
    ]
    seen = [mask for mask in masks if mask.any()]
    rngs = [np.random.default_rng(seed_of("frame", seed, k)) for k in range(FRAMINGS)]
    return Still(
        scene,
        pixels,
        tuple(framed(pixels, boxes, seen if k else (), rng) for k, rng in enumerate(rngs)),
        _named(best, THINGS, scene.place, [entity.kind for entity in scene.entities]),
        _named(best, PAINTS, NONE, [entity.colour for entity in scene.entities]),
        _named(best, USES, NONE, [use(scene, n) for n in range(len(scene.entities))]),
    )


def stills(numbers: Sequence[int], processes: int, tick: Callable[[int], None]) -> list[Still]:
    """Return the stills of some seeds, made by several processes."""
    made: list[Still] = []
    with workers(processes) as pool:
        for one in pool.map(still, numbers, chunksize=64):
            made.append(one)
            tick(1)
    return made


def _named(
    best: NDArray[Any], known: Sequence[str], ground: str, names: Sequence[str]
) -> NDArray[np.uint8]:
    places = np.array([known.index(name) for name in (ground, *names)], dtype=np.uint8)
    found: NDArray[np.uint8] = places[best]
    return found


def use(scene: Scene, number: int) -> str:
    """Return what a person does, or whether a thing is used or free: one of USES."""
    entity = scene.entities[number]
    if entity.is_person:
        return words.verb(scene, entity)
    return "free" if entity.user is None else "used"
