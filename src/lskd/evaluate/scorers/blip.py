"""BLIP with its heads for retrieval holds texts against marked pictures.

In: panels. Out: `Fits` with `itm`, the raw logit of matching, and `itc`, the cosine of contrast.
"""

from collections.abc import Sequence
from typing import Any

import torch
import transformers
from torch import Tensor

from lskd.checkpoints.checkpoint import Checkpoint, image_processor_of, model_of, tokenizer_of
from lskd.errors import UserError
from lskd.evaluate.scorers.views import (
    Asked,
    Fit,
    View,
    answers,
    questions,
    sight_of,
    style_of,
)
from lskd.protocols import Fits, Panel
from lskd.stage import batches
from lskd.training.memory import guarded

WANTED = "a BLIP with heads for retrieval, such as Salesforce/blip-itm-large-coco"


class BlipScorer:
    """A Scorer by BLIP (Table 3): a picture is encoded once, whatever the number of its texts."""

    without_effect = frozenset({"batch_views", "batch_texts", "device", "workers"})

    def __init__(  # noqa: PLR0913 - one parameter for each key of a run file
        self,
        checkpoint: str,
        revision: str | None = None,
        device: str = "auto",
        dtype: str = "auto",
        marking: str = "clear",
        fit: Fit = "squash",
        tokens: int = 128,
        first_token: int | None = None,
        batch_views: int = 16,
        batch_texts: int = 128,
        workers: int = 8,
    ) -> None:
        """Load the weights.

        Texts are cut after `tokens` tokens (section 3). `first_token` stands in place of [CLS]
        where texts are matched: LAVIS puts [ENC] there, 30523, which BLIP was trained with;
        transformers leaves [CLS]. The other keys are those of `DualEncoderScorer`. Raises UserError
        for a checkpoint or a setting that cannot be used.
        """
        if min(batch_views, batch_texts) < 1:
            raise UserError("batch_views and batch_texts must be 1 or more")
        source = Checkpoint(checkpoint, revision, device, dtype)
        style = style_of(marking)
        # Any: the types of transformers lack these names.
        library: Any = transformers
        kinds = {library.BlipConfig: library.BlipForImageTextRetrieval}
        self.model = model_of(source, kinds, WANTED)
        text = self.model.config.text_config
        if not 2 <= tokens <= text.max_position_embeddings:
            raise UserError(f"tokens = {tokens}: this model reads {text.max_position_embeddings}")
        if first_token is not None and not 0 <= first_token < text.vocab_size:
            raise UserError(f"first_token = {first_token}: this model knows {text.vocab_size}")
        self.tokens, self.first_token = tokens, first_token
        self.batch_views, self.batch_texts = batch_views, batch_texts
        self.tokenizer = tokenizer_of(source)
        self.image_processor = image_processor_of(source)
        self.sight = sight_of(self.image_processor, style, fit, workers)

    def fits(self, panels: Sequence[Panel]) -> list[Fits]:
        """Return how well the texts of each panel fit; each distinct view is encoded once."""
        asked = questions(panels)
        of_view: dict[View, list[int]] = {}
        for number, one in enumerate(asked):
            of_view.setdefault(one.view, []).append(number)
        matching, near = [0.0] * len(asked), [0.0] * len(asked)
        remedy = f"lower batch_views ({self.batch_views}) or batch_texts ({self.batch_texts})"
        with torch.inference_mode(), guarded("while texts are held against pictures", remedy):
            for views in batches(list(of_view), self.batch_views):
                seen = self._seen(views)
                row = {view: place for place, view in enumerate(views)}
                # Those of similar length go together, so that little is padded.
                numbers = sorted(
                    (number for view in views for number in of_view[view]),
                    key=lambda number: len(asked[number].text.whole),
                )
                for some in batches(numbers, self.batch_texts):
                    looked = seen[[row[asked[number].view] for number in some]]
                    itm, itc = self._held(looked, [asked[number] for number in some])
                    for number, match, cosine in zip(some, itm, itc, strict=True):
                        matching[number], near[number] = match, cosine
        both = zip(answers(panels, matching), answers(panels, near), strict=True)
        return [Fits(itm=itm, itc=itc) for itm, itc in both]

    def shortened(self, panels: Sequence[Panel]) -> int:
        """Return how many texts are longer than `tokens`, and lose their end."""
        texts = [one.text.whole for one in questions(panels)]
        lengths = [len(ids) for ids in self.tokenizer(texts)["input_ids"]] if texts else []
        return sum(length > self.tokens for length in lengths)

    def _seen(self, views: Sequence[View]) -> Tensor:
        """Return features of views, (views, patches, width)."""
        inputs = self.image_processor(
            images=self.sight.pictures(views),
            do_resize=False,
            do_center_crop=False,
            return_tensors="pt",
        )
        pixels = inputs["pixel_values"].to(self.model.device, self.model.dtype)
        features: Tensor = self.model.vision_model(pixel_values=pixels).last_hidden_state
        return features

    def _held(self, looked: Tensor, asked: Sequence[Asked]) -> tuple[list[float], list[float]]:
        """Return logits of matching and cosines of texts, each about its own of `looked`.

        `looked` is (texts, patches, width).
        """
        read = self.tokenizer(
            [one.text.whole for one in asked],
            padding="longest",
            truncation=True,
            max_length=self.tokens,
            return_tensors="pt",
        ).to(self.model.device)
        ids, mask = read["input_ids"], read["attention_mask"]
        alone = self.model.text_encoder(input_ids=ids, attention_mask=mask).last_hidden_state
        theirs = _unit(self.model.text_proj(alone[:, 0]))  # (texts, tokens, width) -> (texts, 256)
        mine = _unit(self.model.vision_proj(looked[:, 0]))
        if self.first_token is not None:
            ids = ids.clone()
            ids[:, 0] = self.first_token
        together = self.model.text_encoder(
            input_ids=ids,
            attention_mask=mask,
            encoder_hidden_states=looked,
            encoder_attention_mask=torch.ones(looked.shape[:2], dtype=torch.long).to(ids.device),
        ).last_hidden_state
        matching: list[float] = self.model.itm_head(together[:, 0])[:, 1].float().tolist()
        return matching, (theirs * mine).sum(dim=1).tolist()


def _unit(features: Tensor) -> Tensor:
    return torch.nn.functional.normalize(features.float(), dim=-1)
