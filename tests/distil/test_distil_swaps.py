"""Swaps that a critic looks at before training."""

from dataclasses import replace
from pathlib import Path

import pytest
import toys
from critics import ColourBlind, Pedant

from lskd import marking
from lskd.distil import ledger
from lskd.distil.ledger import Ledger
from lskd.distil.swaps import Look, SwapsOf, candidates, judged
from lskd.types import Example

LOOK = Look(candidates=6, threshold=0.5, seed=1)


def corpus(folder: Path, pictures: int) -> Ledger[Example]:
    """Return examples whose first two squares have one colour, so that some swaps are true."""
    made = []
    for example in toys.examples(folder / "pictures", pictures):
        regions = example.regions
        twin = replace(regions[1], description=regions[0].description)
        made.append(replace(example, regions=(regions[0], twin, regions[2])))
    ledger.write(folder / "examples.jsonl", made)
    return Ledger(Example, folder / "examples.jsonl")


def found(rows: Ledger[SwapsOf]) -> list[SwapsOf]:
    return [rows[number] for number in range(len(rows))]


def test_candidates_differ_and_leave_the_words_alone(tmp_path: Path) -> None:
    examples = corpus(tmp_path, 2)
    swaps = candidates(examples[0], LOOK)
    # One of three regions is named: two others, each with its rationale and without.
    assert len(swaps) == len(set(swaps)) == 4
    assert [bool(one.rationale) for one in swaps] == [True, True, False, False]
    (right,) = examples[0].region_ids
    for one in swaps:
        (wrong,) = marking.named(one.question)
        assert wrong != right
        restored = marking.renumber(one.answer, {wrong: right})
        assert restored == examples[0].answer
    assert candidates(examples[2], LOOK) == []  # it names its regions by phrase


def test_a_text_is_a_candidate_once_and_never_where_it_is_the_true_one(tmp_path: Path) -> None:
    example = corpus(tmp_path, 2)[0]
    alike = candidates(replace(example, rationale=""), LOOK)
    assert len(alike) == len(set(alike)) == 2
    plain = replace(example, question="What is it?", answer="A square.")
    assert all(one.rationale for one in candidates(plain, LOOK))


@pytest.mark.parametrize("rationale", [True, False])
def test_a_swap_is_false_without_its_rationale_if_it_is_so_in_both_forms(
    tmp_path: Path, rationale: bool
) -> None:
    # What is false without a rationale is false with it; a critic may never have met one without.
    examples, context = corpus(tmp_path, 3), toys.House(tmp_path).context()
    critic = Pedant(str(tmp_path / "diary"), rationale)
    rows = found(judged(examples, critic, LOOK, tmp_path, context))
    assert all(row.bare == () for row in rows)
    assert any(row.full for row in rows) is not rationale


def test_swaps_that_were_judged_in_one_form_alone_are_not_taken(tmp_path: Path) -> None:
    examples, context = corpus(tmp_path, 2), toys.House(tmp_path).context()
    (tmp_path / "swaps.jsonl.part").write_text('{"example_id": "old", "rejected": []}\n')
    rows = judged(examples, ColourBlind(str(tmp_path / "diary")), LOOK, tmp_path, context)
    assert [row.example_id for row in found(rows)] == [examples[n].id for n in range(6)]


def test_only_swaps_that_the_critic_rejects_are_kept(tmp_path: Path) -> None:
    examples = corpus(tmp_path, 8)
    said: list[str] = []
    context = toys.House(tmp_path).context(said)
    rows = judged(examples, ColourBlind(str(tmp_path / "diary")), LOOK, tmp_path, context)
    assert len(rows) == len(examples)
    kept = dropped = 0
    for number, swaps in enumerate(found(rows)):
        example = examples[number]
        assert swaps.example_id == example.id
        descriptions = {region.id: region.description for region in example.regions}
        colour = example.answer.rstrip(".").split()[-1]
        for one in (*swaps.full, *swaps.bare):
            (named,) = marking.named(one.answer)
            assert colour not in descriptions[named]
        assert swaps.bare == tuple(replace(one, rationale="") for one in swaps.full)
        kept += 2 * len(swaps.full)
        dropped += len(candidates(example, LOOK)) - 2 * len(swaps.full)
    assert kept > 0 and dropped > 0
    assert f"swap_critic rejects {kept} swapped texts of 24 examples" in said
    # The triples of a picture are judged together: it is looked at once.
    assert len((tmp_path / "diary").read_text().splitlines()) == 8


def test_a_critic_that_breaks_off_goes_on_where_it_was(tmp_path: Path) -> None:
    examples = corpus(tmp_path, 60)
    context = toys.House(tmp_path).context()
    whole = judged(examples, ColourBlind(str(tmp_path / "other")), LOOK, _new(tmp_path), context)
    impatient = ColourBlind(str(tmp_path / "diary"), patience=30)
    with pytest.raises(RuntimeError, match="patience"):
        judged(examples, impatient, LOOK, tmp_path, context)
    said: list[str] = []
    again = toys.House(tmp_path).context(said)
    rows = judged(examples, ColourBlind(str(tmp_path / "diary")), LOOK, tmp_path, again)
    assert said[0] == "going on with the swaps of example 64 of 180"
    assert found(rows) == found(whole)
    critic = ColourBlind(str(tmp_path / "diary"), patience=0)
    assert found(judged(examples, critic, LOOK, tmp_path, again)) == found(whole)


def test_the_stage_asks_the_critic_and_trains_on_what_it_rejects(tmp_path: Path) -> None:
    house = toys.house(tmp_path)
    said: list[str] = []
    critic = {"use": "critics:ColourBlind", "diary": str(tmp_path / "diary")}
    house.distil(said, swaps=1.0, swap_critic=critic)
    (told,) = [line for line in said if line.startswith("swap_critic rejects")]
    assert 16 <= int(told.split()[2]) <= 32 and told.endswith("swapped texts of 12 examples")
    assert (house.folder / "student" / "student.toml").exists()


def _new(folder: Path) -> Path:
    made = folder / "whole"
    made.mkdir()
    return made
