"""A text is cut at the places where it names regions: "[2]", "[0, 2]", "[the woman in pink]"."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from lskd.marking import named
from lskd.types import Mention

BRACKETS = re.compile(r"\[[^\[\]]*\]")


@dataclass(frozen=True, slots=True)
class Name:
    """A place in a text that names regions; `phrase` is what stands in the brackets, "" for ids."""

    text: str
    phrase: str
    region_ids: tuple[int, ...]


def cut(text: str, mentions: Sequence[Mention] = ()) -> Iterator[str | Name]:
    """Yield a text's pieces, which join to the text: the names of regions, and what lies between.

    With `mentions` brackets hold phrases, without them the ids of regions; other brackets are text.
    """
    known = {mention.phrase: mention.region_id for mention in mentions}
    start = 0
    for bracket in BRACKETS.finditer(text):
        inside = bracket[0][1:-1]
        if known:
            name = Name(bracket[0], inside, (known[inside],)) if inside in known else None
        else:
            ids = named(bracket[0])
            name = Name(bracket[0], "", ids) if ids else None
        if name is None:
            continue
        if start < bracket.start():
            yield text[start : bracket.start()]
        yield name
        start = bracket.end()
    if start < len(text):
        yield text[start:]
