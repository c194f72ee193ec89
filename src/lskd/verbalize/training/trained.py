"""A folder that `lskd captioner` or `lskd narrator` has made, as a model of a run file.

In: pictures and regions. Out: phrases, or narratives. What is said of a picture does not depend on
the pictures beside it.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, ClassVar

import PIL.Image

from lskd.errors import UserError
from lskd.picture import Picture
from lskd.storage import mirror
from lskd.types import Box, Region
from lskd.verbalize.replies import whole_sentences
from lskd.verbalize.training import note
from lskd.verbalize.training.note import About
from lskd.verbalize.training.settings import Kind
from lskd.verbalize.training.view import shown
from lskd.writing.note import opened
from lskd.writing.writer import Decoding, Line, Writer, Written


@dataclass(frozen=True, slots=True)
class Place:
    """A picture, and the box in it that is meant; None for the whole."""

    pixels: PIL.Image.Image
    box: Box | None


@dataclass(frozen=True, slots=True)
class Verbalizer:
    """A writer with the words and marks that it was trained with; `batch` pictures at once."""

    writer: Writer
    about: About
    batch: int = 8

    def likeliest(self, places: Iterable[Place]) -> list[str]:
        """Return the text of the best beam about each place."""
        decoding = Decoding(beams=self.about.beams, tokens=self.about.tokens)
        waiting, texts = iter(places), list[str]()
        while some := list(islice(waiting, self.batch)):
            sights = self.writer.look([self._shown(place) for place in some])
            lines = [Line(number, self.about.prompt) for number in range(len(some))]
            texts += map(self._line, self.writer.write(sights, lines, decoding))
        return texts

    def samples(self, place: Place, name: str, count: int, temperature: float) -> tuple[str, ...]:
        """Return `count` texts about a place, drawn by a seed that is made of `name`.

        All are of one call, so that they do not depend on what else is asked. At temperature 0
        there is one, the likeliest.
        """
        if not temperature > 0:
            return tuple(self.likeliest([place]))
        decoding = Decoding(
            temperature=temperature,
            top_p=self.about.top_p,
            tokens=self.about.tokens,
            seed=_seed(self.about.seed, name),
        )
        sights = self.writer.look([self._shown(place)])
        lines = [Line(0, self.about.prompt)] * count
        return tuple(map(self._line, self.writer.write(sights, lines, decoding)))

    def _shown(self, place: Place) -> PIL.Image.Image:
        box = place.box if self.about.drawn else None
        return shown(place.pixels, box, self.about.marking, self.writer.canvas)

    def _line(self, written: Written) -> str:
        """Return a text as one line: a phrase without its full stop, or whole sentences."""
        text = " ".join(written.text.split())
        if self.about.kind == "captioner":
            return text.rstrip(". ")
        return whole_sentences(text) if written.stopped == "limit" else text


class TrainedVerbalizer:
    """What both kinds of a trained verbalizer are built from."""

    kind: ClassVar[Kind]
    without_effect = frozenset({"batch_size", "device"})

    def __init__(
        self,
        folder: str,
        checkpoint: str | None = None,
        device: str = "auto",
        dtype: str = "auto",
        batch_size: int = 8,
    ) -> None:
        """Load the weights; `checkpoint` is where the base lies, if it has moved since.

        Raises UserError for a folder or a setting that cannot be used.
        """
        if batch_size < 1:
            raise UserError(f"batch_size = {batch_size}: 1 is the least")
        place = Path(folder)
        about = note.read(place, self.kind)
        writer = opened(place, device, dtype, checkpoint=checkpoint)
        self.verbalizer = Verbalizer(writer, about, batch_size)

    @classmethod
    def check_settings(cls, keys: Mapping[str, Any]) -> None:
        """Raise UserError for a folder that holds no verbalizer of this kind."""
        note.read(mirror.brought(str(keys["folder"])), cls.kind)


class TrainedCaptioner(TrainedVerbalizer):
    """A Captioner that was trained on descriptions of regions (section 2.1)."""

    kind = "captioner"

    def describe(
        self, pictures: Sequence[Picture], regions: Sequence[Sequence[Region]]
    ) -> list[tuple[str, ...]]:
        """Return a phrase for each region, from the image with that one box drawn."""
        # Pixels are read as they are needed: all of them at once could fill the memory.
        places = (
            Place(picture.pixels, region.box)
            for picture, own in zip(pictures, regions, strict=True)
            for region in own
        )
        phrases = iter(self.verbalizer.likeliest(places))
        return [tuple(next(phrases) for _ in own) for own in regions]


class TrainedNarrator(TrainedVerbalizer):
    """A Narrator that was trained on descriptions of whole pictures (section 2.1)."""

    kind = "narrator"

    def narrate(
        self, pictures: Sequence[Picture], samples: int, temperature: float
    ) -> list[tuple[str, ...]]:
        """Return at most `samples` different descriptions of each image."""
        told = [
            self.verbalizer.samples(
                Place(picture.pixels, None), picture.image.id, samples, temperature
            )
            for picture in pictures
        ]
        return [tuple(dict.fromkeys(filter(None, texts))) for texts in told]


def _seed(seed: int, name: str) -> int:
    digested = hashlib.blake2b(f"{seed} {name}".encode(), digest_size=7)
    return int.from_bytes(digested.digest())
