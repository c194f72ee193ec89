"""Table 5 and Figure 5: a student that writes, against its teacher.

Both answer what VCR's form asks of scenes that the student has not seen: the teacher from what
describers say, the student from the picture. Simulated judges then prefer one, the other or
neither, in each aspect of section 3.4, as they do at the studio (`lskd lab contest`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lskd import execute
from lskd.execute import Selection
from lskd.human import answers
from lskd.human.answers import Answer
from lskd.human.preference import ASPECTS, Aspect, majority
from lskd.human.teacher import TEACHER
from lskd.human.work import PREFERENCES
from lskd.lab import contest, opinions
from lskd.lab.annotators import Annotators
from lskd.lab.course import extended, written
from lskd.lab.opinions import Preferred
from lskd.lab.study import OPINIONS
from lskd.lab.wire import Place, Side, Sight, Words
from lskd.lab.world import World
from lskd.reproduce.bench import FOLDER, Bench
from lskd.reproduce.drawing import figure, mean, tallied
from lskd.reproduce.experiment import Arm, Cell, Experiment, Line, Measured, Tally
from lskd.reproduce.paper import reported
from lskd.run import Run, load
from lskd.types import Preference

ASKED, STUDENT = "asked", "student"
WRITES = Arm("the lab's student that writes", "table5", "generative")
QUESTIONS, DUELS = 300, 100  # of each seed: what both answer, and pairs of answers that are judged
SIDES: dict[Side, Preference] = {"left": "first", "right": "second", "tie": "tie"}


@dataclass(frozen=True, slots=True)
class Duelled:
    """What judges decided of one seed's pairs of answers, by aspect: image and outcome of each.

    A pair without a majority in an aspect is not there. `asked` questions were answered by both, of
    which `alike` in the same words: those were not judged.
    """

    decided: dict[Aspect, list[tuple[str, Preference]]]
    pairs: int
    asked: int
    alike: int


def preferred(bench: Bench, experiment: Experiment) -> Measured:
    """Return Table 5: how often judges prefer the teacher, the student, or neither."""
    paper = reported()[experiment.paper]
    found = [duelled(bench, seed) for seed in bench.runs]
    nothing = (None,) * len(paper.columns)
    lines = [Line(row, told, nothing) for row, told in paper.rows.items()]
    titles = (f"{TEACHER}, against {WRITES.row}", WRITES.row, f"tie, {WRITES.row}")
    for title, outcome in zip(titles, PREFERENCES, strict=True):
        won = [tuple(_won(one, aspect, outcome) for one in found) for aspect in ASPECTS]
        lines.append(Line(title, nothing, tuple(figure(Cell(mean, some)) for some in won)))
    pairs, asked, alike = (
        sum(getattr(one, name) for one in found) for name in ("pairs", "asked", "alike")
    )
    lost = sum(one.pairs - len(one.decided["overall"]) for one in found)
    told = (
        f"Of {asked} questions about scenes of their own, {alike} were answered alike and not put "
        f"to the judges; of the others {pairs} were, to {OPINIONS} judges each, who know the truth "
        f"and prefer what is true. Pairs without a majority overall, which are left out: {lost}."
    )
    return Measured(paper.columns, tuple(lines), (), (paper.note, told))


def side_by_side(bench: Bench, experiment: Experiment) -> Measured:
    """Return where the pages lie that show answers side by side (Figure 5)."""
    from lskd.distil.generative.answers import PAGE

    pages = [answered(bench, seed) / PAGE for seed in bench.runs]
    paper = reported()[experiment.paper]
    return Measured(
        (), (), (), (paper.note, *(f"Answers side by side: {file.as_posix()}" for file in pages))
    )


def duelled(bench: Bench, seed: int) -> Duelled:
    """Return what judges decide of the answers of a seed's teacher and student."""
    folder = answered(bench, seed)
    said = [
        one
        for system in (TEACHER, STUDENT)
        for one in answers.read(folder / f"{system}.jsonl").answers
    ]
    first, second = contest.paired(said, DUELS, seed)
    both, alike = contest.shared(said)
    judges = Annotators(count=OPINIONS, seed=seed)
    decided: dict[Aspect, list[tuple[str, Preference]]] = {aspect: [] for aspect in ASPECTS}
    for one, other in zip(first, second, strict=True):
        votes = _votes(one, other, bench.world, judges)
        for aspect in ASPECTS:
            outcome = majority([SIDES[getattr(vote, aspect)] for vote in votes])
            if outcome is not None:
                decided[aspect].append((one.image, outcome))
    return Duelled(decided, len(first), both, alike)


def answered(bench: Bench, seed: int) -> Path:
    """Have the teacher and the student of a seed answer, and return the folder of their answers.

    What was answered before is kept. Raises UserError as `lskd run` and `lskd answers` do.
    """
    # torch is not wanted by who only looks at what experiments there are.
    from lskd.distil.ask import Manner
    from lskd.distil.generative import answers as answering
    from lskd.posing import questions, teacher

    trained, run = bench.child(WRITES, seed), described(bench, seed)

    def say(text: str) -> None:
        bench.display.line(WRITES.name, f"seed {seed}: {text}")

    vcr = f"vcr={(bench.world.folder / 'gold' / 'test' / 'vcr').as_posix()}"
    posed = questions.posed(vcr, "val", None, run.tables, say)
    asked = teacher.taught(run, answering.drawn(posed, QUESTIONS, seed), say)
    pupils = answering.pupils([f"{STUDENT}={trained.folders['generative'] / STUDENT}"])
    folder = run.own / "answers"
    answering.write(pupils, asked, Manner(), folder, say, notices=run.facts().notices)
    return folder


def described(bench: Bench, seed: int) -> Run:
    """Return a run in which describers tell the teacher of the scenes of a world's tests."""
    scenes = (bench.world.folder / "test").resolve().as_posix()
    out = bench.home / FOLDER / ASKED / f"seed{seed}"
    file = written(out, ASKED, extended(bench.runs[seed], {"images": {"source": scenes}}))
    run = load(file, [], out, with_models=True)
    execute.execute(run, Selection(until="dialogue"), bench.display)
    return run


def _votes(one: Answer, other: Answer, world: World, judges: Annotators) -> Sequence[Preferred]:
    sight = Sight(
        id=one.question_id,
        image=one.image,
        regions=tuple(Place(region.id, region.box) for region in one.regions),
        question=one.question,
        left=Words(one.answer, one.rationale),
        right=Words(other.answer, other.rationale),
    )
    return [opinions.preferred(sight, world, judges, number) for number in range(judges.count)]


def _won(found: Duelled, aspect: Aspect, outcome: Preference) -> Tally:
    rows = found.decided[aspect]
    return tallied([image for image, _ in rows], [float(said == outcome) for _, said in rows])
