"""Pictures of two kinds that a test can make as many of as it likes, and ways to change them."""

import io
import random
from collections.abc import Callable

import numpy as np
import PIL.Image
import PIL.ImageDraw

Change = Callable[[PIL.Image.Image, random.Random], bytes]
SIZE = (320, 240)


def clouds(seed: int, size: tuple[int, int] = SIZE) -> PIL.Image.Image:
    """Return a picture of soft colours, coarse and fine."""
    rng = np.random.default_rng(seed)
    total = np.zeros((size[1], size[0], 3))
    for octave in range(2, 6):
        noise = rng.normal(size=(2**octave, 2**octave, 3)).astype(np.float32)
        layers = [
            PIL.Image.fromarray(noise[..., channel]).resize(size, PIL.Image.Resampling.BICUBIC)
            for channel in range(3)
        ]
        total += np.stack([np.asarray(layer) for layer in layers], axis=-1) / 2**octave
    scaled = (total - total.min()) / (total.max() - total.min()) * 255
    return PIL.Image.fromarray(scaled.astype(np.uint8))


def shapes(seed: int, size: tuple[int, int] = SIZE) -> PIL.Image.Image:
    """Return a picture of a few flat shapes with sharp edges."""
    rng = random.Random(seed)

    def colour() -> tuple[int, ...]:
        return tuple(rng.randrange(256) for _ in range(3))

    picture = PIL.Image.new("RGB", size, colour())
    pen = PIL.ImageDraw.Draw(picture)
    for _ in range(rng.randint(5, 14)):
        x, y = rng.randrange(size[0]), rng.randrange(size[1])
        wide, high = rng.randint(15, 150), rng.randint(15, 150)
        draw = rng.choice((pen.rectangle, pen.ellipse))
        draw((x - wide // 2, y - high // 2, x + wide // 2, y + high // 2), fill=colour())
    return picture


def jpeg(picture: PIL.Image.Image, quality: int = 92) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def cut(picture: PIL.Image.Image, *margins: float) -> PIL.Image.Image:
    """Return a picture without these shares of its left, top, right and lower side."""
    width, height = picture.size
    left, top, right, low = margins
    return picture.crop(
        (
            round(left * width),
            round(top * height),
            round((1 - right) * width),
            round((1 - low) * height),
        )
    )


def cut_somewhere(picture: PIL.Image.Image, rng: random.Random) -> PIL.Image.Image:
    return cut(picture, *(rng.uniform(0.05, 0.1) for _ in range(4)))


def scaled(picture: PIL.Image.Image, by: float) -> PIL.Image.Image:
    return picture.resize((round(picture.width * by), round(picture.height * by)))


CHANGES: dict[str, Change] = {
    "half": lambda picture, rng: jpeg(scaled(picture, 0.5)),
    "double": lambda picture, rng: jpeg(scaled(picture, 2)),
    "quality 30": lambda picture, rng: jpeg(picture, 30),
    "cut": lambda picture, rng: jpeg(cut_somewhere(picture, rng)),
    "all": lambda picture, rng: jpeg(scaled(cut_somewhere(picture, rng), 0.5), 30),
}
