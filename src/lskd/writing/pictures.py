"""What a model that chats sees of pictures, and how what it saw is given back to it later.

In: pictures at their canvas. Out: sights, which hold the features that the language model reads in
place of a picture's tokens, and the size of the picture. All else that a model wants to be told of
a picture (how many tokens it takes, where its tiles and rows are) follows from that size: its
processor is asked once for each size, with a blank picture.
"""

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import PIL.Image
import torch
from torch import Tensor

from lskd.errors import UserError
from lskd.writing.masks import Ids, padded, shared_start
from lskd.writing.turns import WORD, Opening, Turns
from lskd.writing.writer import Sight

LIST, FLAT = 0, 2  # how features come: a list of pictures or tiles, or a tensor of so many axes


@dataclass(frozen=True, slots=True)
class Place:
    """What a model is told of a picture of one size, beside its features.

    `opening` are the tokens up to its end. `kinds` say of each of these tokens what kind it is,
    under the names by which the model knows that; all tokens that follow are of kind 0. `beside`
    are tensors for one picture.
    """

    opening: Opening
    kinds: tuple[tuple[str, Ids], ...]
    beside: tuple[tuple[str, Tensor], ...]


@dataclass
class Features:
    """Features of the pictures of a batch, as a model takes them for those of its own tower."""

    pooler_output: Tensor | list[Tensor]
    deepstack_features: list[list[Tensor]] | None = None


class Pictures:
    """The eyes of one model."""

    def __init__(self, model: Any, processor: Any, turns: Turns) -> None:
        """Find how the model looks; raises UserError if it cannot look once and read many texts."""
        self.processor = processor
        self.turns = turns
        self.model = model
        self._features = features_of(model, turns.name)
        self._takes = frozenset(inspect.signature(model.forward).parameters)
        self.place = lru_cache(maxsize=4096)(self._place)

    def look(self, pictures: Sequence[PIL.Image.Image]) -> list[Sight]:
        """Return sights of pictures of one size, in one pass of the vision tower."""
        read = self._read(pictures).to(self.model.device, self.model.dtype)
        takes = inspect.signature(self._features).parameters
        given = {name: value for name, value in read.items() if name in takes}
        seen = self._features(**given, return_dict=True)
        deeper = getattr(seen, "deepstack_features", None) or []
        return [
            _sight(pictures[0].size, part, layers)
            for part, *layers in zip(
                *(_shared(one, len(pictures)) for one in (seen.pooler_output, *deeper)),
                strict=True,
            )
        ]

    def features(self, sights: Sequence[Sight]) -> Features:
        """Return the features of one sight for each row of a batch."""
        sights = [sight.to(self.model.device, self.model.dtype) for sight in sights]
        layers = [
            [sight.layers[number] for sight in sights] for number in range(len(sights[0].layers))
        ]
        *_, form = sights[0].grid
        parts = [sight.features.chunk(sight.grid[2]) for sight in sights]
        if form == LIST:
            return Features([one for part in parts for one in part], layers or None)
        if form == FLAT:
            return Features(torch.cat([sight.features for sight in sights]), layers or None)
        return Features(torch.cat([torch.stack(part) for part in parts]), layers or None)

    def beside(
        self, sights: Sequence[Sight], longest: int, skip: Sequence[int] | None = None
    ) -> dict[str, Any]:
        """Return what a model reads beside the tokens of rows, one sight a row.

        Rows are `longest` tokens; `skip` of them, on the left, are padding.
        """
        places = [self.place(sight.grid[:2]) for sight in sights]
        before = [0] * len(places) if skip is None else skip
        told: dict[str, Any] = {}
        for number, (name, _) in enumerate(places[0].kinds):
            kinds = [
                (*[0] * many, *place.kinds[number][1])
                for many, place in zip(before, places, strict=True)
            ]
            told[name] = padded(kinds, 0, longest=longest)
        for number, (name, _) in enumerate(places[0].beside):
            told[name] = torch.cat([place.beside[number][1] for place in places])
        told = {name: value.to(self.model.device) for name, value in told.items()}
        return told | {"mm_encoder_outputs": {"image": self.features(sights)}}

    def _place(self, size: tuple[int, int]) -> Place:
        """Return what a model is told of a picture of a size, (width, height) in pixels."""
        words, others = (self.turns.ids(self.turns.text(word)) for word in (WORD, WORD[::-1]))
        read = self._read([PIL.Image.new("RGB", size)])
        ids = tuple(read["input_ids"][0].tolist())
        text = next((n for n, (a, b) in enumerate(zip(words, others, strict=False)) if a != b), 0)
        start = min(shared_start(words, ids), text)
        behind = min(shared_start(words[::-1], ids[::-1]), len(words) - start, len(ids) - start)
        opening = Opening(ids[: len(ids) - behind], len(words) - behind)
        stands = getattr(self.model.config, "image_token_id", None)
        if opening.skipped > text or (stands is not None and stands not in opening.ids):
            raise UserError(
                f"the chat template of {self.turns.name} makes no room for a picture before the "
                "words of a user; use another model"
            )
        kinds = tuple(
            (name, tuple(value[0, : len(opening.ids)].tolist()))
            for name, value in read.items()
            if name.endswith("token_type_ids")
        )
        left_out = ("input_ids", "attention_mask", *(name for name, _ in kinds))
        beside = tuple(
            (name, value)
            for name, value in read.items()
            if isinstance(value, Tensor) and name in self._takes
            if name not in left_out and not name.startswith("pixel_")
        )
        return Place(opening, kinds, beside)

    def _read(self, pictures: Sequence[PIL.Image.Image]) -> Any:
        """Return the tensors of a batch of pictures of one size, each with one word."""
        try:
            return self.processor(
                images=[[picture] for picture in pictures],
                text=[self.turns.text(WORD)] * len(pictures),
                return_tensors="pt",
                **({} if self.turns.special else {"add_special_tokens": False}),
            )
        except ValueError as error:
            line = " ".join(str(error).split())
            raise UserError(
                f"{self.turns.name} cannot read a picture with a text: {line}"
            ) from error


def features_of(model: Any, name: str) -> Callable[..., Any]:
    """Return what makes a model's features of pictures.

    It is what transformers itself calls before a model writes. Raises UserError, by the model's
    `name`, where a text cannot be read with features that were made earlier, as with Mllama.
    """
    found: Callable[..., Any] | None = getattr(model.base_model, "get_image_features", None)
    if found is None or "mm_encoder_outputs" not in inspect.signature(model.forward).parameters:
        raise UserError(
            f"{name}: a {model.config.model_type} model cannot look once and read many texts; use "
            "another"
        )
    return found


def _sight(size: tuple[int, int], part: Any, layers: Sequence[Any]) -> Sight:
    """Return the sight of one picture from its share of what a tower returned."""
    form = FLAT + part.dim() - 2 if isinstance(part, Tensor) else LIST
    joined = [one if isinstance(one, Tensor) else torch.cat(list(one)) for one in (part, *layers)]
    features, *deeper = (one.flatten(0, -2) for one in joined)
    return Sight(features, tuple(deeper), (*size, len(part), form))


def _shared(features: Any, many: int) -> list[Any]:
    """Return the features of each of `many` pictures of one size: tensors, or lists of them."""
    each, rest = divmod(len(features), many)
    assert not rest, "pictures of one size have as many features"
    return [features[each * number : each * (number + 1)] for number in range(many)]
