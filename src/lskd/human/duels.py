"""The answers of two systems to the same questions become duels, to be put to judges (section 3.4).

What makes no duel is a Reject with its reasons: a question that only one of the two answers, one
that they were asked in other words, about another image, one of another size or other regions, or
one whose id, which judges' browsers get, names a system.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lskd.errors import UserError
from lskd.human.answers import Answer, systems
from lskd.human.work import Duel, Posed, Said
from lskd.types import Image, Reject

Find = Callable[[str], Image | None]


@dataclass(frozen=True, slots=True)
class Joined:
    """The duels of two systems, in the order of the first one's answers, and what made none."""

    posed: tuple[Posed, ...]
    rejects: tuple[Reject, ...]


def joined(answers: Sequence[Answer], first: str, second: str, find: Find) -> Joined:
    """Return the duels of two systems over the questions that both answer.

    `find` returns the image that an answer's `image` stands for, None where there is none or it is
    not clear which. Raises UserError if a system has no answers, or is to be held against itself.
    """
    if first == second:
        raise UserError(f"{first!r} cannot be compared with itself: name two systems")
    for name in (first, second):
        if name not in (known := systems(answers)):
            raise UserError(f"no answers of {name!r}; there are those of: {', '.join(known)}")
    rejects: list[Reject] = []
    ours, theirs = (_of(name, answers, rejects) for name in (first, second))
    posed: list[Posed] = []
    for one in ours.values():
        image = find(one.image)
        other = theirs.get(one.question_id)
        if other is None:
            faults = [f"{second!r} has no answer to question {one.question_id!r}"]
        else:
            faults = [*_misplaced(one, image), *_apart(one, other, find), *_telling(one, other)]
        if image is None or other is None or faults:
            rejects.append(Reject(one.source, "; ".join(faults), one.question))
        else:
            posed.append(Posed(one.question_id, image.id, _duel(one, other, image), gold=None))
    for other in theirs.values():
        if other.question_id not in ours:
            reason = f"{first!r} has no answer to question {other.question_id!r}"
            rejects.append(Reject(other.source, reason, other.question))
    return Joined(tuple(posed), tuple(rejects))


def among(images: Iterable[Image]) -> Find:
    """Return what finds an image by its id, its path, or an end of that which no other has."""
    known: dict[str, Image] = {}
    ends: dict[str, Image | None] = {}
    for image in images:
        path = Path(image.source or image.path)
        known[image.id] = known[str(path)] = image
        for start in range(len(path.parts)):
            end = "/".join(path.parts[start:])
            ends[end] = None if ends.get(end, image) != image else image

    def find(name: str) -> Image | None:
        tidy = "/".join(part for part in name.split("/") if part not in ("", "."))
        return known.get(name) or ends.get(tidy)

    return find


def tells(text: str, system: str) -> bool:
    """Return whether a text holds a system's name, with no letter or digit right beside it."""
    name = re.escape(system.strip())
    return re.search(rf"(?<![^\W_]){name}(?![^\W_])", text, re.IGNORECASE) is not None


def _of(system: str, answers: Sequence[Answer], rejects: list[Reject]) -> Mapping[str, Answer]:
    """Return a system's answers by question; of two from two files the first counts."""
    found: dict[str, Answer] = {}
    for answer in answers:
        if answer.system != system:
            continue
        earlier = found.setdefault(answer.question_id, answer)
        if earlier is not answer:
            reason = (
                f"{system!r} has answered question {answer.question_id!r} in {earlier.source} too"
            )
            rejects.append(Reject(answer.source, reason, answer.question))
    return found


def _duel(one: Answer, other: Answer, image: Image) -> Duel:
    return Duel(
        question=one.question,
        path=image.path,
        width=image.width,
        height=image.height,
        regions=one.regions,
        first=Said(one.system, one.answer, one.rationale),
        second=Said(other.system, other.answer, other.rationale),
    )


def _misplaced(answer: Answer, image: Image | None) -> list[str]:
    if image is None:
        return [f"no image {answer.image!r} is known here, or several are"]
    if (image.width, image.height) == (answer.width, answer.height):
        return []
    return [
        f"the upright image has {image.width} x {image.height} pixels, not "
        f"{answer.width} x {answer.height}"
    ]


def _apart(one: Answer, other: Answer, find: Find) -> list[str]:
    """Return in what two rows of one question differ that must be the same."""
    pairs = (
        ("another question", one.question.split() == other.question.split()),
        (
            "other regions",
            {r.id: r.box for r in one.regions} == {r.id: r.box for r in other.regions},
        ),
        ("another image", one.image == other.image or find(one.image) == find(other.image)),
        # The same pixels are another place there.
        ("another size of the image", (one.width, one.height) == (other.width, other.height)),
    )
    return [
        f"{other.system!r} was asked with {what} ({other.source})"
        for what, equal in pairs
        if not equal
    ]


def _telling(one: Answer, other: Answer) -> list[str]:
    return [
        f"the id of the question names {system!r}, and judges must not learn who answers"
        for system in (one.system, other.system)
        if tells(one.question_id, system)
    ]
