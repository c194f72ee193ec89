"""Reads a triple's English and holds it against the annotators' boxes.

It shares nothing with the symbolic teacher: it has its own patterns and its own arithmetic. A
sentence must either consist of statements that hold, or be worded as a guess.
"""

import json
import math
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from lskd.types import Box, Region, Style, Triple
from lskd.verbalize import wording

LARGEST = 10  # regions of a picture, as many as the regions stage keeps
HEDGES = frozenset("could likely may might often probably sometimes usually".split())


# ---- what the annotators say ------------------------------------------------------------------


@dataclass(frozen=True)
class Photo:
    """A photograph's annotated boxes, not rounded, by region id."""

    name: str
    width: int
    height: int
    boxes: Mapping[int, Box]
    labels: Mapping[int, str]
    regions: tuple[Region, ...]
    place: str
    captions: tuple[str, ...]

    @property
    def diagonal(self) -> float:
        return math.hypot(self.width, self.height)

    def gap(self, a: int, b: int) -> float:
        one, other = self.boxes[a], self.boxes[b]
        across = max(one.x0 - other.x1, other.x0 - one.x1, 0)
        down = max(one.y0 - other.y1, other.y0 - one.y1, 0)
        return math.hypot(across, down) / self.diagonal

    def nearest(self, a: int, among: list[int]) -> int:
        return min((k for k in among if k != a), key=lambda k: self.gap(a, k))

    def named(self, label: str) -> list[int]:
        return [k for k, known in self.labels.items() if known == label]


def photos(folder: Path) -> list[Photo]:
    """Return the photographs with boxes and captions; a kitchen that is sure is told as a label."""
    data = json.loads((folder / "instances.json").read_text())
    told = json.loads((folder / "captions.json").read_text())["annotations"]
    label = {row["id"]: row["name"] for row in data["categories"]}
    found = []
    for image in data["images"]:
        rows = [a for a in data["annotations"] if a["image_id"] == image["id"] and not a["iscrowd"]]
        rows = sorted(rows, key=lambda row: -row["area"])[:LARGEST]
        boxes = {k: corners(row["bbox"]) for k, row in enumerate(rows)}
        labels = {k: label[row["category_id"]] for k, row in enumerate(rows)}
        width, height = image["width"], image["height"]
        phrases = wording.phrases([seen(boxes[k], labels[k], width, height) for k in boxes])
        place = "kitchen" if {"oven", "refrigerator"} & set(labels.values()) else ""
        regions = tuple(Region(k, boxes[k], labels[k], phrases[k], 1.0) for k in boxes)
        name = str(image["id"])
        captions = tuple(row["caption"] for row in told if row["image_id"] == image["id"])
        found.append(Photo(name, width, height, boxes, labels, regions, place, captions))
    return found


def corners(bbox: list[float]) -> Box:
    x, y, width, height = bbox
    return Box(x, y, x + width, y + height)


def seen(box: Box, label: str, width: int, height: int) -> wording.Place:
    high, across = wording.place_words(box, width, height)
    return wording.Place(box, label, wording.size_word(box, label, width, height), "", high, across)


# ---- the reader of a triple's English ---------------------------------------------------------


def ref(name: str) -> str:
    """Return a pattern for a region's tag, with or without a word for it: "the cup [1]"."""
    return rf"(?:[Tt]he [A-Za-z ]+? )?(?P<{name}>\[[^\[\]]+\])"


A, B, C = ref("a"), ref("b"), ref("c")
ANY = r"(?P<all>\[[^\[\]]+\](?:(?:, | and )\[[^\[\]]+\])+)"
LIST = "[A-Za-z ,]+"
NUMBERS = {word: k for k, word in enumerate(wording.NUMBERS)}


class Reader:
    """Finds what is wrong with a triple about a photograph."""

    def __init__(self, photo: Photo, style: Style) -> None:
        self.photo = photo
        self.style = style
        self.ids = {f"[{k}]": k for k in photo.boxes}
        if style == "description":
            self.ids = {f"[{region.description}]": region.id for region in photo.regions}
        self.nouns = {noun_of(label): label for label in NAMES}
        self.statements = self.grammar()
        self.nouns_before = {f" {noun.lower()} ": label for noun, label in self.nouns.items()}
        self.judged: dict[str, tuple[str, ...]] = {}  # seeds repeat most parts and sentences

    def problems(self, triple: Triple) -> list[str]:
        """Return a line for each thing that is wrong."""
        found: list[str] = []
        for part in (triple.question, triple.answer, triple.rationale):
            found += self.once(self.of_part, part)
        return found

    def once(self, read: Callable[[str], Iterator[str]], text: str) -> tuple[str, ...]:
        """Return what is wrong with a text, which is read at most once."""
        key = f"{read.__name__}: {text}"
        if key not in self.judged:
            self.judged[key] = tuple(read(text))
        return self.judged[key]

    def of_part(self, part: str) -> Iterator[str]:
        """Yield what is wrong with a question, an answer or a rationale."""
        unknown = [tag for tag in re.findall(r"\[[^\[\]]*\]", part) if tag not in self.ids]
        yield from (f"no region {tag}" for tag in unknown)
        if not unknown:
            yield from self.misnamed(part)
            for sentence in sentences(part):
                yield from self.once(self.wrong, sentence)

    def misnamed(self, text: str) -> Iterator[str]:
        """Yield the words before a tag that are not those of its category."""
        for tag in re.finditer(r"\[[^\[\]]+\]", text):
            before = text[: tag.start()].lower()
            fitting = [noun for noun in self.nouns_before if before.endswith(noun)]
            label = self.photo.labels[self.ids[tag[0]]]
            if fitting and self.nouns_before[max(fitting, key=len)] != label:
                yield f"{tag[0]} is a {label}: {text}"

    def wrong(self, sentence: str) -> Iterator[str]:
        """Yield what does not hold in a sentence, and the sentence if it states anything else."""
        rest = re.sub(r"^(?:Here|Yes|No), ", "", sentence)
        for pattern, holds in self.statements:
            stated = list(pattern.finditer(rest))
            yield from (f"not so: {found[0]}" for found in stated if not holds(found))
            rest = pattern.sub("§", rest) if stated else rest
        words = set(re.findall(r"[a-z]+|\[", rest.lower())) - {"and", "but"}
        if words and not HEDGES & words and not sentence.endswith("?"):
            yield f"stated as a fact: {sentence}"
        # Guesses have parts that must hold: who owns is a person, and what is ridden can be.
        for text, suitable in GUESSES:
            for found in re.finditer(text, rest):
                if self.photo.labels[self.ids[found["a"]]] not in suitable:
                    yield f"cannot be: {sentence}"

    def grammar(self) -> list[tuple[re.Pattern[str], Callable[[re.Match[str]], bool]]]:
        """Return each form of statement with what it claims."""
        photo = self.photo
        box = photo.boxes

        def on(check: Callable[..., bool]) -> Callable[[re.Match[str]], bool]:
            """Hand the ids of a statement to its check."""
            return lambda m: check(*(self.ids[m[k]] for k in "abc" if k in m.groupdict() and m[k]))

        forms: list[tuple[str, Callable[[re.Match[str]], bool]]] = [
            (f"[Ff]rom left to right, {A} is between {B} and {C}", on(self.between)),
            (f"{A} is to the left of {B}", on(lambda a, b: box[a].x1 <= box[b].x0)),
            (f"{A} is to the right of {B}", on(lambda a, b: box[a].x0 >= box[b].x1)),
            (f"{A} is higher up in the picture than {B}", on(lambda a, b: box[a].y1 <= box[b].y0)),
            (f"{A} is lower down in the picture than {B}", on(lambda a, b: box[a].y0 >= box[b].y1)),
            (f"{A} and {B} overlap in the picture", on(self.meet)),
            (f"{A} overlaps {B} in the picture", on(self.meet)),
            (f"{A} and {B} are close together in the picture", on(self.near)),
            (f"{A} is close to {B} in the picture", on(self.near)),
            (f"{A} and {B} are far apart in the picture", on(lambda a, b: photo.gap(a, b) > 0.3)),
            (
                f"{A} is the nearest to {B} of the marked people",
                on(lambda a, b: photo.nearest(b, photo.named("person")) == a),
            ),
            (f"{A} takes up more of the picture than {B}", on(lambda a, b: area(box[a], box[b]))),
            (f"{A} takes up less of the picture than {B}", on(lambda a, b: area(box[b], box[a]))),
            (f"{A} takes up more of the picture than any other marked region", on(self.largest)),
            (f"[Nn]o other marked region takes up as much of the picture as {A}", on(self.largest)),
            (
                f"{A} reaches further down in the picture than {B}",
                on(lambda a, b: box[a].y1 > box[b].y1),
            ),
            (
                f"[Oo]ne side of the picture shows {A} and the other side shows {B}",
                on(lambda a, b: {self.third(a), self.third(b)} == {"on the left", "on the right"}),
            ),
            (
                f"{A} reaches the (?P<word>left|right|top|bottom) edge of the picture",
                lambda m: self.reaches(self.ids[m["a"]], m["word"]),
            ),
            (f"{A} is the only (?P<word>[A-Za-z ]+?) among the marked regions", self.only),
            (
                f"[Nn]o marked region other than {A} shows (?P<word>an? [A-Za-z ]+)",
                self.only,
            ),
            (
                "exactly (?P<count>[a-z]+) of the marked regions show (?P<word>[A-Za-z ]+)",
                lambda m: len(self.photo.named(self.label(m["word"]))) == NUMBERS[m["count"]],
            ),
            (
                f"[Aa]part from {A}, the marked regions show only (?P<word>{LIST})",
                self.others,
            ),
            (
                f"[Tt]he marked regions other than {A} show (?P<word>{LIST}?) and nothing else",
                self.others,
            ),
            (
                f"{A} is (?P<word>an? [A-Za-z ]+?)(?=[.,]| and |$)",
                lambda m: photo.labels[self.ids[m["a"]]] == self.label(m["word"]),
            ),
            (
                "[Tt]he picture as a whole looks like (?P<word>[a-z ]+)",
                lambda m: m["word"] == f"a {photo.place}",
            ),
            (
                f"{ANY} are (?P<word>[A-Za-z ]+?)(?=[.,]| and |$)",
                lambda m: all(
                    photo.labels[self.ids[tag]] == self.label(m["word"])
                    for tag in re.findall(r"\[[^\[\]]+\]", m["all"])
                ),
            ),
        ]
        return [(re.compile(text), holds) for text, holds in forms]

    def label(self, word: str) -> str:
        """Return the category of "a cup", "cups" or "cup"."""
        bare = re.sub(r"^(?:an?|the) ", "", word)
        for noun, label in self.nouns.items():
            if bare in (noun, f"a {noun}", PLURALS[label], f"piece of {noun}"):
                return label
        return f"no category: {word}"

    def between(self, b: int, a: int, c: int) -> bool:
        box = self.photo.boxes
        return box[a].x1 <= box[b].x0 and box[b].x1 <= box[c].x0

    def meet(self, a: int, b: int) -> bool:
        one, other = self.photo.boxes[a], self.photo.boxes[b]
        return min(one.x1, other.x1) > max(one.x0, other.x0) and min(one.y1, other.y1) > max(
            one.y0, other.y0
        )

    def near(self, a: int, b: int) -> bool:
        return self.photo.gap(a, b) < 0.06

    def largest(self, a: int) -> bool:
        box = self.photo.boxes
        return all(area(box[a], box[k]) for k in box if k != a)

    def third(self, a: int) -> str:
        box = self.photo.boxes[a]
        centre = (box.x0 + box.x1) / 2 / self.photo.width
        return ("on the left", "in the middle", "on the right")[min(2, int(centre * 3))]

    def reaches(self, a: int, side: str) -> bool:
        box, width, height = self.photo.boxes[a], self.photo.width, self.photo.height
        distance = {
            "left": box.x0 / width,
            "right": 1 - box.x1 / width,
            "top": box.y0 / height,
            "bottom": 1 - box.y1 / height,
        }
        return distance[side] < 0.02

    def only(self, found: re.Match[str]) -> bool:
        return self.photo.named(self.label(found["word"])) == [self.ids[found["a"]]]

    def others(self, found: re.Match[str]) -> bool:
        listed = re.split(r", | and ", found["word"])
        rest = Counter(label for k, label in self.photo.labels.items() if k != self.ids[found["a"]])
        return Counter(self.label(word) for word in listed) == Counter(list(rest)) and all(
            (re.match("an? ", word) is not None) == (rest[self.label(word)] == 1) for word in listed
        )


def area(a: Box, b: Box) -> bool:
    return (a.x1 - a.x0) * (a.y1 - a.y0) > (b.x1 - b.x0) * (b.y1 - b.y0)


def sentences(text: str) -> list[str]:
    return re.split(r"(?<=[.?]) (?=[A-Z\[])", text)


def noun_of(label: str) -> str:
    return {"tv": "TV", "skis": "pair of skis", "scissors": "pair of scissors"}.get(label, label)


NAMES = " ".join(
    """
    person, bicycle, car, motorcycle, airplane, bus, train, truck, boat, traffic light, fire
    hydrant, stop sign, parking meter, bench, bird, cat, dog, horse, sheep, cow, elephant, bear,
    zebra, giraffe, backpack, umbrella, handbag, tie, suitcase, frisbee, skis, snowboard, sports
    ball, kite, baseball bat, baseball glove, skateboard, surfboard, tennis racket, bottle, wine
    glass, cup, fork, knife, spoon, bowl, banana, apple, sandwich, orange, broccoli, carrot, hot
    dog, pizza, donut, cake, chair, couch, potted plant, bed, dining table, toilet, tv, laptop,
    mouse, remote, keyboard, cell phone, microwave, oven, toaster, sink, refrigerator, book,
    clock, vase, scissors, teddy bear, hair drier, toothbrush
    """.split()
).split(", ")
PLURALS = {name: wording.plural(name) for name in NAMES} | {
    "tv": "TVs",
    "skis": "pairs of skis",
    "scissors": "pairs of scissors",
    "broccoli": "pieces of broccoli",
}
PERSON = frozenset({"person"})
DRINKS = frozenset({"cup", "bottle", "wine glass"})
SEATS = frozenset({"chair", "couch", "bench"})
GUESSES = (
    (rf"(?:belong to|it may be) {A}(?= who|\.)", PERSON),
    (rf"{A}(?= could probably reach)", PERSON),
    (rf"(?<=riding ){A}", frozenset({"bicycle", "motorcycle", "horse", "skateboard"})),
    (rf"(?<=drink from ){A}", DRINKS),
    (rf"(?<=drive ){A}", frozenset({"car", "truck", "bus"})),
    (rf"(?<=sit down on ){A}", SEATS | {"motorcycle"}),
    (rf"(?<=sitting on ){A}", SEATS),
    (rf"(?<=may carry ){A}", frozenset({"handbag", "backpack", "suitcase"})),
    (rf"(?<=eat ){A}", frozenset({"pizza", "cake", "apple", "carrot", "broccoli"})),
)
