"""BLIP-2 stage 1 holds texts against marked pictures: a student of lskd, or published weights.

In: panels. Out: `Fits` with `itm`, the raw logit of matching (the mean over the queries, as the
release has it), and `itc`, the similarity of contrast without temperature.
"""

import tomllib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from lskd.blip2 import weights as published
from lskd.blip2.base import size_of, tokenizer_for
from lskd.blip2.given import vocabulary_of
from lskd.blip2.pixels import view_pixels
from lskd.blip2.scoring import Ask, Batching, score, see
from lskd.blip2.stage1 import Stage1, new_student
from lskd.blip2.text import Tokenizer
from lskd.checkpoints.device import place
from lskd.errors import UserError
from lskd.evaluate.scorers.views import View, answers, pool_of, questions, style_of
from lskd.marking import MarkStyle
from lskd.picture import load
from lskd.protocols import Fits, Panel
from lskd.stage import named
from lskd.training.memory import guarded

Precision = Literal["float32", "bf16"]
PRECISIONS = {"float32": torch.float32, "bf16": torch.bfloat16}
NOTE = "student.toml"

# Parts that no text is scored with; published weights often lack them.
UNUSED = ("language", "contrast.temperature")


@dataclass(frozen=True)
class Reader:
    """A stage-1 model at work: `image` is the side of its pictures, `tokens` the longest text."""

    model: Stage1
    tokenizer: Tokenizer
    style: MarkStyle
    image: int
    tokens: int
    batching: Batching
    pool: ThreadPoolExecutor

    def fits(self, panels: Sequence[Panel]) -> list[Fits]:
        """Return how well the texts of each panel fit.

        Each distinct view passes the vision tower once, and its memory serves all of its texts.
        """
        asked = questions(panels)
        encoded = self.tokenizer.encode([one.text.whole for one in asked], self.tokens)
        asks = [Ask(one.view, ids) for one, ids in zip(asked, encoded, strict=True)]
        many = self.batching
        remedy = f"lower batch_views ({many.views}) or batch_texts ({many.texts})"
        with guarded("while texts are held against pictures", remedy):
            said = score(self.model, asks, see(self.model, self._pixels), many, similarities=True)
        assert said.similarity is not None
        itm = answers(panels, said.verdict.match[:, 1].tolist())
        itc = answers(panels, said.similarity.tolist())
        return [Fits(itm=match, itc=near) for match, near in zip(itm, itc, strict=True)]

    def shortened(self, panels: Sequence[Panel]) -> int:
        """Return how many texts are longer than `tokens`, and lose their end."""
        lengths = self.tokenizer.lengths([one.text.whole for one in questions(panels)])
        return sum(length > self.tokens for length in lengths)

    def _pixels(self, views: Sequence[View]) -> Tensor:
        """Return pixels of views, (views, 3, side, side)."""
        return torch.stack(list(self.pool.map(self._shown, views))).to(
            self.model.matching.weight.dtype
        )

    def _shown(self, view: View) -> Tensor:
        return view_pixels(load(view.image), view.regions, self.style, self.image)


class StudentScorer:
    """A Scorer by a student of lskd, from its folder and nothing else.

    Pictures are marked as the student's note says.
    """

    without_effect = frozenset({"batch_views", "batch_texts", "device", "workers"})

    def __init__(
        self,
        folder: str,
        device: str = "auto",
        precision: Precision = "float32",
        batch_views: int = 16,
        batch_texts: int = 128,
        workers: int = 8,
    ) -> None:
        """Load a student; raises UserError for a folder that holds none of BLIP-2's stage 1."""
        batching, pool = Batching(batch_views, batch_texts), pool_of(workers)
        kind = named(use_of(Path(folder)))
        student = kind(folder, device=None if device == "auto" else device)
        if not isinstance(getattr(student, "model", None), Stage1):
            raise UserError(
                f"{folder} holds a {kind.__name__}; needed is a student of BLIP-2's stage 1"
            )
        self.reader = Reader(
            student.model.to(_precise(precision)),
            student.tokenizer,
            student.about.marking,
            student.about.image,
            student.about.tokens,
            batching,
            pool,
        )

    def fits(self, panels: Sequence[Panel]) -> list[Fits]:
        """Return how well the texts of each panel fit; each distinct view is encoded once."""
        return self.reader.fits(panels)

    def shortened(self, panels: Sequence[Panel]) -> int:
        """Return how many texts are longer than the student reads, and lose their end."""
        return self.reader.shortened(panels)


class Blip2Scorer:
    """A Scorer by weights of BLIP-2's stage 1, as LAVIS or Hugging Face publish them."""

    without_effect = frozenset({"batch_views", "batch_texts", "device", "workers"})

    def __init__(  # noqa: PLR0913 - one parameter for each key of a run file
        self,
        weights: str,
        frozen: str | None = None,
        size: str | None = None,
        vocabulary: str | None = None,
        image: int = 480,
        tokens: int = 128,
        marking: str = "release",
        device: str = "auto",
        precision: Precision = "float32",
        batch_views: int = 16,
        batch_texts: int = 128,
        workers: int = 8,
    ) -> None:
        """Load the weights.

        `weights`, `frozen`, `size`, `image` and `vocabulary` are as in the stage distil: a LAVIS
        file or a Hugging Face folder, the file that has the vision tower if that one has not,
        "vit_g", "vit_l" or a folder, the side of pictures in pixels and BERT's vocab.txt. `image`
        and `tokens` are those of section 3. Raises UserError for a file or a setting that cannot be
        used.
        """
        batching, pool = Batching(batch_views, batch_texts), pool_of(workers)
        style, kind = style_of(marking), _precise(precision)
        target = place(device)
        known = vocabulary_of(vocabulary, weights, "model")
        extent = size_of(size, weights, image)
        tokenizer = tokenizer_for(known, extent, tokens)
        with torch.random.fork_rng():
            model = new_student(extent, dropout=0.0)
        second = None if frozen is None else Path(frozen)
        published.load(model, Path(weights), second, UNUSED)
        model.to(target, kind).eval()
        self.reader = Reader(model, tokenizer, style, image, tokens, batching, pool)

    def fits(self, panels: Sequence[Panel]) -> list[Fits]:
        """Return how well the texts of each panel fit; each distinct view is encoded once."""
        return self.reader.fits(panels)

    def shortened(self, panels: Sequence[Panel]) -> int:
        """Return how many texts are longer than `tokens`, and lose their end."""
        return self.reader.shortened(panels)


def use_of(folder: Path) -> str:
    """Return the class that reads a student's folder, as its note says.

    Raises UserError if it has no such note.
    """
    try:
        use = tomllib.loads((folder / NOTE).read_text(encoding="utf-8"))["use"]
    except (OSError, ValueError, KeyError) as error:
        raise UserError(
            f"{folder} is no student: it has no {NOTE} that says which class reads it; give a "
            "folder that the stage distil has made, as out/<run>/distil/student"
        ) from error
    return str(use)


def _precise(precision: str) -> torch.dtype:
    if precision not in PRECISIONS:
        raise UserError(f"precision = {precision!r}: expected {' or '.join(PRECISIONS)}")
    return PRECISIONS[precision]
