"""A Writer from the parts of a BLIP-2: what is the same whatever checkpoints they came from.

In: the parts and a note, which `blip2` and `minigpt4` make. Out: all that `Writer` asks for.
"""

from collections.abc import Sequence
from pathlib import Path

import PIL.Image
from torch import Tensor

from lskd.marking import MarkStyle
from lskd.writing import packing, speaking
from lskd.writing.blip2_module import Blip2Module
from lskd.writing.note import Note
from lskd.writing.parts import Parts
from lskd.writing.trained import read_trained, write_trained
from lskd.writing.turns import odd_tag
from lskd.writing.writer import Cut, Decoding, Line, Sight, Written


class BridgedWriter:
    """A Writer whose Q-Former bridges a frozen tower and a frozen language model; see `Writer`."""

    without_effect = frozenset({"batch", "device", "recompute"})

    def __init__(self, parts: Parts, note: Note, trained: str | None) -> None:
        """Take the parts, and what was trained of them if a folder is given.

        Raises UserError for a folder that does not belong to this base.
        """
        self.parts = parts
        self.note = note
        if trained is not None:
            read_trained(Path(trained), parts.module.model, note)

    @property
    def module(self) -> Blip2Module:
        """Return the module; its forward is `loss`."""
        return self.parts.module

    def canvas(self, width: int, height: int) -> tuple[int, int]:
        """Return the side of the square that every picture is brought to, twice."""
        return self.parts.side, self.parts.side

    def doubts(self, width: int, height: int, style: MarkStyle | None) -> list[str]:
        """Return warnings about how tags are read; marks are drawn on what the tower sees."""
        doubt = odd_tag(self.parts.tokenizer)
        return [] if doubt is None else [doubt]

    def look(self, pictures: Sequence[PIL.Image.Image]) -> list[Sight]:
        """Return features before the norm behind the tower, (patches and one, width), of each."""
        return speaking.look(self.parts, pictures)

    def cuts(self, sights: Sequence[Sight], lines: Sequence[Line], new: int = 0) -> list[Cut]:
        """Return the lines whose prompts lose their first tokens."""
        return speaking.cuts(self.parts, lines, new)

    def loss(self, sights: Sequence[Sight], lines: Sequence[Line]) -> tuple[Tensor, Tensor]:
        """Return the targets' negative log-likelihood, and the number of their tokens."""
        told: tuple[Tensor, Tensor] = self.module(sights, lines)
        return told

    def pack(self) -> None:
        """Have the loss read lines side by side; an encoder cannot."""
        language = self.module.model.language_model
        fault = packing.ENCODED if self.module.encodes else packing.unfit(language.config)
        packing.begin(self, self.module, str(self.note.keys["checkpoint"]), fault)

    def write(
        self, sights: Sequence[Sight], lines: Sequence[Line], decoding: Decoding
    ) -> list[Written]:
        """Return what is written after each prompt, up to the layout's end if it has one."""
        return speaking.write(self.parts, sights, lines, decoding)

    def likelihoods(self, sights: Sequence[Sight], lines: Sequence[Line]) -> list[float]:
        """Return the mean log-probability of a token of each target."""
        return speaking.likelihoods(self.parts, sights, lines)

    def save(self, folder: Path) -> None:
        """Write what was trained and the note; the base stays where it is."""
        write_trained(folder, self.module.model, self.note)
