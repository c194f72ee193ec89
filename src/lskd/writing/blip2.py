"""BLIP-2 as a writer: FlanT5, OPT or LLaMA behind a Q-Former, on transformers' own class.

```
picture -> vision tower (frozen) -> features: kept
features -> ln_vision -> Q-Former -> projection -> picture tokens -+-> language model (frozen)
                                            prompt and target -----+
```

Q-Former, queries and projection are trained, in float32; all else keeps the precision in which it
is loaded. `parts.py` puts the model together, `blip2_module.py` has its loss, `speaking.py` asks.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import PIL.Image
import transformers
from torch import Tensor

from lskd.checkpoints.checkpoint import Checkpoint, model_of, processor_of
from lskd.writing import fourbit, speaking
from lskd.writing.blip2_module import Blip2Module
from lskd.writing.masks import Layout
from lskd.writing.note import Note, lasting, without_none
from lskd.writing.parts import Settings, assembled
from lskd.writing.trained import base_of, commit_of, read_trained, write_trained, write_whole
from lskd.writing.writer import Cut, Decoding, Line, Sight, Written

library: Any = transformers

USE = "lskd.writing.blip2:Blip2Writer"
WANTED = "a BLIP-2 that writes, such as Salesforce/blip2-flan-t5-xl or Salesforce/blip2-opt-2.7b"
KINDS = {library.Blip2Config: library.Blip2ForConditionalGeneration}


class Blip2Writer:
    """A Writer on a checkpoint of BLIP-2 (section 2.4 has one with FlanT5); see `Writer`."""

    without_effect = frozenset({"batch", "device", "recompute"})

    def __init__(  # noqa: PLR0913 - one parameter for each key of a run file
        self,
        checkpoint: str,
        revision: str | None = None,
        device: str = "auto",
        dtype: str = "auto",
        trained: str | None = None,
        image: int | None = None,
        context: int | None = None,
        ln_vision: bool = False,
        recompute: bool = False,
        batch: int = 8,
        bits: int | None = None,
    ) -> None:
        """Load the weights; the settings are those of `parts.Settings`.

        The paper's pictures have `image` = 480, LAVIS trains `ln_vision`. With `bits` = 4 the
        language model's weights are shortened to that, see `fourbit`. Raises UserError for a
        checkpoint or a setting that cannot be used.
        """
        source = Checkpoint(checkpoint, revision, device, dtype)
        model = model_of(source, KINDS, WANTED, fourbit.settings(bits, source, fourbit.SPARED))
        self.processor = processor_of(source)
        self.parts = assembled(
            model,
            self.processor.tokenizer,
            self.processor.image_processor,
            Layout(),
            Settings(image, context, ln_vision, recompute, batch),
        )
        keys = without_none(
            checkpoint=lasting(checkpoint),
            revision=commit_of(checkpoint, revision),
            image=image,
            context=context,
            ln_vision=ln_vision,
            bits=bits,
        )
        self.note = Note(USE, keys, base_of(checkpoint, revision))
        if trained is not None:
            read_trained(Path(trained), model, self.note)

    @property
    def module(self) -> Blip2Module:
        """Return the module; its forward is `loss`."""
        return self.parts.module

    def canvas(self, width: int, height: int) -> tuple[int, int]:
        """Return the side of the square that every picture is brought to, twice."""
        return self.parts.side, self.parts.side

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

    def write(
        self, sights: Sequence[Sight], lines: Sequence[Line], decoding: Decoding
    ) -> list[Written]:
        """Return what is written after each prompt."""
        return speaking.write(self.parts, sights, lines, decoding)

    def likelihoods(self, sights: Sequence[Sight], lines: Sequence[Line]) -> list[float]:
        """Return the mean log-probability of a token of each target."""
        return speaking.likelihoods(self.parts, sights, lines)

    def save(self, folder: Path) -> None:
        """Write what was trained and the note; the base stays where it is."""
        write_trained(folder, self.module.model, self.note)

    def save_whole(self, folder: Path) -> None:
        """Write the whole model and its processor, as transformers itself loads them.

        Such a folder is a `checkpoint` for this class and for `lskd.verbalize.vlm`.
        """
        write_whole(folder, self.module.model, self.processor)
