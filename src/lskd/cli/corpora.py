"""Commands about pictures and corpora: export, import, mark, labels."""

import math
import sys
from pathlib import Path
from typing import Annotated, Any

import PIL
import typer

from lskd.cli.options import (
    Changes,
    RunFile,
    one_of,
    plain_errors,
    write_picture,
)
from lskd.errors import UserError
from lskd.storage.address import shown


def export_corpus(
    file: RunFile,
    to: Annotated[str, typer.Option("--to", help="hf, llava, swift, trl, lck or coco.")],
    target: Annotated[Path, typer.Option("--out", help="The folder to write.")],
    changes: Changes = None,
    pictures: Annotated[
        str, typer.Option(help="marked (regions drawn), plain or none (paths only).")
    ] = "marked",
    style: Annotated[str, typer.Option(help="The style of the marks: release or clear.")] = "clear",
    naming: Annotated[
        str,
        typer.Option(
            help="llava, swift, trl: tag leaves [2] in texts; box writes coordinates instead."
        ),
    ] = "tag",
    styles: Annotated[str, typer.Option(help="Triples by id, by description, or both.")] = "both",
    images: Annotated[
        Path | None, typer.Option(help="lck: the folder that image names are relative to.")
    ] = None,
) -> None:
    """Write a corpus in a format that others read.

    hf: a folder for datasets.load_dataset. llava, swift, trl: conversations for trainers. lck: the
    form of the released corpus. coco: regions for annotation tools.

    Example: lskd export runs/photos.toml --to llava --out corpus-llava
    """
    from lskd import exchange
    from lskd.export.conversation import Talk
    from lskd.export.pictures import Look

    with plain_errors():
        look = Look(
            one_of("--pictures", pictures, ("marked", "plain", "none")),
            one_of("--style", style, ("release", "clear")),
        )
        chosen = one_of("--styles", styles, ("id", "description", "both"))
        talk = Talk(
            ("id", "description") if chosen == "both" else (chosen,),
            one_of("--naming", naming, ("tag", "box")),
        )
        one_of("--to", to, exchange.FORMATS)
        source = exchange.corpus(file, changes or [])
        written = exchange.write(source, to, target, look, talk, images)
        for made in written.files:
            sys.stdout.write(f"{shown(made)}\n")
        sys.stderr.write(f"{written.rows} rows, {written.rejected} rejected\n")


def import_corpus(
    form: Annotated[
        str, typer.Argument(metavar="FORMAT", help="lck, sherlock, visualcomet or llava.")
    ],
    file: Annotated[Path, typer.Argument(metavar="FILE", help="JSON lines, or a JSON list.")],
    out: Annotated[Path, typer.Option("--out", help="The folder that becomes a corpus.")],
    images: Annotated[
        list[Path] | None,
        typer.Option(help="A folder that image names are relative to; several for all but lck."),
    ] = None,
    prefix: Annotated[
        str, typer.Option(help="llava: stands before the names of images, as COCO_train2014_.")
    ] = "",
    split: Annotated[
        str, typer.Option(help="train, val or test; else as the file's name says, or train.")
    ] = "",
) -> None:
    """Read a corpus that others have made, to train on it or to export it like one of your own.

    lck: the released corpus. sherlock: clues and inferences about boxes. visualcomet: what was
    before, was wanted and comes after. llava: conversations of LLaVA-Instruct. What cannot be read
    is counted, and lies beside the examples with its reason.

    Example: lskd import lck lck_train.jsonl --images vg/ --out out/lck
    """
    from lskd import exchange
    from lskd.corpora.source import Source

    with plain_errors():
        source = Source(file, tuple(images or ()), prefix, split)
        read = exchange.read(form, source, out)
        folder = shown(read.folder)
        sys.stdout.write(f"{folder}: {read.examples} examples, {read.rejects} rejects\n")


def labels(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Where the lists are to lie.")],
    mirror: Annotated[
        str | None, typer.Option(help="An address below which the three files lie, if not theirs.")
    ] = None,
) -> None:
    """Fetch the label lists of Places365, Tencent ML-Images and Open Images from their authors.

    For the stage `concepts`: tagger = { use = "lskd.verbalize.dual_encoder:DualEncoder",
    checkpoint = "openai/clip-vit-large-patch14-336", places = "FOLDER/categories_places365.txt" }.
    Without them it uses the shorter lists of this package.
    """
    from lskd.verbalize import labels as lists

    with plain_errors():
        for source in lists.SOURCES:
            sys.stderr.write(f"{mirror or source.url}: {source.name} ({source.licence})\n")
        for path in lists.download(folder, mirror):
            sys.stdout.write(f"{path}\n")


def mark(
    image: Annotated[Path, typer.Argument(metavar="IMAGE", help="A picture file.")],
    box: Annotated[
        list[str],
        typer.Option(metavar="X0,Y0,X1,Y1", help="Corners in pixels; the first box is [0]."),
    ],
    out: Annotated[Path, typer.Option("--out", help="The picture to write.")],
    style: Annotated[
        str, typer.Option(help="release (the official colours and lines) or clear (legible ids).")
    ] = "clear",
) -> None:
    """Draw numbered regions on a picture.

    Example: lskd mark photo.jpg --box 10,20,200,300 --box 220,40,400,310 --out marked.png
    """
    from lskd import marking, picture
    from lskd.types import Region

    with plain_errors():
        chosen = one_of("--style", style, ("release", "clear"))
        regions = [Region(k, corners(text), "", "", 1.0) for k, text in enumerate(box)]
        try:
            pixels = picture.decode(image.read_bytes())
        except PIL.UnidentifiedImageError as error:
            raise UserError(f"cannot read {image}: not an image that Pillow knows") from error
        except OSError as error:
            raise UserError(f"cannot read {image}: {error.strerror or error}") from error
        except picture.UNREADABLE as error:
            raise UserError(f"cannot read {image}: {error}") from error
        write_picture(lambda: marking.mark(pixels, regions, chosen), out)
        sys.stdout.write(f"{out}\n")


def corners(text: str) -> Any:
    """Return the box that "x0,y0,x1,y1" stands for."""
    from lskd.types import Box

    try:
        box = Box(*(float(part) for part in text.split(",")))
    except (TypeError, ValueError) as error:
        raise UserError(f"--box {text!r}: the form is x0,y0,x1,y1 in pixels") from error
    if not all(math.isfinite(corner) for corner in box):
        raise UserError(f"--box {text!r}: the corners must be finite numbers")
    if not (box.width > 0 and box.height > 0):
        raise UserError(f"--box {text!r}: x1 must be over x0, and y1 over y0")
    return box
