"""Judgments become Figure 3: mean ratings of triples with and without filtering (section 2.3).

In: `Judgment` rows of triples drawn at random from all, and the ids of those that filtering keeps,
or the tables of a run that tell which those are, and from which of them its critic learnt.
Out: a `Question` for each of the two criteria, a table in Markdown and a chart in SVG.

A rating is from 1 to 3. A rejected question and answer rejects the rationale, so a rationale that
was not asked for counts as 1. Each triple counts once, by the mean of its annotators. Triples of
one image rise and fall together, so intervals come from whole images drawn again.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from html import escape
from pathlib import Path
from statistics import fmean
from typing import Literal

import numpy as np

from lskd import table
from lskd.bootstrap import Bootstrap
from lskd.human.agreement import (
    USUAL,
    Given,
    Interval,
    Table,
    alpha_with_interval,
    arranged,
    said,
    with_interval,
)
from lskd.human.once import once
from lskd.human.work import HIGHEST, LOWEST
from lskd.markdown import grid
from lskd.table import Tables
from lskd.types import Example, Judgment, Reject, Sample

Criterion = Literal["qa", "rationale"]
CRITERIA: tuple[Criterion, ...] = ("qa", "rationale")
TITLES = {"qa": "QA", "rationale": "QA → R"}
WIDTH, HEIGHT = 460, 320
LEFT, RIGHT, TOP, BOTTOM = 48, 16, 84, 40
BAR, GAP = 64, 12
INK, SOFT, GRID, PAPER = "#1f2328", "#626972", "#e3e1da", "#ffffff"
PALE, STRONG = "#b9cfe0", "#2f6690"  # without filtering, with it: as in the report


@dataclass(frozen=True, slots=True)
class Question:
    """How triples are rated by one criterion, from 1 to 3; units of the intervals are images.

    `without` is the mean of all judged triples, `kept` of those that filtering keeps, `gain` the
    latter less the former from the same drawings; the units of both are the images that have a kept
    triple, and below two of them there is no interval. `agreement` is Krippendorff's ordinal alpha,
    its units the triples.
    """

    criterion: Criterion
    without: Interval
    kept: Interval
    gain: Interval
    agreement: Interval


@dataclass(frozen=True, slots=True)
class Likert:
    """Figure 3, with how many triples and judgments it rests on; rejects contradict themselves.

    `left_out` are judged triples that are not counted, since the critic learnt from their images.
    """

    questions: tuple[Question, ...]
    triples: int
    kept: int
    judgments: int
    how: Bootstrap
    rejects: tuple[Reject, ...]
    left_out: int = 0


def of_run(judgments: Iterable[Judgment], tables: Tables, how: Bootstrap = USUAL) -> Likert:
    """Return Figure 3 of a run, from judged triples of images that its critic did not learn from.

    A critic that is asked about what it learnt knows the answer. It learns from all that was judged
    but for the images that the sample holds back to evaluate it.
    """
    drawn = (row for shard in tables.shards(Sample) for row in tables.read(Sample, shard))
    apart = {row.image_id for row in drawn if row.purpose == "evaluate"}
    kept = {row.id for shard in tables.shards(Example) for row in tables.read(Example, shard)}
    counted: list[Judgment] = []
    others: set[str] = set()
    for one in judgments:
        if one.image_id in apart:
            counted.append(one)
        else:
            others.add(one.triple_id)
    return replace(likert(counted, kept, how), left_out=len(others))


def likert(judgments: Iterable[Judgment], kept: Collection[str], how: Bootstrap = USUAL) -> Likert:
    """Return the mean ratings of all judged triples, and of those whose id is in `kept`.

    Equal judgments of one person count once; where one person says two things of a triple, neither
    counts and both are rejects.
    """
    given, rejects = once(judgments, lambda one: one.triple_id, lambda one: (one.qa, one.rationale))
    among = frozenset(kept)
    judged = {one.triple_id for one in given}
    return Likert(
        questions=tuple(_question(given, among, criterion, how) for criterion in CRITERIA),
        triples=len(judged),
        kept=len(judged & among),
        judgments=len(given),
        how=how,
        rejects=tuple(rejects),
    )


def markdown(found: Likert) -> str:
    """Return Figure 3 as a table in Markdown, with its intervals and what it rests on."""
    head = ["rating", "without filtering", "with filtering", "gain", "agreement"]
    rows = [
        [
            TITLES[one.criterion],
            said(one.without),
            said(one.kept),
            said(one.gain, signed=True),
            said(one.agreement),
        ]
        for one in found.questions
    ]
    notes = [
        f"{found.judgments} judgments of {found.triples} triples; filtering keeps {found.kept}, of "
        f"{found.questions[0].kept.units} images.",
        f"Mean ratings from 1 (reject) to 3 (accept), with {100 * found.how.confidence:g} % "
        "intervals from whole images drawn again; the rationale of a rejected QA counts as 1.",
        "Agreement: Krippendorff's ordinal alpha.",
    ]
    if found.left_out:
        notes.append(
            f"{found.left_out} judged triples are left out: the critic learnt from their images."
        )
    if found.rejects:
        notes.append(f"{len(found.rejects)} judgments contradict others of their annotator.")
    return (
        "\n\n".join(["# Human ratings", grid(head, rows), "\n".join(f"- {n}" for n in notes)])
        + "\n"
    )


def svg(found: Likert) -> str:
    """Return Figure 3 as a picture, its numbers in words for those who cannot see it."""
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        'font-family="system-ui, sans-serif" font-size="12">',
        f"<title>Human ratings</title><desc>{escape(_said(found))}</desc>",
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="{PAPER}"/>',
        f'<text x="{LEFT}" y="24" font-size="15" fill="{INK}">Human ratings</text>',
        *_legend(found),
        *_axes(found.questions),
        *(part for place, one in enumerate(found.questions) for part in _bars(place, one)),
        f'<path d="M{LEFT} {_y(LOWEST):.1f}H{WIDTH - RIGHT}" stroke="{SOFT}"/>',
        "</svg>\n",
    ]
    return "\n".join(parts)


def write(found: Likert, figure: Path, text: Path) -> None:
    """Write the chart and the table, each whole or not at all. Raises UserError if it cannot."""
    for file, content in ((figure, svg(found)), (text, markdown(found))):
        with table.draft(file) as unfinished:
            unfinished.write_text(content, encoding="utf-8")


def _question(
    given: Sequence[Judgment], kept: frozenset[str], criterion: Criterion, how: Bootstrap
) -> Question:
    ratings: dict[str, list[int]] = {}
    image_of: dict[str, str] = {}
    for one in given:
        ratings.setdefault(one.triple_id, []).append(_rating(one, criterion))
        image_of[one.triple_id] = one.image_id
    places = {name: place for place, name in enumerate(dict.fromkeys(image_of.values()))}
    sums = np.zeros((len(places), 4))  # of all ratings and their number, then of the kept ones'
    for triple_id, some in ratings.items():
        mean = fmean(some)
        part = (mean, 1.0) if triple_id in kept else (0.0, 0.0)
        sums[places[image_of[triple_id]]] += (mean, 1.0, *part)
    some_kept = int((sums[:, 3] > 0).sum())
    units = arranged(Given(r.triple_id, r.annotator, _rating(r, criterion)) for r in given)
    return Question(
        criterion,
        without=with_interval(_without, sums, how),
        kept=_of(some_kept, with_interval(_kept, sums, how)),
        gain=_of(some_kept, with_interval(_gain, sums, how)),
        agreement=alpha_with_interval(units, "ordinal", how),
    )


def _of(images: int, found: Interval) -> Interval:
    """Return an interval that so many images have a say in; without ends where they are not two."""
    ends = (found.low, found.high) if images > 1 else (None, None)
    return Interval(found.value, *ends, images, found.undefined)


def _rating(one: Judgment, criterion: Criterion) -> int:
    if criterion == "qa":
        return one.qa
    return LOWEST if one.rationale is None else one.rationale


def _without(sums: Table) -> float | None:
    return float(sums[:, 0].sum() / sums[:, 1].sum()) if len(sums) else None


def _kept(sums: Table) -> float | None:
    number = sums[:, 3].sum()
    return float(sums[:, 2].sum() / number) if number else None


def _gain(sums: Table) -> float | None:
    every, some = _without(sums), _kept(sums)
    return None if every is None or some is None else some - every


def _y(rating: float) -> float:
    return HEIGHT - BOTTOM - (rating - LOWEST) / (HIGHEST - LOWEST) * (HEIGHT - TOP - BOTTOM)


def _legend(found: Likert) -> list[str]:
    names = (f"without filtering ({found.triples:,} triples)", f"with ({found.kept:,})")
    parts = []
    for x, colour, name in zip((LEFT, LEFT + 220), (PALE, STRONG), names, strict=True):
        parts.append(f'<rect x="{x}" y="36" width="11" height="11" fill="{colour}"/>')
        parts.append(f'<text x="{x + 17}" y="46" fill="{SOFT}">{escape(name)}</text>')
    return parts


def _axes(questions: Sequence[Question]) -> list[str]:
    parts = []
    for rating in (1, 1.5, 2, 2.5, 3):
        y = _y(rating)
        parts.append(f'<path d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}" stroke="{GRID}"/>')
        parts.append(
            f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end" fill="{SOFT}">'
            f"{rating:g}</text>"
        )
    for place, one in enumerate(questions):
        parts.append(
            f'<text x="{_middle(place):.1f}" y="{HEIGHT - BOTTOM + 20}" text-anchor="middle" '
            f'fill="{INK}">{TITLES[one.criterion]}</text>'
        )
    return parts


def _middle(place: int) -> float:
    return LEFT + (WIDTH - LEFT - RIGHT) * (place + 0.5) / len(CRITERIA)


def _bars(place: int, one: Question) -> list[str]:
    """Return the two bars of a criterion, with their intervals as whiskers."""
    parts = []
    start = _middle(place) - BAR - GAP / 2
    for x, colour, found in (
        (start, PALE, one.without),
        (start + BAR + GAP, STRONG, one.kept),
    ):
        if found.value is None:
            continue
        top, middle = _y(found.value), x + BAR / 2
        high = top if found.high is None else _y(found.high)
        parts.append(
            f'<rect x="{x:.1f}" y="{top:.1f}" width="{BAR}" height="{_y(LOWEST) - top:.1f}" '
            f'fill="{colour}"><title>{said(found)}</title></rect>'
        )
        if found.low is not None:
            low = _y(found.low)
            parts.append(
                f'<path d="M{middle:.1f} {low:.1f}V{high:.1f}M{middle - 5:.1f} {low:.1f}h10'
                f'M{middle - 5:.1f} {high:.1f}h10" stroke="{INK}" fill="none"/>'
            )
        parts.append(
            f'<text x="{middle:.1f}" y="{high - 6:.1f}" text-anchor="middle" '
            f'fill="{INK}">{found.value:.2f}</text>'
        )
    return parts


def _said(found: Likert) -> str:
    """Return the picture in words."""
    return " ".join(
        f"{TITLES[one.criterion]}: {said(one.without)} without filtering, {said(one.kept)} with it."
        for one in found.questions
    )
