"""Lines about one view are read side by side behind one picture, each as if it stood there alone.

In: rows of tokens, and which view each is about. Out: which rows are read together, what each token
may see, at which position it stands and what is learnt after it. A line sees what stands before all
lines, and itself; its positions go on from there. So the loss is what it is line by line, and a
picture is read once for all that is said of it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import PIL.Image
import torch
from torch import Tensor, nn

from lskd.errors import UserError
from lskd.writing.masks import IGNORED, Ids, Row, padded
from lskd.writing.writer import Line, Writer

NOBODYS, EVERYONES = -1, -2  # the owner of padding, and of what stands before all lines
MASKED = ("sdpa", "eager")  # ways of attending that take any mask
WHOLE = "full_attention"
AXES = "it counts rows and columns of a picture, on several axes"
ENCODED = "an encoder reads its prompts, and counts on tokens in their order"
PROBE = (
    Line(0, "What is [1]?", "a red cup"),
    Line(0, "Where is it, and who of those at the table has put it there?", "on [0]"),
    Line(0, "What is [1]?", "it"),
)
BLANK = 64  # pixels
# How far the loss of a token may be off: sums in another order, of numbers as exact as the weights.
EXACT, ROUGH = 1e-3, 5e-2
FAULTS = (RuntimeError, ValueError, TypeError, IndexError)


class Packs(Protocol):
    """A module whose forward reads lines side by side if it is `packed`."""

    packed: bool


@dataclass(frozen=True, slots=True)
class Pack:
    """The rows, by number, that are read behind one picture of `view`."""

    view: int
    rows: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Laid:
    """Tokens of packs, (packs, tokens) int64.

    `owners` says which line a token is of, `places` at which position it stands, `labels` what is
    learnt after it, or IGNORED.
    """

    owners: Tensor
    places: Tensor
    labels: Tensor

    @property
    def learnt(self) -> Tensor:
        """Return the columns after which something is learnt, in order."""
        return (self.labels != IGNORED).any(dim=0).nonzero()[:, 0]

    def to(self, device: torch.device) -> "Laid":
        """Return the same on a device."""
        return Laid(*(one.to(device) for one in (self.owners, self.places, self.labels)))

    def mask(self, attends: str, dtype: torch.dtype) -> Tensor:
        """Return what tokens see, (packs, 1, tokens, tokens), for a way of attending of MASKED.

        It is true where something is seen, or, for "eager", what is added to attention, in `dtype`.
        """
        owners = self.owners
        own = owners[:, None, :] == owners[:, :, None]
        before = torch.ones_like(own[0]).tril()
        seen = ((own | (owners == EVERYONES)[:, None, :]) & before)[:, None]
        if attends != "eager":
            return seen
        added = torch.zeros(seen.shape, dtype=dtype, device=seen.device)
        return added.masked_fill_(~seen, torch.finfo(dtype).min)


def packs(views: Sequence[int], rows: Sequence[Row]) -> list[Pack]:
    """Return which rows are read together: those of one view that begin alike.

    A row without a prompt is alone: what its target begins with is told by the picture's last
    token, of which there is one.
    """
    found: dict[tuple[int, Ids, int], list[int]] = {}
    for number, (view, row) in enumerate(zip(views, rows, strict=True)):
        found.setdefault((view, row.before, -1 if row.after else number), []).append(number)
    return [Pack(view, tuple(some)) for (view, _, _), some in found.items()]


def laid(some: Sequence[Sequence[Row]], picture: int = 0) -> Laid:
    """Return how rows stand that are read together, `picture` tokens of a picture before them.

    A picture whose tokens are among those of `Row.before` takes no place of its own.
    """
    owners, places, labels = [], [], []
    for rows in some:
        first = len(rows[0].before) + picture
        owner, place, label = [EVERYONES] * first, [*range(first)], [IGNORED] * first
        for number, row in enumerate(rows):
            many = len(row.after) + len(row.target)
            learnt = len(label) + len(row.after) - 1  # a token is told by the state before it
            label += [IGNORED] * many
            label[learnt : learnt + len(row.target)] = row.target
            owner += [number] * many
            place += range(first, first + many)
        owners.append(owner)
        places.append(place)
        labels.append(label)
    return Laid(padded(owners, NOBODYS), padded(places, 0), padded(labels, IGNORED))


def unfit(text: Any) -> str | None:
    """Return why a language model of this configuration reads no lines side by side, or None."""
    kinds = getattr(text, "layer_types", None)
    if other := sorted({*(kinds or ())} - {WHOLE}):
        return f"it has layers of {' and '.join(other)}, which count on tokens in their order"
    window = getattr(text, "sliding_window", None)
    if kinds is None and window is not None:
        return f"its layers see the last {window} tokens alone"
    attends = getattr(text, "_attn_implementation", None)
    if attends not in MASKED:
        return f"its attention, {attends}, takes no mask of ours"
    return None


def unfit_chat(model: Any) -> str | None:
    """Return why an image-text-to-text model reads no lines side by side, or None."""
    if hasattr(model.base_model, "rope_deltas"):
        return AXES
    return unfit(model.config.get_text_config())


def begin(writer: Writer, module: Packs, name: str, fault: str | None) -> None:
    """Have a module read lines side by side, if it says the same of some lines either way.

    Raises UserError if it does not, or if there is a `fault` that tells so beforehand.
    """
    fault = fault or _difference(writer, module)
    if fault is not None:
        module.packed = False
        raise UserError(refusal(name, fault))
    module.packed = True


def refusal(name: str, fault: str) -> str:
    """Return what to tell of a model that reads no lines side by side."""
    return f"packed = true: {name} cannot read lines side by side: {fault}; leave it out"


def _difference(writer: Writer, module: Packs) -> str | None:
    """Return how the loss of some lines changes where it should not, or None."""
    sights = writer.look([PIL.Image.new("RGB", writer.canvas(BLANK, BLANK))])
    most = EXACT if _exact(writer.module) else ROUGH
    with torch.no_grad():
        for lines in (PROBE[:1], PROBE):
            module.packed = False
            alone, count = writer.loss(sights, lines)
            module.packed = True
            try:
                together, _ = writer.loss(sights, lines)
            except FAULTS as error:
                return " ".join(str(error).split())[:200]
            off = float((together - alone).abs() / count)
            if not off <= most:
                return f"the loss of a token of {len(lines)} lines is off by {off:.2g}"
    return None


def _exact(module: nn.Module) -> bool:
    return all(w.dtype == torch.float32 for w in module.parameters() if w.is_floating_point())
