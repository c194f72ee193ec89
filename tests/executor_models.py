"""Models for tests of executors: they say where they are, are slow, or fail."""

import logging
import os
from collections.abc import Sequence

from lskd.errors import BudgetReached
from lskd.picture import Picture
from lskd.types import Concept, Concepts


class Tagger:
    """Says a tag for each image, the same wherever it works."""

    def __init__(self, warns: bool = False, broke: bool = False, defect: bool = False) -> None:
        self._broke = broke
        self._defect = defect
        if warns:
            logging.getLogger("lskd").warning("this tagger is a test's")

    def tag(self, pictures: Sequence[Picture]) -> list[Concepts]:
        if self._broke:
            raise BudgetReached("no money is left")
        if self._defect:
            raise ZeroDivisionError("oh")
        return [
            Concepts(one.image.id, (Concept(f"{sum(one.pixels.size)}", 0.5),), (), ())
            for one in pictures
        ]


class Placed:
    """Tags each image with the process that looked at it."""

    def tag(self, pictures: Sequence[Picture]) -> list[Concepts]:
        return [
            Concepts(one.image.id, (Concept(f"{os.getpid()}", 0.5),), (), ()) for one in pictures
        ]
