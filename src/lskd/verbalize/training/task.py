"""A verbalizer's side of the training loop: rows in, the loss of what is said of them out.

The loss is the negative log-likelihood of a token of the text, the mean over all tokens of a
micro-batch, on all processes together.
"""

import random
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import PIL.Image
import torch
from torch import nn

from lskd import picture
from lskd.corpora.captions.caption import Caption
from lskd.marking import MarkStyle
from lskd.training.ahead import Ahead
from lskd.training.order import seed_of
from lskd.training.task import StepLosses, mean_of_tokens
from lskd.types import Box
from lskd.verbalize.training.mixture import Mixture
from lskd.verbalize.training.places import Places
from lskd.verbalize.training.view import shown
from lskd.writing.writer import Line, Sight, Writer

GB = 1_000_000_000
View = tuple[str, Box | None]  # of an image, by its id


class Eye:
    """Sees places as a writer does, and remembers what it saw as long as there is room.

    What is remembered is not looked at again, so that the others are looked at in smaller batches,
    and their last bits may differ from those that an eye without a memory sees.
    """

    def __init__(
        self, writer: Writer, style: MarkStyle, drawn: bool, gigabytes: float, workers: int
    ) -> None:
        self.writer = writer
        self.style: MarkStyle = style
        self.drawn = drawn
        self.room = gigabytes * GB
        self._pool = ThreadPoolExecutor(workers)
        self._seen: dict[View, Sight] = {}

    def view(self, caption: Caption) -> View:
        """Return what is seen of a caption; where no box is drawn, all boxes are one."""
        return caption.image.id, caption.box if self.drawn else None

    def pictures(self, captions: Sequence[Caption]) -> list[PIL.Image.Image | None]:
        """Return marked pictures, None for what was seen before.

        Raises UserError for a picture that cannot be read.
        """
        return list(self._pool.map(self._picture, captions))

    def sights(
        self, captions: Sequence[Caption], pictures: Sequence[PIL.Image.Image | None]
    ) -> list[Sight]:
        """Return what the writer sees of places, whose pictures were made before."""
        new = {
            self.view(caption): made
            for caption, made in zip(captions, pictures, strict=True)
            if made is not None and self.view(caption) not in self._seen
        }
        looked = dict(zip(new, self.writer.look(list(new.values())), strict=True)) if new else {}
        views = [self.view(caption) for caption in captions]
        device = next(self.writer.module.parameters()).device
        told = [(looked.get(view) or self._seen[view]).to(device) for view in views]
        for view, sight in looked.items():
            size = sum(t.nbytes for t in (sight.features, *sight.layers))
            if size <= self.room:
                self.room -= size
                self._seen[view] = sight.to(torch.device("cpu"))
        return told

    def _picture(self, caption: Caption) -> PIL.Image.Image | None:
        view = self.view(caption)
        if view in self._seen:
            return None
        return shown(picture.load(caption.image), view[1], self.style, self.writer.canvas)


@dataclass(frozen=True, slots=True)
class Sheet:
    """A micro-batch: a caption of each distinct view with its picture, and lines about them."""

    captions: tuple[Caption, ...]
    pictures: tuple[PIL.Image.Image | None, ...] = field(repr=False)
    lines: tuple[Line, ...]


class VerbalizerTask:
    """What is learnt: a text of each row's place, each as likely, after one prompt."""

    def __init__(
        self, writer: Writer, places: Mapping[str, Places], mixture: Mixture, prompt: str, eye: Eye
    ) -> None:
        self.model = writer.module
        self.places = list(places.values())
        self.mixture = mixture
        self.prompt = prompt
        self.eye = eye
        self._ahead = Ahead(self._sheet)

    def prepare(self, rows: Sequence[int], generator: torch.Generator) -> None:
        """Begin to make what the next micro-batch needs."""
        self._ahead.start(rows, generator.initial_seed())

    def losses(
        self, model: nn.Module, rows: Sequence[int], generator: torch.Generator
    ) -> StepLosses:
        """Return the loss of rows; which text of a place is learnt follows from the generator."""
        sheet = self._ahead.take(rows, generator.initial_seed())
        sights = self.eye.sights(sheet.captions, sheet.pictures)
        likelihood, tokens = model(sights, sheet.lines)
        return mean_of_tokens(likelihood, tokens)

    def _sheet(self, rows: Sequence[int], seed: int) -> Sheet:
        taken = [self._caption(row) for row in rows]
        texts = [
            random.Random(seed_of(seed, row)).choice(caption.texts)
            for row, caption in zip(rows, taken, strict=True)
        ]
        distinct = {self.eye.view(caption): caption for caption in taken}
        place = {view: number for number, view in enumerate(distinct)}
        captions = tuple(distinct.values())
        return Sheet(
            captions,
            tuple(self.eye.pictures(captions)),
            tuple(
                Line(place[self.eye.view(caption)], self.prompt, text)
                for caption, text in zip(taken, texts, strict=True)
            ),
        )

    def _caption(self, row: int) -> Caption:
        corpus, number = self.mixture.place(row)
        return self.places[corpus][number]
