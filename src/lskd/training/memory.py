"""Running out of memory, told in one line."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from lskd.errors import UserError

# What torch says when the processor's memory is at its end; a GPU's has an error class.
SAID = ("can't allocate memory", "not enough memory", "out of memory")


def ended(error: Exception) -> bool:
    """Return whether an error says that memory is at its end."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in SAID)


@contextmanager
def guarded(when: str, remedy: str) -> Iterator[None]:
    """Turn whatever says that memory is at its end into a UserError."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if ended(error):
            raise UserError(f"out of memory {when}: {remedy}") from error
        raise
