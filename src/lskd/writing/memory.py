"""The memory that each process needs to train a writer, before any weight is loaded.

In: a writer as a run file names it, of which config.json is read alone, how many lines are learnt
at once, and on how many processes. Out: bytes for each purpose. On several processes it is told for
those of `training.sharding`: the language model's layers and all that is trained are shared out,
what is frozen elsewhere (vision tower, embeddings) is whole on each.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from lskd.errors import UserError
from lskd.training.sharding import whole_parts
from lskd.writing import activations, fourbit, packing
from lskd.writing.activations import Load
from lskd.writing.blip2_module import Blip2Module
from lskd.writing.outline import Outline, outlined

MOMENTS = 2  # of AdamW, in the precision of the weight
AT_ONCE = 2  # layers that are whole: the one that runs and the one that is fetched meanwhile


@dataclass(frozen=True, slots=True)
class Weights:
    """The weights of one kind: how many, the bytes of all, and of the share of one process.

    `spread` ones are shared out among the processes, others are whole on each.
    """

    dtype: str
    trained: bool
    spread: bool
    count: int
    bytes: int
    share: int


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes that one process needs, of `ranks`; the first one's, whose shares are the largest.

    `gathered` are weights and gradients that are whole for the while of a layer or a step,
    `activations` states that are kept for the gradient, NaN where they are not known. `loading` is
    the whole model, which each process reads before it keeps a share.
    """

    ranks: int
    weights: tuple[Weights, ...]
    gradients: int
    optimiser: int
    average: int
    gathered: int
    activations: float
    loading: int

    @property
    def held(self) -> int:
        """Return the bytes of weights."""
        return sum(one.share for one in self.weights)

    @property
    def total(self) -> float:
        """Return the bytes at the fullest moment of a step, NaN where that is not known."""
        kept = self.gradients + self.optimiser + self.average + self.gathered
        return self.held + kept + self.activations

    @property
    def most(self) -> float:
        """Return the bytes at the fullest moment of all, that of loading included."""
        return self.total if math.isnan(self.total) else max(self.total, self.loading)


def needed(
    use: str, keys: Mapping[str, Any], load: Load, ranks: int = 1, average: bool = False
) -> Memory:
    """Return the memory that training a writer needs.

    `use` and `keys` are those of a run file; of the keys, dtype, bits, image, ln_vision, recompute
    and those of the adapters change what is told. `average` says whether the trained weights are
    averaged. Raises UserError for a model that is not there, that has no layers to share out, or
    that reads no lines side by side where the load has such.
    """
    if min(ranks, load.rows, load.views, load.prompt, load.target, load.side) < 1:
        raise UserError(f"ranks = {ranks}, {load}: each is at least 1")
    outline = outlined(use, keys)
    if load.side > 1 and (fault := _unfit(outline)) is not None:
        raise UserError(packing.refusal(keys["checkpoint"], fault))
    if ranks > 1 and not outline.layers:
        raise UserError(f"{use}: {keys['checkpoint']} has no layers that could be shared out")
    weights = _weights(outline, ranks)
    trained = sum(one.share for one in weights if one.trained)
    states = activations.kept(outline, load)
    return Memory(
        ranks=ranks,
        weights=weights,
        gradients=trained,
        optimiser=MOMENTS * trained,
        average=trained if average else 0,
        gathered=_gathered(outline) if ranks > 1 else 0,
        activations=states.again if keys.get("recompute", False) else states.all,
        loading=sum(one.bytes for one in weights),
    )


def _unfit(outline: Outline) -> str | None:
    """Return why a model reads no lines side by side, as far as its configuration tells, or None.

    What its numbers would tell is found when training begins.
    """
    if not isinstance(outline.module, Blip2Module):
        return packing.unfit_chat(outline.model)
    if outline.module.encodes:
        return packing.ENCODED
    return packing.unfit(outline.model.language_model.config)


def _weights(outline: Outline, ranks: int) -> tuple[Weights, ...]:
    """Return the weights, those of each kind together."""
    alone = _alone(outline)
    counts: dict[tuple[str, bool, bool], list[int]] = {}
    for name, weight in outline.module.named_parameters():
        spread = ranks > 1 and id(weight) not in alone
        dtype = "4 bits" if name in outline.shortened else str(weight.dtype).removeprefix("torch.")
        of_kind = counts.setdefault((dtype, weight.requires_grad, spread), [0, 0, 0])
        size = _bytes(outline, name, weight)
        # Rows are shared out, and the first process has the most of them.
        rows = weight.shape[0] if weight.ndim else 1
        share = -(-rows // ranks) / rows if spread else 1.0
        for place, more in enumerate((weight.numel(), size, round(size * share))):
            of_kind[place] += more
    return tuple(Weights(*kind, *numbers) for kind, numbers in sorted(counts.items()))


def _gathered(outline: Outline) -> int:
    """Return the bytes that are whole at the fullest moment: layers, and what is trained besides.

    Of the latter, weights and gradients are whole at the end of a step.
    """
    alone = _alone(outline)
    sizes = {
        id(weight): _bytes(outline, name, weight) * (2 if weight.requires_grad else 1)
        for name, weight in outline.module.named_parameters()
        if id(weight) not in alone
    }
    layers = [[id(weight) for weight in layer.parameters()] for layer in outline.layers]
    largest = sorted((sum(sizes[one] for one in layer) for layer in layers), reverse=True)
    within = {one for layer in layers for one in layer}
    besides = sum(size for one, size in sizes.items() if one not in within)
    return besides + sum(largest[:AT_ONCE])


def _alone(outline: Outline) -> set[int]:
    """Return what tells the weights that are whole on each process."""
    parts = whole_parts(outline.module, list(outline.layers))
    return {id(weight) for part in parts for weight in part.parameters()}


def _bytes(outline: Outline, name: str, weight: Tensor) -> int:
    if name in outline.shortened:
        return round(weight.numel() * fourbit.BYTES)
    return weight.numel() * weight.element_size()
