"""Visual Genome json: region_descriptions (phrases), objects (names) and image_data (sizes).

Each is a list with an element for each image. Boxes are pixels: regions have x, y, width, height,
objects x, y, w, h. Images are files named by their id; image_data tells the folder, too.
"""

from collections.abc import Iterable, Iterator

from lskd.annotations.entry import (
    Entry,
    Place,
    Unfit,
    box_of_size,
    numbers,
    one_line,
    size,
    table,
)


def entries(values: Iterable[object]) -> Iterator[Entry]:
    """Yield what the list says of each image; raises Unfit for an element of another kind."""
    for position, value in enumerate(values):
        where = f"element {position}"
        record = table(value, where)
        image = record.get("image_id", record.get("id"))
        if not isinstance(image, int):
            raise Unfit(f"{where} has no image_id")
        entry = Entry(f"{image}.jpg", size(record))
        if isinstance(record.get("regions"), list):
            _fill(entry, record["regions"], "phrase", ("x", "y", "width", "height"))
        elif isinstance(record.get("objects"), list):
            _fill(entry, record["objects"], "names", ("x", "y", "w", "h"))
        elif isinstance(record.get("url"), str) and entry.size:
            entry = Entry("/".join(str(record["url"]).split("/")[-2:]), entry.size)
        else:
            raise Unfit(f"{where} has neither regions nor objects nor a url and a size")
        yield entry


def _fill(entry: Entry, items: object, label: str, sides: tuple[str, ...]) -> None:
    """Add the boxes of one image; `label` and `sides` are the keys of the text and the numbers."""
    for item in items if isinstance(items, list) else []:
        record = item if isinstance(item, dict) else {}
        corner = numbers([record.get(side) for side in sides])
        named = record.get(label)
        text = one_line(named[0] if isinstance(named, list) and named else named)
        if corner is None:
            entry.refuse(f"{', '.join(sides)} are not four numbers", item)
        elif not text:
            entry.refuse(f"empty {label}", item)
        else:
            entry.places.append(Place(box_of_size(*corner), text, ()))
