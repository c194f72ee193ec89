"""Items of a benchmark are held against the examples of a corpus, shard by shard.

Three things make an item leak: the very file of its picture in the corpus ("copy"), another file
that shows nearly the same ("near"), and a text like its question with the right choice ("text").
Memory holds the codes and texts of the items, and one shard of examples.
"""

import functools
import os
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal, get_args

import PIL.Image

from lskd.audit.image_hash import Hashes, grey_square, hashes, is_plain
from lskd.audit.near_image import Gallery
from lskd.audit.near_text import LIKE, TextTable
from lskd.errors import UserError
from lskd.picture import image_id, read
from lskd.types import Example, Item, Reject

Kind = Literal["copy", "near", "text"]
KINDS: tuple[Kind, ...] = get_args(Kind)
AT_ONCE = 1024  # pictures


@dataclass(frozen=True, slots=True)
class Leak:
    """An item that is touched by a corpus in one way, with the nearest example that does it.

    `kind` is "copy" (the same file, distance 0), "near" (the share of bits in which the codes of
    two pictures differ) or "text" (1 - Jaccard of their runs of words). Of several examples that
    are equally near, or are about one picture, it is the first of the corpus.
    """

    benchmark: str
    item_id: str
    task: str
    example_id: str
    kind: Kind
    distance: float


@dataclass(frozen=True, slots=True)
class Audit:
    """How much of a benchmark is in a corpus.

    `items` and `examples` were compared; `leaks` are sorted, the nearest first, at most one for an
    item and a kind. `faults` are pictures whose files could not be compared with others.
    """

    items: int
    examples: int
    leaks: tuple[Leak, ...]
    faults: tuple[Reject, ...]

    def touched(self, kinds: Collection[Kind] = KINDS) -> int:
        """Return how many items are touched in any of some ways."""
        return len(touched(self.leaks, kinds))


def touched(leaks: Iterable[Leak], kinds: Collection[Kind] = KINDS) -> frozenset[tuple[str, str]]:
    """Return the items, by id and task, that are touched in any of some ways."""
    return frozenset((leak.item_id, leak.task) for leak in leaks if leak.kind in kinds)


def audit(
    items: Sequence[Item],
    shards: Iterable[Sequence[Example]],
    like: float = LIKE,
    tick: Callable[[int], None] = lambda count: None,
) -> Audit:
    """Return which items of a benchmark the examples of a corpus touch.

    `like` in (0, 1] is the share of runs of words from which on two texts are near. `tick(n)` is
    called after n more pictures of the corpus. Raises UserError if there are no items or examples.
    """
    if not items:
        raise UserError("the benchmark has no items that could be compared")
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        found = _Findings(items, like, pool)
        for examples in shards:
            tick(found.compare(examples))
    if not found.examples:
        raise UserError("the corpus has no examples that could be compared")
    return found.audit()


class _Findings:
    """The items, ready to be compared, and the nearest example so far of each."""

    def __init__(self, items: Sequence[Item], like: float, pool: Executor) -> None:
        self.items = items
        self.pool = pool
        self.examples = 0
        self.faults: dict[str, Reject] = {}
        self.nearest: dict[tuple[int, Kind], tuple[float, str]] = {}
        self.by_image: dict[str, list[int]] = defaultdict(list)
        for number, item in enumerate(items):
            self.by_image[item.image_id].append(number)
        paths = {item.image_id: item.path for item in reversed(items)}
        seen = self._hashed(paths)
        self.pictures = list(seen)
        self.gallery = Gallery(list(seen.values()))
        self.looked_at: set[str] = set()
        self.by_text: dict[str, list[int]] = defaultdict(list)
        for number, item in enumerate(items):
            for text in dict.fromkeys(said_by(item)):
                self.by_text[text].append(number)
        self.said = list(self.by_text)
        self.texts = TextTable(self.said, like)

    def compare(self, examples: Sequence[Example]) -> int:
        """Hold one shard of examples against all items; return how many pictures were new."""
        self.examples += len(examples)
        new: dict[str, Example] = {}
        near = functools.cache(self.texts.near)  # many examples of a shard may say the same
        for example in examples:
            self._offer(self.by_image.get(example.image_id, ()), "copy", 0.0, example)
            if example.image_id not in self.looked_at:
                new.setdefault(example.image_id, example)
            for text in said_in(example):
                for number, distance in near(text).items():
                    self._offer(self.by_text[self.said[number]], "text", distance, example)
        self.looked_at |= new.keys()
        paths = {name: example.path for name, example in new.items()}
        for name, seen in self._hashed(paths).items():
            for number, distance in self.gallery.same(seen).items():
                if self.pictures[number] != name:
                    touching = self.by_image[self.pictures[number]]
                    self._offer(touching, "near", distance, new[name])
        return len(new)

    def audit(self) -> Audit:
        """Return what was found."""
        leaks = [
            Leak(item.benchmark, item.id, item.task, example, kind, distance)
            for (number, kind), (distance, example) in self.nearest.items()
            for item in (self.items[number],)
        ]
        leaks.sort(
            key=lambda leak: (leak.distance, KINDS.index(leak.kind), leak.item_id, leak.task)
        )
        return Audit(len(self.items), self.examples, tuple(leaks), tuple(self.faults.values()))

    def _offer(self, numbers: Iterable[int], kind: Kind, distance: float, example: Example) -> None:
        for number in numbers:
            known = self.nearest.get((number, kind))
            if known is None or distance < known[0]:
                self.nearest[number, kind] = (distance, example.id)

    def _hashed(self, paths: dict[str, str]) -> dict[str, Hashes]:
        """Return the codes of pictures by id; those that have none become faults."""
        found: dict[str, Hashes] = {}
        names = list(paths)
        for start in range(0, len(names), AT_ONCE):
            some = names[start : start + AT_ONCE]
            seen = self.pool.map(_see, some, [paths[name] for name in some])
            for name, result in zip(some, seen, strict=True):
                if isinstance(result, Reject):
                    self.faults.setdefault(name, result)
                else:
                    found[name] = result
        return found


def said_by(item: Item) -> list[str]:
    """Return what an item says when it is answered: its question with each of its right choices.

    Where the authors keep the right choice, those of the highest mean rating take its place; where
    there is none either, it is the question alone.
    """
    right = item.right
    if not right and item.ratings:
        sums = [sum(ratings) for ratings in zip(*item.ratings, strict=True)]
        right = tuple(place for place, total in enumerate(sums) if total == max(sums))
    return [f"{item.question} {item.choices[place]}" for place in right] or [item.question]


def said_in(example: Example) -> list[str]:
    """Return what an example says in the ways in which an item may say it.

    Question and answer, question and rationale, and the answer alone, since some benchmarks ask no
    question.
    """
    said = [f"{example.question} {example.answer}", example.answer]
    return [*said, f"{example.question} {example.rationale}"] if example.rationale else said


def _see(name: str, path: str) -> Hashes | Reject:
    """Return the codes of a picture, or why it has none."""
    try:
        data = read(path, name)
        if image_id(data) != name:
            return Reject(path, "its file has changed since it was first read", name)
        grey = grey_square(data)
    except OSError as error:
        return Reject(path, f"cannot be read: {error.strerror or error}", name)
    except (SyntaxError, ValueError, PIL.Image.DecompressionBombError) as error:
        return Reject(path, f"cannot be read: {error}", name)
    if is_plain(grey):
        return Reject(path, "too plain to be told from others: only its copies are found", name)
    return hashes(grey)
