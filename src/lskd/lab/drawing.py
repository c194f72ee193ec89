"""A scene becomes a picture, with the exact mask and box of each entity."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import PIL.Image
import PIL.ImageDraw
import PIL.ImageEnhance
from numpy.typing import NDArray

from lskd.lab import figures
from lskd.lab.backdrop import backdrop
from lskd.lab.pen import Pen
from lskd.lab.scene import EXTENT, Allowed, Entity, Scene, anything, draw
from lskd.types import Box

SIDE, SPAN = 144, 24  # the base model's picture, and two of its patches, in pixels
RETRY = 1 << 40  # added to a seed for each further attempt; no seed is that large
SOLID = 128  # of 255: from here on a pixel belongs to an entity


@dataclass(frozen=True)
class Rendered:
    """A picture and what is where in it.

    `boxes` are the smallest that hold all of an entity, also what is hidden, clipped to the
    picture. `top`, (height, width) uint8, is 1 + the number of the entity that is seen at a pixel,
    0 for the place; `masks[n]`, (height, width) bool, is all of entity n.
    """

    picture: PIL.Image.Image
    boxes: tuple[Box, ...]
    top: NDArray[np.uint8]
    masks: tuple[NDArray[np.bool_], ...]

    def seen(self, number: int) -> float:
        """Return the share of an entity that nothing hides."""
        whole = int(self.masks[number].sum())
        return float((self.top == number + 1).sum() / whole) if whole else 0.0


def render(scene: Scene) -> Rendered:
    """Draw a scene: what stands further back first, what a person uses over that person."""
    picture = backdrop(scene.place, scene.width, scene.height, scene.clutter)
    top: NDArray[np.uint8] = np.zeros((scene.height, scene.width), dtype=np.uint8)
    masks: dict[int, NDArray[np.bool_]] = {}
    for number in sorted(range(len(scene.entities)), key=lambda n: _depth(scene, n)):
        pen, left, up = _drawn(scene, number)
        layer = pen.done()
        _shadow(picture, scene.entities[number])
        picture.paste(layer, (left, up), layer)
        mask = _mask(layer.getchannel("A"), left, up, scene)
        masks[number] = mask
        top[mask] = number + 1
    light = PIL.ImageEnhance.Brightness(picture).enhance(0.88 + 0.2 * scene.shade)
    boxes = tuple(_box(masks[number]) for number in range(len(scene.entities)))
    return Rendered(light, boxes, top, tuple(masks[n] for n in range(len(scene.entities))))


def masks(scene: Scene) -> tuple[NDArray[np.bool_], ...]:
    """Return all of each entity, as `render` does, without drawing the picture."""
    found = []
    for number in range(len(scene.entities)):
        pen, left, up = _drawn(scene, number)
        found.append(_mask(pen.solid(), left, up, scene))
    return tuple(found)


def staged(seed: int, allowed: Allowed = anything) -> tuple[Scene, Rendered]:
    """Return the first scene of a seed in which each entity can be made out, and its picture.

    At least half of an entity is seen, and it is large enough to span two of the base model's
    patches in a picture of `SIDE` pixels.
    """
    for attempt in range(1000):
        scene = draw(seed + attempt * RETRY, allowed)
        rendered = render(scene)
        if all(_clear(scene, rendered, number) for number in range(len(scene.entities))):
            return replace(scene, seed=seed), rendered
    raise AssertionError(f"no clear scene for seed {seed} in 1000 attempts")


def _clear(scene: Scene, rendered: Rendered, number: int) -> bool:
    box = rendered.boxes[number]
    across, down = box.width * SIDE / scene.width, box.height * SIDE / scene.height
    return max(across, down) >= SPAN and rendered.seen(number) >= 0.5


def _depth(scene: Scene, number: int) -> tuple[float, int]:
    entity = scene.entities[number]
    if entity.user is not None:
        user = scene.entities[entity.user]
        # A seat stands behind who sits on it; all else is held in front.
        behind = user.act in ("sits on", "rides")
        return user.placing.y, -1 if behind else 1
    return entity.placing.y, 0


def _drawn(scene: Scene, number: int) -> tuple[Pen, int, int]:
    """Return the pen that drew an entity, and where the upper left corner of its layer lies."""
    entity = scene.entities[number]
    x, y, high = entity.placing
    if entity.is_person:
        wide = figures.ASPECT * high
        pen = Pen(wide, high, entity.facing)
        target = None if entity.target is None else scene.entities[entity.target]
        lifted = target is not None and target.kind in ("open umbrella", "kite")
        takes = entity.act == "stands" and target is not None
        coat = figures.PAINT[entity.colour]
        act = "gives" if takes else entity.act or "stands"
        figures.person(pen, entity.kind, coat, entity.posture, act, lifted)
    else:
        across, down = EXTENT[entity.kind]
        wide = high * across / down
        pen = Pen(wide, high, entity.facing)
        figures.FIGURES[entity.kind](pen, figures.PAINT[entity.colour])
    margin = pen.margin / 3
    return pen, round(x - wide / 2 - margin), round(y - high - margin)


def _shadow(picture: PIL.Image.Image, entity: Entity) -> None:
    """Darken the ground below what stands on it."""
    if entity.user is not None and not entity.is_person:
        return
    x, y, high = entity.placing
    wide = (figures.ASPECT * 0.6 if entity.is_person else 0.9) * high
    if not entity.is_person:
        across, down = EXTENT[entity.kind]
        wide = 0.9 * high * across / down
    pen = PIL.ImageDraw.Draw(picture, "RGBA")
    flat = max(2.0, 0.05 * high)
    pen.ellipse((x - wide / 2, y - flat, x + wide / 2, y + flat), fill=(20, 20, 30, 60))


def _mask(solid: PIL.Image.Image, left: int, up: int, scene: Scene) -> NDArray[np.bool_]:
    whole = PIL.Image.new("L", (scene.width, scene.height))
    whole.paste(solid, (left, up))
    mask: NDArray[np.bool_] = np.asarray(whole) >= SOLID
    return mask


def _box(mask: NDArray[np.bool_]) -> Box:
    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    if not len(rows):
        return Box(0, 0, 0, 0)
    edges: tuple[Any, ...] = (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1)
    return Box(*(float(edge) for edge in edges))
