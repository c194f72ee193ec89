"""Scenes become SNLI-VE: sentences that a picture entails, contradicts, or leaves open.

Each sentence that a picture entails is held against one other picture too, which contradicts it:
of some by chance the one that is most like it, so that often a colour, a side or what somebody
does makes the difference. So its words do not tell entailment from contradiction. A neutral
sentence says of somebody or something seen what came before, where nothing seen tells it: such
words stand in no other sentence, so text alone finds the neutral third.
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from lskd.lab.gold.files import chance, number_of, put_lines, put_picture
from lskd.lab.gold.whole import sides
from lskd.lab.knowledge import knowledge
from lskd.lab.scene import Scene, sight
from lskd.lab.words import an, caption, description, phrase, standing
from lskd.lab.world import Staged

SPLIT = "dev"
EACH = 2  # sentences of each label for a picture
TRIED = 20  # other pictures among which one is looked for that contradicts a sentence
PEOPLE = 5  # who labelled a sentence, in the authors' files
Label = Literal["entailment", "contradiction", "neutral"]


@dataclass(frozen=True, slots=True)
class _Pair:
    """A picture, by its place among the scenes, and a sentence with its label."""

    place: int
    sentence: str
    label: Label


def write(folder: Path, world: Path, scenes: Sequence[Staged], seed: int) -> int:
    """Write snli_ve_dev.jsonl and flickr30k_images; return the number of sentences."""
    every = [staged.scene for staged in scenes]
    maybe = [possible(scene) for scene in every]
    pairs = [
        pair
        for place, staged in enumerate(scenes)
        for pair in _pairs(every, maybe, place, chance(seed, staged, "snli_ve"))
    ]
    pairs.sort(key=lambda pair: pair.place)
    for staged in scenes:
        put_picture(world, staged, folder / "flickr30k_images" / f"{number_of(staged)}.jpg")
    rows = (_row(scenes[pair.place], pair, number, seed) for number, pair in enumerate(pairs))
    put_lines(folder / f"snli_ve_{SPLIT}.jsonl", rows)
    return len(pairs)


def certain(scene: Scene) -> list[str]:
    """Return sentences that are true of a scene beyond doubt."""
    found = []
    for number, entity in enumerate(scene.entities):
        found.append(f"{an(scene.place)} with {phrase(entity)}")
        if len(sides(scene, number)) == 1:
            found.append(standing(scene, number))
        # Whoever holds something stands as well.
        if not description(scene, number).endswith("who stands"):
            found.append(description(scene, number))
    return list(dict.fromkeys(found))


def possible(scene: Scene) -> frozenset[str]:
    """Return sentences of the same forms that can be said of a scene; all others are false."""
    found = set(certain(scene))
    for number, entity in enumerate(scene.entities):
        found |= {f"{phrase(entity)} {side}" for side in sides(scene, number)}
        if entity.is_person and entity.target is not None and entity.act != "points at":
            thing = scene.entities[entity.target]
            # Who gives or takes a thing, sits on it or rides it may be said to hold or to have it.
            found |= {
                f"{phrase(entity)} who holds {phrase(thing)}",
                f"{phrase(thing)} with {phrase(entity)}",
            }
    return frozenset(found)


def open_sentences(scene: Scene) -> list[str]:
    """Return sentences about what was before, of entities for which nothing seen tells it."""
    rows = knowledge().rows
    found = []
    for number, entity in enumerate(scene.entities):
        use, sort, _ = sight(scene, number)
        for (other_use, other_sort, _), row in rows.items():
            told = row["before"].removesuffix(" {where}")
            person = other_use == "person"
            if person != entity.is_person or (other_use, other_sort) == (use, sort):
                continue
            if person:
                found.append(f"{phrase(entity)} who {told}")
            elif told.startswith("it was ") and " or " not in told:
                found.append(f"{phrase(entity)} that {told.removeprefix('it ')}")
    return found


def _pairs(
    scenes: Sequence[Scene], maybe: Sequence[frozenset[str]], place: int, rng: random.Random
) -> Iterator[_Pair]:
    """Yield a picture's true and open sentences, and the pictures that its true ones contradict."""
    sure = certain(scenes[place])
    count = 0
    for sentence in rng.sample(sure, len(sure)):
        against = [
            other
            for other in rng.sample(range(len(scenes)), min(TRIED, len(scenes)))
            if sentence not in maybe[other]
        ]
        if against and count < EACH:
            nearest = max(against, key=lambda other: _likeness(sentence, maybe[other]))
            yield _Pair(place, sentence, "entailment")
            yield _Pair(nearest, sentence, "contradiction")
            count += 1
    for sentence in rng.sample(sorted(set(open_sentences(scenes[place]))), count):
        yield _Pair(place, sentence, "neutral")


def _likeness(sentence: str, others: frozenset[str]) -> float:
    """Return how much a sentence is like the one of `others` that is most like it, in [0, 1]."""
    words = set(sentence.split())
    return max((len(words & own) / len(words | own) for own in map(_words, others)), default=0.0)


def _words(sentence: str) -> set[str]:
    return set(sentence.split())


def _row(staged: Staged, pair: _Pair, number: int, seed: int) -> dict[str, object]:
    image = f"{number_of(staged)}.jpg"
    pair_id = f"{image}#{number}{pair.label[0]}"
    return {
        "annotator_labels": [pair.label] * PEOPLE,
        "captionID": f"{image}#0",
        "gold_label": pair.label,
        "pairID": pair_id,
        "Flickr30K_ID": str(number_of(staged)),
        "sentence1": caption(staged.scene, chance(seed, staged, f"snli_ve/{number}")),
        "sentence2": pair.sentence,
    }
