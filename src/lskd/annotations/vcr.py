"""VCR metadata: a json beside each image, with the same name but for its ending.

`boxes[i]` is [x0, y0, x1, y1, score] in pixels of the full-size image, `segms[i]` a list of
polygons of [x, y] points, `names[i]` a COCO category written without blanks.
"""

from array import array
from collections.abc import Mapping, Sequence

from lskd.annotations.entry import COMPACT, Entry, Place, Unfit, numbers, one_line, size
from lskd.types import Box

KEYS = ("boxes", "segms", "names", "width", "height")
SPELT = {
    name.replace(" ", ""): name
    for name in (
        "traffic light",
        "fire hydrant",
        "stop sign",
        "parking meter",
        "sports ball",
        "baseball bat",
        "baseball glove",
        "tennis racket",
        "wine glass",
        "hot dog",
        "potted plant",
        "dining table",
        "cell phone",
        "teddy bear",
        "hair drier",
    )
}


def entry(name: str, metadata: Mapping[str, Sequence[object]]) -> Entry:
    """Return what a file's metadata say of the image `name`; each of `KEYS` has its values.

    Categories get their blanks back. Raises Unfit if there are not as many names as boxes.
    """
    boxes, names = metadata["boxes"], metadata["names"]
    outlines = metadata.get("segms") or [[]] * len(boxes)
    if not len(boxes) == len(names) == len(outlines):
        raise Unfit(f"{len(boxes)} boxes, {len(outlines)} segms and {len(names)} names")
    stated = {side: metadata[side][0] for side in ("width", "height") if metadata.get(side)}
    made = Entry(name, size(stated))
    for values, word, outline in zip(boxes, names, outlines, strict=True):
        corners, text = numbers(values), one_line(word)
        if corners is None or len(corners) not in (4, 5):
            made.refuse("its box is not x0, y0, x1, y1, score", [text, values])
        elif not text:
            made.refuse("its name is empty", [word, values])
        else:
            polygons = _polygons(outline, made)
            made.places.append(Place(Box(*corners[:4]), SPELT.get(text, text), polygons))
    return made


def _polygons(outline: object, made: Entry) -> tuple["array[float]", ...]:
    """Return polygons of [x, y] points as rows of numbers; those that are none become refusals."""
    kept = []
    for points in outline if isinstance(outline, list) else []:
        pairs = [numbers(point) for point in points] if isinstance(points, list) else []
        if len(pairs) < 3 or any(pair is None or len(pair) != 2 for pair in pairs):
            made.refuse("a polygon that is not three or more points; its box is kept", points)
        else:
            kept.append(array(COMPACT, [side for pair in pairs if pair for side in pair]))
    return tuple(kept)
