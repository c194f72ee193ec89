"""Names of images in a benchmark's files become rows of Image: the file, its size, its id."""

from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

import PIL.Image

from lskd.evaluate.rows import Wrong, number
from lskd.picture import UNREADABLE, image_id, size_of
from lskd.types import Image


class Pictures:
    """Finds images below some folders and remembers what each is, so that no file is read twice."""

    def __init__(self, *roots: Path | None) -> None:
        self.roots = [root for root in roots if root is not None]
        self.known: dict[str, Image | Wrong] = {}

    def find(self, names: Sequence[str]) -> Image:
        """Return the first of `names` that is a file below a root, as its upright picture is.

        Raises Wrong if there is none, or if it cannot be decoded in full.
        """
        key = names[0]
        if key not in self.known:
            try:
                self.known[key] = sight(self.path(names))
            except Wrong as error:
                self.known[key] = error
        found = self.known[key]
        if isinstance(found, Wrong):
            raise Wrong(str(found))
        return found

    def path(self, names: Sequence[str]) -> Path:
        """Return the path of the first of `names` that is a file; raises Wrong if none is."""
        for name in names:
            inner = PurePosixPath(name.replace("\\", "/"))
            if inner.is_absolute() or ".." in inner.parts:
                raise Wrong(f"its file {name!r} is not named from a folder of the benchmark")
            for root in self.roots:
                if (root / inner).is_file():
                    return (root / inner).absolute()
        where = " or ".join(str(root) for root in self.roots)
        raise Wrong(f"missing file {names[0]} in {where}")


def check_size(fields: Mapping[str, object], image: Image) -> None:
    """Raise Wrong unless a stated width and height, of boxes, are the upright picture's."""
    width, height = (int(number(fields.get(side), side)) for side in ("width", "height"))
    if (width, height) != (image.width, image.height):
        raise Wrong(
            f"boxes on {width} x {height} pixels, but the upright picture is "
            f"{image.width} x {image.height}"
        )


def sight(path: Path) -> Image:
    """Return what an image file is: its id, and the width and height of the upright picture.

    Raises Wrong if the file cannot be read, or not to its end, as after a broken download.
    """
    try:
        data = path.read_bytes()
        width, height = size_of(data)
    except PIL.UnidentifiedImageError as error:
        raise Wrong(f"{path} is not an image that Pillow knows") from error
    except UNREADABLE as error:
        raise Wrong(f"broken image {path}: {error}") from error
    return Image(image_id(data), str(path), width, height)
