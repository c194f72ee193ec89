"""What a critic is shown of a triple: a picture with regions drawn, and a text.

Ids stay those of the triple, and a region's colour follows its id. With `drawn` "all", a triple
that names regions by id is shown every region of its image. The release draws regions that are not
named too, but five at most, chosen at random, so that a named one may be missing; here none is, and
all such triples of an image share one view. A triple that names its regions by phrase is shown the
plain picture.
"""

from dataclasses import dataclass
from string import Formatter
from typing import Literal

from lskd.errors import UserError
from lskd.marking import MarkStyle
from lskd.types import Image, Region, Regions, Triple

Drawn = Literal["all", "named"]
TEXT = "question: {question} answer: {answer} rationale: {rationale}"  # the release
PARTS = ("answer", "question", "rationale")


@dataclass(frozen=True, slots=True)
class View:
    """A picture with regions drawn, in that order, in pixels of the upright image."""

    image: Image
    regions: tuple[Region, ...]


@dataclass(frozen=True, slots=True)
class Look:
    """How triples are shown: `image` is the side of a picture in pixels, `tokens` the longest text.

    `text` is a template that names question, answer and rationale, each once; raises UserError for
    another.
    """

    marking: MarkStyle = "clear"
    drawn: Drawn = "all"
    image: int = 480  # section 3
    tokens: int = 128  # section 3
    text: str = TEXT

    def __post_init__(self) -> None:
        try:
            parts = list(Formatter().parse(self.text))
        except ValueError as error:
            raise UserError(f"text = {self.text!r}: {error}") from error
        if sorted(name for _, name, _, _ in parts if name is not None) != list(PARTS):
            wanted = ", ".join(f"{{{part}}}" for part in PARTS)
            raise UserError(f"text = {self.text!r}: expected each of {wanted} once, and no other")

    def view(self, triple: Triple, image: Image, regions: Regions) -> View:
        """Return what is shown of a triple's image, which has these regions."""
        if triple.style == "description":
            return View(image, ())
        if self.drawn == "all":
            return View(image, regions.regions)
        named = frozenset(triple.region_ids)
        return View(image, tuple(region for region in regions.regions if region.id in named))

    def words(self, triple: Triple) -> str:
        """Return what is said of a triple."""
        return self.text.format(
            question=triple.question, answer=triple.answer, rationale=triple.rationale
        )
