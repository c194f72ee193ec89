"""How text is drawn from a model: greedy, by beams or by chance; where it stops; what it names.

In: a model of transformers with the tensors of a batch of prompts. Out: what is written behind each
prompt, with the model's confidence. Whatever a checkpoint's own generation settings would change
(penalties, forced tokens, temperatures) is left out, all but its end: so the confidence is the
model's own probability.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
import transformers
from torch import Tensor

from lskd import marking
from lskd.training.order import seed_of
from lskd.writing.writer import Decoding, Stopped, Written

# The loaders of transformers have no types.
library: Any = transformers


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked for: each row's `place` among all rows, and the tokens that are `given`.

    A row is drawn by its place, hence alike in any batch. `given` tokens stand before the new ones
    in what `generate` returns: those of the prompt, the one that starts a decoder, or none.
    """

    places: Sequence[int]
    given: int


@torch.inference_mode()
def generated(
    model: Any, inputs: Mapping[str, Any], tokenizer: Any, decoding: Decoding, asked: Asked
) -> list[Written]:
    """Return what a model writes behind each prompt of a batch.

    `inputs` go to `model.generate`; prompts of a decoder are padded on the left.
    """
    reader = Reader(tokenizer, ends_of(model, tokenizer), decoding.stop)
    drawing = Drawing(decoding, asked.places)
    beams = decoding.beams > 1
    with _bare(model, reader.ends, tokenizer):
        told = model.generate(
            **inputs,
            max_new_tokens=decoding.tokens,
            num_beams=decoding.beams,
            return_dict_in_generate=True,
            output_scores=beams,
            logits_processor=library.LogitsProcessorList([] if beams else [drawing]),
            stopping_criteria=library.StoppingCriteriaList(
                [StopsAt(reader, asked.given)] if decoding.stop else []
            ),
        )
    new = told.sequences[:, asked.given :]
    if not beams:
        drawing.told(new[:, -1])
    texts = [reader.read(row) for row in new.tolist()]
    # A beam's score is the mean over its tokens, as the penalty of length is 1.
    sure = told.sequences_scores.tolist() if beams else drawing.means([t.tokens for t in texts])
    both = zip(texts, sure, strict=True)
    return [Written(text.text, confidence, text.stopped) for text, confidence in both]


def ends_of(model: Any, tokenizer: Any) -> tuple[int, ...]:
    """Return the tokens of which each ends a text."""
    for ends in (model.generation_config.eos_token_id, tokenizer.eos_token_id):
        if ends is not None:
            return tuple(ends) if isinstance(ends, list | tuple) else (ends,)
    return ()


def undrawn(text: str, drawn: Collection[int]) -> tuple[int, ...]:
    """Return the ids of regions that a text names, as "[2]", but that are not drawn; sorted."""
    return tuple(sorted(set(marking.named(text)) - set(drawn)))


@dataclass(frozen=True, slots=True)
class Read:
    """A row of new tokens, read: its text, how many `tokens` made it, and why it ended."""

    text: str
    tokens: int
    stopped: Stopped


class Reader:
    """Reads rows of tokens up to their end."""

    def __init__(self, tokenizer: Any, ends: tuple[int, ...], stop: tuple[str, ...]) -> None:
        self.tokenizer = tokenizer
        self.ends = ends
        self.stop = stop

    def read(self, row: Sequence[int]) -> Read:
        """Return what a row says; what stands behind its end is padding."""
        end = next((n for n, token in enumerate(row) if token in self.ends), None)
        tokens = list(row if end is None else row[:end])
        text = self.text(tokens)
        place = self.stops(text)
        if place is not None:
            cut = next(
                n for n in range(len(tokens) + 1) if self.stops(self.text(tokens[:n])) == place
            )
            return Read(text[:place].strip(), cut, "stop")
        if end is not None:
            return Read(text.strip(), end + 1, "end")
        return Read(text.strip(), len(tokens), "limit")

    def text(self, tokens: Sequence[int]) -> str:
        """Return tokens as text, without control tokens and the blank that it may begin with."""
        told: str = self.tokenizer.decode(tokens, skip_special_tokens=True)
        return told.lstrip(" ")

    def stops(self, text: str) -> int | None:
        """Return where the first stop string of a text begins; None if it has none."""
        places = [place for stop in self.stop if (place := text.find(stop)) >= 0]
        return min(places, default=None)


class StopsAt:
    """Ends a row at a stop string, as transformers asks for it."""

    def __init__(self, reader: Reader, given: int) -> None:
        self.reader = reader
        self.given = given

    def __call__(self, input_ids: Tensor, scores: Any, **_: Any) -> Tensor:
        """Return (rows,) bool: which rows have come to a stop string."""
        texts = (self.reader.text(row) for row in input_ids[:, self.given :].tolist())
        done = [self.reader.stops(text) is not None for text in texts]
        return torch.tensor(done, device=input_ids.device)


class Drawing:
    """Draws tokens, each row from a seed of its own, and keeps the model's probability of each."""

    def __init__(self, decoding: Decoding, places: Sequence[int]) -> None:
        self.decoding = decoding
        self.places = places
        self._generators: list[torch.Generator] = []
        self._last: Tensor | None = None  # (rows, vocabulary): of the token that comes next
        self._kept: list[Tensor] = []  # (rows,) for each token that came

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """Return logits, (rows, vocabulary), of which the largest of a row is its next token."""
        if self._last is not None:
            self.told(input_ids[:, -1])
        self._last = scores.float().log_softmax(dim=-1)
        temperature = self.decoding.temperature
        if temperature is None:
            return scores
        if not self._generators:
            self._generators = [
                torch.Generator(scores.device).manual_seed(seed_of(self.decoding.seed, place))
                for place in self.places
            ]
        cooled = nucleus(scores.float() / temperature, self.decoding.top_p)
        return shaken(cooled, self._generators)

    def told(self, tokens: Tensor) -> None:
        """Keep how likely the tokens, (rows,), were that came next."""
        assert self._last is not None
        self._kept.append(self._last.gather(1, tokens[:, None])[:, 0])
        self._last = None

    def means(self, lengths: Sequence[int]) -> list[float]:
        """Return the mean log-probability of each row's first tokens, NaN for none."""
        kept = torch.stack(self._kept, dim=1)  # (rows, tokens)
        counts = torch.tensor(lengths, device=kept.device)[:, None]
        counted = torch.arange(kept.shape[1], device=kept.device) < counts
        sums = kept.where(counted, torch.zeros_like(kept)).sum(dim=1)
        values: list[float] = (sums / counts[:, 0]).tolist()
        return values


def nucleus(scores: Tensor, top_p: float) -> Tensor:
    """Return logits, (rows, vocabulary), with -inf outside the fewest tokens that make `top_p`."""
    if top_p >= 1:
        return scores
    ordered, order = scores.sort(dim=-1, descending=True)
    shares = ordered.softmax(dim=-1)
    above = shares.cumsum(dim=-1) - shares  # what the more likely tokens make together
    return scores.masked_fill((above >= top_p).gather(-1, order.argsort(dim=-1)), -torch.inf)


def shaken(scores: Tensor, generators: Sequence[torch.Generator]) -> Tensor:
    """Return logits, (rows, vocabulary), with noise: the largest of a row is its sample.

    Adding Gumbel noise to the logits and taking the largest is to draw from their softmax. So what
    a row says does not depend on the rows beside it, as it would with one generator for a batch.
    """
    waits = [
        torch.empty_like(row).exponential_(generator=generator)
        for row, generator in zip(scores, generators, strict=True)
    ]
    return scores - torch.stack(waits).log()


@contextmanager
def _bare(model: Any, ends: tuple[int, ...], tokenizer: Any) -> Iterator[None]:
    """Put aside a model's own generation settings: it fills with them whatever is not given."""
    own = model.generation_config
    pad = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else own.pad_token_id
    model.generation_config = library.GenerationConfig(
        bos_token_id=own.bos_token_id,
        decoder_start_token_id=own.decoder_start_token_id,
        eos_token_id=list(ends) or None,
        pad_token_id=pad if pad is not None else next(iter(ends), 0),
    )
    try:
        yield
    finally:
        model.generation_config = own
