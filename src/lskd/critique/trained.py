"""The trained critic (section 2.3), from the folder that the stage `critic` has made.

`[score] critic = { use = "lskd.critique.trained:TrainedCritic", folder = "out/run/critic/model" }`
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from lskd.blip2 import files, weights
from lskd.blip2.given import VOCABULARY
from lskd.blip2.pixels import Eye
from lskd.blip2.scoring import Ask, Batching, score, see
from lskd.blip2.stage1 import Critic, Verdict, new_critic
from lskd.blip2.text import Tokenizer
from lskd.checkpoints.device import place
from lskd.critique import note
from lskd.critique.evaluation import calibrated
from lskd.critique.view import Look, permuted
from lskd.errors import UserError
from lskd.protocols import Seen
from lskd.training.memory import guarded
from lskd.types import Score, Triple, View

PRECISIONS = {"float32": torch.float32, "bf16": torch.bfloat16}


class TrainedCritic:
    """Judges triples by looking at them, with the regions drawn.

    `accept` is the calibrated probability that people accept the triple; `qa` and `rationale` are
    the regressions, limited to [0, 1], or None where the critic was trained without. A text that is
    longer than the critic was trained with loses its end.
    """

    without_effect = frozenset({"batch_views", "batch_texts", "device", "workers"})

    def __init__(
        self,
        folder: str,
        batch_views: int = 16,
        batch_texts: int = 128,
        device: str = "auto",
        precision: Literal["float32", "bf16"] = "float32",
        workers: int = 8,
    ) -> None:
        """Load a critic; `device` "auto" is the accelerator if there is one.

        Views pass the vision tower `batch_views` at a time, texts the Q-Former `batch_texts`;
        `workers` threads read pictures. Raises UserError for a folder that holds no critic, and for
        a device or a precision that there is not.
        """
        self.batching = Batching(batch_views, batch_texts)
        if precision not in PRECISIONS:
            raise UserError(f"precision = {precision!r}: expected {' or '.join(PRECISIONS)}")
        if workers < 1:
            raise UserError(f"workers = {workers}: 1 is the least")
        self.about = note.read(Path(folder))
        self.model = read(Path(folder)).to(place(device), PRECISIONS[precision]).eval()
        self.tokenizer = Tokenizer(Path(folder) / VOCABULARY)
        self.pool = ThreadPoolExecutor(workers)

    def score(
        self, seen: Sequence[Seen], triples: Sequence[Sequence[Triple]]
    ) -> list[tuple[Score, ...]]:
        """Return the score of each of triples[i], which are about seen[i].

        Each distinct view is seen once, whatever the number of its triples.
        """
        look = self.about.look
        pictures = {one.picture.image.id: one.picture for one in seen}
        shown = {name: picture.image for name, picture in pictures.items()}
        if look.pictures == "permuted":
            shown = permuted(list(shown.values()))
        asked = [
            (look.view(triple, shown[one.picture.image.id], one.regions), look.words(triple))
            for one, several in zip(seen, triples, strict=True)
            for triple in several
        ]
        eye = Eye(look.marking, look.image, self.pool, lambda view: pictures[view.image.id].pixels)
        verdict = verdicts(self.model, self.tokenizer, look, asked, eye, self.batching)
        said = iter(self._scores([triple for several in triples for triple in several], verdict))
        return [tuple(next(said) for _ in several) for several in triples]

    def _scores(self, triples: Sequence[Triple], verdict: Verdict) -> list[Score]:
        accept = calibrated(logits(verdict), self.about.temperature)
        qa = self._rated("qa", verdict.qa, len(triples))
        rationale = self._rated("rationale", verdict.rationale, len(triples))
        return [
            Score(triple.id, triple.image_id, *said)
            for triple, said in zip(triples, zip(accept, qa, rationale, strict=True), strict=True)
        ]

    def _rated(self, name: note.Rating, said: Tensor | None, count: int) -> Sequence[float | None]:
        if said is None or name not in self.about.ratings:
            return [None] * count
        limited: list[float] = said.double().clamp(0, 1).tolist()
        return limited


def verdicts(
    model: Critic,
    tokenizer: Tokenizer,
    look: Look,
    asked: Sequence[tuple[View, str]],
    eye: Callable[[Sequence[View]], Tensor],
    batching: Batching,
) -> Verdict:
    """Return what a critic says of each text about its view, float32 on the processor."""
    kind = model.matching.weight.dtype
    encoded = tokenizer.encode([text for _, text in asked], look.tokens)
    asks = [Ask(view, ids) for (view, _), ids in zip(asked, encoded, strict=True)]
    remedy = f"lower batch_views ({batching.views}) or batch_texts ({batching.texts})"
    with guarded("while triples are judged", remedy):
        return score(model, asks, see(model, lambda views: eye(views).to(kind)), batching).verdict


def logits(verdict: Verdict) -> list[float]:
    """Return one logit for each text, of acceptance against rejection."""
    differences: list[float] = (verdict.match[:, 1] - verdict.match[:, 0]).double().tolist()
    return differences


def read(folder: Path) -> Critic:
    """Return the critic of a folder, on the processor; raises UserError if it is broken."""
    critic = new_critic(files.read_size(folder), dropout=0.0)
    weights.load(critic, folder)
    return critic
