"""The records that pass between stages: one record is one row of one table.

Only the stage that a docstring names writes that table. A row is about one image, and lies in the
shard of that image.
"""

from dataclasses import dataclass
from typing import Literal, NamedTuple

Style = Literal["id", "description"]
Preference = Literal["first", "second", "tie"]
Polygon = tuple[float, ...]


class Box(NamedTuple):
    """Corners of a rectangle, in pixels of the upright original image; x1 and y1 are outside it."""

    x0: float
    y0: float
    x1: float
    y1: float

    @property
    def width(self) -> float:
        """Return the width in pixels."""
        return self.x1 - self.x0

    @property
    def height(self) -> float:
        """Return the height in pixels."""
        return self.y1 - self.y0

    @property
    def area(self) -> float:
        """Return the area in square pixels; 0 for a box that is inside out."""
        return max(0.0, self.width) * max(0.0, self.height)

    def within(self, width: int, height: int) -> "Box":
        """Return the part of the box that lies in an image of width x height pixels."""
        x0, x1 = (min(max(x, 0.0), float(width)) for x in (self.x0, self.x1))
        y0, y1 = (min(max(y, 0.0), float(height)) for y in (self.y0, self.y1))
        return Box(x0, y0, x1, y1)


@dataclass(frozen=True, slots=True)
class Image:
    """One picture. Made by `images`.

    `id` is a hash of the file's bytes, so copies share it. `width` and `height` are those of the
    upright picture, after its EXIF orientation is applied. `source` is the row of a Parquet file
    that the picture was taken from, as "file.parquet#7", or None where it is a file of its own.
    """

    id: str
    path: str
    width: int
    height: int
    source: str | None = None


@dataclass(frozen=True, slots=True)
class Copy:
    """Another path at which the bytes of an image lie. Made by `images`."""

    image_id: str
    path: str


@dataclass(frozen=True, slots=True)
class Labelled:
    """One place of an image that its owner's annotations name; `text` is a category or a phrase."""

    box: Box
    text: str
    polygons: tuple[Polygon, ...]


@dataclass(frozen=True, slots=True)
class Annotation:
    """What the owner's own files say of an image; a row only where they say something.

    Made by `images`. `places` are boxes with a category (COCO, VCR metadata) or a phrase (Visual
    Genome), `captions` are sentences about the whole image.
    """

    image_id: str
    places: tuple[Labelled, ...]
    captions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Reject:
    """Something that was left out, and why. Every stage may make some, in its own folder.

    `source` is the path, the image or the reply that it came from; `text` is what was left out,
    word for word.
    """

    source: str
    reason: str
    text: str


@dataclass(frozen=True, slots=True)
class Concept:
    """A label of the whole image and the model's probability for it, in [0, 1]."""

    label: str
    score: float


@dataclass(frozen=True, slots=True)
class Concepts:
    """Labels of the whole image (section 2.1), most likely first. Made by `concepts`."""

    image_id: str
    places: tuple[Concept, ...]
    objects: tuple[Concept, ...]
    concepts: tuple[Concept, ...]


@dataclass(frozen=True, slots=True)
class Narratives:
    """Descriptions of the whole image (section 2.1). Made by `narratives`."""

    image_id: str
    texts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Region:
    """One place in an image. `id` is the number by which all text names it, as in "[2] is cold".

    `label` is the detector's or annotator's word for it, `description` the captioner's phrase, and
    `score` the proposer's confidence in [0, 1] (1 for a box that a person drew).
    """

    id: int
    box: Box
    label: str
    description: str
    score: float
    polygons: tuple[Polygon, ...] = ()


@dataclass(frozen=True, slots=True)
class Regions:
    """The regions of an image, numbered from 0 in the stated order. Made by `regions`."""

    image_id: str
    regions: tuple[Region, ...]


@dataclass(frozen=True, slots=True)
class View:
    """A picture with regions drawn: what a vision tower sees, and a key for what it saw.

    `regions` stand in the order in which they are drawn, in pixels of the upright image; their ids
    are those under which they are drawn.
    """

    image: Image
    regions: tuple[Region, ...]


@dataclass(frozen=True, slots=True)
class Exchange:
    """A question about the image and a model's answer to it (a dynamic descriptor)."""

    question: str
    answer: str


@dataclass(frozen=True, slots=True)
class Dialogue:
    """What was asked of an image by a teacher and answered by a model (2.1). Made by `dialogue`."""

    image_id: str
    exchanges: tuple[Exchange, ...]


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a conversation, word for word."""

    role: Literal["system", "user", "assistant"]
    text: str


@dataclass(frozen=True, slots=True)
class Reply:
    """What was sent to a teacher and what came back, word for word. Made by `generate`.

    `id` is the conversation's id and the turn. `text` is "" and `error` says why when nothing came
    back; `finish` is the server's word for how the reply ended ("stop", "length", ...). Tokens and
    price (in the currency of the teacher's settings) are None when they are not known. `seconds` is
    the time from the first attempt to the reply.
    """

    id: str
    image_id: str
    style: Style
    turn: int
    messages: tuple[Message, ...]
    text: str
    model: str
    finish: str
    input_tokens: int | None
    output_tokens: int | None
    price: float | None
    seconds: float
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Mention:
    """A phrase that stands for a region, as in "[the woman in pink]"."""

    phrase: str
    region_id: int


@dataclass(frozen=True, slots=True)
class Triple:
    """A question, answer and rationale about named regions of an image. Made by `parse`.

    In style "id" the texts name regions as "[2]"; in style "description" as "[the woman in pink]",
    and `mentions` tells which region each phrase stands for. `region_ids` are sorted.
    """

    id: str
    reply_id: str
    image_id: str
    style: Style
    question: str
    answer: str
    rationale: str
    region_ids: tuple[int, ...]
    mentions: tuple[Mention, ...] = ()


@dataclass(frozen=True, slots=True)
class Sample:
    """A triple that people are to judge (section 2.3). Made by `sample`.

    Triples of one image are all for one purpose, so that the critic is evaluated on images that it
    never saw.
    """

    triple_id: str
    image_id: str
    purpose: Literal["train", "evaluate"]


@dataclass(frozen=True, slots=True)
class Judgment:
    """What one person thinks of a triple (section 2.3): 1 reject, 2 maybe, 3 accept.

    `qa` is whether question and answer are visually correct, `rationale` whether the rationale
    justifies the answer and fits the image; None where `qa` is 1, which rejects both. `seconds` is
    the time that it took, or None. Given by people, in a file that the stage `critic` reads.
    """

    triple_id: str
    image_id: str
    annotator: str
    qa: int
    rationale: int | None
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Comparison:
    """Which of two systems' answers to a question one person prefers (section 3.4, Table 5).

    `first` and `second` are the systems' names, in one order for all questions, on whatever side
    they were shown. The aspects are those of the paper; `seconds` is the time that it took, or
    None. Given by people.
    """

    question_id: str
    image_id: str
    annotator: str
    first: str
    second: str
    correctness: Preference
    informativeness: Preference
    plausibility: Preference
    overall: Preference
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Fit:
    """A critic that was trained, and how it does on images that it never saw. Made by `critic`.

    `folder` holds it, `digest` tells it from others. Shares are in [0, 1]; None where they could
    not be measured.
    """

    folder: str
    digest: str
    judged: int
    accepted: float
    precision: float | None
    recall: float | None
    f1: float | None
    average_precision: float | None
    calibration_error: float | None
    temperature: float


@dataclass(frozen=True, slots=True)
class Score:
    """What a critic thinks of a triple (section 2.3). Made by `score`.

    `accept` in [0, 1] is comparable between the triples of one run. `qa` and `rationale` are the
    critic's parts of that, in [0, 1], or None where it gives none.
    """

    triple_id: str
    image_id: str
    accept: float
    qa: float | None
    rationale: float | None


@dataclass(frozen=True, slots=True)
class Example:
    """An accepted triple with all that a student needs beside the pixels. Made by `corpus`.

    `width` and `height` are the upright image's. `regions` are all those of the image, whether the
    texts name them or not. `extra` is JSON text: what a foreign corpus said beside this, or "".
    """

    id: str
    image_id: str
    path: str
    width: int
    height: int
    regions: tuple[Region, ...]
    style: Style
    question: str
    answer: str
    rationale: str
    region_ids: tuple[int, ...]
    mentions: tuple[Mention, ...]
    score: float | None
    source: str
    split: str
    extra: str = ""


@dataclass(frozen=True, slots=True)
class Student:
    """A student that was trained (section 2.4). Made by `distil`.

    `folder` holds it, `digest` tells it from others. `examples` were trained on in `steps` steps.
    """

    folder: str
    digest: str
    examples: int
    steps: int


@dataclass(frozen=True, slots=True)
class GenerativeStudent:
    """A student that writes, and was trained (section 2.4). Made by `generative`.

    `folder` holds it, `digest` tells it from others. `examples` were trained on in `steps` steps.
    """

    folder: str
    digest: str
    examples: int
    steps: int


@dataclass(frozen=True, slots=True)
class Item:
    """One question of a benchmark, in the words of its authors. Made by readers in `evaluate`.

    `id` is the benchmark's own, and `id` with `task` is unique ("answer" and "rationale" of VCR are
    two tasks on one id; elsewhere `task` is ""). `image_id` is the hash of the file's bytes.
    `regions` are all that the benchmark has of the image, numbered as texts name them, "[2]", with
    the benchmark's word for each as `label`; `pointed` are those that the question is about, in the
    order in which its authors draw them. `given` is the right answer where a rationale is wanted.
    `right` are the places of the right choices (one, or several of VisualCOMET's), empty where the
    authors keep them. `ratings` are what each rater gave to each choice (Sherlock), else empty.
    `kind` is the benchmark's type of question, or "".
    """

    id: str
    benchmark: str
    task: str
    split: str
    image_id: str
    path: str
    width: int
    height: int
    regions: tuple[Region, ...]
    pointed: tuple[int, ...]
    question: str
    given: str | None
    choices: tuple[str, ...]
    right: tuple[int, ...]
    ratings: tuple[tuple[float, ...], ...]
    kind: str


@dataclass(frozen=True, slots=True)
class Prediction:
    """How well each choice of an item fits, by one model under one protocol. Made by `evaluate`.

    `scores` are in the order of the item's choices; higher fits better.
    """

    benchmark: str
    task: str
    item_id: str
    image_id: str
    scores: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Outcome:
    """One figure of one model on one benchmark (section 3.1). Made by `evaluate`.

    `value` is a share, or from -1 to 1 for Sherlock; `low` and `high` are its 95 % interval, from
    images drawn again, and `chance` is what a model of equal scores earns. With `official` the
    authors' rule for ties holds, else ties count as put in random order. `audited` tells that items
    which a training corpus touches are left out. `slicing` and `part` name a part of the items, or
    are "". `difference` is the value less that of the first model on the same items, and `p` how
    likely so large a one is by chance; None for the first model itself, and for parts.
    """

    model: str
    benchmark: str
    split: str
    task: str
    metric: str
    official: bool
    audited: bool
    slicing: str
    part: str
    value: float | None
    low: float | None
    high: float | None
    chance: float | None
    items: int
    images: int
    difference: float | None
    p: float | None


Record = (
    Image
    | Copy
    | Annotation
    | Reject
    | Concepts
    | Narratives
    | Regions
    | Dialogue
    | Reply
    | Triple
    | Sample
    | Judgment
    | Comparison
    | Fit
    | Score
    | Example
    | Student
    | GenerativeStudent
    | Item
    | Prediction
    | Outcome
)
