"""Table 5 and Figure 5: students that write, against their teacher.

They are read, not made: `asked.toml` tells the commands by which judges compare a student of
`generative.toml` with the teacher. They leave `comparisons.parquet` in the folder of a contest, and
`lskd answers` leaves a page of answers, beside the lab's home or in it, or in a folder of the run
of either file.
"""

from collections.abc import Iterator
from pathlib import Path

from lskd import table
from lskd.errors import UserError
from lskd.human.agreement import Interval
from lskd.human.preference import ASPECTS, Row, preferences
from lskd.lab.rivals import DROPPED, KEPT
from lskd.reproduce.bench import Bench
from lskd.reproduce.drawing import PERCENT
from lskd.reproduce.experiment import Experiment, Figure, Line, Measured
from lskd.reproduce.paper import reported
from lskd.types import Comparison

RUN, ASKED, CONTEST = "generative", "asked", "contest"
COMPARISONS, PANEL = "comparisons.parquet", "panel.html"


class NotThere(UserError):
    """What an experiment reads was not made yet; its text says how it is made."""


def preferred(bench: Bench, experiment: Experiment) -> Measured:
    """Return Table 5: how often judges prefer the teacher, the student, or neither.

    Raises NotThere if nobody has compared them.
    """
    paper = reported()[experiment.paper]
    given = [row for file in _made(bench, COMPARISONS) for row in table.read(Comparison, file)]
    # `lskd lab people` has a run's own triples compared, which is another question.
    rivals = {KEPT, DROPPED}
    found = preferences(one for one in given if {one.first, one.second} != rivals)
    if not found.rows:
        raise NotThere(_wanted(bench))
    nothing = (None,) * len(paper.columns)
    lines = [Line(row, told, nothing) for row, told in paper.rows.items()]
    for first, second in dict.fromkeys((row.first, row.second) for row in found.rows):
        rows = {row.aspect: row for row in found.rows if (row.first, row.second) == (first, second)}
        lines += _lines([rows[aspect] for aspect in ASPECTS], first, second)
    told = (
        "The lab's judges are simulated: they know the truth, and prefer what is true. Questions "
        "that both answered alike were not put to them, so that ties are fewer than the paper's."
    )
    return Measured(paper.columns, tuple(lines), (), (paper.note, told))


def side_by_side(bench: Bench, experiment: Experiment) -> Measured:
    """Return where the page lies that shows answers side by side (Figure 5).

    Raises NotThere if there is none.
    """
    files = _made(bench, PANEL)
    return Measured((), (), (), tuple(f"Answers side by side: {file}" for file in files))


def _lines(rows: list[Row], first: str, second: str) -> Iterator[Line]:
    nothing = (None,) * len(rows)
    yield Line(f"{first} is preferred", nothing, tuple(_figure(row.first_wins) for row in rows))
    yield Line(f"{second} is preferred", nothing, tuple(_figure(row.second_wins) for row in rows))
    yield Line("tie", nothing, tuple(_figure(row.ties) for row in rows))


def _figure(one: Interval) -> Figure | None:
    if one.value is None or one.low is None or one.high is None:
        return None
    ends = PERCENT * one.low, PERCENT * one.high
    return Figure(PERCENT * one.value, *ends, (PERCENT * one.value,), images=one.units)


def _made(bench: Bench, name: str) -> list[Path]:
    """Return files of that name that judges or students left; raises NotThere if there is none."""
    around = (bench.home, bench.home.parent)
    places = [*(f"{run}/*/{name}" for run in (RUN, ASKED)), f"{CONTEST}/{name}"]
    found = [file for home in around for place in places for file in sorted(home.glob(place))]
    if not found:
        raise NotThere(_wanted(bench))
    return found


def _wanted(bench: Bench) -> str:
    return (
        f"no student that writes was compared with its teacher yet; the head of "
        f"{bench.folder / f'{ASKED}.toml'} tells how, and {bench.folder / f'{RUN}.toml'} trains one"
    )
