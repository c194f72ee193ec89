"""What a critic is shown of a triple: a picture with regions drawn, and a text.

Ids stay those of the triple, and a region's colour follows its id. With `drawn` "all", a triple
that names regions by id is shown every region of its image. The release draws regions that are not
named too, but five at most, chosen at random, so that a named one may be missing; here none is, and
all such triples of an image share one view. A triple that names its regions by phrase is shown the
plain picture.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from string import Formatter
from typing import Literal

from lskd.errors import UserError
from lskd.marking import MarkStyle
from lskd.types import Image, Regions, Triple, View

Drawn = Literal["all", "named"]
Pictures = Literal["own", "permuted"]
TEXT = "question: {question} answer: {answer} rationale: {rationale}"  # the release
PARTS = ("answer", "question", "rationale")


@dataclass(frozen=True, slots=True)
class Look:
    """How triples are shown: `image` is the side of a picture in pixels, `tokens` the longest text.

    `text` is a template that names question, answer and rationale, each once; raises UserError for
    another. `pictures` "permuted" makes a control, which is shown another image's picture in place
    of each: what it still tells, it reads off the words.
    """

    marking: MarkStyle = "clear"
    drawn: Drawn = "all"
    image: int = 480  # section 3
    tokens: int = 128  # section 3
    text: str = TEXT
    pictures: Pictures = "own"

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


def permuted(images: Sequence[Image]) -> dict[str, Image]:
    """Return another image for each, by id: the next in the order of ids, the first for the last.

    Raises UserError if there are not two.
    """
    distinct = sorted({image.id: image for image in images}.values(), key=lambda image: image.id)
    if len(distinct) < 2:
        raise UserError(
            'pictures = "permuted" needs at least two images that are seen together: choose '
            "another batch in [score]"
        )
    following = [*distinct[1:], distinct[0]]
    return {image.id: other for image, other in zip(distinct, following, strict=True)}
