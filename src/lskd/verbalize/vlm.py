"""A local vision-language model describes images and regions and answers questions.

Any image-text-to-text model of transformers: those with a chat template (Qwen-VL, SmolVLM,
LLaVA-OneVision, ...) and the families of `family.FORMS`. In: pictures. Out: texts. What is
said of an image does not depend on the images beside it.
"""

import copy
import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Literal

import PIL.Image
import torch
import transformers

from lskd.checkpoints.checkpoint import Checkpoint, model_of, processor_of
from lskd.checkpoints.family import Asker
from lskd.errors import UserError
from lskd.marking import boxed, mark
from lskd.picture import Picture
from lskd.types import Region
from lskd.verbalize.replies import one_line, whole_sentences
from lskd.writing.decode import nucleus, shaken

WANTED = "an image-text-to-text model, such as Qwen-VL, SmolVLM, LLaVA-OneVision or BLIP-2"


@dataclass(frozen=True, slots=True)
class Request:
    """A picture, the prompt about it, and the seed of its sampling."""

    pixels: PIL.Image.Image
    text: str
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Said:
    """What a model said on one line; `whole` is False if it was cut at the most tokens."""

    text: str
    whole: bool


class VisionLanguageModel:
    """A Narrator, a Captioner and an Answerer: one set of weights can serve all three."""

    without_effect = frozenset({"batch_size", "device"})

    def __init__(  # noqa: PLR0913 - one parameter for each key of a run file
        self,
        checkpoint: str,
        revision: str | None = None,
        device: str = "auto",
        dtype: str = "auto",
        batch_size: int = 4,
        narrative_tokens: int = 200,
        region_tokens: int = 40,
        answer_tokens: int = 30,
        narrative_prompt: str | None = None,
        region_prompt: str | None = None,
        answer_prompt: str | None = None,
        top_p: float = 1.0,
        seed: int = 0,
        style: Literal["release", "clear"] = "clear",
    ) -> None:
        """Load the weights.

        `*_tokens` are the most tokens that one text may have. `*_prompt` names a prompt of ours or
        is the path of a text file (with $question in that of the answer); None is what suits the
        family. `top_p` and `seed` are for narratives, which are sampled; all else is the model's
        best guess. `style` is how the box of a region is drawn (`lskd.marking`).

        Raises UserError for a checkpoint or a setting that cannot be used.
        """
        if min(batch_size, narrative_tokens, region_tokens, answer_tokens) < 1:
            raise UserError("batch_size and *_tokens must be 1 or more")
        if not 0 < top_p <= 1:
            raise UserError(f"top_p = {top_p} must be above 0 and at most 1")
        if style not in ("release", "clear"):
            raise UserError(f"style = {style!r}: known are release and clear")
        self.batch_size = batch_size
        self.narrative_tokens = narrative_tokens
        self.region_tokens = region_tokens
        self.answer_tokens = answer_tokens
        self.top_p = top_p
        self.seed = seed
        self.style: Literal["release", "clear"] = style
        source = Checkpoint(checkpoint, revision, device, dtype)
        kinds = transformers.MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING
        self.model = model_of(source, kinds, WANTED)
        self.processor = processor_of(source)
        self.encodes = _encodes(self.model.config)
        if self.encodes:  # elsewhere the padding is on the left: a decoder continues its prompt
            self.processor.tokenizer.padding_side = "right"
        self.asker = Asker(
            self.processor,
            self.model.config.model_type,
            {"narrative": narrative_prompt, "region": region_prompt, "answer": answer_prompt},
        )

    def narrate(
        self, pictures: Sequence[Picture], samples: int, temperature: float
    ) -> list[tuple[str, ...]]:
        """Return at most `samples` different descriptions of each image, sampled at `temperature`.

        One that was cut ends with its last whole sentence. At temperature 0 there is one.
        """
        count = samples if temperature > 0 else 1
        text = self.asker.text("narrative")
        requests = [
            Request(picture.pixels, text, _seed(self.seed, picture.image.id, sample))
            for picture in pictures
            for sample in range(count)
        ]
        told = [
            one.text if one.whole else whole_sentences(one.text)
            for one in self._said(requests, self.narrative_tokens, temperature)
        ]
        groups = (told[start : start + count] for start in range(0, len(told), count))
        return [tuple(dict.fromkeys(filter(None, group))) for group in groups]

    def describe(
        self, pictures: Sequence[Picture], regions: Sequence[Sequence[Region]]
    ) -> list[tuple[str, ...]]:
        """Return a phrase for each region, from the image with that one box drawn (section 2.1)."""
        text = self.asker.text("region")
        # Marked one batch at a time: all of them at once could fill the memory.
        requests = (
            Request(mark(picture.pixels, [boxed(region)], self.style), text)
            for picture, own in zip(pictures, regions, strict=True)
            for region in own
        )
        phrases = iter(self._said(requests, self.region_tokens))
        return [tuple(next(phrases).text.rstrip(". ") for _ in own) for own in regions]

    def answer(self, pictures: Sequence[Picture], questions: Sequence[str]) -> list[str]:
        """Return the answer to questions[i] about pictures[i]; "" if the model said nothing."""
        requests = [
            Request(picture.pixels, self.asker.text("answer", question))
            for picture, question in zip(pictures, questions, strict=True)
        ]
        return [one.text for one in self._said(requests, self.answer_tokens)]

    def _said(
        self, requests: Iterable[Request], tokens: int, temperature: float = 0.0
    ) -> list[Said]:
        """Return what the model says to each request, `batch_size` of them at a time."""
        said: list[Said] = []
        waiting = iter(requests)
        while batch := list(islice(waiting, self.batch_size)):
            said += self._generated(batch, tokens, temperature)
        return said

    @torch.inference_mode()
    def _generated(
        self, requests: Sequence[Request], tokens: int, temperature: float
    ) -> list[Said]:
        """Return what the model says to the requests of one batch."""
        inputs = self.asker.inputs(
            [request.pixels for request in requests], [request.text for request in requests]
        ).to(self.model.device, self.model.dtype)
        settings = copy.deepcopy(self.model.generation_config)
        settings.update(max_new_tokens=tokens, max_length=None, do_sample=False, num_beams=1)
        sampler = Sampler(
            [one.seed for one in requests], temperature, self.top_p, self.model.device
        )
        rows = self.model.generate(
            **inputs,
            generation_config=settings,
            logits_processor=transformers.LogitsProcessorList([sampler] if temperature > 0 else []),
        )
        prompt = inputs["input_ids"]
        width = prompt.shape[1]
        # A decoder may give its prompt back before what is new.
        if rows.shape[1] >= width and torch.equal(rows[:, :width], prompt):
            rows = rows[:, width:]
        if self.encodes:  # the token that starts a decoder may be the one that ends a text
            rows = rows[:, 1:]
        ends = settings.eos_token_id
        known = torch.tensor(ends if isinstance(ends, list) else [-1 if ends is None else ends])
        texts = self.processor.tokenizer.batch_decode(rows, skip_special_tokens=True)
        whole = torch.isin(rows, known.to(rows.device)).any(dim=1).tolist()
        return [Said(_line(text), ended) for text, ended in zip(texts, whole, strict=True)]


class Sampler:
    """Makes a greedy decoder sample, each row from a seed of its own; see `shaken`."""

    def __init__(
        self, seeds: Sequence[int], temperature: float, top_p: float, device: torch.device
    ) -> None:
        """Seed one generator for each row."""
        self.generators = [torch.Generator(device).manual_seed(seed) for seed in seeds]
        self.temperature = temperature
        self.top_p = top_p

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """Return the logits, (rows, vocabulary), with noise: the largest of a row is its sample."""
        return shaken(nucleus(scores.float() / self.temperature, self.top_p), self.generators)


def _line(text: str) -> str:
    """Return a reply as one line; a blank stands for what cannot be printed."""
    return one_line("".join(one if one.isprintable() else " " for one in text))


def _seed(seed: int, image_id: str, sample: int) -> int:
    """Return the seed of one sample of one image."""
    digested = hashlib.blake2b(f"{seed} {image_id} {sample}".encode(), digest_size=7)
    return int.from_bytes(digested.digest())


def _encodes(config: Any) -> bool:
    """Return whether the prompt goes to an encoder, as in T5 and BART."""
    return bool(config.is_encoder_decoder or config.get_text_config().is_encoder_decoder)
