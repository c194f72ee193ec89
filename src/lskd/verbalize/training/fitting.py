"""What a writer can learn of a corpus: boxes that it sees, and texts that it has room for.

In: places and a loaded writer. Out: those that can be learnt from. What is left out is told, with a
number and the first of them; nothing stops in the middle of a training because of it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice

from lskd import picture
from lskd.corpora.captions.caption import Caption
from lskd.errors import UserError
from lskd.marking import MarkStyle
from lskd.verbalize.training.places import Places
from lskd.verbalize.training.view import shown
from lskd.writing.writer import Doubting, Line, Sight, Writer

AT_ONCE = 64


@dataclass(frozen=True, slots=True)
class Fitting:
    """What places are held against: the writer, what stands before a text, how a box is drawn.

    Boxes under `smallest` pixels as the writer sees them are too small.
    """

    writer: Writer
    prompt: str
    style: MarkStyle
    smallest: float

    def fitting(self, name: str, places: Places, say: Callable[[str], None]) -> Places:
        """Return the places of a corpus that can be learnt from.

        Raises UserError if there are none.
        """
        wide = places.wider(self.smallest, self.writer.canvas)
        if narrow := len(places) - len(wide):
            say(
                f"{name}: {narrow:,} places are under {self.smallest:g} pixels as the writer sees "
                "them, and are left out"
            )
        if not len(wide):
            raise UserError(
                f"corpora.{name}: all places are under {self.smallest:g} pixels as the writer sees "
                "them: lower smallest"
            )
        for doubt in self._doubts(wide[0]):
            say(f"{name}: {doubt}")
        return self._with_room(name, wide, say)

    def _with_room(self, name: str, places: Places, say: Callable[[str], None]) -> Places:
        """Return the places whose texts have room beside picture and prompt.

        The longest are looked at first, until `AT_ONCE` in a row have room. How much room a picture
        takes is seen of one: where a family gives more to large pictures, that is an estimate.
        """
        sights = self._seen(places[0])
        order, without, cut = places.longest_first(), list[int](), 0
        fault = ""
        while some := list(islice(order, AT_ONCE)):
            faults = {number: self._fault(sights, places[number]) for number in some}
            found = {number: told for number, told in faults.items() if told}
            without += found
            fault = fault or next(iter(found.values()), "")
            cut += sum(self._is_cut(sights, places[n]) for n in some if n not in found)
            if not found:
                break
        if cut:
            say(f"{name}: {cut:,} or more places have a prompt that loses its beginning")
        if without:
            say(
                f"{name}: {len(without):,} places have no room for a text, so are left out: {fault}"
            )
        if len(without) == len(places):
            raise UserError(f"corpora.{name}: no text has room beside the picture: {fault}")
        return places.without(without)

    def _fault(self, sights: list[Sight], caption: Caption) -> str:
        """Return why a text has no room, or ""."""
        try:
            self.writer.cuts(sights, self._lines(caption))
        except UserError as error:
            return f"{caption.id}: {error}"
        return ""

    def _is_cut(self, sights: list[Sight], caption: Caption) -> bool:
        return bool(self.writer.cuts(sights, self._lines(caption)))

    def _lines(self, caption: Caption) -> list[Line]:
        return [Line(0, self.prompt, text) for text in caption.texts]

    def _seen(self, caption: Caption) -> list[Sight]:
        pixels = picture.load(caption.image)
        return self.writer.look([shown(pixels, caption.box, self.style, self.writer.canvas)])

    def _doubts(self, caption: Caption) -> list[str]:
        if caption.box is None or not isinstance(self.writer, Doubting):
            return []
        return self.writer.doubts(caption.image.width, caption.image.height, self.style)
