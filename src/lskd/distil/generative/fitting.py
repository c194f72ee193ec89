"""Whether the texts of examples fit into what a model reads: what is cut is counted, and told.

A prompt can lose its beginning, a target nothing. An example whose target has no room beside the
picture is left out with its reason.
"""

from collections.abc import Callable, Sequence

from lskd import picture
from lskd.distil import augmentation
from lskd.distil.generative.prompts import Prompts
from lskd.distil.generative.rows import lines_of
from lskd.distil.generative.units import longest
from lskd.distil.ledger import Ledger
from lskd.distil.rehearsal import Question
from lskd.errors import UserError
from lskd.stage import batches
from lskd.types import Example, Image
from lskd.writing.pointing import Pictured, Pointing
from lskd.writing.writer import Doubting, Line, Sight, Writer

AT_ONCE = 256  # questions


class Fitting:
    """Holds texts against the room that a writer has beside a picture.

    How much room a picture takes is seen of one, the first: where a family gives more to large
    pictures, that is an estimate. `doubts` are the warnings that a writer has of the pictures.
    """

    def __init__(
        self,
        writer: Callable[[], Writer],
        pointing: Callable[[], Pointing],
        prompts: Prompts,
        prefixes: bool,
        rationales: bool,
    ) -> None:
        """Keep what gives the writer, which is asked for when the first examples come.

        `prefixes` says whether whole texts are cut at random, `rationales` whether rationales are
        asked for, too.
        """
        self.writer = writer
        self.pointing = pointing
        self.prompts = prompts
        self.prefixes = prefixes
        self.rationales = rationales
        self.doubts: dict[str, None] = {}  # warnings about pictures, each once, in order
        self._sights: list[Sight] = []

    def cut(self, some: Sequence[Example]) -> int:
        """Return how many examples have a prompt that loses its beginning."""
        lines, owners = self._lines(some)
        if not lines:
            return 0
        self._doubt({(one.width, one.height) for one in some})
        cuts = self.writer().cuts(self._seen(some), lines)
        return len({owners[one.line] for one in cuts})

    def faults(self, some: Sequence[Example]) -> list[str | None]:
        """Return for each example why nothing can be learnt from it, or None."""
        return [self._fault(one) for one in some] if not self._all_fit(some) else [None] * len(some)

    def rehearsed(self, questions: Ledger[Question]) -> int:
        """Return how many questions have a prompt that loses its beginning.

        Raises UserError for one whose answer has no room even so.
        """
        cut = 0
        for some in batches(range(len(questions)), AT_ONCE):
            asked = [questions[number] for number in some]
            said = [longest(one) for one in asked]
            lines = [Line(0, one.prompt, one.target) for one in said]
            try:
                cut += len(self.writer().cuts(self._bare(asked[0].image), lines))
            except UserError as error:
                raise UserError(
                    f"what is rehearsed has questions that are too long: {error}"
                ) from error
        return cut

    def _doubt(self, sizes: set[tuple[int, int]]) -> None:
        """Keep what the writer has to say against pictures of some sizes."""
        writer, pointing = self.writer(), self.pointing()
        if isinstance(writer, Doubting):
            style = pointing.style if pointing.codec is None else None
            for width, height in sorted(sizes):
                self.doubts |= dict.fromkeys(writer.doubts(width, height, style))

    def _all_fit(self, some: Sequence[Example]) -> bool:
        lines, _ = self._lines(some)
        if not all(one.answer.strip() for one in some):
            return False
        try:
            self.writer().cuts(self._seen(some), lines)
        except UserError:
            return False
        return True

    def _fault(self, example: Example) -> str | None:
        if not example.answer.strip():
            return "its answer is empty, so there is nothing to learn to write"
        try:
            self.writer().cuts(self._seen([example]), self._lines([example])[0])
        except UserError as error:
            return f"is too long for the student: {error}"
        return None

    def _lines(self, some: Sequence[Example]) -> tuple[list[Line], list[int]]:
        """Return the lines of examples, and which example each is of."""
        lines, owners = [], []
        for number, example in enumerate(some):
            for said in lines_of(example, self.prompts, self.prefixes, self.rationales):
                size = example.width, example.height
                places = tuple(augmentation.visible(example).values())
                prompt = self.pointing().prompt(said.prompt, places, size)
                lines.append(Line(0, prompt, said.target))
                owners.append(number)
        return lines, owners

    def _seen(self, some: Sequence[Example]) -> list[Sight]:
        if not some:
            return self._sights
        first = some[0]
        return self._bare(Image(first.image_id, first.path, first.width, first.height))

    def _bare(self, image: Image) -> list[Sight]:
        """Return what is seen of the first picture that was asked for."""
        if not self._sights:
            bare = self.pointing().picture(Pictured(picture.load(image), ()))
            self._sights = self.writer().look([bare])
        return self._sights
