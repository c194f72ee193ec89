"""What all pages share: the parts that the studio was started with."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lskd.human.store import Store
from lskd.run import Run
from lskd.studio import index
from lskd.studio.catalogue import Catalogue
from lskd.studio.index import Say
from lskd.studio.safety import Safety, check
from lskd.studio.serving import Photographs
from lskd.studio.students import Enrolled, Examiner, enrol
from lskd.studio.terms import Terms


@dataclass(frozen=True, slots=True)
class Desk:
    """The parts of a studio.

    `run` is None where there are only students to ask, and so is `catalogue`, which asks the index
    of its tables; `students` are looked at and not yet loaded, `examiner` is who asks them.
    `photographs` are the run's images and what was uploaded, `terms` what people work under.
    """

    run: Run | None
    catalogue: Catalogue | None
    store: Store
    students: tuple[Enrolled, ...]
    examiner: Examiner
    safety: Safety
    photographs: Photographs
    terms: Terms = field(default_factory=Terms)


def lay(
    run: Run | None,
    store: Store,
    students: Sequence[Path] = (),
    safety: Safety | None = None,
    say: Say = lambda text: None,
    terms: Terms | None = None,
) -> Desk:
    """Return a desk, after making the index of a run's tables and looking at students' folders.

    Raises UserError for a folder that is no student, or an index that cannot be written.
    """
    safe = safety or Safety()
    check(safe)
    enrolled = enrol(students)
    catalogue = None if run is None else Catalogue(index.make(run, say))
    find = (lambda name: None) if catalogue is None else catalogue.image
    photographs = Photographs(find, safe.upload, safe.pixels)
    examiner = Examiner(enrolled)
    return Desk(run, catalogue, store, enrolled, examiner, safe, photographs, terms or Terms())
