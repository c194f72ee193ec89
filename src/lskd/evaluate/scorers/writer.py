"""A model that writes says how likely it finds each text, given a marked picture and a prompt.

Any image-text-to-text model of transformers that has a chat template, BLIP-2 and InstructBLIP. In:
panels. Out: `Fits` with `likelihood`, the mean log-probability of a token of the target; the tokens
of the prompt and those that end a text do not count.
"""

import copy
import importlib.resources
import inspect
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import PIL.Image
import torch
import transformers
from torch import Tensor

from lskd.checkpoints.checkpoint import Checkpoint, model_of, processor_of
from lskd.checkpoints.family import FORMS, Asker
from lskd.errors import UserError
from lskd.evaluate.scorers.views import (
    Fit,
    Sight,
    View,
    answers,
    own_size,
    questions,
    sight_of,
    style_of,
)
from lskd.marking import MarkStyle
from lskd.protocols import Fits, Panel, Text
from lskd.stage import batches
from lskd.training.memory import guarded
from lskd.writing.masks import IGNORED, means, padded, shared_start
from lskd.writing.pictures import features_of

WANTED = "an image-text-to-text model, such as Qwen-VL, SmolVLM, LLaVA-OneVision or BLIP-2"

# Processors that bring every picture to one square; others keep its shape, or cut it into tiles.
SQUARES = ("BlipImageProcessor", "CLIPImageProcessor", "SiglipImageProcessor", "ViTImageProcessor")


@dataclass(frozen=True, slots=True)
class Prompt:
    """A picture and what stands before a target: as text, and as tensors of one row.

    `ids` are the text's tokens as they are before a processor makes room for the picture.
    """

    text: str
    ids: tuple[int, ...]
    inputs: Any

    @property
    def length(self) -> int:
        """Return the number of tokens, with those that stand for the picture."""
        return int(self.inputs["input_ids"].shape[1])


@dataclass(frozen=True, slots=True)
class Written:
    """A target behind a prompt: all tokens, and the place of the first that counts."""

    ids: tuple[int, ...]
    start: int


class WriterScorer:
    """A Scorer by likelihood.

    A picture passes the vision tower once for all of its texts (InstructBLIP looks with the prompt
    in mind, hence once for each prompt). The language model reads the prompt again with each text.
    """

    without_effect = frozenset({"batch_texts", "device", "workers"})

    def __init__(  # noqa: PLR0913 - one parameter for each key of a run file
        self,
        checkpoint: str,
        revision: str | None = None,
        device: str = "auto",
        dtype: str = "auto",
        marking: str = "clear",
        fit: Fit = "squash",
        prompt: str | None = None,
        batch_texts: int = 8,
        workers: int = 8,
    ) -> None:
        """Load the weights.

        `prompt` is the path of a text file that has $question where the protocol's text goes, all
        but the choice; None is that text as it is. A model that keeps the shape of pictures sees
        them marked at their own size; `fit` is for the others. Raises UserError for a checkpoint or
        a setting that cannot be used.
        """
        if batch_texts < 1:
            raise UserError(f"batch_texts = {batch_texts}: 1 is the least")
        self.batch_texts = batch_texts
        source = Checkpoint(checkpoint, revision, device, dtype)
        style = style_of(marking)
        kinds = transformers.MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING
        self.model = model_of(source, kinds, WANTED)
        self.processor = processor_of(source)
        own = importlib.resources.files(__package__).joinpath("prompts", "as_is.txt")
        kind = self.model.config.model_type
        self.asker = Asker(self.processor, kind, {"answer": prompt or str(own)})
        form = None if self.asker.chats else FORMS[kind]
        if form is not None and form.answer is None:
            raise UserError(f"{checkpoint}: a {kind} model takes no free text; needed is {WANTED}")
        self.sight = _sight(self.processor.image_processor, style, fit, workers)
        self.workers = workers
        self.look = features_of(self.model, checkpoint)
        self.keeps = "logits_to_keep" in inspect.signature(self.model.forward).parameters
        text = self.model.config.get_text_config()
        self.encodes = bool(self.model.config.is_encoder_decoder or text.is_encoder_decoder)

    def fits(self, panels: Sequence[Panel]) -> list[Fits]:
        """Return how likely the targets of each panel are."""
        asked = questions(panels)
        of_view: dict[View, list[int]] = {}
        for number, one in enumerate(asked):
            of_view.setdefault(one.view, []).append(number)
        likely = [math.nan] * len(asked)
        remedy = f"lower batch_texts ({self.batch_texts})"
        with torch.inference_mode(), guarded("while likelihoods are measured", remedy):
            for views in batches(list(of_view), self.workers):
                for view, picture in zip(views, self.sight.pictures(views), strict=True):
                    texts = [asked[number].text for number in of_view[view]]
                    for number, value in zip(
                        of_view[view], self._told(picture, texts), strict=True
                    ):
                        likely[number] = value
        return [Fits(likelihood=scores) for scores in answers(panels, likely)]

    def _told(self, picture: PIL.Image.Image, texts: Sequence[Text]) -> list[float]:
        """Return the likelihoods of texts about one picture."""
        of_prompt: dict[str, list[int]] = {}
        for number, text in enumerate(texts):
            of_prompt.setdefault(text.prompt, []).append(number)
        told = [math.nan] * len(texts)
        seen: Any = None
        for words, numbers in of_prompt.items():
            prompt = self._prompt(picture, words)
            if seen is None or "qformer_input_ids" in prompt.inputs:
                seen = self._seen(prompt)
            # Those of similar length go together, so that little is padded.
            for some in batches(
                sorted(numbers, key=lambda n: len(texts[n].target)), self.batch_texts
            ):
                targets = [self._plain(texts[number].target) for number in some]
                write = self._decoded if self.encodes else self._continued
                for number, value in zip(some, write(prompt, targets, seen), strict=True):
                    told[number] = value
        return told

    def _prompt(self, picture: PIL.Image.Image, words: str) -> Prompt:
        text = self.asker.text("answer", words)
        inputs = self.asker.inputs([picture], [text]).to(self.model.device, self.model.dtype)
        ids = self._ids(text)
        if ids and not self.encodes and int(inputs["input_ids"][0, -1]) != ids[-1]:
            raise UserError(
                f"the tokenizer of {self.model.name_or_path} ends a prompt with a token of its "
                "own: what follows it has no meaning as likelihood; use another model"
            )
        return Prompt(text, ids, inputs)

    def _seen(self, prompt: Prompt) -> Any:
        """Return the features of a prompt's picture."""
        takes = inspect.signature(self.look).parameters
        given = {name: value for name, value in prompt.inputs.items() if name in takes}
        return self.look(**given, return_dict=True)

    def _continued(self, prompt: Prompt, targets: Sequence[str], seen: Any) -> list[float]:
        """Return likelihoods by a decoder that reads prompt and target as one text."""
        rows = [self._written(prompt, target) for target in targets]
        pad = self.processor.tokenizer.pad_token_id or 0
        # On the right: positions then are what they would be without padding.
        ids = padded([row.ids for row in rows], pad).to(self.model.device)
        mask = padded([[1] * len(row.ids) for row in rows], 0).to(self.model.device)
        first = min(row.start for row in rows)
        keep = ids.shape[1] - first + 1  # a token is told by the state before it
        given = self._beside(prompt, rows, seen) | {"input_ids": ids, "attention_mask": mask}
        if self.keeps:
            given["logits_to_keep"] = keep
        logits = self.model(**given).logits[:, -keep:-1]
        places = torch.arange(first, ids.shape[1], device=ids.device)
        starts = torch.tensor([row.start for row in rows], device=ids.device)
        counts = (places >= starts[:, None]) & mask[:, first:].bool()
        return means(logits, ids[:, first:].masked_fill(~counts, IGNORED))

    def _decoded(self, prompt: Prompt, targets: Sequence[str], seen: Any) -> list[float]:
        """Return likelihoods by a decoder that writes what an encoder has read."""
        read = self.processor.tokenizer(list(targets), return_special_tokens_mask=True)
        pad = self.processor.tokenizer.pad_token_id or 0
        wanted = padded(read["input_ids"], pad).to(self.model.device)
        if not wanted.shape[1]:  # all are empty, and a model reads no row without tokens
            return [math.nan] * len(targets)
        special = padded(read["special_tokens_mask"], 1).to(self.model.device)
        starts = self.model.config.get_text_config().decoder_start_token_id
        begun = torch.cat([torch.full_like(wanted[:, :1], starts), wanted[:, :-1]], dim=1)
        many = len(targets)
        rows = [Written((0,) * prompt.length, prompt.length)] * many
        given = self._beside(prompt, rows, seen) | {
            "input_ids": prompt.inputs["input_ids"].expand(many, -1),
            "attention_mask": prompt.inputs["attention_mask"].expand(many, -1),
            "decoder_input_ids": begun,
        }
        return means(self.model(**given).logits, wanted.masked_fill(special != 0, IGNORED))

    def _written(self, prompt: Prompt, target: str) -> Written:
        """Return a target behind its prompt.

        Both are read as one text: where a token spans the border, the prompt gives up its end.
        """
        gap = self._gap(prompt.text) if target else ""
        whole = self._ids(prompt.text + gap + target)
        same = shared_start(prompt.ids, whole)
        start = prompt.length - (len(prompt.ids) - same)
        before = prompt.inputs["input_ids"][0, :start].tolist()
        return Written((*before, *whole[same:]), start)

    def _beside(self, prompt: Prompt, rows: Sequence[Written], seen: Any) -> dict[str, Any]:
        """Return what a model reads beside the tokens, once for each row."""
        many, longest = len(rows), max(len(row.ids) for row in rows)
        beside: dict[str, Any] = {}
        for name, value in prompt.inputs.items():
            if name in ("input_ids", "attention_mask") or not isinstance(value, Tensor):
                continue
            if name.endswith("token_type_ids"):  # text is of kind 0
                kinds = [value[0, : row.start].tolist() for row in rows]
                beside[name] = padded(kinds, 0, longest=longest).to(value)
            elif not name.startswith("pixel_"):
                beside[name] = torch.cat([value] * many)
        # BLIP-2 wants to be told that there are no pixels.
        return beside | {
            "pixel_values": None,
            "mm_encoder_outputs": {"image": _repeated(seen, many)},
        }

    def _ids(self, text: str) -> tuple[int, ...]:
        return tuple(self.processor.tokenizer(text, add_special_tokens=False)["input_ids"])

    def _gap(self, prompt: str) -> str:
        """Return the blank between prompt and target, if one belongs there."""
        control = self.asker.control
        ends = control is not None and any(m.end() == len(prompt) for m in control.finditer(prompt))
        return "" if not prompt or prompt[-1].isspace() or ends else " "

    def _plain(self, text: str) -> str:
        """Return text without control tokens, as the prompt is without."""
        return text if self.asker.control is None else self.asker.control.sub("", text)


def _sight(image_processor: Any, style: MarkStyle, fit: Fit, workers: int) -> Sight:
    """Return how a model's processor brings pictures to size, or leaves them to it."""
    kind = type(image_processor).__name__.removesuffix("Pil").removesuffix("Fast")
    if kind in SQUARES:
        return sight_of(image_processor, style, fit, workers)
    return own_size(style, workers)


def _repeated(seen: Any, many: int) -> Any:
    """Return features of one picture as those of `many`."""
    copied = copy.copy(seen)
    pooled = seen.pooler_output
    copied.pooler_output = (
        torch.cat([pooled] * many) if isinstance(pooled, Tensor) else list(pooled) * many
    )
    layers = getattr(seen, "deepstack_features", None)  # Qwen3-VL gives those of several layers
    if layers is not None:
        copied.deepstack_features = [
            torch.cat([layer] * many) if isinstance(layer, Tensor) else list(layer) * many
            for layer in layers
        ]
    return copied
