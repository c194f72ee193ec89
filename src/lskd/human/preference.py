"""Comparisons become Table 5: how often people prefer each of two systems, by aspect (section 3.4).

In: `Comparison` rows. Out: a `Row` for each pair of systems and aspect, and a table in Markdown.

An item's judges decide by strict majority: more than half of them say the same, a tie being one of
the three things to say. Where they do not, the paper disregards the item ("leave out"); with the
rule "tie" it counts as a tie. What not all of its judges have judged yet is left out by both rules:
the first would decide alone, and two who differ would be undecided before the third speaks. Items
about one image rise and fall together, so intervals come from whole images drawn again.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from lskd import signtest, table
from lskd.bootstrap import Bootstrap
from lskd.human.agreement import (
    NOTHING,
    USUAL,
    Given,
    Interval,
    Measure,
    Table,
    alpha_with_interval,
    arranged,
    said,
    with_interval,
)
from lskd.human.once import once
from lskd.human.work import PREFERENCES
from lskd.markdown import grid
from lskd.types import Comparison, Preference, Reject

Aspect = Literal["correctness", "informativeness", "plausibility", "overall"]
Rule = Literal["leave out", "tie"]
ASPECTS: tuple[Aspect, ...] = ("correctness", "informativeness", "plausibility", "overall")
RANKS = {"first": -1.0, "tie": 0.0, "second": 1.0}  # a tie lies between
TURNED: dict[Preference, Preference] = {"first": "second", "second": "first", "tie": "tie"}


@dataclass(frozen=True, slots=True)
class Row:
    """What people prefer of two systems in one aspect.

    Shares in [0, 1] are of `items`, the decided ones; their intervals' units are images.
    `undecided` items have no majority: left out, or among the ties, by the rule. `wanted` people
    judge an item; `unfinished` items have fewer, though one at least, and are left out. `p` is the
    sign test's, None where nobody prefers either; it takes items as independent. `agreement` is
    Krippendorff's ordinal alpha, a tie lying between, its units the items; it and `votes` are of
    unfinished items too.
    """

    first: str
    second: str
    aspect: Aspect
    first_wins: Interval
    second_wins: Interval
    ties: Interval
    items: int
    undecided: int
    unfinished: int
    wanted: int
    votes: int
    judges: int
    p: float | None
    agreement: Interval


@dataclass(frozen=True, slots=True)
class Preferences:
    """Table 5: rows by pair of systems, then aspect; and comparisons that contradict themselves."""

    rows: tuple[Row, ...]
    rule: Rule
    how: Bootstrap
    rejects: tuple[Reject, ...]


def preferences(
    comparisons: Iterable[Comparison],
    rule: Rule = "leave out",
    how: Bootstrap = USUAL,
    wanted: int | None = None,
) -> Preferences:
    """Return what people prefer, for each pair of systems in the order in which they are met.

    `wanted` people judge each item; None where rows are all that is known, which takes as many as
    most items of a pair have. Rows that name a pair the other way round are turned. Equal rows of
    one person count once; where one person says two things of an item, neither counts and both are
    rejects.
    """
    pairs: dict[tuple[str, str], list[Comparison]] = {}
    for one in comparisons:
        pair, turned = (one.first, one.second), (one.second, one.first)
        if turned in pairs and pair not in pairs:
            pairs[turned].append(_turned(one))
        else:
            pairs.setdefault(pair, []).append(one)
    rows: list[Row] = []
    rejects: list[Reject] = []
    for given in pairs.values():
        kept, doubtful = once(given, lambda one: one.question_id, _verdict)
        rejects += doubtful
        enough = _usual(kept) if wanted is None else wanted
        rows += [_row(kept, given[0], aspect, rule, how, enough) for aspect in ASPECTS]
    return Preferences(tuple(rows), rule, how, tuple(rejects))


def majority(votes: Sequence[Preference]) -> Preference | None:
    """Return what more than half of an item's judges say; None where there is no such thing."""
    most, number = Counter(votes).most_common(1)[0] if votes else ("tie", 0)
    return most if 2 * number > len(votes) else None


def sign_test(wins: int, losses: int) -> float | None:
    """Return the exact two-sided p of wins and losses by a fair coin; None without any."""
    return signtest.two_sided(wins, losses) if wins or losses else None


def markdown(found: Preferences) -> str:
    """Return Table 5 as Markdown, shares in percent with their intervals; it says its rule."""
    parts = ["# Human preference"]
    pairs = dict.fromkeys((row.first, row.second) for row in found.rows)
    for first, second in pairs:
        rows = [row for row in found.rows if (row.first, row.second) == (first, second)]
        parts.append(_grid(rows))
    if not found.rows:
        parts.append("There are no comparisons.")
    lost = "is left out" if found.rule == "leave out" else "counts as a tie"
    notes = [
        f"In percent of items, with {100 * found.how.confidence:g} % intervals from whole images "
        "drawn again.",
        "An item counts once all of its judges have judged it; they decide by strict majority, and "
        f"an item without one {lost}.",
        "p: exact two-sided sign test of wins against losses, ties apart.",
        "Agreement: Krippendorff's ordinal alpha, a tie lying between the systems.",
    ]
    if found.rejects:
        notes.append(f"{len(found.rejects)} comparisons contradict others of their annotator.")
    parts.append("\n".join(f"- {note}" for note in notes))
    return "\n\n".join(parts) + "\n"


def write(found: Preferences, file: Path) -> None:
    """Write Table 5 as Markdown, whole or not at all. Raises UserError if it cannot be written."""
    with table.draft(file) as unfinished:
        unfinished.write_text(markdown(found), encoding="utf-8")


def _usual(given: Sequence[Comparison]) -> int:
    """Return how many people judged most items; the larger number of two that are as frequent."""
    often = Counter(Counter(one.question_id for one in given).values())
    return max(often, key=lambda votes: (often[votes], votes), default=1)


def _row(
    given: Sequence[Comparison],
    pair: Comparison,
    aspect: Aspect,
    rule: Rule,
    how: Bootstrap,
    wanted: int,
) -> Row:
    votes: dict[str, list[Preference]] = {}
    image_of: dict[str, str] = {}
    for one in given:
        votes.setdefault(one.question_id, []).append(getattr(one, aspect))
        image_of[one.question_id] = one.image_id
    decided = {item: majority(some) for item, some in votes.items() if len(some) >= wanted}
    undecided = sum(verdict is None for verdict in decided.values())
    counted = {
        item: verdict or "tie"
        for item, verdict in decided.items()
        if verdict is not None or rule == "tie"
    }
    tally = Counter(counted.values())
    images = _by_image(counted, image_of)
    first, second, tie = (with_interval(_share(n), images, how) for n in range(len(PREFERENCES)))
    ranks = [Given(one.question_id, one.annotator, RANKS[getattr(one, aspect)]) for one in given]
    return Row(
        first=pair.first,
        second=pair.second,
        aspect=aspect,
        first_wins=first,
        second_wins=second,
        ties=tie,
        items=len(counted),
        undecided=undecided,
        unfinished=len(votes) - len(decided),
        wanted=wanted,
        votes=len(given),
        judges=len({one.annotator for one in given}),
        p=sign_test(tally["first"], tally["second"]),
        agreement=alpha_with_interval(arranged(ranks), "ordinal", how),
    )


def _by_image(counted: dict[str, Preference], image_of: dict[str, str]) -> Table:
    """Return how many items of each image have each outcome, (images, outcomes)."""
    places = {name: place for place, name in enumerate(dict.fromkeys(map(image_of.get, counted)))}
    counts = np.zeros((len(places), len(PREFERENCES)))
    for item, verdict in counted.items():
        counts[places[image_of[item]], PREFERENCES.index(verdict)] += 1
    return counts


def _share(outcome: int) -> Measure:
    def measure(counts: Table) -> float | None:
        return float(counts[:, outcome].sum() / counts.sum()) if len(counts) else None

    return measure


def _verdict(one: Comparison) -> tuple[Preference, ...]:
    return one.correctness, one.informativeness, one.plausibility, one.overall


def _turned(one: Comparison) -> Comparison:
    return replace(
        one,
        first=one.second,
        second=one.first,
        correctness=TURNED[one.correctness],
        informativeness=TURNED[one.informativeness],
        plausibility=TURNED[one.plausibility],
        overall=TURNED[one.overall],
    )


def _grid(rows: Sequence[Row]) -> str:
    """Return the table of one pair: systems below each other, aspects side by side."""
    lines: tuple[tuple[str, Callable[[Row], str]], ...] = (
        (rows[0].first, lambda row: said(row.first_wins, 1, 100)),
        (rows[0].second, lambda row: said(row.second_wins, 1, 100)),
        ("tie", lambda row: said(row.ties, 1, 100)),
        ("p", lambda row: _probability(row.p)),
        ("agreement", lambda row: said(row.agreement)),
        ("items", lambda row: f"{row.items}"),
        ("without majority", lambda row: f"{row.undecided}"),
        (f"not yet judged by all ({rows[0].wanted})", lambda row: f"{row.unfinished}"),
    )
    head = ["", *(row.aspect for row in rows)]
    body = [[" ".join(name.split()), *(tell(row) for row in rows)] for name, tell in lines]
    body.append(["judgments by people", *(f"{row.votes} by {row.judges}" for row in rows)])
    return grid(head, body)


def _probability(p: float | None) -> str:
    return NOTHING if p is None else "<0.001" if p < 0.001 else f"{p:.3f}"
