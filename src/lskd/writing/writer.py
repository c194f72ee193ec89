"""What a model that writes can do, and the records that it is asked and answers with.

In: what a frozen tower saw of a marked picture (`Sight`), and lines of text about it (`Line`). Out:
a loss, texts (`Written`) or likelihoods. A writer is named in a run file by its class:

```toml
writer = { use = "lskd.writing.blip2:Blip2Writer", checkpoint = "Salesforce/blip2-flan-t5-xl" }
```

Every class takes the keywords `checkpoint` (the base, a folder or a name on the hub), `revision`,
`device`, `dtype`, and `trained`: the folder that `save` wrote, or None. `note.opened(folder)` loads
a trained writer by its folder alone.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol, runtime_checkable

import PIL.Image
import safetensors.torch
import torch
from torch import Tensor, nn

from lskd.errors import UserError
from lskd.marking import MarkStyle

Stopped = Literal["end", "stop", "limit"]


@dataclass(frozen=True, slots=True)
class Line:
    """A text about a view: `prompt` is given, `target` is learnt, scored, or "" if it is wanted.

    `view` is the place of the view among the sights of the same call. A blank is put between prompt
    and target where one belongs there; neither has room for the picture: the writer makes that.
    """

    view: int
    prompt: str
    target: str = ""


@dataclass(frozen=True, slots=True)
class Decoding:
    """How a text is drawn from a model.

    With `temperature` None the likeliest text of `beams` beams is written, 1 being greedy; else
    tokens are drawn at that temperature from the fewest that make `top_p`. A text ends at the
    model's own end, before the first of the `stop` strings, or after `tokens` new tokens. Raises
    UserError for a number that makes no sense.
    """

    beams: int = 1
    temperature: float | None = None
    top_p: float = 1.0
    tokens: int = 128
    stop: tuple[str, ...] = ()
    seed: int = 0

    def __post_init__(self) -> None:
        if self.beams < 1 or self.tokens < 1:
            raise UserError(f"beams = {self.beams}, tokens = {self.tokens}: 1 is the least")
        if self.temperature is not None and not 0 < self.temperature < math.inf:
            raise UserError(f"temperature = {self.temperature}: expected more than 0, or none")
        if self.temperature is not None and self.beams > 1:
            raise UserError(
                f"beams = {self.beams} with temperature = {self.temperature}: choose one of both"
            )
        if not 0 < self.top_p <= 1:
            raise UserError(f"top_p = {self.top_p}: expected more than 0, at most 1")
        if not all(self.stop):
            raise UserError(f"stop = {list(self.stop)}: an empty string would end every text")


@dataclass(frozen=True, slots=True)
class Written:
    """What a model wrote.

    `confidence` is the mean log-probability of its tokens under the model itself (at temperature
    1), the one that ends it included; NaN where there is none. `stopped` says why it ended.
    """

    text: str
    confidence: float
    stopped: Stopped


@dataclass(frozen=True, slots=True)
class Cut:
    """A line whose prompt is too long: it loses its first `tokens` tokens, the target none."""

    line: int
    tokens: int


@dataclass(frozen=True, slots=True)
class Sight:
    """What the frozen part of a writer sees of one marked picture; nothing here has a gradient.

    `features` is (tokens, width). `layers` are features of earlier layers, each (tokens, width),
    where a family reads those too, and `grid` whole numbers that say how the tokens lie in the
    picture; both are () where the family needs none.
    """

    features: Tensor
    layers: tuple[Tensor, ...] = ()
    grid: tuple[int, ...] = ()

    def to(self, device: torch.device, dtype: torch.dtype | None = None) -> "Sight":
        """Return this sight elsewhere, and in another precision if one is given."""
        layers = tuple(layer.to(device, dtype) for layer in self.layers)
        return Sight(self.features.to(device, dtype), layers, self.grid)

    def packed(self) -> bytes:
        """Return this sight as the bytes of a safetensors file."""
        tensors = {"features": self.features, "grid": torch.tensor(self.grid, dtype=torch.int64)}
        tensors |= {f"layer{number}": layer for number, layer in enumerate(self.layers)}
        return safetensors.torch.save(
            {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
        )


def unpacked(data: bytes) -> Sight:
    """Return the sight that `Sight.packed` made bytes of, on the processor."""
    tensors = safetensors.torch.load(data)
    layers = tuple(tensors[f"layer{number}"] for number in range(len(tensors) - 2))
    return Sight(tensors["features"], layers, tuple(tensors["grid"].tolist()))


@runtime_checkable
class Doubting(Protocol):
    """A writer that can tell why marks of pictures, or names in texts, may be of no use."""

    def doubts(self, width: int, height: int, style: MarkStyle | None) -> list[str]:
        """Return warnings about pictures of a size in pixels; a style of None draws no marks."""
        ...


@runtime_checkable
class Packing(Protocol):
    """A writer whose loss can read all lines about one view behind one picture."""

    def pack(self) -> None:
        """Have the loss do so from now on: it stays what it is, for less work.

        Raises UserError for a model that would read its lines otherwise then.
        """
        ...


@runtime_checkable
class Writer(Protocol):
    """A model that writes. Lists are of the length and order of the lines, or pictures, given."""

    @property
    def module(self) -> nn.Module:
        """Return the module that is trained; all but what is to be trained is frozen.

        Its forward is `loss`: called with (sights, lines) it returns the same pair, so that it can
        be wrapped for several processes.
        """
        ...

    def canvas(self, width: int, height: int) -> tuple[int, int]:
        """Return the width and height to which a picture is brought before marks are drawn on it.

        All lengths are in pixels. The model's own processor then resizes no more, so that no mark
        is blurred or cut.
        """
        ...

    def look(self, pictures: Sequence[PIL.Image.Image]) -> list[Sight]:
        """Return what the frozen part sees of pictures with marks; they have their canvas' size."""
        ...

    def cuts(self, sights: Sequence[Sight], lines: Sequence[Line], new: int = 0) -> list[Cut]:
        """Return the lines whose prompts do not fit beside picture, target and `new` tokens.

        They are cut so wherever they are read. Raises UserError for a line that does not fit even
        without its prompt.
        """
        ...

    def loss(self, sights: Sequence[Sight], lines: Sequence[Line]) -> tuple[Tensor, Tensor]:
        """Return the targets' negative log-likelihood, a sum, and the number of their tokens.

        Both are scalars on the module's device; the token that ends a text counts, no token of a
        prompt does. Raises UserError for a line without target.
        """
        ...

    def write(
        self, sights: Sequence[Sight], lines: Sequence[Line], decoding: Decoding
    ) -> list[Written]:
        """Return what the model writes after each prompt; targets must be "".

        What is drawn for a line depends on the seed and the line's place, not on those beside it.
        """
        ...

    def likelihoods(self, sights: Sequence[Sight], lines: Sequence[Line]) -> list[float]:
        """Return the mean log-probability of a token of each target, NaN where it has none.

        The token that ends a text does not count. What lines of one view and prompt share is
        computed once.
        """
        ...

    def save(self, folder: Path) -> None:
        """Write what was trained, in the format of its library, and the note that loads it again.

        Raises UserError if it cannot be written.
        """
        ...
