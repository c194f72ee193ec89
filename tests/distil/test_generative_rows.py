"""What is given and what is learnt: prompts, random prefixes, views that examples share."""

import random
import re
from dataclasses import replace
from pathlib import Path

import pytest
import toys
from hypothesis import given
from hypothesis import strategies as some

from lskd import marking
from lskd.distil import ledger
from lskd.distil.generative.prompts import Prompts
from lskd.distil.generative.rows import Row, Rows, Said, Variety, cut
from lskd.distil.ledger import Ledger
from lskd.distil.wording import Wording
from lskd.errors import UserError
from lskd.types import Example
from lskd.writing.coordinates import CODECS
from lskd.writing.pointing import Pointing

PLAIN = Variety(
    prefixes=0.0,
    rationales=1.0,
    further=None,
    described="plain",
    views=None,
    together=8,
    seed=3,
)


def canvas(width: int, height: int) -> tuple[int, int]:
    return 32, 32


MARKS = Pointing("clear", canvas)


@pytest.fixture(scope="module")
def examples(tmp_path_factory: pytest.TempPathFactory) -> list[Example]:
    return toys.examples(tmp_path_factory.mktemp("pictures"), 4)


@pytest.fixture(scope="module")
def kept(examples: list[Example], tmp_path_factory: pytest.TempPathFactory) -> Ledger[Example]:
    file = tmp_path_factory.mktemp("kept") / "examples.jsonl"
    ledger.write(file, examples)
    return Ledger(Example, file)


def rows(kept: Ledger[Example], pointing: Pointing = MARKS, **changes: object) -> Rows:
    variety = replace(PLAIN, **changes)  # type: ignore[arg-type]  # names of its fields
    return Rows(kept, variety, Prompts(Wording()), pointing)


def drawn(row: Row) -> set[int]:
    return {region.id for region in row.view.regions}


def test_prompts_are_what_stands_before_the_last_part_of_a_text() -> None:
    prompts = Prompts(Wording())
    assert prompts.answer("Why [0]?") == "question: Why [0]? answer:"
    assert prompts.rationale("Why?", "So.") == "question: Why? answer: So. rationale:"
    assert prompts.after_answer == ("rationale:", "question:")
    assert prompts.after_rationale == ("question:",)
    bare = Prompts(Wording("{question} {answer}", "{question} {answer} {rationale}"))
    assert bare.answer("Why?") == "Why?" and bare.after_answer == bare.after_rationale == ()


@pytest.mark.parametrize(
    "wording",
    [
        Wording(answer="{answer} is what {question} asks"),
        Wording(rationale="{question} since {rationale}: {answer}"),
    ],
)
def test_a_template_that_does_not_end_with_what_is_written_is_refused(wording: Wording) -> None:
    with pytest.raises(UserError, match=r"expected it to end with \{"):
        Prompts(wording)


SINCE = Wording("{question} {answer}", "{question} {answer} because {rationale}")


@pytest.mark.parametrize(
    ("between", "stops"),
    [("because", ()), (".", ()), (":", ()), ("because:", ("because:",)), ("Why?", ("Why?",))],
)
def test_words_that_an_answer_may_have_itself_end_none(between: str, stops: tuple[str]) -> None:
    wording = replace(SINCE, rationale=f"{{question}} {{answer}} {between} {{rationale}}")
    assert Prompts(wording).after_answer == stops


def test_a_student_of_whole_texts_is_stopped_at_whatever_joins_their_parts() -> None:
    assert Prompts(SINCE, whole=True).after_answer == ("because",)
    asks = Wording("Ask {question} {answer}", "Ask {question} {answer} because {rationale}")
    assert Prompts(asks, whole=True).after_answer == ("because", "Ask")
    assert Prompts(asks, whole=True).after_rationale == ("Ask",)
    assert Prompts(asks).after_rationale == ()


def test_a_row_asks_for_the_answer_and_then_for_the_rationale(kept: Ledger[Example]) -> None:
    for number in range(len(kept)):
        row, example = rows(kept).take(number, seed=number), kept[number]
        answer, rationale = row.said
        assert answer.prompt.startswith("question: ") and answer.prompt.endswith(" answer:")
        assert rationale.prompt == f"{answer.prompt} {answer.target} rationale:"
        if example.style == "id":
            named = {n for one in row.said for n in marking.named(one.prompt + one.target)}
            assert named and named <= drawn(row)
            colour = {region.id: region.description for region in row.view.regions}
            (number_said,) = marking.named(answer.target)
            assert answer.target.split()[-1].rstrip(".") in colour[number_said]
        else:
            assert not row.view.regions and answer.target == example.answer


def test_rationales_are_said_in_their_share_and_never_where_there_is_none(
    kept: Ledger[Example], tmp_path: Path
) -> None:
    lengths = {len(rows(kept, rationales=0.5).take(0, seed).said) for seed in range(20)}
    assert lengths == {1, 2}
    ledger.write(tmp_path / "bare.jsonl", [replace(kept[0], rationale=" ")])
    bare = rows(Ledger(Example, tmp_path / "bare.jsonl"))
    assert len(bare.take(0, 0).said) == 1


def test_a_row_is_a_function_of_its_number_and_the_seed(kept: Ledger[Example]) -> None:
    one, other = rows(kept, prefixes=0.5), rows(kept, prefixes=0.5)
    assert [one.take(0, seed) for seed in range(9)] == [other.take(0, seed) for seed in range(9)]
    assert len({one.take(0, seed) for seed in range(9)}) > 4


def test_neighbours_of_one_image_share_fixed_views_that_draw_what_all_of_them_name(
    kept: Ledger[Example],
) -> None:
    made = rows(kept, views=2, further=0)
    for first in range(0, len(kept), 3):  # two examples by id, and one by phrase
        both = [list(made.fixed_views(row)) for row in (first, first + 1)]
        assert both[0] == both[1] and len(both[0]) == 2
        for view in both[0]:
            assert {region.description for region in view.regions} >= {
                f"a {kept[row].answer.split()[-1].rstrip('.')} square" for row in (first, first + 1)
            }
        assert [view.regions for view in made.fixed_views(first + 2)] == [(), ()]
        seen = {made.take(first, seed).view for seed in range(20)}
        assert seen == set(both[0])
    alone = rows(kept, views=1, further=0, together=1)
    assert all(len(next(alone.fixed_views(row)).regions) == 1 for row in (0, 1))


def test_what_is_told_by_coordinates_is_not_drawn(kept: Ledger[Example]) -> None:
    told = Pointing("clear", canvas, CODECS["thousand"])
    for views in (None, 1):
        by_marks = rows(kept, views=views).take(0, 5)
        by_words = rows(kept, told, views=views).take(0, 5)
        assert by_words.view.regions == () != by_marks.view.regions
        for marks, words in zip(by_marks.said, by_words.said, strict=True):
            places, _, rest = words.prompt.partition(". question:")
            assert f"question:{rest}" == marks.prompt and words.target == marks.target
            assert [f"[{one.id}] is at" in places for one in by_marks.view.regions] == [True] * len(
                by_marks.view.regions
            )
    by_phrase = rows(kept, told).take(2, 5)
    assert by_phrase.said[0].prompt.startswith("question:")


@pytest.mark.parametrize("control", ["undrawn", "shuffled"])
def test_a_control_is_not_shown_what_is_named(kept: Ledger[Example], control: str) -> None:
    views = [rows(kept, control=control).take(0, seed) for seed in range(12)]
    if control == "undrawn":
        assert not any(row.view.regions for row in views)
        return
    wrong = 0
    for row in views:
        names = {region.id: region.description for region in row.view.regions}
        target = row.said[0].target
        wrong += target.split()[-1].rstrip(".") not in names[marking.named(target)[0]]
    assert wrong > 2


words = some.sampled_from(["why", "is", "[0]", "[0, 2]", "[1] and", "[the red cup]", "so", "a"])
STRAY = some.sampled_from(["]", "[", "a]", "][0,", "2]", "[]"])


@given(
    text=some.lists(words | STRAY, min_size=1, max_size=30).map(" ".join), seed=some.integers(0, 99)
)
def test_a_random_prefix_cuts_no_tag_whatever_brackets_stand_beside_it(
    text: str, seed: int
) -> None:
    said = cut(text, random.Random(seed))
    tags = re.compile(r"\[[^\[\]]*\]")
    assert tags.findall(said.prompt) + tags.findall(said.target) == tags.findall(text)


@given(text=some.lists(words, min_size=1, max_size=30).map(" ".join), seed=some.integers(0, 99))
def test_a_random_prefix_is_at_most_half_and_cuts_no_tag(text: str, seed: int) -> None:
    said = cut(text, random.Random(seed))
    assert f"{said.prompt} {said.target}".strip() == " ".join(text.split())
    assert said.target
    count = said.prompt.count
    assert count("[") == count("]")
    plain = [one for one in text.split() if not one.startswith("[") and not one.endswith("]")]
    if len(plain) == len(text.split()):
        assert len(said.prompt.split()) <= max(1, len(plain) // 2)


def test_every_place_of_a_random_prefix_is_drawn() -> None:
    text = "question: a b answer: c d"
    places = {len(cut(text, random.Random(seed)).prompt.split()) for seed in range(50)}
    assert places == {1, 2, 3}
    assert cut("alone", random.Random(0)) == Said("", "alone")


def test_rows_of_random_prefixes_hold_the_whole_text(kept: Ledger[Example]) -> None:
    made = rows(kept, prefixes=1.0)
    for number in range(len(kept)):
        (said,) = made.take(number, 1).said
        whole = f"{said.prompt} {said.target}"
        assert whole.startswith("question: ") and " answer: " in whole and " rationale: " in whole
