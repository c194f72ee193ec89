"""Table 5 from comparisons whose outcome is known."""

import math
import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest  # type: ignore[import-untyped]

from lskd.bootstrap import Bootstrap
from lskd.human.agreement import Interval
from lskd.human.preference import (
    ASPECTS,
    Row,
    Rule,
    majority,
    markdown,
    preferences,
    sign_test,
    write,
)
from lskd.types import Comparison, Preference

FEW = Bootstrap(resamples=200)
VOTES = st.lists(st.sampled_from(["first", "second", "tie"]))


def said(
    question: str,
    annotator: str,
    overall: Preference,
    image: str | None = None,
    pair: tuple[str, str] = ("teacher", "student"),
) -> Comparison:
    return Comparison(
        question, image or f"i-{question}", annotator, *pair, "tie", "second", "first", overall
    )


def voted(question: str, *votes: Preference) -> list[Comparison]:
    return [said(question, f"judge{place}", vote) for place, vote in enumerate(votes)]


def overall(
    comparisons: list[Comparison],
    rule: Rule = "leave out",
    how: Bootstrap = FEW,
    wanted: int | None = None,
) -> Row:
    return preferences(comparisons, rule, how, wanted).rows[ASPECTS.index("overall")]


# Two for the teacher, one for the student, one tie, one without majority.
FIVE = [
    *voted("a", "first", "first", "second"),
    *voted("b", "first", "first", "first"),
    *voted("c", "second", "tie", "second"),
    *voted("d", "tie", "tie", "first"),
    *voted("e", "first", "tie", "second"),
]


def test_an_items_majority_counts_and_one_without_is_left_out_as_in_the_paper() -> None:
    row = overall(FIVE)
    assert (row.first, row.second, row.items, row.undecided) == ("teacher", "student", 4, 1)
    shares = (row.first_wins.value, row.second_wins.value, row.ties.value)
    assert shares == (0.5, 0.25, 0.25)
    assert (row.votes, row.judges) == (15, 3)
    assert row.p == sign_test(2, 1)


def test_by_the_other_rule_an_item_without_majority_is_a_tie() -> None:
    row = overall(FIVE, "tie")
    assert (row.items, row.undecided) == (5, 1)
    assert (row.first_wins.value, row.second_wins.value, row.ties.value) == (0.4, 0.2, 0.4)


@pytest.mark.parametrize("rule", ["leave out", "tie"])
def test_an_item_is_not_decided_before_all_of_its_judges_have_judged_it(rule: Rule) -> None:
    early = [*voted("f", "second"), *voted("g", "first", "tie"), *voted("h", "second", "second")]
    row = overall([*FIVE, *early], rule, wanted=3)
    assert row.unfinished == 3
    assert row.votes == 15 + 5
    before = overall(FIVE, rule, wanted=3)
    assert before.unfinished == 0
    assert (row.items, row.undecided) == (before.items, before.undecided)
    assert row.first_wins == before.first_wins and row.p == before.p
    nobody = overall(early, rule, wanted=3)
    assert (nobody.items, nobody.undecided, nobody.unfinished) == (0, 0, 3)
    assert nobody.first_wins.value is None


def test_of_rows_alone_as_many_judge_an_item_as_judge_most_items() -> None:
    row = overall([*FIVE, *voted("f", "second"), *voted("g", "first", "first")])
    assert (row.wanted, row.items, row.undecided, row.unfinished) == (3, 4, 1, 2)
    alone = overall([*voted("f", "second"), *voted("g", "first")])
    assert (alone.wanted, alone.items, alone.unfinished) == (1, 2, 0)
    more = overall([*voted("f", "first"), *voted("g", "first", "first"), *voted("h", "tie", "tie")])
    assert (more.wanted, more.items, more.unfinished) == (2, 2, 1)
    even = overall([*voted("f", "first"), *voted("g", "first", "first")])
    assert (even.wanted, even.unfinished) == (2, 1)


def test_more_judges_than_were_wanted_decide_together() -> None:
    row = overall(voted("f", "first", "first", "second", "second"), wanted=3)
    assert (row.items, row.undecided, row.unfinished) == (0, 1, 0)


@given(VOTES)
def test_a_majority_is_more_than_half(votes: list[Preference]) -> None:
    found = majority(votes)
    most = max((votes.count(vote) for vote in votes), default=0)
    assert (found is not None) == (2 * most > len(votes))
    assert found is None or votes.count(found) == most


@given(st.lists(VOTES.filter(bool), min_size=1, max_size=8), st.sampled_from(["leave out", "tie"]))
def test_shares_add_up_and_lie_in_their_intervals(
    votes: list[list[Preference]], rule: Rule
) -> None:
    given = [one for place, some in enumerate(votes) for one in voted(f"q{place}", *some)]
    row = overall(given, rule, Bootstrap(20), wanted=1)
    assert row.items + (row.undecided if rule == "leave out" else 0) == len(votes)
    shares = [row.first_wins, row.second_wins, row.ties]
    if not row.items:
        assert all(one.value is one.low is None for one in shares)
        return
    assert sum(one.value or 0 for one in shares) == pytest.approx(1)
    for one in shares:
        if one.low is not None and one.high is not None and one.value is not None:
            assert 0 <= one.low <= one.value <= one.high <= 1


def test_aspects_are_judged_apart() -> None:
    rows = preferences(FIVE, how=FEW).rows
    assert [row.aspect for row in rows] == list(ASPECTS)
    correct, informative, plausible, _ = rows
    assert (correct.ties.value, informative.second_wins.value, plausible.first_wins.value) == (
        *(1, 1, 1),
    )
    assert correct.p is None
    assert plausible.p == pytest.approx(2 / 32)
    assert plausible.agreement.value is None  # nobody ever says anything else


def test_a_pair_named_the_other_way_round_is_turned() -> None:
    turned = [said("f", f"judge{n}", "second", pair=("student", "teacher")) for n in range(3)]
    rows = preferences([*FIVE, *turned], how=FEW).rows
    assert len(rows) == len(ASPECTS)
    assert rows[-1].first_wins.value == pytest.approx(3 / 5)
    assert rows[1].first_wins.value == pytest.approx(1 / 6)


def test_each_pair_of_systems_has_its_own_rows() -> None:
    other = [said("a", "judge0", "second", pair=("teacher", "gpt"))]
    rows = preferences([*FIVE, *other], how=FEW).rows
    assert [(row.first, row.second) for row in rows[::4]] == [
        ("teacher", "student"),
        ("teacher", "gpt"),
    ]


def test_who_says_two_things_is_not_counted_and_who_repeats_counts_once() -> None:
    doubtful = [said("a", "judge9", "first"), said("a", "judge9", "second")]
    found = preferences([*FIVE, FIVE[0], *doubtful], how=FEW)
    assert found.rows == preferences(FIVE, how=FEW).rows
    assert [(one.source, one.reason) for one in found.rejects] == [
        ("a", "judge9 contradicts it")
    ] * 2
    nobody = preferences(doubtful, how=FEW).rows[0]
    assert (nobody.items, nobody.votes, nobody.p) == (0, 0, None)
    assert nobody.first_wins == nobody.agreement == Interval(None, None, None, 0)


def test_whole_images_are_drawn_again() -> None:
    coin = random.Random(3)
    outcomes: list[Preference] = [coin.choice(["first", "second"]) for _ in range(40)]
    alone = [said(f"q{n}", "ann", vote, f"i{n}") for n, vote in enumerate(outcomes)]
    often = [
        said(f"q{n}-{copy}", "ann", vote, f"i{n}")
        for n, vote in enumerate(outcomes)
        for copy in range(10)
    ]
    assert overall(often).first_wins == overall(alone).first_wins
    assert overall(alone).first_wins.units == 40


def test_a_share_of_many_items_has_the_interval_of_the_binomial_law() -> None:
    given = [said(f"q{n}", "ann", "first" if n % 4 else "second") for n in range(800)]
    row = preferences(given).rows[-1]
    reach = 1.96 * math.sqrt(0.75 * 0.25 / 800)
    assert row.first_wins.low == pytest.approx(0.75 - reach, abs=0.006)
    assert row.first_wins.high == pytest.approx(0.75 + reach, abs=0.006)


@given(st.integers(0, 80), st.integers(0, 80))
def test_the_sign_test_is_the_binomial_test_of_scipy(wins: int, losses: int) -> None:
    expected = binomtest(wins, wins + losses).pvalue if wins + losses else None
    found = sign_test(wins, losses)
    assert found == (None if expected is None else pytest.approx(expected, abs=1e-12))


def test_agreement_takes_a_tie_to_lie_between() -> None:
    near = overall(
        [*voted("a", "first", "tie"), *voted("b", "second", "tie"), *voted("c", "first", "first")]
    )
    far = overall(
        [
            *voted("a", "first", "second"),
            *voted("b", "second", "first"),
            *voted("c", "first", "first"),
        ]
    )
    assert near.agreement.value is not None and far.agreement.value is not None
    assert near.agreement.value > far.agreement.value


def test_the_table_says_shares_rule_and_agreement(tmp_path: Path) -> None:
    found = preferences(FIVE, how=FEW)
    write(found, tmp_path / "table5.md")
    text = (tmp_path / "table5.md").read_text(encoding="utf-8")
    assert text == markdown(found)
    assert "|  | correctness | informativeness | plausibility | overall |" in text
    lines = {line.split("|")[1].strip(): line for line in text.splitlines() if "|" in line}
    assert lines["teacher"].endswith(
        f" 50.0 [{100 * (found.rows[3].first_wins.low or 0):.1f}, "
        f"{100 * (found.rows[3].first_wins.high or 0):.1f}] |"
    )
    assert lines["not yet judged by all (3)"].endswith("| 0 | 0 | 0 | 0 |")
    assert lines["p"] == "| p | – | 0.062 | 0.062 | 1.000 |"
    assert "an item without one is left out" in text
    assert "An item counts once all of its judges have judged it;" in text
    assert "an item without one counts as a tie" in markdown(preferences(FIVE, "tie", FEW))
    assert "90 % intervals" in markdown(preferences(FIVE, how=Bootstrap(50, 0, 0.9)))


def test_names_cannot_break_the_table_and_nothing_is_said_to_be_nothing() -> None:
    odd = [said("a", "ann", "first", pair=("a|b\nc", "d"))]
    assert "| a/b c |" in markdown(preferences(odd, how=FEW))
    assert "There are no comparisons." in markdown(preferences([]))
