"""What is said of stills: token ids of true and false statements, by one process or by several.

On a processor they cost little beside the training; an accelerator would wait for one process that
makes them, so it is given many.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain, repeat
from pathlib import Path

from lskd.blip2.text import Tokenizer
from lskd.lab.pretrain.captions import LIMIT, framing_of
from lskd.lab.pretrain.gallery import Still
from lskd.lab.pretrain.statements import (
    Drawn,
    beside,
    frames,
    names,
    of_all,
    of_frames,
    of_things,
    statements,
)
from lskd.lab.scene import Scene
from lskd.lab.workers import workers
from lskd.training.order import seed_of

# Shares of the statements about a picture that has frames: of these, and of what is beside one.
FRAMES, BESIDE = 0.3, 0.3
# The same of plain statements: of frames, and then of all of the scene.
PLAIN_FRAMES, PLAIN_WHOLE = 0.5, 0.3
CHUNK = 16  # rows that a process is given at a time

Ids = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Shown:
    """A still as words need it: its scene, and the frames that are drawn where it is seen."""

    scene: Scene
    drawn: tuple[Drawn, ...]


def shown(stills: Sequence[Still]) -> list[Shown]:
    """Return stills, as `captions.features` sees them, without their pixels."""
    found = []
    for row, still in enumerate(stills):
        framing = framing_of(row)
        drawn = () if framing is None else tuple(frames(still.frames[framing].tints))
        found.append(Shown(still.scene, drawn))
    return found


# What is said of a still, beside another scene: a true statement and then false ones.
Says = Callable[[Shown, Scene, random.Random], list[str]]


def all_kinds(one: Shown, other: Scene, rng: random.Random) -> list[str]:
    """Return statements of any kind about a still, of its frames among them."""
    about = rng.random()
    if one.drawn and about < FRAMES:
        return of_frames(one.drawn, rng)
    if one.drawn and about < FRAMES + BESIDE:
        found = beside(one.scene, one.drawn, rng)
        if found is not None:
            return found
    return statements(one.scene, other, rng)


def plain(one: Shown, other: Scene, rng: random.Random) -> list[str]:
    """Return statements of what is seen: of frames, of all of the scene, of things."""
    if one.drawn and rng.random() < PLAIN_FRAMES:
        return of_frames(one.drawn, rng)
    if rng.random() < PLAIN_WHOLE:
        return of_all(one.scene, rng)
    return of_things(one.scene, other, rng)


def names_alone(one: Shown, other: Scene, rng: random.Random) -> list[str]:
    """Return what something in a still looks like, and what nothing in it does."""
    return names(one.scene, other, rng)


class Voice:
    """Says things of stills, in words of a vocabulary."""

    def __init__(self, all_shown: Sequence[Shown], vocabulary: Path) -> None:
        self.all_shown = all_shown
        self.tokenizer = Tokenizer(vocabulary)

    def said(self, rows: Sequence[int], seed: int, says: Says = all_kinds) -> list[Ids]:
        """Return a true statement about each still and then false ones, as token ids."""
        texts: list[str] = []
        for row in rows:
            rng = random.Random(seed_of(seed, row))
            other = self.all_shown[rng.randrange(len(self.all_shown))].scene
            texts += says(self.all_shown[row], other, rng)
        return self.tokenizer.encode(texts, LIMIT)


class Choir:
    """Voices in several processes, who say together what one would say alone."""

    def __init__(self, all_shown: Sequence[Shown], vocabulary: Path, processes: int) -> None:
        self._pool = workers(processes, _begin, (all_shown, vocabulary))
        # They begin now, before this process has threads and an accelerator in use.
        self.said(range(min(processes, len(all_shown))), 0)

    def said(self, rows: Sequence[int], seed: int, says: Says = all_kinds) -> list[Ids]:
        """Return what a `Voice` returns; `says` is a function that a process can look up."""
        chunks = [rows[start : start + CHUNK] for start in range(0, len(rows), CHUNK)]
        told = self._pool.map(_say, chunks, repeat(seed), repeat(says))
        return list(chain.from_iterable(told))

    def __enter__(self) -> "Choir":
        return self

    def __exit__(self, *of: object) -> None:
        self._pool.shutdown()


_voices: list[Voice] = []  # of a process of a choir: one


def _begin(all_shown: Sequence[Shown], vocabulary: Path) -> None:
    _voices.append(Voice(all_shown, vocabulary))


def _say(rows: Sequence[int], seed: int, says: Says) -> list[Ids]:
    return _voices[0].said(rows, seed, says)
