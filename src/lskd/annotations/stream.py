"""A JSON file is read one element at a time, so that only what is kept of it takes memory."""

import json
import re
from collections.abc import Iterator

_DECODER = json.JSONDecoder()
_SPACE = re.compile(r"[ \t\r\n]*")


def members(text: str) -> Iterator[tuple[str, Iterator[object]]]:
    """Yield the members of a JSON object: key, and the elements of its list or its one value.

    A text that is a list is one member with the key "". The values of a member must be taken before
    the next member is asked for; those that were not are passed over. Raises ValueError or
    RecursionError where the text is no JSON.
    """
    cursor = _Cursor(text)
    if cursor.sees("["):
        values = cursor.values()
        yield "", values
        _pass_over(values)
    else:
        cursor.expect("{")
        more = not cursor.takes("}")
        while more:
            key = cursor.value()
            if not isinstance(key, str):
                raise json.JSONDecodeError("a key is not a string", text, cursor.at)
            cursor.expect(":")
            values = cursor.values()
            yield key, values
            _pass_over(values)
            more = cursor.goes_on("}")
    if not cursor.ended():
        raise json.JSONDecodeError("more text after the end", text, cursor.at)


def _pass_over(values: Iterator[object]) -> None:
    for _ in values:
        continue


class _Cursor:
    """A place in a JSON text."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0

    def sees(self, sign: str) -> bool:
        """Return whether `sign` comes next, after any white space."""
        match = _SPACE.match(self.text, self.at)
        assert match is not None  # it matches the empty text
        self.at = match.end()
        return self.text.startswith(sign, self.at)

    def takes(self, sign: str) -> bool:
        """Return whether `sign` comes next, and go past it."""
        found = self.sees(sign)
        self.at += len(sign) * found
        return found

    def expect(self, sign: str) -> None:
        """Go past `sign`; raises ValueError if it does not come next."""
        if not self.takes(sign):
            raise json.JSONDecodeError(f"no {sign!r}", self.text, self.at)

    def ended(self) -> bool:
        """Return whether only white space is left."""
        return self.sees("") and self.at == len(self.text)

    def value(self) -> object:
        """Return the value that comes next; raises ValueError if there is none."""
        self.sees("")
        value: object
        value, self.at = _DECODER.raw_decode(self.text, self.at)
        return value

    def values(self) -> Iterator[object]:
        """Yield the elements of the list that comes next, or the one value."""
        if not self.takes("["):
            yield self.value()
            return
        more = not self.takes("]")
        while more:
            yield self.value()
            more = self.goes_on("]")

    def goes_on(self, end: str) -> bool:
        """Go past a comma, or past `end`; return whether it was a comma."""
        if self.takes(end):
            return False
        self.expect(",")
        return True
