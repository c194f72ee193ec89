"""What a piece of work took in the process that did it: time by kind, processor time, memory.

In: the clock of the piece (`lskd.trace`). Out: what it took, which may travel to another process.
"""

import resource
import sys
import threading
import time
from dataclasses import dataclass

from lskd.trace import Clock, Spans

UNIT = 1 if sys.platform == "darwin" else 1024  # of ru_maxrss, in bytes


@dataclass(frozen=True, slots=True)
class Took:
    """What a piece of work took.

    `spans` is its own. `cpu` is in seconds of the whole process since the piece that was measured
    before: exact only in sum where several are in flight. `memory` is the most bytes that the
    process ever held, `gpu` whether an accelerator was at hand to torch.
    """

    spans: Spans
    cpu: float
    memory: int
    gpu: bool


class Meter:
    """Measures the pieces of work of one process; safe to use from several threads."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._cpu = time.process_time()

    def take(self, clock: Clock) -> Took:
        """Return what a piece took whose clock this is, from its last lap to now."""
        with self._guard:
            before, self._cpu = self._cpu, time.process_time()
            return Took(clock.lap(), self._cpu - before, most_memory(), has_gpu())


def most_memory() -> int:
    """Return the most bytes that this process ever held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * UNIT


def has_gpu() -> bool:
    """Return whether torch is in use and has an accelerator at hand."""
    # Another thread may just be importing it: then it is not in use yet.
    asked = getattr(getattr(sys.modules.get("torch"), "cuda", None), "is_available", None)
    return asked is not None and bool(asked())
