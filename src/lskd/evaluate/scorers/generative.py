"""A model that writes (`lskd.writing`) says how likely texts are: a student of lskd, or its base.

In: panels. Out: `Fits` with `likelihood`, the mean log-probability of a token of the target; the
tokens of the prompt and those that end a text do not count. Each picture is looked at once, and
what texts of one prompt share is read once.
"""

import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import PIL.Image
import torch

from lskd.errors import UserError
from lskd.evaluate.scorers.stage1 import use_of
from lskd.evaluate.scorers.views import Asked, View, answers, pool_of, questions, style_of
from lskd.picture import load
from lskd.protocols import Fits, Panel
from lskd.stage import batches, named
from lskd.training.memory import guarded
from lskd.writing.coordinates import codec_of
from lskd.writing.pointing import Pictured, Pointing
from lskd.writing.writer import Line, Writer


class Likelihoods:
    """A writer at work: how likely are the texts of panels?

    `views` pictures are looked at together, `texts` are held against them together.
    """

    def __init__(
        self, writer: Writer, pointing: Pointing, views: int, texts: int, pool: ThreadPoolExecutor
    ) -> None:
        """Take a writer; raises UserError for a number below 1."""
        if views < 1 or texts < 1:
            raise UserError(f"batch_views = {views}, batch_texts = {texts}: 1 is the least")
        self.writer, self.pointing = writer, pointing
        self.views, self.texts = views, texts
        self.pool = pool
        writer.module.eval()

    def fits(self, panels: Sequence[Panel]) -> list[Fits]:
        """Return how likely the targets of each panel are."""
        asked = questions(panels)
        of_view: dict[View, list[int]] = {}
        for number, one in enumerate(asked):
            of_view.setdefault(one.view, []).append(number)
        likely = [math.nan] * len(asked)
        remedy = f"lower batch_views ({self.views}) or batch_texts ({self.texts})"
        with torch.inference_mode(), guarded("while likelihoods are measured", remedy):
            for some in batches(list(of_view), self.views):
                sights = self.writer.look(list(self.pool.map(self._picture, some)))
                lines = [
                    (number, self._line(place, asked[number]))
                    for place, view in enumerate(some)
                    for number in of_view[view]
                ]
                for few in batches(lines, self.texts):
                    values = self.writer.likelihoods(sights, [line for _, line in few])
                    for (number, _), value in zip(few, values, strict=True):
                        likely[number] = value
        return [Fits(likelihood=scores) for scores in answers(panels, likely)]

    def _picture(self, view: View) -> PIL.Image.Image:
        return self.pointing.picture(Pictured(load(view.image), view.regions))

    def _line(self, place: int, asked: Asked) -> Line:
        image = asked.view.image
        size = image.width, image.height
        prompt = self.pointing.prompt(asked.text.prompt, asked.view.regions, size)
        return Line(place, prompt, asked.text.target)


class BaseScorer:
    """A Scorer by a writer as its run file names it, as a base is before it is trained.

    ```toml
    [evaluate.models.base]
    use = "lskd.evaluate.scorers.generative:BaseScorer"
    writer = { use = "lskd.writing.blip2:Blip2Writer", checkpoint = "Salesforce/blip2-flan-t5-xl" }
    protocol = { score = "likelihood" }
    ```
    """

    without_effect = frozenset({"batch_views", "batch_texts", "workers"})

    def __init__(
        self,
        writer: Writer,
        marking: str = "clear",
        coordinates: str | None = None,
        batch_views: int = 16,
        batch_texts: int = 64,
        workers: int = 8,
    ) -> None:
        """Take a writer; raises UserError for a setting that cannot be used."""
        family = str(getattr(writer, "family", ""))  # a model that chats has one
        codec = None if coordinates is None else codec_of(coordinates, family)
        pointing = Pointing(style_of(marking), writer.canvas, codec)
        self.told = Likelihoods(writer, pointing, batch_views, batch_texts, pool_of(workers))

    def fits(self, panels: Sequence[Panel]) -> list[Fits]:
        """Return how likely the targets of each panel are; each distinct view is looked at once."""
        return self.told.fits(panels)


class GenerativeScorer:
    """A Scorer by a student that writes, from its folder and nothing else but its base.

    Regions are drawn, or told, as the student's note says. In a run file its `protocol` needs
    `score = "likelihood"`.
    """

    without_effect = frozenset({"batch_views", "batch_texts", "device", "workers"})

    def __init__(
        self,
        folder: str,
        device: str = "auto",
        batch_views: int = 16,
        batch_texts: int = 64,
        workers: int = 8,
    ) -> None:
        """Load a student; raises UserError for a folder that holds none that writes."""
        kind = named(use_of(Path(folder)))
        student = kind(folder, device=None if device == "auto" else device)
        writer, pointing = getattr(student, "writer", None), getattr(student, "pointing", None)
        if not isinstance(writer, Writer) or not isinstance(pointing, Pointing):
            raise UserError(f"{folder} holds a {kind.__name__}; needed is a student that writes")
        self.told = Likelihoods(writer, pointing, batch_views, batch_texts, pool_of(workers))

    def fits(self, panels: Sequence[Panel]) -> list[Fits]:
        """Return how likely the targets of each panel are; each distinct view is looked at once."""
        return self.told.fits(panels)
