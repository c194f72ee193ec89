"""Table 2, Figure 3, and what the leak audit finds: what the corpus is made from and is worth."""

from collections.abc import Sequence

from lskd.audit import leak
from lskd.evaluate import trial
from lskd.evaluate.stage import Settings
from lskd.evaluate.trial import Trial
from lskd.lab.annotators import Annotators
from lskd.reproduce import evidence
from lskd.reproduce.bench import Bench
from lskd.reproduce.drawing import difference, figure, mean, tallied
from lskd.reproduce.experiment import Cell, Claim, Experiment, Line, Measured, Tally
from lskd.reproduce.paper import reported
from lskd.run import Run
from lskd.types import Example, Image, Item, Score

FULL = "full"
RATERS = 3  # Figure 3
AUDITED = ("vcr", "sherlock", "aokvqa", "visual7w")


def descriptors(bench: Bench, experiment: Experiment) -> Measured:
    """Return Table 2: the critic's mean score of triples that a teacher wrote who was told less.

    All rows have the dialogue that was held with all descriptors, and the critic of the full ones.
    """
    paper = reported()[experiment.paper]
    arms = {arm.row: bench.children(arm) for arm in experiment.arms}
    first = next(iter(arms.values()))
    shards = [run.tables.shards(Score) for run in first]
    runs = {FULL: list(bench.runs.values()), **arms}
    cells = {
        row: Cell(mean, tuple(map(evidence.mean_score, some, shards))) for row, some in runs.items()
    }
    images = sum(first[0].tables.count(Image, shard) for shard in shards[0])
    full = paper.rows[FULL][0] or 0.0
    claims = tuple(
        Claim(
            f"the critic scores triples lower that were written {row}",
            difference(cells[FULL], cells[row]),
            full - (paper.rows[row][0] or 0.0),
            experiment.learned,
            experiment.why,
        )
        for row in cells
        if row != FULL
    )
    lines = tuple(Line(row, paper.rows[row], (figure(cells[row]),)) for row in paper.rows)
    return Measured(
        paper.columns,
        lines,
        claims,
        (
            f"On {images} scenes; the paper has 500 images. Without local descriptors the ids and "
            "boxes stay and the phrases go; the dialogue is the same in all rows.",
        ),
    )


def rated(bench: Bench, experiment: Experiment) -> Measured:
    """Return Figure 3: mean ratings of triples with and without filtering."""
    paper = reported()[experiment.paper]
    every, kept = [], []
    for seed, run in bench.runs.items():
        people = Annotators(count=RATERS, seed=seed)
        ids = evidence.kept_ids(run)
        rows = evidence.ratings(run, bench.world, people)
        every.append(rows)
        kept.append([row for row in rows if row.triple_id in ids])
    names = ("qa", "rationale")
    cells = {
        title: tuple(
            evidence.ratings_cell(
                [
                    tallied([row.image_id for row in rows], [getattr(row, name) for row in rows])
                    for rows in some
                ]
            )
            for name in names
        )
        for title, some in (("without filtering", every), ("with filtering", kept))
    }
    claims = tuple(
        Claim(
            f"people rate what filtering keeps higher by {column}",
            difference(cells["with filtering"][place], cells["without filtering"][place]),
            None,
            experiment.learned,
            experiment.why,
        )
        for place, column in enumerate(paper.columns)
    )
    lines = tuple(
        Line(title, (None, None), tuple(figure(one) for one in some))
        for title, some in cells.items()
    )
    return Measured(
        paper.columns,
        lines,
        claims,
        (
            "From 1 (reject) to 3 (accept), three simulated people on every triple of images that "
            "the critic did not learn from. `lskd lab people` has the same done in the studio.",
            paper.note,
        ),
    )


def audited(bench: Bench, experiment: Experiment) -> Measured:
    """Return which share of the benchmarks' questions a corpus touches, and how."""
    kinds = leak.KINDS
    first = next(iter(bench.runs.values()))
    settings = first.settings["evaluate"]
    assert isinstance(settings, Settings)
    sources = {name: one for name, one in settings.benchmarks.items() if name in AUDITED}
    trials = trial.read(sources, settings.faults, ())
    # Of all benchmarks at once: each picture of a corpus is read one time.
    every = [item for one in trials for item in one.items]
    leaks = [_leaks(every, run) for run in bench.runs.values()]
    lines = []
    for one in trials:
        found = [_touched(one, some, kinds) for some in leaks]
        cells = [Cell(mean, tuple(of[kind] for of in found)) for kind in (*kinds, "any")]
        none = (None,) * len(cells)
        lines.append(Line(one.name, none, tuple(figure(cell) for cell in cells)))
    titles = ("same file, %", "nearly the same picture, %", "nearly the same text, %", "any, %")
    return Measured(
        titles,
        tuple(lines),
        (),
        (
            "Shares of the questions. Scenes to train and to test on are drawn apart, so no file "
            "is in both. The lab has few sentences: texts that are nearly the same are often about "
            "different pictures.",
        ),
    )


def _leaks(items: Sequence[Item], run: Run) -> Sequence[leak.Leak]:
    """Return how the examples of a run touch items."""
    tables = run.tables
    shards = (tables.read(Example, shard) for shard in tables.shards(Example))
    return leak.audit(items, shards).leaks


def _touched(
    one: Trial, leaks: Sequence[leak.Leak], kinds: tuple[leak.Kind, ...]
) -> dict[str, Tally]:
    """Return the items of a benchmark that are touched in each way, and in any, by image."""
    own = [each for each in leaks if each.benchmark == one.name]
    images = [item.image_id for item in one.items]
    of: dict[str, Tally] = {}
    for name, some in [*((kind, (kind,)) for kind in kinds), ("any", kinds)]:
        hit = leak.touched(own, some)
        of[name] = tallied(images, [float(trial.key(item) in hit) for item in one.items])
    return of
