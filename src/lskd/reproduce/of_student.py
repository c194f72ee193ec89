"""Tables 3 and 4 and Figure 4: what students answer to the benchmarks."""

from collections.abc import Iterator, Mapping, Sequence

from lskd.distil.stage import Settings as Distil
from lskd.reproduce import answers, evidence
from lskd.reproduce.answers import SHORT, ByTexts, Cells
from lskd.reproduce.bench import Bench
from lskd.reproduce.chart import Curve, Point, svg
from lskd.reproduce.drawing import difference, figure
from lskd.reproduce.experiment import Claim, Experiment, Line, Measured
from lskd.reproduce.paper import Reported, reported
from lskd.run import Run

PAPER_BASE, PAPER_STUDENT = "BLIP-2 ViT-G", "BLIP-2 ViT-G + LSKD"
BEST, EVERY, HALF, WHOLE = SHORT.row, "all, unfiltered", "the better half", "LLaVA's form"
# Which share of all triples each student of Figure 4 was drawn from, for the picture.
DRAWN_FROM = {EVERY: 100, HALF: 50, BEST: 25}
VISUALCOMET = "VisualCOMET, people"
WHOLE_IMAGE = (
    "a corpus that names no region leaves a student at chance in the lab's localised files, "
    "whatever it teaches"
)
# What is asked there of whole pictures stands in part, word for word, in what students rehearse.
REHEARSABLE = ("A-OKVQA", "SNLI-VE", "Visual7W")
REHEARSED = (
    "a share of what a student reads is rehearsed: statements about whole scenes, of the forms "
    "that are asked there; what these teach is not told apart from what its corpus does"
)
CHOSEN = (
    "How many steps students take, in what batches and how much they rehearse was chosen by what "
    "students of seed 0 earned on VCR Q→A here, on these scenes: their gain there is that of the "
    "best of several recipes."
)
BLIND = "texts alone, by a model that sees no picture"


def zero_shot(bench: Bench, experiment: Experiment) -> Measured:
    """Return Table 3: the base and the student on all benchmarks."""
    paper = reported()[experiment.paper]
    runs = answers.own(bench)
    base = answers.base(bench, runs, paper.columns)
    student = answers.students(bench, runs, paper.columns)
    ours = {PAPER_BASE: base, PAPER_STUDENT: student}
    titles = {PAPER_BASE: "base", PAPER_STUDENT: "student"}
    lines = []
    for row, told in paper.rows.items():
        found = answers.figures(ours[row], paper.columns) if row in ours else (None,) * len(told)
        title = f"{titles[row]} (in the paper {row})" if row in titles else row
        lines.append(Line(title, told, found))
    asked = bench.answered(runs[0], answers.BASE).trials
    texts = answers.by_texts(asked, runs[0].seed, paper.columns)
    nothing = (None,) * len(paper.columns)
    lines.append(Line(BLIND, nothing, answers.figures(texts.earned, paper.columns)))
    claims = _gains(paper, student, base, texts, _rehearses(runs))
    settings = runs[0].settings["distil"]
    assert isinstance(settings, Distil)
    notes = (
        "The lab's base is a small BLIP-2 of its own, trained from nothing; its student took "
        f"{settings.steps} steps. Other baselines of the paper have no counterpart in a drawn "
        "world.",
        "The localised files of the lab leave the base at chance by construction; that the student "
        "is above it is learnt.",
        CHOSEN,
        telling(texts),
    )
    return Measured(paper.columns, tuple(lines), tuple(claims), notes)


def thresholds(bench: Bench, experiment: Experiment) -> Measured:
    """Return Figure 4: students on equally many triples, of all and of those liked best."""
    paper = reported()[experiment.paper]
    arms = (*experiment.arms, SHORT)
    cells = {arm.row: answers.students(bench, bench.children(arm), paper.columns) for arm in arms}
    runs = bench.children(SHORT)
    cells["base"] = answers.base(bench, runs, paper.columns)
    names = {BEST: "the best quarter", WHOLE: "a whole-image corpus of LLaVA's form"}
    nothing = (None,) * len(paper.columns)
    lines = tuple(
        Line(names.get(row, row), nothing, answers.figures(found, paper.columns))
        for row, found in cells.items()
    )
    claims = []
    for column in paper.columns:
        best = cells[BEST][column]
        claims += [
            Claim(
                f"on {column} a student of filtered triples is above one of unfiltered ones",
                difference(best, cells[EVERY][column]),
                None,
                learned=True,
            ),
            Claim(
                f"on {column} a student of filtered triples is above one of a whole-image corpus",
                difference(best, cells[WHOLE][column]),
                None,
                learned=False,
                why=WHOLE_IMAGE,
            ),
            *(
                Claim(
                    f"on {column} a student of {names.get(more, more)} is above one of {less}",
                    difference(cells[more][column], cells[less][column]),
                    None,
                    learned=True,
                )
                for less, more in ((EVERY, HALF), (HALF, BEST))
            ),
        ]
    notes = (
        paper.note,
        "Each student takes as many steps on as many triples: all, the better half, and the best "
        "quarter by the critic. Thresholds are shares of the triples here: which score a share has "
        "is another matter with each critic.",
    )
    return Measured(paper.columns, lines, tuple(claims), notes, _chart(cells, paper))


def corpora(bench: Bench, experiment: Experiment) -> Measured:
    """Return Table 4: students of corpora of several makers and sizes."""
    paper = reported()[experiment.paper]
    cells = {
        arm.row: answers.students(bench, bench.children(arm), paper.columns)
        for arm in experiment.arms
    }
    large = bench.children(SHORT)
    cells["LSKD, 1M"] = answers.students(bench, large, paper.columns)
    sizes = {arm.row: evidence.examples(bench.children(arm)) for arm in experiment.arms}
    sizes["LSKD, 1M"] = evidence.examples(large)
    cells["zero-shot"] = answers.base(bench, large, paper.columns)
    titles = {
        "zero-shot": "the base",
        "Sherlock, people": "Sherlock's form, people who never err",
        VISUALCOMET: "VisualCOMET's form, people who never err",
        "LLaVA-Instruct": "LLaVA's form, a teacher who is told the truth",
        "LSKD, 150K": "the lab's, 15 % of it",
        "LSKD, 1M": "the lab's",
    }
    lines = []
    for row, told in paper.rows.items():
        found = answers.figures(cells[row], paper.columns)
        size = f", {sizes[row]:,.0f} examples" if row in sizes else ""
        lines.append(Line(f"{titles[row]}{size} (in the paper {row})", told, found))
    old = REHEARSED if _rehearses(large) else ""
    pairs = (
        ("LSKD, 1M", "LSKD, 150K", "VCR Q→AR", "the whole corpus is above 15 % of it", ""),
        ("Sherlock, people", "zero-shot", "Sherlock", "people's Sherlock is above the base", ""),
        (VISUALCOMET, "zero-shot", "VisualCOMET", "people's VisualCOMET is above the base", ""),
        ("zero-shot", VISUALCOMET, "Visual7W", "people's VisualCOMET is below the base", old),
        ("LLaVA-Instruct", "zero-shot", "A-OKVQA", "a whole-image corpus is above the base", old),
        (
            "LSKD, 1M",
            "LLaVA-Instruct",
            "Sherlock",
            "the lab's is above a whole-image one",
            WHOLE_IMAGE,
        ),
    )
    claims = tuple(
        Claim(
            f"on {column} {said}",
            difference(cells[first][column], cells[second][column]),
            (paper.value(first, column) or 0.0) - (paper.value(second, column) or 0.0),
            not why,
            why,
        )
        for first, second, column, said, why in pairs
    )
    return Measured(
        paper.columns,
        tuple(lines),
        claims,
        (
            "All students take as many steps, and rehearse the same texts about whole pictures if "
            "the lab's does. Sizes are those of examples; the paper's are 300K of Sherlock and "
            "1.2M of VisualCOMET, both by people, and 150K of LLaVA-Instruct, by GPT-4.",
        ),
    )


def _rehearses(runs: Sequence[Run]) -> bool:
    """Return whether the students of runs also read texts of pre-training again."""
    settings = runs[0].settings["distil"]
    assert isinstance(settings, Distil)
    return bool(settings.rehearsal) and settings.rehearsed > 0


def _gains(
    paper: Reported, student: Cells, base: Cells, texts: ByTexts, rehearses: bool
) -> Iterator[Claim]:
    """Yield what the paper says of the student against the base, column by column."""
    telling = texts.telling()
    for column in paper.columns:
        ours = paper.value(PAPER_STUDENT, column)
        theirs = paper.value(PAPER_BASE, column)
        if column in student and column in base and ours is not None and theirs is not None:
            found = difference(student[column], base[column])
            beside = ", where texts alone tell more than chance," if column in telling else ""
            said = f"on {column}{beside} the student is above the base"
            why = REHEARSED if rehearses and column in REHEARSABLE else ""
            yield Claim(said, found, ours - theirs, not why, why)


def telling(texts: ByTexts) -> str:
    """Return which columns can be answered better than by chance without a picture."""
    each = [
        f"{column} ({earned.value:.1f}, which is {figure(texts.above_chance[column]).value:.1f} "
        "above chance)"
        for column in texts.telling()
        for earned in [figure(texts.earned[column])]
    ]
    how = "A linear model of words, fitted on other images' questions with their labels,"
    if not each:
        return f"{how} is above chance nowhere: no column can be answered without looking."
    return f"{how} is above chance on {', '.join(each)}: a gain there need not come from looking."


def _chart(cells: Mapping[str, Cells], paper: Reported) -> str:
    """Return Figure 4's picture: accuracy by the share of triples that examples are drawn from."""
    curves = []
    for column in paper.columns:
        shown = []
        for row, share in DRAWN_FROM.items():
            one = figure(cells[row][column])
            shown.append(Point(share, one.value, one.low, one.high))
        whole = figure(cells[WHOLE][column])
        flat = tuple(Point(share, whole.value) for share in (25, 100))
        curves += [Curve(column, tuple(shown)), Curve(f"{column}, {WHOLE}", flat, dashed=True)]
    return svg(paper.title, "drawn from the best ... % of triples", "points", curves)
