"""Frozen weights in 4 bits instead of 16, through bitsandbytes, where they would not fit otherwise.

In: what a run file says of `bits`, and where the model will run. Out: the settings with which
transformers loads it, or a line that says why this machine cannot.
"""

from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any

import torch
import transformers

from lskd.checkpoints.checkpoint import DTYPES, Checkpoint
from lskd.errors import UserError

library: Any = transformers

BITS = 4
# Parts of models that look at pictures, by the names that transformers gives them.
SPARED = (
    "vision_model",
    "vision_tower",
    "visual",
    "qformer",
    "language_projection",
    "multi_modal_projector",
    "connector",
    "lm_head",
)
BLOCK, GROUP = 64, 256  # weights with one scale, and scales with one scale of their own
# Bytes of a weight: 4 bits, its share of a scale of 8 bits and of that scale's own of 32.
BYTES = BITS / 8 + 1 / BLOCK + 4 / (BLOCK * GROUP)


def checked(bits: int | None) -> bool:
    """Return whether frozen weights are to have 4 bits; raise UserError for another number."""
    if bits not in (None, BITS):
        raise UserError(f"bits = {bits}: expected {BITS}, or none for weights as they are")
    return bits == BITS


def settings(bits: int | None, checkpoint: Checkpoint, spared: Sequence[str]) -> Any:
    """Return what `from_pretrained` takes as quantization_config, None if nothing is to be done.

    Modules whose names are `spared` stay as they are. Raises UserError for a machine that has no
    GPU or no bitsandbytes.
    """
    if not checked(bits):
        return None
    if checkpoint.place.type != "cuda":
        raise UserError(
            f"bits = {BITS} needs a GPU, but it would run on {checkpoint.place}: leave it out"
        )
    if find_spec("bitsandbytes") is None:
        raise UserError(f"bits = {BITS} needs bitsandbytes: pip install bitsandbytes")
    precision = DTYPES.get(checkpoint.dtype, torch.bfloat16)
    return library.BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=precision,
        # Not bytes: FSDP shares out numbers of a floating type only, and T5 asks for the type.
        bnb_4bit_quant_storage=precision,
        llm_int8_skip_modules=list(spared),
    )
