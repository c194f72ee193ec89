"""What a model must be able to do to take part. It inherits nothing: having the method is enough.

Every method takes a batch and returns a list of the same length and order. The records here live
in memory only; those that are written to disk are in `lskd.types`.

A class whose constructor has a parameter named `journal` is given the stage's journal of paid
replies by the house: `lskd.chat.journal.Journal`, or what stands for it where another process keeps
it (`lskd.chat.ledger.ledger_of` makes the same of both). All other parameters come from the run
file.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from lskd.picture import Picture
from lskd.types import (
    Box,
    Concepts,
    Dialogue,
    Image,
    Narratives,
    Polygon,
    Region,
    Regions,
    Reply,
    Score,
    Style,
    Triple,
)


@dataclass(frozen=True, slots=True)
class Proposal:
    """A box that a detector or an annotator found, before selection; `score` in [0, 1]."""

    box: Box
    label: str
    score: float
    polygons: tuple[Polygon, ...] = ()


@dataclass(frozen=True, slots=True)
class Conversation:
    """What is to be said to a teacher: one user message for each turn, each sent after a reply.

    `schema` is the text of a JSON schema that a reply should follow, or None for free text;
    `picture` is a JPEG that goes with the first turn, or None. `id` names the conversation within
    a run and enters the journal's key, so two conversations of equal words are still two.
    """

    id: str
    image_id: str
    style: Style
    system: str
    turns: tuple[str, ...]
    temperature: float
    reply_tokens: int
    schema: str | None = None
    picture: bytes | None = None


@dataclass(frozen=True)
class Seen:
    """All that is known of one image when its triples are judged."""

    picture: Picture
    concepts: Concepts
    narratives: Narratives
    regions: Regions
    dialogue: Dialogue


@dataclass(frozen=True, slots=True)
class Text:
    """What is held against a picture: `target` is what is judged, after `prompt`, which may be "".

    Models that match read both as one text; models that write give the likelihood of the target.
    """

    prompt: str
    target: str

    @property
    def whole(self) -> str:
        """Return both parts as one text."""
        return f"{self.prompt} {self.target}" if self.prompt else self.target


@dataclass(frozen=True, slots=True)
class Panel:
    """A picture with the regions that are drawn on it, in order, and texts to hold against it.

    Boxes are in pixels of the upright image; regions have the ids under which they are drawn. The
    scorer draws them, after it has resized the picture. Panels of equal image and regions are one
    view.
    """

    image: Image
    regions: tuple[Region, ...]
    texts: tuple[Text, ...]


@dataclass(frozen=True, slots=True)
class Fits:
    """How well each text of a panel fits, by each head that a model has; None where it has none.

    `itm` is the logit of matching (BLIP, BLIP-2), `itc` the similarity of contrast (those, and dual
    encoders), `likelihood` the mean log-probability of a token of the target (models that write).
    """

    itm: tuple[float, ...] | None = None
    itc: tuple[float, ...] | None = None
    likelihood: tuple[float, ...] | None = None


@runtime_checkable
class Scorer(Protocol):
    """Holds texts against marked pictures (section 3.1)."""

    def fits(self, panels: Sequence[Panel]) -> list[Fits]:
        """Return how well the texts of each panel fit; each distinct view is encoded once."""
        ...


@runtime_checkable
class Tagger(Protocol):
    """Names the places, the objects and the concepts of an image (section 2.1)."""

    def tag(self, pictures: Sequence[Picture]) -> list[Concepts]:
        """Return the labels of each image, most likely first."""
        ...


@runtime_checkable
class Narrator(Protocol):
    """Describes a whole image in free text (section 2.1)."""

    def narrate(
        self, pictures: Sequence[Picture], samples: int, temperature: float
    ) -> list[tuple[str, ...]]:
        """Return at most `samples` descriptions of each image, sampled at `temperature`."""
        ...


@runtime_checkable
class Proposer(Protocol):
    """Finds the places worth talking about (section 2.1)."""

    def propose(self, pictures: Sequence[Picture]) -> list[list[Proposal]]:
        """Return the boxes of each image, in pixels of the upright image, unselected."""
        ...


@runtime_checkable
class Captioner(Protocol):
    """Describes places of an image (section 2.1)."""

    def describe(
        self, pictures: Sequence[Picture], regions: Sequence[Sequence[Region]]
    ) -> list[tuple[str, ...]]:
        """Return a phrase for each of regions[i] in pictures[i]; their own is still empty."""
        ...


@runtime_checkable
class Answerer(Protocol):
    """Answers short questions about an image (section 2.1)."""

    def answer(self, pictures: Sequence[Picture], questions: Sequence[str]) -> list[str]:
        """Return the answer to questions[i] about pictures[i]; "" if it has none."""
        ...


@runtime_checkable
class Teacher(Protocol):
    """A language model that never sees the image (section 2.2)."""

    def converse(self, conversations: Sequence[Conversation]) -> list[tuple[Reply, ...]]:
        """Return the replies of each conversation, in turn; a failed one ends it, with `error`.

        Raises BudgetReached or EndpointError when no more can be asked; replies that arrived until
        then are safe.
        """
        ...


@runtime_checkable
class Critic(Protocol):
    """Judges triples (section 2.3)."""

    def score(
        self, seen: Sequence[Seen], triples: Sequence[Sequence[Triple]]
    ) -> list[tuple[Score, ...]]:
        """Return the score of each of triples[i], which are about seen[i]."""
        ...
