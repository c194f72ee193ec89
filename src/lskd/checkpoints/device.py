"""The name of a device becomes the device, or a line that says why there is none."""

import os

import torch

from lskd.errors import UserError

LONGEST = 240


def place(name: str = "auto") -> torch.device:
    """Return a device by torch's name of it; "auto" is the accelerator, else the processor.

    Of several accelerators it is the one that accelerate gave to this process, if it started it.
    Raises UserError if this machine has none of this name.
    """
    if name == "auto":
        found = torch.accelerator.is_available() and torch.accelerator.current_accelerator()
        own = os.environ.get("LOCAL_RANK")
        if found and own is not None:
            return torch.device(found.type, int(own))
        return found or torch.device("cpu")
    try:
        return torch.empty(0, device=name).device
    except (RuntimeError, AssertionError) as error:
        why = " ".join(str(error).split()) or type(error).__name__
        raise UserError(f"device = {name!r} cannot be used: {why[:LONGEST]}") from error
