"""What a step takes: rows by view, and questions about whole pictures that are rehearsed."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
import toys
from test_distil_rehearsal import file_of
from test_generative_rows import PLAIN, canvas

from lskd import marking
from lskd.distil import ledger, rehearsal
from lskd.distil.generative.prompts import Prompts
from lskd.distil.generative.rows import Rows
from lskd.distil.generative.units import Units, longest
from lskd.distil.ledger import Ledger
from lskd.distil.rehearsal import Question
from lskd.distil.wording import Wording
from lskd.errors import UserError
from lskd.types import Example, View
from lskd.writing.pointing import Pointing

PICTURES = 6


def lines(count: int) -> list[object]:
    """Return so many questions, the first half about one picture, the others about another."""
    return [
        {"image": "ab"[2 * n // count] + ".png", "prompt": f"What {n}?", "answer": f"old {n}"}
        for n in range(count)
    ]


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Ledger[Example]:
    folder = tmp_path_factory.mktemp("kept")
    ledger.write(folder / "examples.jsonl", toys.examples(folder / "pictures", PICTURES))
    return Ledger(Example, folder / "examples.jsonl")


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory) -> Ledger[Question]:
    folder = tmp_path_factory.mktemp("old")
    return rehearsal.questions(file_of(folder / "old", *lines(40)), folder)


def units(kept: Ledger[Example], old: Ledger[Question] | None = None, **changes: object) -> Units:
    variety = replace(PLAIN, **changes)  # type: ignore[arg-type]  # names of its fields
    return Units(Rows(kept, variety, Prompts(Wording()), Pointing("clear", canvas)), old)


def test_a_unit_is_an_example_or_where_they_are_packed_all_of_a_picture(
    kept: Ledger[Example],
) -> None:
    alone, packed = units(kept), units(kept, packed=True)
    assert len(alone) == len(kept) == 3 * PICTURES and len(packed) == PICTURES
    assert alone.take(4, 9) == [alone.rows.take(4, 9)]
    for unit in range(len(packed)):
        for seed in range(5):
            rows = packed.take(unit, seed)
            # Two examples by id are asked of one view, that by phrase of the bare picture.
            assert len({row.view for row in rows[:2]}) == 1 and rows[0].view.regions
            assert rows[2].view.regions == () and rows[2].view.image == rows[0].view.image
            assert packed.take(unit, seed) == rows
            for row in rows[:2]:
                drawn = {region.id: region.description for region in row.view.regions}
                (number,) = marking.named(row.said[0].target)
                assert row.said[0].target.split()[-1].rstrip(".") in drawn[number]
    assert len({packed.take(0, seed)[0].view for seed in range(20)}) > 5


def test_packed_rows_have_the_fixed_views_that_are_looked_at_beforehand(
    kept: Ledger[Example], old: Ledger[Question]
) -> None:
    made = units(kept, old, views=2, packed=True, rehearsed=0.5)
    known = set(made.all_views())
    seen = {row.view for n in range(len(made)) for seed in range(20) for row in made.take(n, seed)}
    assert seen == known
    none = set(units(kept, old, views=2, packed=True, rehearsed=0.0).all_views())
    assert known - none == {View(old[0].image, ()), View(old[39].image, ())}
    assert none < known  # what is not rehearsed is not looked at


def test_at_most_so_many_neighbours_are_packed(kept: Ledger[Example]) -> None:
    made = units(kept, packed=True, together=2)
    assert [len(made.take(unit, 0)) for unit in range(len(made))] == [2, 1] * PICTURES


def test_a_control_is_not_shown_what_a_packed_row_names(kept: Ledger[Example]) -> None:
    made = units(kept, packed=True, control="undrawn")
    assert not any(row.view.regions for unit in range(PICTURES) for row in made.take(unit, 1))


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("share", [0.0, 0.25, 0.5])
def test_a_share_of_the_units_is_rehearsed_and_each_other_one_comes_once(
    kept: Ledger[Example], old: Ledger[Question], share: float, packed: bool
) -> None:
    made = units(kept, old, packed=packed, rehearsed=share)
    taken = [made.take(unit, unit) for unit in range(len(made))]
    own = PICTURES if packed else len(kept)
    rehearsed = [rows for rows in taken if rows[0].said[0].target.startswith("old")]
    assert len(taken) - len(rehearsed) == own
    assert len(rehearsed) == round(own * share / (1 - share))


def test_what_is_rehearsed_is_any_question_and_nothing_is_drawn_into_its_picture(
    kept: Ledger[Example], old: Ledger[Question]
) -> None:
    made = units(kept, old, rehearsed=0.5)
    taken = [made.take(len(made) - 1, seed) for seed in range(300)]
    assert all(len(rows) == 1 and rows[0].view.regions == () for rows in taken)
    said = Counter(rows[0].said[0].target for rows in taken)
    assert set(said) == {f"old {n}" for n in range(40)}
    assert {Path(rows[0].view.image.path).name for rows in taken} == {"a.png", "b.png"}
    assert made.take(len(made) - 1, 7) == made.take(len(made) - 1, 7)


def test_packed_questions_are_several_about_one_picture(
    kept: Ledger[Example], old: Ledger[Question]
) -> None:
    made = units(kept, old, rehearsed=0.5, packed=True)
    targets = set()
    for seed in range(60):
        rows = made.take(len(made) - 1, seed)
        assert len(rows) == 8 and len({row.view for row in rows}) == 1
        assert len({row.said[0].target for row in rows}) == 8
        targets |= {row.said[0].target for row in rows}
    assert len(targets) == 40


def test_a_whole_text_is_rehearsed_cut_in_two(kept: Ledger[Example], tmp_path: Path) -> None:
    text = {"image": "a.png", "text": "a cup on the left", "wrong": ["a cup on the right"]}
    asked = {"image": "a.png", "prompt": "What?", "answer": "a cup"}
    old = rehearsal.questions(file_of(tmp_path / "old", text, asked), tmp_path)
    assert (old[0].prompt, old[0].answer) == ("", "a cup on the left")
    assert (old[1].prompt, old[1].answer) == ("What?", "a cup")
    made = units(kept, old, rehearsed=0.5)
    said = {made.take(len(made) - 1, seed)[0].said[0] for seed in range(60)}
    assert {f"{one.prompt} {one.target}" for one in said} == {"a cup on the left", "What? a cup"}
    assert (longest(old[0]).prompt, longest(old[0]).target) == ("a", "cup on the left")
    assert (longest(old[1]).prompt, longest(old[1]).target) == ("What?", "a cup")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ({"image": "a.png", "prompt": "What?"}, "line 2: answer: Field required"),
        ({"image": "a.png", "prompt": " ", "answer": "x"}, "line 2: prompt: String should have"),
        ({"image": "a.png", "prompt": "x", "answer": "y", "text": "z"}, "line 2: prompt: Extra"),
        ({"image": "c.png", "prompt": "x", "answer": "y"}, r"line 2: cannot read .*c\.png"),
        ("What?", "line 2: : Input should be"),
    ],
)
def test_a_wrong_question_is_told_with_its_number(
    tmp_path: Path, line: object, message: str
) -> None:
    file = file_of(tmp_path / "old", *lines(1), line)
    with pytest.raises(UserError, match=message):
        rehearsal.questions(file, tmp_path)
    assert not ledger.exists(tmp_path / rehearsal.FILE)  # nothing half


def test_a_question_is_no_statement(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="line 1: text: Field required"):
        rehearsal.prepared(file_of(tmp_path / "old", *lines(2)), tmp_path)
