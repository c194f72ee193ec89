"""Claims become tasks for Label Studio: a labelling configuration (XML) and tasks (JSON).

The predictions of a task are its regions as boxes in percent, labelled "[0]", "[1]", ... Label
Studio shows pictures upright, so its percents are those of the upright picture. What people then
say is read by `lskd.human.label_studio_export`.
"""

import json
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from lskd import table
from lskd.human.address import Address
from lskd.human.rating import WORDS
from lskd.human.work import Claim
from lskd.marking import colour
from lskd.types import Box, Region

BOXES, QA, RATIONALE, IMAGE = "regions", "qa", "rationale", "image"
LOCAL_FILES = "/data/local-files/?d={path}"  # where its local storage serves pictures: an address
KEYS = "qwetasdfgzxcvbyiopjklnm"  # free in its editor, beside the digits of the ratings


def configuration(claims: Iterable[Claim]) -> str:
    """Return the labelling configuration, XML, with a label for each number of a region."""
    view = ElementTree.Element("View")
    ElementTree.SubElement(view, "Image", name=IMAGE, value="$image", zoom="true")
    boxes = ElementTree.SubElement(
        view, "RectangleLabels", name=BOXES, toName=IMAGE, canRotate="false", maxUsages="1"
    )
    most = max((region.id for claim in claims for region in claim.regions), default=-1)
    for number in range(most + 1):
        paint = "#{:02x}{:02x}{:02x}".format(*colour(number, "clear"))
        label = ElementTree.SubElement(boxes, "Label", value=f"[{number}]", background=paint)
        if number < len(KEYS):
            label.set("hotkey", KEYS[number])
    for title in ("question", "answer"):
        ElementTree.SubElement(view, "Header", value=title.capitalize(), size="5")
        ElementTree.SubElement(view, "Text", name=f"{title}_text", value=f"${title}")
    view.append(_choices(QA, "Are question and answer visually correct?", "123"))
    ElementTree.SubElement(view, "Header", value="Rationale", size="5")
    ElementTree.SubElement(view, "Text", name="rationale_text", value="$rationale")
    asked = _choices(RATIONALE, "Does the rationale justify the answer and fit the image?", "456")
    view.append(asked)
    # A rejected first question rejects the second (section 2.3), which is then not asked.
    choices = asked.find("Choices")
    assert choices is not None
    choices.attrib.update(
        visibleWhen="choice-selected", whenTagName=QA, whenChoiceValue="maybe,accept"
    )
    ElementTree.indent(view)
    return ElementTree.tostring(view, encoding="unicode") + "\n"


def tasks(claims: Iterable[Claim], address: Address) -> str:
    """Return the tasks as JSON; `address` is where Label Studio finds a claim's picture.

    For its local storage that is `addresses(LOCAL_FILES, root)`, `root` being the folder that it
    was told of as document root.
    """
    made = [_task(claim, address(claim)) for claim in claims]
    return json.dumps(made, ensure_ascii=False, indent=1) + "\n"


def write(claims: Sequence[Claim], folder: Path, address: Address) -> None:
    """Write `config.xml` and `tasks.json`. Raises UserError if the folder cannot be written."""
    contents = {"config.xml": configuration(claims), "tasks.json": tasks(claims, address)}
    for name, content in contents.items():
        with table.draft(folder / name) as unfinished:
            unfinished.write_text(content, encoding="utf-8")


def percent(box: Box, width: int, height: int) -> tuple[float, float, float, float]:
    """Return x, y, width and height of a box in percent of a picture of width x height pixels."""
    across, down = 100 / width, 100 / height
    return box.x0 * across, box.y0 * down, box.width * across, box.height * down


def pixels(x: float, y: float, wide: float, high: float, size: tuple[int, int]) -> Box:
    """Return the box of x, y, width and height in percent of a picture of `size`, in pixels."""
    across, down = size[0] / 100, size[1] / 100
    return Box(x * across, y * down, (x + wide) * across, (y + high) * down)


def _choices(name: str, title: str, keys: str) -> ElementTree.Element:
    """Return a question with its three ratings."""
    view = ElementTree.Element("View")
    choices = ElementTree.SubElement(
        view, "Choices", name=name, toName=IMAGE, choice="single-radio", required="true"
    )
    choices.set("requiredMessage", title)
    choices.set("showInline", "true")
    header = ElementTree.Element("Header", value=title, size="5")
    view.insert(0, header)
    for word, key in zip(WORDS, keys, strict=True):
        ElementTree.SubElement(choices, "Choice", value=word, hotkey=key)
    return view


def _task(claim: Claim, image: str) -> dict[str, Any]:
    triple = claim.triple
    data = {
        "triple_id": triple.id,
        "image_id": triple.image_id,
        "image": image,
        "width": claim.width,
        "height": claim.height,
        "question": triple.question,
        "answer": triple.answer,
        "rationale": triple.rationale,
        "regions": [table.plain(region) for region in claim.regions],
    }
    result = [_rectangle(region, claim.width, claim.height) for region in claim.regions]
    return {"data": data, "predictions": [{"model_version": "lskd", "result": result}]}


def _rectangle(region: Region, width: int, height: int) -> dict[str, Any]:
    x, y, wide, high = percent(region.box, width, height)
    return {
        "id": f"region{region.id}",
        "type": "rectanglelabels",
        "from_name": BOXES,
        "to_name": IMAGE,
        "original_width": width,
        "original_height": height,
        "image_rotation": 0,
        "value": {
            **{"x": x, "y": y, "width": wide, "height": high, "rotation": 0},
            "rectanglelabels": [f"[{region.id}]"],
        },
    }
