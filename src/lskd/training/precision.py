"""Which precision "auto" means on a device: bf16 where that is faster, else float32.

A processor without instructions for bf16 computes it in float32 and rounds after each operation: a
training step of the lab's critic then takes about twice as long as in float32 itself.
"""

import torch

from lskd.training.recipe import Precision

# Names of torch.cpu.get_capabilities(): of Intel and AMD, and of Arm.
INSTRUCTIONS = ("amx_bf16", "avx512_bf16", "bf16")


def bf16(precision: Precision, device: torch.device) -> bool:
    """Return whether a model is run in bf16 on a device; weights stay as they are."""
    if precision != "auto":
        return precision == "bf16"
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type == "cpu":
        known = torch.cpu.get_capabilities()
        return any(known.get(name, False) for name in INSTRUCTIONS)
    return False


def named(precision: Precision, device: torch.device) -> Precision:
    """Return the precision that "auto" stands for on a device."""
    return "bf16" if bf16(precision, device) else "float32"
