"""The owner's annotations take the place of models: boxes, phrases, captions and answers.

Everything said is true of the annotations and the pixels. Images without annotations are left to
another model:

```toml
[regions.proposer]
use = "lskd.verbalize.annotated:AnnotatedVision"
otherwise = { use = "lskd.verbalize.classical:ClassicalVision" }
```
"""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar, runtime_checkable

from lskd.errors import UserError
from lskd.picture import Picture
from lskd.protocols import Answerer, Captioner, Narrator, Proposal, Proposer, Tagger
from lskd.types import Box, Concept, Concepts, Labelled, Region
from lskd.verbalize import wording
from lskd.verbalize.observation import Found, observe
from lskd.verbalize.questions import Scene
from lskd.verbalize.questions import answer as answered

T = TypeVar("T")
MOST_KINDS = 8  # kinds of things that one sentence can hold
SAME_BOX = 1.5  # pixels by which corners may differ between an annotation and its region
KINDS = {
    "vehicle": "bicycle, car, motorcycle, airplane, bus, train, truck, boat",
    "animal": "bird, cat, dog, horse, sheep, cow, elephant, bear, zebra, giraffe",
    "sports equipment": "frisbee, skis, snowboard, sports ball, baseball bat, baseball glove, "
    "skateboard, surfboard, tennis racket",
    "tableware": "wine glass, cup, fork, knife, spoon, bowl, plate, saucer",
    "food": "banana, apple, sandwich, orange, broccoli, carrot, hot dog, pizza, donut, cake",
    "furniture": "chair, couch, bed, dining table, desk, shelf",
    "electronics": "tv, laptop, mouse, remote, keyboard, cell phone, camera",
    "appliance": "microwave, oven, toaster, refrigerator, hair drier",
    "plant": "potted plant, tree, flower",
}
KIND_OF = {label: kind for kind, labels in KINDS.items() for label in labels.split(", ")}


@runtime_checkable
class Vision(Tagger, Narrator, Proposer, Captioner, Answerer, Protocol):
    """All that the stages of `verbalize` ask of a model."""


class AnnotatedVision:
    """Meets all protocols of `verbalize` from annotations; `otherwise` serves images without any.

    Without `otherwise`, an image without annotations has no places, no narratives and no labels.
    """

    def __init__(self, otherwise: Vision | None = None) -> None:
        if otherwise is not None and not isinstance(otherwise, Vision):
            wanted = ("tag", "narrate", "propose", "describe", "answer")
            missing = ", ".join(name for name in wanted if not hasattr(otherwise, name))
            raise UserError(
                f"AnnotatedVision: otherwise = {type(otherwise).__name__} lacks {missing}; "
                'try otherwise = { use = "lskd.verbalize.classical:ClassicalVision" }'
            )
        self.otherwise = otherwise

    def tag(self, pictures: Sequence[Picture]) -> list[Concepts]:
        """Return annotated labels as objects, largest first, and their kinds as concepts."""
        own = [labels(picture) if places(picture) else None for picture in pictures]
        return filled(
            own,
            lambda rest: (
                self.otherwise.tag([pictures[k] for k in rest])
                if self.otherwise
                else [Concepts(pictures[k].image.id, (), (), ()) for k in rest]
            ),
        )

    def narrate(
        self, pictures: Sequence[Picture], samples: int, temperature: float
    ) -> list[tuple[str, ...]]:
        """Return at most `samples` of the owner's captions, else a sentence that lists labels."""
        own = [told(picture, samples) or None for picture in pictures]
        return filled(
            own,
            lambda rest: (
                self.otherwise.narrate([pictures[k] for k in rest], samples, temperature)
                if self.otherwise
                else [() for _ in rest]
            ),
        )

    def propose(self, pictures: Sequence[Picture]) -> list[list[Proposal]]:
        """Return the annotated boxes, each with score 1."""
        own = [
            [Proposal(one.box, one.text, 1.0, one.polygons) for one in places(picture)] or None
            for picture in pictures
        ]
        return filled(
            own,
            lambda rest: (
                self.otherwise.propose([pictures[k] for k in rest])
                if self.otherwise
                else [[] for _ in rest]
            ),
        )

    def describe(
        self, pictures: Sequence[Picture], regions: Sequence[Sequence[Region]]
    ) -> list[tuple[str, ...]]:
        """Return a phrase for each region, from its label, its colour, its size and its place.

        Phrases are those among all annotated places of the image, so that "the second cup from the
        left" counts cups that were not selected, too. Regions that are not annotated places are
        described among themselves.
        """
        own = [
            described(picture, chosen) if places(picture) or not self.otherwise else None
            for picture, chosen in zip(pictures, regions, strict=True)
        ]
        return filled(
            own,
            lambda rest: (
                self.otherwise.describe([pictures[k] for k in rest], [regions[k] for k in rest])
                if self.otherwise
                else []
            ),
        )

    def answer(self, pictures: Sequence[Picture], questions: Sequence[str]) -> list[str]:
        """Return answers to the forms of `lskd.verbalize.questions`, and "" to any other."""
        scenes: dict[str, Scene] = {}
        own: list[str | None] = []
        for picture, question in zip(pictures, questions, strict=True):
            if self.otherwise and not places(picture):
                own.append(None)
                continue
            if picture.image.id not in scenes:
                scenes[picture.image.id] = scene(picture)
            own.append(answered(question, scenes[picture.image.id]))
        return filled(
            own,
            lambda rest: (
                self.otherwise.answer([pictures[k] for k in rest], [questions[k] for k in rest])
                if self.otherwise
                else []
            ),
        )


def filled(own: Sequence[T | None], others: Callable[[list[int]], list[T]]) -> list[T]:
    """Return `own` with each None replaced by what `others` says, asked once for all of them."""
    gaps = [k for k, one in enumerate(own) if one is None]
    said = iter(others(gaps)) if gaps else iter(())
    return [next(said) if one is None else one for one in own]


def places(picture: Picture) -> tuple[Labelled, ...]:
    """Return the annotated places of an image."""
    return picture.annotation.places if picture.annotation else ()


def found(picture: Picture) -> tuple[Found, ...]:
    """Return the annotated places, clipped to the image, without those that lie outside it."""
    size = picture.image.width, picture.image.height
    clipped = (Found(one.box.within(*size), one.text, one.polygons) for one in places(picture))
    return tuple(one for one in clipped if one.box.area > 0)


def labels(picture: Picture) -> Concepts:
    """Return what the annotated labels say of the whole image."""
    area: Counter[str] = Counter()
    for one in found(picture):
        if not wording.is_phrase(one.label):
            area[one.label] += round(one.box.area)
    names = [name for name, _ in area.most_common()]
    kinds = dict.fromkeys(KIND_OF[name.lower()] for name in names if name.lower() in KIND_OF)
    return Concepts(
        image_id=picture.image.id,
        places=(),
        objects=tuple(Concept(name, 1.0) for name in names),
        concepts=tuple(Concept(kind, 1.0) for kind in kinds),
    )


def told(picture: Picture, samples: int) -> tuple[str, ...]:
    """Return the owner's captions, else one sentence that lists the labels, else nothing."""
    captions = picture.annotation.captions if picture.annotation else ()
    written = dict.fromkeys(" ".join(caption.split()) for caption in captions)
    texts = tuple(text for text in written if text)[:samples]
    if texts or not found(picture):
        return texts
    return (listing(picture),)[:samples]


def listing(picture: Picture) -> str:
    """Return "There are two people, a dog and a frisbee.", the largest kind first."""
    area: Counter[str] = Counter()
    count: Counter[str] = Counter()
    for one in found(picture):
        label = wording.head(one.label)
        area[label] += round(one.box.area)
        count[label] += 1
    kinds = [label for label, _ in area.most_common(MOST_KINDS)]
    several = count[kinds[0]] > 1 or wording.is_plural(kinds[0])
    verb = "are" if several else "is"
    items = [wording.counted(count[label], label) for label in kinds]
    return f"There {verb} {wording.listed(items)}."


def described(picture: Picture, regions: Sequence[Region]) -> tuple[str, ...]:
    """Return the regions' phrases among all annotated places, or among themselves."""
    size = picture.image.width, picture.image.height
    annotated = found(picture)
    chosen = [Found(r.box.within(*size), r.label, r.polygons) for r in regions]
    at = matched(chosen, annotated)
    if at is None:
        return wording.phrases(observe(picture.pixels, chosen))
    said = scene(picture).phrases
    return tuple(said[k] for k in at)


def matched(chosen: Sequence[Found], annotated: Sequence[Found]) -> list[int] | None:
    """Return which annotated place each region was made of; None if one was made of none."""
    free = dict(enumerate(annotated))
    at = []
    for one in chosen:
        same = (k for k, o in free.items() if o.label == one.label and near(o.box, one.box))
        k = next(same, None)
        if k is None:
            return None
        del free[k]
        at.append(k)
    return at


def near(a: Box, b: Box) -> bool:
    """Say whether two boxes are the same but for rounding."""
    return all(abs(p - q) <= SAME_BOX for p, q in zip(a, b, strict=True))


def scene(picture: Picture) -> Scene:
    """Return the annotated places of an image, observed and put into words."""
    observed = observe(picture.pixels, found(picture))
    return Scene(picture.pixels, observed, wording.phrases(observed), complete=True)
