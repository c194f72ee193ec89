"""What other tools keep of a person's answers becomes a `Judgment`; what cannot be one is refused.

A rating is 1, 2 or 3, as a number or as its text, or one of the words "reject", "maybe", "accept".
"""

import math
from dataclasses import dataclass

from lskd.errors import UserError
from lskd.human.work import LOWEST, Rating
from lskd.types import Judgment

WORDS = {"reject": 1, "maybe": 2, "accept": 3}  # section 2.3


@dataclass(frozen=True, slots=True)
class Subject:
    """Which triple was judged and by whom; `image_id` is "" where it is not known."""

    triple_id: str
    image_id: str
    annotator: str


def judgment(subject: Subject, qa: object, rationale: object, seconds: object) -> Judgment:
    """Return the judgment that a person's answers make.

    A rating of the rationale beside a rejected qa is left out, since the first rejects both.
    `seconds` that are no time are unknown. Raises UserError, which says what is wrong.
    """
    given = _rating("qa", qa)
    if given is None:
        raise UserError("it has no rating qa")
    second = None if given == LOWEST else _rating("rationale", rationale)
    rated = Rating(given, second)
    return Judgment(
        subject.triple_id,
        subject.image_id,
        subject.annotator,
        rated.qa,
        rated.rationale,
        _seconds(seconds),
    )


def _rating(name: str, value: object) -> int | None:
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    if isinstance(value, str) and value.strip().lower() in WORDS:
        return WORDS[value.strip().lower()]
    number = _number(value)
    if number is None or number not in WORDS.values():
        raise UserError(f"{name} = {value!r}: ratings are 1 reject, 2 maybe, 3 accept")
    return int(number)


def _seconds(value: object) -> float | None:
    number = _number(value)
    return number if number is not None and number >= 0 else None


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None
