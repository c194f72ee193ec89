"""What students and the base answer to the benchmarks becomes cells, by column of Table 3."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from lskd.evaluate.figures import Column
from lskd.evaluate.trial import Trial
from lskd.reproduce import evidence
from lskd.reproduce.bench import Bench
from lskd.reproduce.drawing import figure
from lskd.reproduce.evidence import TITLES
from lskd.reproduce.experiment import Arm, Cell, Figure, Tally
from lskd.reproduce.verdict import enough
from lskd.run import Run

SHORT = Arm("the lab's corpus", "short", "distil")
BASE, STUDENT = "base", "student"
FROM_BELOW = ("Sherlock",)  # from -100 to 100; all others begin at 0

Cells = Mapping[str, Cell]


def own(bench: Bench) -> list[Run]:
    """Return the runs whose students are the lab's own: short ones, or the one that is there."""
    return list(bench.runs.values()) if bench.quick else bench.children(SHORT)


def students(bench: Bench, runs: Sequence[Run], columns: Sequence[str]) -> Cells:
    """Return what the students of some seeds earn, by column; none where nothing was asked."""
    found = [bench.answered(run, STUDENT) for run in runs]
    return _known(columns, lambda column: [evidence.earned(one, STUDENT, column) for one in found])


def base(bench: Bench, runs: Sequence[Run], columns: Sequence[str]) -> Cells:
    """Return what the base earns, by column; no seed changes it."""
    found = bench.answered(runs[0], BASE)
    return _known(columns, lambda column: [evidence.earned(found, BASE, column)])


@dataclass(frozen=True, slots=True)
class ByTexts:
    """What texts alone earn, and how much of that is above chance, by column."""

    earned: Cells
    above_chance: Cells

    def telling(self) -> list[str]:
        """Return the columns on which texts alone are above chance."""
        figures = {title: figure(cell) for title, cell in self.above_chance.items()}
        return [title for title, one in figures.items() if one.low > 0 and enough(one)]


def by_texts(trials: Sequence[Trial], seed: int, columns: Sequence[str]) -> ByTexts:
    """Return what can be had without a picture, by a model fitted on other images' labels."""
    scores = evidence.by_texts(trials, seed)
    told = {title: evidence.earned_by_texts(trials, scores, TITLES[title]) for title in columns}
    return ByTexts(
        _known(told, lambda column: [one[0] if (one := told[column.title]) else None]),
        _known(told, lambda column: [one[1] if (one := told[column.title]) else None], told),
    )


def figures(cells: Cells, columns: Sequence[str]) -> tuple[Figure | None, ...]:
    """Return the figures of some columns, None where there is none."""
    return tuple(figure(cells[title]) if title in cells else None for title in columns)


def _known(
    columns: Iterable[str],
    earn: Callable[[Column], list[Tally | None]],
    from_below: Collection[str] = FROM_BELOW,
) -> Cells:
    made = {
        title: evidence.cell(earn(TITLES[title]), -100.0 if title in from_below else 0.0)
        for title in columns
    }
    return {title: cell for title, cell in made.items() if cell is not None}
