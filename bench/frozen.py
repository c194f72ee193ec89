"""Time a step of a critic whose vision tower is frozen: each view fresh against each view kept.

The lab's base learns from judged triples about pictures of noise with regions drawn. Fresh, as with
`views = "fresh"`, pictures are read, marked and seen in each step; kept, as with `views = 1`, what
the tower saw of them is read from the disk. Prints seconds of the processor, medians of interleaved
repetitions. `python bench/frozen.py`
"""

import random
import statistics
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import PIL.Image
import torch

from lskd import picture
from lskd.blip2.features import FeatureCache, Features, Limits
from lskd.blip2.pixels import Eye
from lskd.blip2.text import Tokenizer
from lskd.critique import base
from lskd.critique.labels import Label
from lskd.critique.rows import Row
from lskd.critique.settings import Settings
from lskd.critique.task import CriticObjective, CriticTask
from lskd.types import Box, Image, Region, View

BASE = Path(__file__).parents[1] / "src/lskd/lab/base"
SIDE, TOKENS, ROWS, REGIONS, REPETITIONS = 144, 60, 48, 4, 9
WORDS = "why is [0] holding the red ball because it is a cup on the beach near [1]".split()


def rows(folder: Path, chance: random.Random) -> list[Row]:
    """Return judged triples, one about each of as many pictures."""
    made = []
    for number in range(ROWS):
        pixels = PIL.Image.frombytes("RGB", (SIDE, SIDE), chance.randbytes(3 * SIDE * SIDE))
        path = folder / f"{number}.png"
        pixels.save(path)
        image = Image(picture.image_id(path.read_bytes()), path.as_posix(), SIDE, SIDE)
        corners = [(chance.randrange(90), chance.randrange(90)) for _ in range(REGIONS)]
        boxes = [Box(x, y, x + 40, y + 40) for x, y in corners]
        regions = tuple(Region(n, box, "thing", "a thing", 1.0) for n, box in enumerate(boxes))
        text = " ".join(chance.choices(WORDS, k=20))
        label = Label(f"t{number}", chance.random() < 0.5, 0.5, 0.5, 2)
        made.append(Row("train", View(image, regions), text, label))
    return made


def main() -> None:
    """Print seconds and their ratio."""
    torch.set_num_threads(1)
    settings = Settings(
        weights=BASE.as_posix(), image=SIDE, tokens=TOKENS, dropout=0.0, train_vision=False
    )
    critic = base.load(settings, seed=0)
    critic.backbone.freeze(vision=True, ln_vision=False)
    tokenizer = Tokenizer(base.vocabulary(settings))
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(2) as pool:
        judged = rows(Path(folder), random.Random(0))
        eye = Eye(settings.look.marking, settings.look.image, pool)
        cache = FeatureCache(Path(folder) / "features", critic.backbone, "", "bf16")
        cache.fill(
            lambda: (row.view for row in judged),
            lambda views: critic.backbone.features(eye(views)),
            Limits(1.0, 16),
            print,
        )
        ways: dict[str, tuple[bool, Features]] = {"fresh": (False, eye), "kept": (True, cache)}
        seconds: dict[str, list[float]] = {way: [] for way in ways}
        for repetition in range(REPETITIONS):
            for way, (cached, sights) in ways.items():
                objective = CriticObjective(critic, ("qa", "rationale"), cached)
                task = CriticTask(objective, judged, sights, tokenizer, TOKENS)
                began = time.process_time()
                losses = task.losses(objective, range(ROWS), torch.Generator())
                total: Any = losses.total
                total.backward()
                seconds[way].append(time.process_time() - began)
                if repetition == 0:
                    print(f"{way}: loss {float(losses.total.detach()):.5f}")
    medians = {way: statistics.median(some) for way, some in seconds.items()}
    for way, found in medians.items():
        print(f"{way}: {1e3 * found:.0f} ms a step of {ROWS} rows")
    print(f"kept is {medians['fresh'] / medians['kept']:.1f} times as fast")


if __name__ == "__main__":
    main()
