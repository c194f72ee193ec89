"""Time items of 50 candidates against one forward pass for each candidate.

`python bench/evaluation.py` takes a student of random weights at the sizes of `bench/scoring.py`;
`--weights FOLDER --image SIDE` takes weights of BLIP-2's stage 1 instead. Both ways load, mark and
encode the picture and read the texts by the scorer of an evaluation, for ITM and ITC; one by one, a
candidate pays for all of that. Times are processor seconds of one thread, the median of interleaved
repetitions.
"""

import argparse
import random
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import PIL.Image
import torch

from lskd.blip2.scoring import Batching
from lskd.blip2.stage1 import new_student
from lskd.blip2.text import Tokenizer
from lskd.evaluate.protocol import Protocol, chosen, panels
from lskd.evaluate.scorers.stage1 import Blip2Scorer, Reader
from lskd.picture import image_id
from lskd.protocols import Panel
from lskd.types import Box, Item, Region
from scoring import CANDIDATES, SCALED, SCALED_TEXT, medians

PROTOCOL = Protocol(score="both")
SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "question", "answer", ":", "[", "]", "0")


def scaled(folder: Path) -> Reader:
    """Return a scorer of random weights at a quarter of BLIP-2's widths."""
    words = [*SPECIAL, *(f"w{number}" for number in range(SCALED.qformer.vocabulary))]
    file = folder / "vocab.txt"
    file.write_text("\n".join(words[: SCALED.qformer.vocabulary - 1]) + "\n")
    return Reader(
        new_student(SCALED, dropout=0.0).eval(),
        Tokenizer(file),
        "clear",
        SCALED.vision.image,
        SCALED_TEXT,
        Batching(4, 64),
        ThreadPoolExecutor(1),
    )


def items(folder: Path, count: int) -> list[Item]:
    """Return items of 50 candidates about pictures of noise, one to each."""
    rng, made = random.Random(0), []
    for number in range(count):
        noise = np.random.default_rng(number).integers(0, 255, (480, 640, 3), dtype=np.uint8)
        path = folder / f"{number}.jpg"
        PIL.Image.fromarray(noise).save(path)
        texts = [" ".join(f"w{rng.randrange(2000)}" for _ in range(8)) for _ in range(CANDIDATES)]
        made.append(
            Item(
                id=str(number),
                benchmark="visualcomet",
                task="",
                split="val",
                image_id=image_id(path.read_bytes()),
                path=str(path),
                width=640,
                height=480,
                regions=(Region(0, Box(50, 60, 300, 400), "person", "", 1.0),),
                pointed=(0,),
                question="[0] w1 w2 w3",
                given=None,
                choices=tuple(texts),
                right=(0,),
                ratings=(),
                kind="",
            )
        )
    return made


def compare(name: str, reader: Reader, asked: Sequence[Panel], repetitions: int) -> None:
    """Print how much faster whole items are than their candidates one by one."""

    def shared() -> list[float]:
        return [x for fits in reader.fits(asked) for x in chosen(fits, PROTOCOL)]

    def plain() -> list[float]:
        alone = [Panel(one.image, one.regions, (text,)) for one in asked for text in one.texts]
        return [chosen(reader.fits([one])[0], PROTOCOL)[0] for one in alone]

    apart = max(abs(a - b) for a, b in zip(plain(), shared(), strict=True))
    slow, fast = medians([plain, shared], repetitions)
    print(
        f"{name}: {len(asked)} items of {CANDIDATES} candidates\n"
        f"  one by one {len(asked) / slow:.3f} items/s, together {len(asked) / fast:.2f} items/s: "
        f"{slow / fast:.1f}x; scores differ by {apart:.0e}"
    )


def main() -> None:
    """Print the ratio."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--weights")
    parser.add_argument("--image", type=int, default=480)
    parser.add_argument("--items", type=int, default=2)
    parser.add_argument("--repetitions", type=int, default=3)
    given = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as place:
        asked = panels(items(Path(place), given.items), PROTOCOL)
        if given.weights is None:
            compare("bench sizes", scaled(Path(place)), asked, given.repetitions)
        else:
            own = Blip2Scorer(given.weights, image=given.image, tokens=SCALED_TEXT, marking="clear")
            compare(given.weights, own.reader, asked, given.repetitions)


if __name__ == "__main__":
    main()
