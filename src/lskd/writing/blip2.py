"""BLIP-2 as a writer: FlanT5, OPT or LLaMA behind a Q-Former, on transformers' own class.

```
picture -> vision tower (frozen) -> features: kept
features -> ln_vision -> Q-Former -> projection -> picture tokens -+-> language model (frozen)
                                            prompt and target -----+
```

Q-Former, queries and projection are trained, in float32; all else keeps the precision in which it
is loaded. `parts.py` puts the model together, `blip2_module.py` has its loss, `speaking.py` asks.
"""

from pathlib import Path
from typing import Any

import transformers

from lskd.checkpoints.checkpoint import Checkpoint, model_of, processor_of
from lskd.writing import fourbit
from lskd.writing.bridged import BridgedWriter
from lskd.writing.masks import Layout
from lskd.writing.note import Note, lasting, without_none
from lskd.writing.parts import Settings, assembled
from lskd.writing.trained import base_of, commit_of, write_whole

library: Any = transformers

USE = "lskd.writing.blip2:Blip2Writer"
WANTED = "a BLIP-2 that writes, such as Salesforce/blip2-flan-t5-xl or Salesforce/blip2-opt-2.7b"
KINDS = {library.Blip2Config: library.Blip2ForConditionalGeneration}


class Blip2Writer(BridgedWriter):
    """A Writer on a checkpoint of BLIP-2 (section 2.4 has one with FlanT5); see `Writer`."""

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
        parts = assembled(
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
        super().__init__(parts, Note(USE, keys, base_of(checkpoint, revision)), trained)

    def save_whole(self, folder: Path) -> None:
        """Write the whole model and its processor, as transformers itself loads them.

        Such a folder is a `checkpoint` for this class and for `lskd.verbalize.vlm`.
        """
        write_whole(folder, self.module.model, self.processor)
