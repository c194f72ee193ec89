"""Scenes become VisualCOMET: an event says where a person is, not what the person is at.

A person's three answers are the inferences of the event "2 is at a beach"; the wording of each
relation takes the place of "to" and "will", while what was before stays in the world's own words.
The published list of candidates begins with the own inference; then come all inferences of other
people of the picture, which only the mark can exclude, then others by chance. None of the event's
other inferences is among them and no words stand twice, so that all but the first are wrong.

In "held" there are events of people of held-out combinations alone, so candidates from the same
picture are few there.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lskd.lab.gold.files import chance, put_json
from lskd.lab.gold.regions import Numbered, asked, in_rounds
from lskd.lab.knowledge import Ask
from lskd.lab.words import an, answer
from lskd.lab.world import Staged

SPLIT = "val"
CANDIDATES = 50
# In the order in which the authors' code counts the inferences of a row.
RELATIONS: tuple[tuple[str, Ask, str], ...] = (
    ("intent", "why", "to "),
    ("before", "before", ""),
    ("after", "next", "will "),
)


@dataclass(frozen=True, slots=True)
class Event:
    """A person of a scene, and what is inferred: intent, before, after."""

    one: Numbered
    entity: int
    inferences: tuple[str, ...]

    @property
    def text(self) -> str:
        """Return the event as the authors write it: people are numbered from 1."""
        return f"{self.one.region(self.entity) + 1} is {self.place}"

    @property
    def place(self) -> str:
        """Return where it is."""
        return f"at {an(self.one.scene.place)}"


def write(folder: Path, world: Path, scenes: Sequence[Staged], seed: int) -> int:
    """Write annotations, lists of candidates and vcr1images; return the number of questions."""
    events = in_rounds(folder, world, scenes, seed, lambda one: _by_chance(one, seed))
    put_json(folder / f"{SPLIT}_annots.json", [row(event) for event in events])
    every = [text for event in events for text in event.inferences]
    beside = _beside(events)
    results: list[dict[str, object]] = [
        {
            "img_fn": event.one.image,
            "event": event.text,
            "inference_relation": relation,
            "inference_candidate_indices": _candidates(
                event, place, every, beside[event.one.image], seed
            ),
        }
        for event in events
        for place, (relation, _, _) in enumerate(RELATIONS)
    ]
    put_json(folder / f"{SPLIT}_rank_random_50.json", {"results": results})
    return len(results)


def events_of(one: Numbered) -> list[Event]:
    """Return an event for each person of a scene that may be asked about."""
    scene = one.scene
    return [
        Event(
            one,
            number,
            tuple(answer(scene, number, ask).removeprefix(less) for _, ask, less in RELATIONS),
        )
        for number, entity in enumerate(scene.entities)
        if entity.is_person and asked(one.staged, number)
    ]


def _by_chance(one: Numbered, seed: int) -> list[Event]:
    """Return the events of a scene, in an order by chance."""
    events = events_of(one)
    chance(seed, one.staged, "visualcomet").shuffle(events)
    return events


def row(event: Event) -> dict[str, object]:
    """Return an event as a row of the authors' annotations."""
    said = {
        relation: [text] for (relation, _, _), text in zip(RELATIONS, event.inferences, strict=True)
    }
    return {
        "img_fn": event.one.image,
        "movie": event.one.image.partition("/")[0],
        "metadata_fn": event.one.metadata,
        "place": event.place,
        "event": event.text,
        **said,
    }


def _candidates(
    event: Event, place: int, every: Sequence[str], beside: Mapping[int, int], seed: int
) -> list[int]:
    """Return the places of a question's candidates among `every` inference, its own first.

    `beside` has the place of the first inference of each person of the picture.
    """
    near = [
        first + relation
        for entity, first in beside.items()
        for relation in range(len(RELATIONS))
        if entity != event.entity
    ]
    rng = chance(seed, event.one.staged, f"visualcomet/{event.entity}/{place}")
    rng.shuffle(near)
    far = rng.sample(range(len(every)), min(len(every), 4 * CANDIDATES))
    wrong: dict[str, int] = {}
    for one in (*near, *far):
        if every[one] not in event.inferences:
            wrong.setdefault(every[one], one)
    return [beside[event.entity] + place, *list(wrong.values())[: CANDIDATES - 1]]


def _beside(events: Sequence[Event]) -> dict[str, dict[int, int]]:
    """Return, by picture and person, the place of the first inference among those of all events."""
    found: dict[str, dict[int, int]] = {}
    for number, event in enumerate(events):
        found.setdefault(event.one.image, {})[event.entity] = number * len(RELATIONS)
    return found
