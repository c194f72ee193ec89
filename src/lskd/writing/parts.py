"""A model of transformers and its processors become the parts of a writer of BLIP-2's kind.

In: a Blip2ForConditionalGeneration that is loaded, its tokenizer and image processor, settings.
Out: the parts, with the image size and the context that were asked for, checked.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from lskd.blip2.vision import interpolate
from lskd.errors import UserError
from lskd.writing.blip2_module import Blip2Module
from lskd.writing.decode import ends_of
from lskd.writing.layers import recompute
from lskd.writing.masks import Layout, Room, Speller

T5_CONTEXT = 512  # tokens of T5's training; its positions are relative and have no end


@dataclass(frozen=True, slots=True)
class Settings:
    """How a writer is put together.

    `image` is the side of pictures in pixels, None for the checkpoint's own; `context` the most
    tokens that are read, the picture's included, None for as many as the model can. `ln_vision`
    trains the norm behind the vision tower too, `recompute` makes states of the language model
    again for the gradient. `batch` lines are asked at once.
    """

    image: int | None = None
    context: int | None = None
    ln_vision: bool = False
    recompute: bool = False
    batch: int = 8


@dataclass(frozen=True, slots=True)
class Parts:
    """A loaded writer: its module and processors, and the `side` of its pictures in pixels.

    `batch` lines are read or written at once.
    """

    module: Blip2Module
    images: Any
    tokenizer: Any
    side: int
    batch: int


def assembled(model: Any, tokenizer: Any, images: Any, layout: Layout, settings: Settings) -> Parts:
    """Return the parts of a writer.

    Raises UserError for a setting that this model cannot have.
    """
    if settings.batch < 1:
        raise UserError(f"batch = {settings.batch}: 1 is the least")
    side = _resized(model, settings.image)
    images.size = {"height": side, "width": side}
    encodes = not model.config.use_decoder_only_language_model
    ends = ends_of(model.language_model, tokenizer)
    if not ends and not layout.end:
        raise UserError(f"{model.name_or_path} has no token to end a text; use another model")
    room = Room(_context(model, settings.context), model.config.num_query_tokens)
    speller = Speller(tokenizer, layout, room, next(iter(ends), 0), encodes)
    if settings.recompute:
        recompute(model.language_model)
    module = Blip2Module(model, speller, settings.ln_vision)
    return Parts(module, images, tokenizer, side, settings.batch)


def _context(model: Any, wanted: int | None) -> int:
    """Return how many tokens are read; raises UserError for more than there are positions."""
    config = model.config.text_config
    most = getattr(config, "max_position_embeddings", None)
    if wanted is None:
        return int(most or T5_CONTEXT)
    least = model.config.num_query_tokens + 1
    if wanted < least or (most is not None and wanted > most):
        raise UserError(f"context = {wanted}: expected {least} to {most or 'any number of'} tokens")
    return wanted


def _resized(model: Any, image: int | None) -> int:
    """Fit the tower's positions to another image size; return the side in pixels."""
    vision = model.config.vision_config
    side = vision.image_size if image is None else image
    if side < vision.patch_size:
        raise UserError(f"image = {side}: {vision.patch_size} pixels, a patch, is the least")
    embeddings = model.vision_model.embeddings
    tokens = (side // vision.patch_size) ** 2 + 1
    with torch.no_grad():
        position = interpolate(embeddings.position_embedding.data, tokens)
    embeddings.position_embedding = nn.Parameter(position, requires_grad=False)
    embeddings.image_size = vision.image_size = side
    embeddings.num_positions, embeddings.num_patches = tokens, tokens - 1
    return int(side)
