"""The pictures of an export: as they are, upright, or with regions drawn."""

import io
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import PIL.Image

from lskd.errors import UserError
from lskd.marking import MarkStyle, mark, visible
from lskd.picture import (
    JPEG_SIDE,
    UNREADABLE,
    decode,
    image_id,
    orientation,
    read,
    upright_size,
)
from lskd.storage.address import is_url
from lskd.types import Example, Region

SUFFIXES = {"JPEG": ".jpg", "MPO": ".jpg", "TIFF": ".tif"}
PLAIN_NAME = re.compile(r"[0-9A-Za-z_-]{1,64}")
# Full chroma, since halved chroma blurs coloured lines that are two pixels wide.
QUALITY = 92


@dataclass(frozen=True, slots=True)
class Look:
    """What a student sees.

    `pictures`: "marked" with regions drawn, "plain" as they are, "none" only the original's path.
    `marks` is the style in which regions are drawn, `drawn` which of them: those that the example
    names, or all of the image. Only examples that name regions by id have them drawn (section 2.4);
    in style "description" the phrase itself says where to look, so the picture stays plain.
    """

    pictures: Literal["marked", "plain", "none"] = "marked"
    marks: MarkStyle = "clear"
    drawn: Literal["named", "all"] = "named"


LOOK = Look()


@dataclass(frozen=True, slots=True)
class File:
    """A picture file: its bytes, and a name that pictures of other content do not have."""

    data: bytes
    name: str


class Album:
    """Reads and draws pictures; it remembers one image, so examples should come image by image."""

    def __init__(self, look: Look) -> None:
        self.look = look
        self.current = ""
        self.file = File(b"", "")
        self.pixels: PIL.Image.Image | None = None
        self.views: dict[tuple[Region, ...], File] = {}

    def original(self, example: Example) -> File:
        """Return the image's own file, or an upright JPEG of it if it is stored on its side.

        Raises UserError if it is gone, unreadable, not the one with the example's `image_id`, or of
        another size than the example says.
        """
        if self.current != f"{example.image_id} {example.path}":
            self.current, self.views, self.pixels = "", {}, None
            data = self.read(example)
            try:
                self.file = self.upright(example, data)
            except UNREADABLE as error:
                raise UserError(f"broken image {example.path}: {error}") from error
            self.current = f"{example.image_id} {example.path}"
        return self.file

    def read(self, example: Example) -> bytes:
        """Return the bytes of an example's image."""
        try:
            data = read(example.path, example.image_id)
        except OSError as error:
            raise UserError(f"cannot read {example.path}: {error.strerror or error}") from error
        if image_id(data) != example.image_id:
            raise UserError(f"{example.path} is no longer the image {example.image_id}")
        return data

    def upright(self, example: Example, data: bytes) -> File:
        """Return a file of the picture as it is to be seen."""
        with PIL.Image.open(io.BytesIO(data)) as opened:
            kind = opened.format or ""
            turned = orientation(opened) > 1
            size = upright_size(opened)
        stem = safe(example.image_id)
        if turned:
            self.pixels = decode(data)
            file = File(jpeg(self.pixels, example.path), f"{stem}.jpg")
        else:
            file = File(data, stem + SUFFIXES.get(kind, f".{kind.lower()}"))
        if size != (example.width, example.height):
            raise UserError(
                f"{example.path} has {size[0]} x {size[1]} pixels, its example says "
                f"{example.width} x {example.height}"
            )
        return file

    def marked(self, example: Example, regions: tuple[Region, ...]) -> File:
        """Return a JPEG with regions drawn, or the original's file where there are none.

        Raises UserError as `original` does, and if a region lies outside of the picture.
        """
        original = self.original(example)
        if not regions:
            return original
        if regions not in self.views:
            data = jpeg(mark(self.decoded(example), regions, self.look.marks), example.path)
            view = safe(".".join(str(region.id) for region in regions), dots=True)
            stem = safe(example.image_id)
            # The boxes enter the name: two sources may number the regions of one image apart.
            places = [(region.box, region.polygons) for region in regions]
            boxes = image_id(repr(places).encode())[:6]
            self.views[regions] = File(data, f"{stem}-{view}-{boxes}.jpg")
        return self.views[regions]

    def decoded(self, example: Example) -> PIL.Image.Image:
        """Return an image's upright pixels; raises UserError as `original` does."""
        original = self.original(example)
        try:
            self.pixels = self.pixels or decode(original.data)
        except UNREADABLE as error:
            raise UserError(f"broken image {example.path}: {error}") from error
        return self.pixels

    def shown(self, example: Example) -> tuple[Region, ...]:
        """Return the regions that are drawn for an example, in their order."""
        if example.style == "description":
            return ()
        if self.look.drawn == "all":
            return example.regions
        return tuple(region for region in example.regions if region.id in example.region_ids)

    def checked(self, example: Example) -> bool:
        """Return True; raises UserError if an example's picture cannot be shown by the settings."""
        if self.look.pictures == "none":
            self.reference(example)
            return True
        self.original(example)
        shown = self.shown(example) if self.look.pictures == "marked" else ()
        for region in shown:
            if not visible(region, (example.width, example.height)):
                raise UserError(f"region [{region.id}] lies outside of the picture")
        if shown:  # what is cut short is found when it is decoded
            self.decoded(example)
        return True

    def view(self, example: Example) -> File:
        """Return the picture that goes with an example, by the settings."""
        if self.look.pictures == "marked":
            return self.marked(example, self.shown(example))
        return self.original(example)

    def reference(self, example: Example) -> str:
        """Return the absolute path or URL of the original, which a reader opens for himself.

        Raises UserError if it is stored on its side: most readers would not turn it.
        """
        away = is_url(example.path)
        path = example.path if away else str(Path(example.path).absolute())
        try:
            source = io.BytesIO(read(path, example.image_id)) if away else path
            with PIL.Image.open(source) as opened:
                turned = orientation(opened) > 1
        except OSError:
            return path  # the rows may be wanted where the pictures are not
        if turned:
            raise UserError(f"{path} is stored on its side (EXIF): export with pictures = 'plain'")
        return path

    def placed(self, example: Example, folder: Path) -> str:
        """Write an example's picture below `folder`/images once; return its path from `folder`.

        With pictures "none" nothing is written, and the path is that of the original.
        """
        if self.look.pictures == "none":
            return self.reference(example)
        file = self.view(example)
        # Two letters of the name make a folder: a quarter of a million files do not lie in one.
        name = f"images/{file.name[:2]}/{file.name}"
        target = folder / name
        if not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(file.data)
        return name


def jpeg(pixels: PIL.Image.Image, path: str) -> bytes:
    """Return RGB pixels, those of the picture at `path`, as a JPEG file.

    Raises UserError for a picture that no JPEG holds.
    """
    if max(pixels.size) > JPEG_SIDE:
        wide, high = pixels.size
        raise UserError(
            f"{path} has {wide:,} x {high:,} pixels, a JPEG holds {JPEG_SIDE:,} a side: make "
            "it smaller and run again (lskd export --pictures plain takes it as it is)"
        )
    opened = io.BytesIO()
    pixels.save(opened, "JPEG", quality=QUALITY, subsampling=0)
    return opened.getvalue()


def safe(name: str, dots: bool = False) -> str:
    """Return a name that can be part of a file's, hashed where it could not."""
    plain = name.replace(".", "_") if dots else name
    return name if PLAIN_NAME.fullmatch(plain) else image_id(name.encode())
