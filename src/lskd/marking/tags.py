"""Text names regions by number: "[2]", "[0, 2]" or "[0] and [2]"; here those tags are read.

A tag is numbers in square brackets, apart by commas, semicolons, "&" or "and". Numbers are written
without leading zeros and have at most six digits: "[007]" is a text, not a region.
"""

import re
from collections.abc import Mapping

from lskd.errors import UserError

_NUMBER = r"(?:0|[1-9][0-9]{0,5})"
_BETWEEN = r"(?:\s*[,;&]\s*(?:and\s+)?|\s+and\s+)"
_TAG = re.compile(rf"\[\s*{_NUMBER}(?:{_BETWEEN}{_NUMBER})*\s*\]")
_DIGITS = re.compile(r"[0-9]+")


def named(text: str) -> tuple[int, ...]:
    """Return the ids of the regions that a text names, each once, in order of first mention."""
    ids = (int(digits) for tag in _TAG.findall(text) for digits in _DIGITS.findall(tag))
    return tuple(dict.fromkeys(ids))


def renumber(text: str, mapping: Mapping[int, int]) -> str:
    """Return a text in which every tag names the regions by their new ids, `mapping[old]`.

    All numbers change at once, so ids may be swapped; nothing else of the text changes. Raises
    UserError if the text names an id that `mapping` lacks.
    """
    unknown = [region_id for region_id in named(text) if region_id not in mapping]
    if unknown:
        known = ", ".join(str(region_id) for region_id in sorted(mapping)) or "none"
        raise UserError(f"the text names region [{unknown[0]}], which is unknown; known: {known}")

    def rewritten(tag: re.Match[str]) -> str:
        return _DIGITS.sub(lambda digits: str(mapping[int(digits[0])]), tag[0])

    return _TAG.sub(rewritten, text)
