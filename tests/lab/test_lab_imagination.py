"""What is said by mistake or invented: never true of what is meant, and no less likely in words."""

import random
from collections import Counter
from collections.abc import Iterable

import pytest

from lskd.lab import sayings, truth, words
from lskd.lab.combinations import is_held_out, shown
from lskd.lab.describers import Mistakes, mistaken
from lskd.lab.imagination import imagined
from lskd.lab.knowledge import knowledge
from lskd.lab.sayings import Described
from lskd.lab.scene import Scene, draw
from lskd.lab.teacher import Habits, Subject, Understood, triples

SCENES = 1_000
NEAR = 0.08  # by chance 0.04 to 0.07; when all was drawn evenly, 0.10 for kinds and 0.59 for uses


@pytest.fixture(scope="module")
def scenes() -> list[Scene]:
    return [draw(seed, allowed=shown) for seed in range(SCENES)]


def told(scene: Scene, number: int) -> Described:
    found = sayings.described(words.description(scene, number))
    assert found is not None
    return found


def shares(said: Iterable[Described]) -> dict[tuple[str, str], float]:
    """Return how often each kind is said, with what it does or whether it is used."""
    counts = Counter(
        ("somebody", one.doing) if one.is_person else (one.kind, str(one.used)) for one in said
    )
    return {key: count / counts.total() for key, count in counts.items()}


def apart(one: dict[tuple[str, str], float], other: dict[tuple[str, str], float]) -> float:
    """Return how much of the one is not in the other: 0 for equal shares, 1 for none in common."""
    return sum(max(0.0, one.get(k, 0.0) - other.get(k, 0.0)) for k in one.keys() | other.keys())


def test_what_is_imagined_could_be_seen_at_its_place_and_is_no_held_out_combination() -> None:
    for place in knowledge().places:
        found = imagined(place)
        assert len(found) > 500
        assert all(one.scene.place == place for one in found)
        assert not any(is_held_out(one.scene, one.number) for one in found)
        assert all(sayings.described(one.description) is not None for one in found)


@pytest.mark.parametrize("rates", [Mistakes(0, 1, 0, 0), Mistakes(0, 0, 1, 0)])
def test_a_mistake_is_false_and_its_words_are_about_as_likely_as_true_ones(
    scenes: list[Scene], rates: Mistakes
) -> None:
    rng, wrong = random.Random(1), []
    for scene in scenes:
        for number in range(len(scene.entities)):
            said = sayings.described(mistaken(scene, number, rates, rng))
            assert said is not None
            wrong.append(said)
            # Said otherwise of a thing may still be true: it is with somebody else.
            if said.is_person or rates.kind:
                assert not truth.fits(said, scene, number)
    right = [told(scene, n) for scene in scenes for n in range(len(scene.entities))]
    assert apart(shares(wrong), shares(right)) < NEAR


def test_what_a_teacher_invents_is_about_as_likely_and_its_answer_follows_from_its_reason(
    scenes: list[Scene],
) -> None:
    rng, invented = random.Random(2), []
    for scene in scenes:
        one = Subject("[0]", told(scene, 0))
        for text in triples(Understood(scene.place, (one,)), Habits(1.0), rng):
            question, answer, rationale = (line.partition(": ")[2] for line in text.split("\n"))
            asked, reason = sayings.asked(question), sayings.reasoned(rationale)
            assert asked is not None and reason is not None
            invented.append(reason.what)
            if asked[0] != "what":
                sight = reason.what.sight(scene.place)
                assert sight is not None
                assert answer.lower() == knowledge().answer(sight, asked[0]) + "."
    right = [told(scene, n) for scene in scenes for n in range(len(scene.entities))]
    assert apart(shares(invented), shares(right)) < NEAR
