"""Time a step of a student that writes: lines side by side behind a picture against line by line.

Both ways learn the same lines about the same pictures. Line by line, as rows are drawn without
`packed`, a fresh view is looked at for each line; side by side, once for all lines of a picture.
Prints seconds of the processor, medians of interleaved repetitions. `python bench/packing.py`
"""

import random
import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import PIL.Image
import torch

from lskd.writing.chat import ChatWriter
from lskd.writing.writer import Line, Sight

SPEAKER = Path(__file__).parents[1] / "src/lskd/lab/speaker"
PICTURES, REPETITIONS = 6, 9
ASKED = (4, 8)  # lines about each picture
WORDS = "the red cup on a table is what somebody holds at home to drink from in peace".split()


def step(
    writer: ChatWriter, pictures: Sequence[PIL.Image.Image] | None, kept: list[Sight], lines: Any
) -> tuple[float, float]:
    """Return the loss of a token, and how long a step took; without pictures `kept` is used."""
    writer.module.zero_grad()
    began = time.process_time()
    sights = kept if pictures is None else writer.look(pictures)
    total, count = writer.loss(sights, lines)
    loss: Any = total / count
    loss.backward()
    return float(loss.detach()), time.process_time() - began


def main() -> None:
    """Print seconds and ratios."""
    torch.set_num_threads(1)
    writer, chance = ChatWriter(str(SPEAKER), device="cpu", trains="layers"), random.Random(0)
    writer.pack()
    side = writer.canvas(64, 64)
    pictures = [
        PIL.Image.frombytes("RGB", side, chance.randbytes(3 * side[0] * side[1]))
        for _ in range(PICTURES)
    ]
    kept = writer.look(pictures)
    for asked in ASKED:
        lines = [
            Line(view, " ".join(chance.choices(WORDS, k=6)), " ".join(chance.choices(WORDS, k=7)))
            for view in range(PICTURES)
            for _ in range(asked)
        ]
        each = [pictures[line.view] for line in lines]
        alone = [Line(n, line.prompt, line.target) for n, line in enumerate(lines)]
        shown = [kept[line.view] for line in lines]
        # Where views are fresh, and where what is seen of them was kept.
        ways = {
            "line by line, fresh views": (False, each, shown, alone),
            "side by side, fresh views": (True, pictures, kept, lines),
            "line by line, kept views": (False, None, shown, alone),
            "side by side, kept views": (True, None, kept, lines),
        }
        seconds: dict[str, list[float]] = {way: [] for way in ways}
        losses: dict[str, float] = {}
        for _ in range(REPETITIONS):
            for way, (packed, looked, sights, said) in ways.items():
                writer.module.packed = packed
                losses[way], took = step(writer, looked, sights, said)
                seconds[way].append(took)
        off = max(losses.values()) - min(losses.values())
        print(f"{PICTURES} pictures, {asked} lines each; losses of a token differ by {off:.1e}")
        medians = {way: statistics.median(some) for way, some in seconds.items()}
        for way, found in medians.items():
            of = way.replace("side by side", "line by line")
            print(f"  {way}: {1e3 * found:.0f} ms, {medians[of] / found:.1f} times as fast")


if __name__ == "__main__":
    main()
