"""A dual encoder (CLIP, SigLIP, SigLIP 2) holds texts against marked pictures by their cosine.

In: panels. Out: `Fits` with `itc`, the cosine of picture and text in [-1, 1].
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import transformers
from torch import Tensor

from lskd.checkpoints.checkpoint import Checkpoint, image_processor_of, model_of, tokenizer_of
from lskd.errors import UserError
from lskd.evaluate.scorers.views import Fit, Sight, View, answers, questions, sight_of, style_of
from lskd.protocols import Fits, Panel
from lskd.stage import batches
from lskd.training.memory import guarded

WANTED = "a dual encoder with text and image features, such as CLIP, SigLIP or SigLIP 2"


@dataclass(frozen=True)
class Encoders:
    """A dual encoder at work: `batch_views` pictures and `batch_texts` texts at once."""

    model: Any
    tokenizer: Any
    image_processor: Any
    sight: Sight
    batch_views: int
    batch_texts: int

    def __post_init__(self) -> None:
        if min(self.batch_views, self.batch_texts) < 1:
            raise UserError("batch_views and batch_texts must be 1 or more")

    def fits(self, panels: Sequence[Panel]) -> list[Fits]:
        """Return the cosines; each distinct view and each distinct text is encoded once."""
        asked = questions(panels)
        views = list(dict.fromkeys(one.view for one in asked))
        texts = list(dict.fromkeys(one.text.whole for one in asked))
        if not asked:
            return [Fits(itc=()) for _ in panels]
        remedy = f"lower batch_views ({self.batch_views}) or batch_texts ({self.batch_texts})"
        with torch.inference_mode(), guarded("while texts are held against pictures", remedy):
            seen = torch.cat([self._seen(some) for some in batches(views, self.batch_views)])
            read = torch.cat([self._read(some) for some in batches(texts, self.batch_texts)])
        view_row = {view: row for row, view in enumerate(views)}
        text_row = {text: row for row, text in enumerate(texts)}
        mine = seen[[view_row[one.view] for one in asked]]  # (texts, width)
        theirs = read[[text_row[one.text.whole] for one in asked]]
        cosines: list[float] = (mine * theirs).sum(dim=1).tolist()
        return [Fits(itc=scores) for scores in answers(panels, cosines)]

    def shortened(self, panels: Sequence[Panel]) -> int:
        """Return how many texts are longer than the model reads, and lose their end."""
        texts = self._worded([one.text.whole for one in questions(panels)])
        lengths = [len(ids) for ids in self.tokenizer(texts)["input_ids"]] if texts else []
        return sum(length > self._longest for length in lengths)

    def _seen(self, views: Sequence[View]) -> Tensor:
        """Return features of views, (views, width), float32 of unit length, on the processor."""
        pictures = self.sight.pictures(views)
        inputs = self.image_processor(
            images=pictures, do_resize=False, do_center_crop=False, return_tensors="pt"
        )
        placed = inputs.to(self.model.device, self.model.dtype)
        return _unit(self.model.get_image_features(**placed))

    def _read(self, texts: Sequence[str]) -> Tensor:
        """Return features of texts, (texts, width), float32 of unit length, on the processor."""
        inputs = self.tokenizer(
            self._worded(texts),
            # SigLIP was trained on texts of full length.
            padding="max_length" if self._has_sigmoid else "longest",
            truncation=True,
            max_length=self._longest,
            return_tensors="pt",
        )
        return _unit(self.model.get_text_features(**inputs.to(self.model.device)))

    def _worded(self, texts: Sequence[str]) -> list[str]:
        # SigLIP was trained on lower-case texts; CLIP's tokenizer makes them so itself.
        return [text.lower() for text in texts] if self._has_sigmoid else list(texts)

    @property
    def _longest(self) -> int:
        return int(self.model.config.text_config.max_position_embeddings)

    @property
    def _has_sigmoid(self) -> bool:
        return hasattr(self.model, "logit_bias")


class DualEncoderScorer:
    """A Scorer by a dual encoder of transformers, such as the CLIP of Table 3."""

    without_effect = frozenset({"batch_views", "batch_texts", "device", "workers"})

    def __init__(  # noqa: PLR0913 - one parameter for each key of a run file
        self,
        checkpoint: str,
        revision: str | None = None,
        device: str = "auto",
        dtype: str = "auto",
        marking: str = "clear",
        fit: Fit = "squash",
        batch_views: int = 64,
        batch_texts: int = 256,
        workers: int = 8,
    ) -> None:
        """Load the weights.

        `marking` is how regions are drawn, `fit` how pictures are brought to the model's square:
        "squash" or "crop" (`lskd.evaluate.scorers.views.sight_of`). `workers` threads read
        pictures. Raises UserError for a checkpoint or a setting that cannot be used.
        """
        source = Checkpoint(checkpoint, revision, device, dtype)
        style = style_of(marking)
        image_processor = image_processor_of(source)
        self.encoders = Encoders(
            dual_encoder_of(source),
            tokenizer_of(source),
            image_processor,
            sight_of(image_processor, style, fit, workers),
            batch_views,
            batch_texts,
        )

    def fits(self, panels: Sequence[Panel]) -> list[Fits]:
        """Return how well the texts of each panel fit; each distinct view is encoded once."""
        return self.encoders.fits(panels)

    def shortened(self, panels: Sequence[Panel]) -> int:
        """Return how many texts are longer than the model reads, and lose their end."""
        return self.encoders.shortened(panels)


def dual_encoder_of(checkpoint: Checkpoint) -> Any:
    """Return a model that has features of texts and images; raise UserError for another."""
    model = model_of(checkpoint, transformers.MODEL_MAPPING, WANTED)
    for part in ("get_text_features", "get_image_features", "logit_scale"):
        if not hasattr(model, part):
            raise UserError(
                f"{checkpoint.name} is a {model.config.model_type} model; needed is {WANTED}"
            )
    return model


def _unit(output: Any) -> Tensor:
    """Return a model's features as rows of unit length; transformers 5 wraps them in an output."""
    features = output if isinstance(output, Tensor) else output.pooler_output
    return torch.nn.functional.normalize(features.float(), dim=-1).cpu()
