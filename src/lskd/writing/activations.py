"""What a step of training keeps for its gradient, in bytes, measured on the meta device.

In: the outline of a writer, and how many lines of how many tokens are learnt at once. Out: bytes of
the tensors that autograd would keep, with all states kept or with those of layers made again. No
number is computed, so this takes seconds for any size.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
import transformers
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks

from lskd.writing.blip2_module import Blip2Module
from lskd.writing.masks import summed
from lskd.writing.outline import Outline
from lskd.writing.writer import Sight

library: Any = transformers

PICTURE = 1024  # tokens of a picture in the prompt of a model that chats, if none are told


@dataclass(frozen=True, slots=True)
class Load:
    """What a process learns from at once.

    `rows` lines, each about one of `views` pictures, have `prompt` tokens that are given, the
    picture's not counted, and `target` tokens that are learnt. `picture` is the number of a
    picture's tokens where the model's own configuration does not say it, None for PICTURE. Of the
    rows, `side` are read side by side behind one picture (`packing`); 1 is line by line.
    """

    rows: int
    views: int
    prompt: int
    target: int
    picture: int | None = None
    side: int = 1

    @property
    def packs(self) -> int:
        """Return how many pictures are read, each with the lines behind it."""
        return -(-self.rows // self.side)

    @property
    def text(self) -> int:
        """Return the tokens behind a picture."""
        return self.side * (self.prompt + self.target)


@dataclass(frozen=True, slots=True)
class Kept:
    """Bytes that are kept for the gradient: `all` states, or `again`, those of layers made twice.

    NaN where the model cannot be run without its weights.
    """

    all: float
    again: float


@dataclass
class _Count:
    """Counts storages that autograd keeps, each once, and those of each layer apart."""

    known: set[int]
    kept: int = 0
    layers: dict[int, int] = field(default_factory=dict)
    inputs: int = 0
    alive: list[Any] = field(default_factory=list)

    def take(self, tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage._cdata not in self.known:
            self.known.add(storage._cdata)
            self.alive.append(storage)  # so that no other storage gets its address
            self.kept += storage.nbytes()
        return tensor


def kept(outline: Outline, load: Load) -> Kept:
    """Return what is kept for the gradient of one step's micro-batch.

    It is an upper bound: attention is counted with its matrix, which the kernels of most GPUs do
    not keep.
    """
    for masked in (True, False):
        if (count := _counted(outline, load, masked)) is not None:
            break
    else:
        return Kept(math.nan, math.nan)
    within = count.layers.values()
    again = count.kept - sum(within) + count.inputs + max(within, default=0)
    return Kept(count.kept, again)


def _counted(outline: Outline, load: Load, masked: bool) -> _Count | None:
    """Return what is kept, None where the model cannot be run without its numbers.

    Decoders are `masked` by a whole mask, as they make it of a batch, or make their own.
    """
    tensors = [*outline.module.parameters(), *outline.module.buffers()]
    count = _Count({tensor.untyped_storage()._cdata for tensor in tensors})
    outline.module.train()
    try:
        with _watched(outline, count), saved_tensors_hooks(count.take, lambda kept: kept):
            (_blip2 if outline.family == "blip2" else _chat)(outline, load, masked)
    except (RuntimeError, ValueError):
        # So torch says that a number is asked for, or an operation that the meta device lacks
        # (NotImplementedError is one), and that a mask or the load has no shape for this model;
        # OPT says the latter by a ValueError where there are as many rows as tokens.
        return None
    finally:
        outline.module.eval()
    return count


def _blip2(outline: Outline, load: Load, masked: bool) -> Tensor:
    """Return the loss of a module of BLIP-2's kind, of lines of one length."""
    module, model = outline.module, outline.model
    assert isinstance(module, Blip2Module)
    vision, language = model.config.vision_config, model.language_model
    patches = (vision.image_size // vision.patch_size) ** 2 + 1
    precision = model.vision_model.post_layernorm.weight.dtype
    sight = Sight(_empty(patches, vision.hidden_size, precision))
    seen = module.pictures([sight] * load.views)
    pictures = seen[torch.arange(load.packs, device="meta") % load.views]
    width, precision = seen.shape[-1], seen.dtype
    labels = _ids(load.packs, load.side * load.target)
    if module.encodes:
        given = _empty(load.rows, load.prompt, width, precision)
        read = language.get_encoder()(inputs_embeds=torch.cat([pictures, given], dim=1))
        states = library.modeling_outputs.BaseModelOutput(read.last_hidden_state)
        logits = language(encoder_outputs=states, decoder_input_ids=labels, use_cache=False).logits
        return summed(logits, labels)[0]
    text = _empty(load.packs, load.text, width, precision)
    whole = torch.cat([pictures, text], dim=1)
    logits = language(
        inputs_embeds=whole,
        attention_mask=_mask(whole) if masked else None,
        logits_to_keep=labels.shape[1] + 1,
        use_cache=False,
    ).logits
    return summed(logits[:, :-1], labels)[0]


def _chat(outline: Outline, load: Load, masked: bool) -> Tensor:
    """Return the loss of a model that chats, the picture's features standing in the prompt."""
    model = outline.model
    decoder, head = model.get_decoder(), model.get_output_embeddings()
    words = model.get_input_embeddings().weight
    tokens = (PICTURE if load.picture is None else load.picture) + load.text
    text = _empty(load.packs, tokens, words.shape[1], words.dtype)
    mask = _mask(text) if masked else None
    told = decoder(inputs_embeds=text, attention_mask=mask, use_cache=False)
    labels = _ids(load.packs, load.side * load.target)
    learnt = slice(-labels.shape[1] - 1, -1)
    if "logits" in told:  # Llama 4's decoder has its head in it
        return summed(told.logits[:, learnt], labels)[0]
    return summed(head(told.last_hidden_state[:, learnt]), labels)[0]


@contextmanager
def _watched(outline: Outline, count: _Count) -> Iterator[None]:
    """Count what each layer of the language model keeps, and the states that go into it."""
    before: dict[int, int] = {}

    def enter(layer: nn.Module, given: tuple[Any, ...], named: dict[str, Any]) -> None:
        states = next(
            (one for one in (*given, *named.values()) if isinstance(one, Tensor) and one.ndim == 3),
            None,
        )
        count.inputs += 0 if states is None else states.numel() * states.element_size()
        before[id(layer)] = count.kept

    def leave(layer: nn.Module, given: Any, told: Any) -> None:
        count.layers[id(layer)] = count.kept - before[id(layer)]

    hooks = [
        hook
        for layer in outline.layers
        for hook in (
            layer.register_forward_pre_hook(enter, with_kwargs=True),
            layer.register_forward_hook(leave),
        )
    ]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _empty(*shape: Any) -> Tensor:
    """Return a tensor without numbers; the last argument is its type."""
    *sizes, precision = shape
    return torch.empty(sizes, dtype=precision, device="meta")


def _mask(states: Tensor) -> Tensor:
    """Return what is added to the attention of states, (rows, 1, tokens, tokens)."""
    rows, tokens, _ = states.shape
    return _empty(rows, 1, tokens, tokens, states.dtype)


def _ids(rows: int, tokens: int) -> Tensor:
    return torch.zeros(rows, tokens, dtype=torch.int64, device="meta")
