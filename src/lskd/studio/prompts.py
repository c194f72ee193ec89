"""What a run says of an image becomes a beginning: its regions, and questions with choices."""

from collections.abc import Container, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import TypeVar

from lskd import marking
from lskd.run import Run
from lskd.studio.catalogue import Catalogue
from lskd.types import Example, Region, Regions, Triple

R = TypeVar("R", Regions, Triple, Example)

CHOICES = 5  # of a prompt: few enough to read, and VCR has four
MOST = 60  # prompts of an image
REGIONS = 40  # of an image, at most


@dataclass(frozen=True, slots=True)
class Prompt:
    """A question of the run and choices of which the first is what the run says."""

    question: str
    choices: tuple[str, ...]


class Teller:
    """Tells what a run says of its images; of any other image, and without a run, nothing."""

    def __init__(self, run: Run | None, catalogue: Catalogue | None) -> None:
        self._run = run
        self._catalogue = catalogue

    def regions(self, image_id: str) -> tuple[Region, ...]:
        """Return the regions of an image, as far as each number is its place in the list.

        On a page a number is a place: from a gap on, the run's numbers would mean other regions.
        """
        found: Sequence[Regions | Example] = self._rows(Regions, image_id)
        found = found or self._rows(Example, image_id)
        regions = found[0].regions[:REGIONS] if found else ()
        alike = takewhile(lambda pair: pair[0] == pair[1].id, enumerate(regions))
        return tuple(region for _, region in alike)

    def prompts(self, image_id: str, drawn: int) -> tuple[Prompt, ...]:
        """Return what can be asked of an image with its first `drawn` regions; see `prompts`."""
        triples: Sequence[Triple | Example] = self._rows(Triple, image_id)
        return prompts(triples or self._rows(Example, image_id), drawn)

    def _rows(self, record: type[R], image_id: str) -> list[R]:
        if self._run is None or self._catalogue is None:
            return []
        tables = self._run.tables
        rows = (row for s in self._catalogue.shards(image_id) for row in tables.read(record, s))
        return [row for row in rows if row.image_id == image_id]


def prompts(triples: Sequence[Triple | Example], drawn: int) -> tuple[Prompt, ...]:
    """Return the questions that name only the `drawn` regions by number, in order, each once.

    The wrong choices are what the run says to other questions about the image, as `choices` has it.
    """
    usable = [one for one in triples if names_only(one, range(drawn))]
    made: dict[str, Prompt] = {}
    for triple in usable:
        answers = tuple(one.answer for one in choices(triple, usable))
        made.setdefault(triple.question, Prompt(triple.question, answers))
    return tuple(made.values())[:MOST]


def names_only(triple: Triple | Example, drawn: Container[int]) -> bool:
    """Return whether question and answer name regions by number, and only such as are drawn."""
    texts = (triple.question, triple.answer)
    return triple.style == "id" and all(n in drawn for text in texts for n in marking.named(text))


def choices(
    triple: Triple | Example, others: Sequence[Triple | Example]
) -> tuple[Triple | Example, ...]:
    """Return triples of an image whose answers can be chosen from, no two alike, its own first.

    Those come next that answer the same of other regions: they are the hardest to tell apart.
    """
    alike = [one for one in others if _shape(one.question) == _shape(triple.question)]
    found: dict[str, Triple | Example] = {}
    for one in (triple, *alike, *others):
        found.setdefault(one.answer, one)
    return tuple(found.values())[:CHOICES]


def _shape(question: str) -> str:
    """Return a question with all its regions alike."""
    return marking.renumber(question, dict.fromkeys(marking.named(question), 0))
