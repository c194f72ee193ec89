"""A file of answers becomes records: what systems say to questions about images.

A file is JSON lines; a row is what one system says to one question about an image:

```
{"question_id": "q7", "image": "photos/dog.jpg", "width": 640, "height": 480,
 "regions": [{"id": 0, "box": [10, 20, 200, 220], "label": "dog"}], "question": "Why is [0] wet?",
 "system": "ours", "answer": "It swam.", "rationale": "The lake is behind it."}
```

`image` is the id, the path or the end of the path of an image; width, height and boxes are in
pixels of the upright image. `label` and `rationale` may be left out. A row that cannot be posed is
a Reject with all its faults. `lskd.human.duels` holds two systems against each other.
"""

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lskd import marking
from lskd.textfile import text_of
from lskd.types import Box, Region, Reject

LONGEST_NAME = 200
LONGEST = 4_000  # characters of a text that people are asked to read
MOST_REGIONS = 200
SHOWN = 300  # characters of a broken row that its reject keeps


@dataclass(frozen=True, slots=True)
class Answer:
    """What a system says to a question about an image; `source` is where that stands.

    `image` is as the file has it. Sizes and boxes are in pixels of the upright image.
    """

    question_id: str
    image: str
    width: int
    height: int
    regions: tuple[Region, ...]
    question: str
    system: str
    answer: str
    rationale: str
    source: str


@dataclass(frozen=True, slots=True)
class Given:
    """What a file holds: at most one answer of a system to a question, and what was no answer."""

    answers: tuple[Answer, ...]
    rejects: tuple[Reject, ...]


def read(file: Path) -> Given:
    """Return the answers of a file; raises UserError if it cannot be read as UTF-8 text."""
    return parse(text_of(file), file.name)


def parse(text: str, name: str) -> Given:
    """Return the answers in the text of a file; `name` is what rejects call it."""
    answers: list[Answer] = []
    rejects: list[Reject] = []
    first: dict[tuple[str, str], str] = {}
    # A text may hold the other ends of lines that Unicode knows.
    for number, line in enumerate(text.removeprefix("\ufeff").split("\n"), 1):
        if not line.strip():
            continue
        source = f"{name} line {number}"
        faults: list[str] = []
        answer = _answer(_row(line, faults), source, faults)
        if answer is not None:
            earlier = first.setdefault((answer.system, answer.question_id), source)
            if earlier != source:
                faults.append(
                    f"{answer.system!r} has answered question {answer.question_id!r} on {earlier}"
                )
        if answer is None or faults:
            shown = line.strip()[:SHOWN].encode("utf-8", "backslashreplace").decode()
            rejects.append(Reject(source, "; ".join(faults), shown))
        else:
            answers.append(answer)
    return Given(tuple(answers), tuple(rejects))


def written(answers: Iterable[Answer]) -> Iterator[str]:
    """Yield the lines of a file that holds some answers; `parse` reads them back."""
    for one in answers:
        regions = [
            {"id": region.id, "box": list(region.box), "label": region.label}
            for region in one.regions
        ]
        row = {
            "question_id": one.question_id,
            "image": one.image,
            "width": one.width,
            "height": one.height,
            "regions": regions,
            "question": one.question,
            "system": one.system,
            "answer": one.answer,
            "rationale": one.rationale,
        }
        yield json.dumps(row, ensure_ascii=False) + "\n"


def systems(answers: Iterable[Answer]) -> list[str]:
    """Return the names of the systems that answer, in order of first mention."""
    return list(dict.fromkeys(answer.system for answer in answers))


def _row(line: str, faults: list[str]) -> Mapping[str, Any]:
    try:
        row = json.loads(line)
        line.encode()
        json.dumps(row, ensure_ascii=False).encode()
    except UnicodeError:
        faults.append("is not Unicode text")
        return {}
    except (ValueError, RecursionError) as error:
        faults.append(f"is not JSON ({error})")
        return {}
    if not isinstance(row, dict):
        faults.append("is no JSON object")
        return {}
    return row


def _answer(row: Mapping[str, Any], source: str, faults: list[str]) -> Answer | None:
    """Return the answer of a row, or None; all that is wrong is added to `faults`."""
    if faults:
        return None
    width, height = _side(row, "width", faults), _side(row, "height", faults)
    answer = Answer(
        question_id=_name(row, "question_id", faults),
        image=_name(row, "image", faults),
        width=width,
        height=height,
        regions=_regions(row, width, height, faults),
        question=_text(row, "question", faults),
        system=_name(row, "system", faults),
        answer=_text(row, "answer", faults),
        rationale=_text(row, "rationale", faults, needed=False),
        source=source,
    )
    if faults:
        return None
    lost = set(marking.named(answer.question)) - {region.id for region in answer.regions}
    if lost:
        faults.append(f"the question names {sorted(lost)}, which regions lack")
        return None
    return answer


def _name(row: Mapping[str, Any], key: str, faults: list[str]) -> str:
    value = row.get(key)
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 10**18:
        return str(value)
    name = _text(row, key, faults).strip()
    if len(name) > LONGEST_NAME or not name.isprintable():
        faults.append(f"{key} is no name of at most {LONGEST_NAME} characters: {_short(name)}")
    return name


def _text(row: Mapping[str, Any], key: str, faults: list[str], needed: bool = True) -> str:
    value = row.get(key)
    if value is None or (isinstance(value, str) and not value.strip()):
        if needed:
            faults.append(f"has no {key}")
    elif not isinstance(value, str):
        faults.append(f"{key} is no text: {_short(value)}")
    elif len(value) > LONGEST:
        faults.append(f"{key} has {len(value)} characters, at most {LONGEST} are shown")
    else:
        return value
    return ""


def _side(row: Mapping[str, Any], key: str, faults: list[str]) -> int:
    value = row.get(key)
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        faults.append(f"{key} is {_short(value)}, not a number of pixels")
        return 0
    return value


def _regions(
    row: Mapping[str, Any], width: int, height: int, faults: list[str]
) -> tuple[Region, ...]:
    value = row.get("regions")
    if not isinstance(value, list) or len(value) > MOST_REGIONS:
        faults.append(f"regions are no list of at most {MOST_REGIONS}: {_short(value)}")
        return ()
    found: dict[int, Region] = {}
    for place, one in enumerate(value):
        number = one.get("id") if isinstance(one, dict) else None
        if isinstance(number, bool) or not isinstance(number, int) or number < 0:
            faults.append(f"region {place} has no id, which is a number from 0: {_short(one)}")
        elif number in found:
            faults.append(f"two regions have the id {number}")
        elif (box := _box(one.get("box"), width, height)) is None:
            faults.append(
                f"the box of region {number} is {_short(one.get('box'))}, not [x0, y0, x1, y1] "
                f"within {width} x {height} pixels"
            )
        else:
            label = _text(one, "label", faults, needed=False)
            found[number] = Region(number, box, label, "", 1.0)
    return tuple(found.values())


def _box(value: object, width: int, height: int) -> Box | None:
    if not isinstance(value, list) or len(value) != 4:
        return None
    if any(isinstance(corner, bool) or not isinstance(corner, int | float) for corner in value):
        return None
    try:
        x0, y0, x1, y1 = (float(corner) for corner in value)
    except OverflowError:
        return None
    # A side that is 0 is a fault of its own; NaN is within nothing.
    inside = 0 <= x0 < x1 <= (width or math.inf) and 0 <= y0 < y1 <= (height or math.inf)
    return Box(x0, y0, x1, y1) if inside and math.isfinite(x1 + y1) else None


def _short(value: object) -> str:
    shown = json.dumps(value, ensure_ascii=False, default=str)
    return shown if len(shown) <= 60 else f"{shown[:57]}..."
