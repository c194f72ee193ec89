"""A world on disk: pictures of scenes by split, what is true of each, and the benchmarks' files.

```
DIR/world.json              seed, numbers, table, version
DIR/scenes.jsonl            a line a picture: its file, split, id, scene and boxes
DIR/train/*.png             what a run is made from; DIR/train/instances.json has boxes and masks
DIR/test/*.png, DIR/held/*.png    scenes for the benchmarks; `held` shows combinations held out
DIR/gold/<split>/<benchmark>/...  in the formats of the benchmarks' authors
DIR/rehearsal/statements.jsonl    true and false texts about scenes that the base has seen
```
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Literal

from pydantic import TypeAdapter, ValidationError

from lskd import __version__, table
from lskd.errors import UserError
from lskd.lab.combinations import held_out, is_held_out, shown
from lskd.lab.drawing import staged
from lskd.lab.knowledge import ASKS, fingerprint
from lskd.lab.scene import Scene, anything
from lskd.lab.workers import workers
from lskd.picture import image_id
from lskd.types import Box

Split = Literal["train", "test", "held"]
SPLITS: tuple[Split, ...] = ("train", "test", "held")
SCENES, NOTE = "scenes.jsonl", "world.json"
SPAN = 1_000_000  # seeds of a split
REHEARSED = 3200  # pictures at most: of 800 a student had learnt some by heart
PRETRAINING = 9_000_000_000  # the first seed of the scenes of pre-training, above all of a world's
IMAGINED = 8_000_000_000  # and of the scenes of which mistakes and inventions are taken
# A scene of "held" may take three attempts, each this further on: to this seed none of a world's
# numbers is one of those above.
ATTEMPT = 3_000_000_000
LARGEST = 600
FORM = 2  # of the files in a world: one whose files are of another form has to be made again


@dataclass(frozen=True, slots=True)
class Staged:
    """A scene and its picture: `file` is relative to the world's folder, boxes are exact."""

    file: str
    split: Split
    image_id: str
    scene: Scene
    boxes: tuple[Box, ...]


@dataclass(frozen=True)
class World:
    """A world that was made: its folder and its scenes, in order."""

    folder: Path
    seed: int
    staged: tuple[Staged, ...]

    @cached_property
    def by_id(self) -> Mapping[str, Staged]:
        """Return the scenes by the id of their picture."""
        return {one.image_id: one for one in self.staged}

    def of(self, split: Split) -> list[Staged]:
        """Return the scenes of a split."""
        return [one for one in self.staged if one.split == split]


def stage(folder: Path, seed: int, split: Split, number: int) -> Staged:
    """Draw scene `number` of a split, write its picture and return it.

    Scenes of "held" have at least one combination that is held out, all others have none.
    """
    base = (seed * len(SPLITS) + SPLITS.index(split)) * SPAN + number
    attempt = 0
    while True:
        allowed = anything if split == "held" else shown
        scene, rendered = staged(base + attempt * ATTEMPT, allowed=allowed)
        if split != "held" or any(is_held_out(scene, n) for n in range(len(scene.entities))):
            break
        attempt += 1
    file = f"{split}/{number:06}.png"
    with table.draft(folder / file) as unfinished:
        rendered.picture.save(unfinished, "PNG")
    name = image_id((folder / file).read_bytes())
    return Staged(file, split, name, scene, rendered.boxes)


@dataclass(frozen=True, slots=True)
class Numbers:
    """How many scenes each split gets; all but `train` are for the benchmarks."""

    train: int
    test: int
    held: int

    @property
    def rehearsed(self) -> int:
        """Return how many pictures there are to rehearse on."""
        # More rows are rehearsed than learnt anew, so a small world has more pictures for it.
        return min(2 * self.train, REHEARSED)

    @property
    def pictures(self) -> int:
        """Return how many pictures are drawn in all."""
        return self.train + self.test + self.held + self.rehearsed


def make(
    folder: Path, numbers: Numbers, seed: int, tick: Callable[[int], None], processes: int = 2
) -> World:
    """Make a world in a folder, or return the one that is there if it is just that.

    Raises UserError if the folder holds another one, and for a seed that is too large.
    """
    from lskd.lab import gold, rehearsal

    if not 0 <= seed <= LARGEST:
        raise UserError(f"seed = {seed}: expected 0 to {LARGEST}; beyond, worlds share scenes")
    note = _note(numbers, seed)
    if (folder / NOTE).is_file():
        found = json.loads((folder / NOTE).read_text(encoding="utf-8"))
        if found != note:
            raise UserError(
                f"{folder} holds another world ({found}), not {note}: give another folder, or "
                "remove it"
            )
        return read(folder)
    staged = tuple(_drawn(folder, numbers, seed, tick, processes))
    with table.draft(folder / SCENES) as unfinished:
        lines = (json.dumps(TypeAdapter(Staged).dump_python(one)) for one in staged)
        unfinished.write_text("\n".join([*lines, ""]), encoding="utf-8")
    world = World(folder, seed, staged)
    gold.write_all(world)
    rehearsal.write(folder, numbers.rehearsed, tick, processes)
    with table.draft(folder / NOTE) as unfinished:
        unfinished.write_text(json.dumps(note, indent=1) + "\n", encoding="utf-8")
    return world


def _note(numbers: Numbers, seed: int) -> dict[str, object]:
    counts = {split: getattr(numbers, split) for split in SPLITS}
    # The table is a part of what a world is: its gold files have the answers of the one they were
    # written by, while what is true is asked of the one that is there.
    held = sorted("/".join(one) for one in held_out())
    return {
        "seed": seed,
        "scenes": counts,
        "rehearsed": numbers.rehearsed,
        "asks": list(ASKS),
        "held_out": held,
        "knowledge": fingerprint(),
        "form": FORM,
        "lskd": __version__,
    }


def _drawn(
    folder: Path, numbers: Numbers, seed: int, tick: Callable[[int], None], processes: int
) -> Iterator[Staged]:
    with workers(processes) as pool:
        for split in SPLITS:
            work = partial(stage, folder, seed, split)
            for one in pool.map(work, range(getattr(numbers, split)), chunksize=16):
                tick(1)
                yield one


def read(folder: Path) -> World:
    """Return the world in a folder; raises UserError if there is none, or a broken one."""
    if not (folder / NOTE).is_file():
        raise UserError(
            f"{folder} is no world of the lab: it has no {NOTE}; `lskd lab make {folder}` makes one"
        )
    try:
        seed = json.loads((folder / NOTE).read_text(encoding="utf-8"))["seed"]
        adapter = TypeAdapter(Staged)
        lines = (folder / SCENES).read_text(encoding="utf-8").splitlines()
        return World(folder, seed, tuple(adapter.validate_json(line) for line in lines))
    except (OSError, ValueError, KeyError, ValidationError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"{folder} is broken ({reason}): remove it and make it again") from error


def entity_at(staged: Staged, box: Sequence[float]) -> int | None:
    """Return the entity whose box overlaps a box by more than half of their union, or None."""
    best, found = 0.5, None
    for number, own in enumerate(staged.boxes):
        across = min(own[2], box[2]) - max(own[0], box[0])
        down = min(own[3], box[3]) - max(own[1], box[1])
        shared = max(0.0, across) * max(0.0, down)
        union = own.area + Box(*box).area - shared
        if union > 0 and shared / union > best:
            best, found = shared / union, number
    return found
