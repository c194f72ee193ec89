"""What is true of a scene, in words: phrases of entities, facts that can be seen, captions."""

import random
from collections.abc import Sequence

from lskd.lab.knowledge import QUESTIONS, Ask, knowledge
from lskd.lab.scene import COLOURS, KINDS, PEOPLE, Entity, Scene, doing, sight

THIRDS = ("on the left", "in the middle", "on the right")
# Words of which one is changed for another of its row, to make a caption that is nearly right.
CHANGED = (THIRDS, COLOURS, PEOPLE, KINDS)


def an(phrase: str) -> str:
    """Return a phrase with its indefinite article."""
    return f"{'an' if phrase[0] in 'aeiou' else 'a'} {phrase}"


def phrase(entity: Entity) -> str:
    """Return what an entity looks like, as "a red ball" or "a woman in a blue coat"."""
    return looks(entity.kind, entity.colour, entity.is_person)


def looks(kind: str, paint: str, person: bool) -> str:
    """Return the phrase for a kind of person or thing in a paint."""
    return f"{an(kind)} in {an(paint)} coat" if person else an(f"{paint} {kind}")


def action(scene: Scene, person: Entity) -> str:
    """Return what a person is seen to do, as "holds a red ball"."""
    does = doing(scene.entities, person)
    if person.target is None or does == "stands":
        return "walks" if person.posture == "walking" else "stands"
    verb = {"takes": "takes", "sits": "sits on", "points": "points at"}.get(does, person.act)
    return f"{verb} {phrase(scene.entities[person.target])}"


def verb(scene: Scene, person: Entity) -> str:
    """Return the first word of what a person is seen to do, as "holds"."""
    return action(scene, person).split()[0]


def description(scene: Scene, number: int) -> str:
    """Return what is seen of an entity and of what it is at."""
    entity = scene.entities[number]
    if entity.is_person:
        return f"{phrase(entity)} who {action(scene, entity)}"
    if entity.user is None:
        return f"{phrase(entity)} by itself"
    return f"{phrase(entity)} with {phrase(scene.entities[entity.user])}"


def narrative(scene: Scene, order: Sequence[int]) -> str:
    """Return the scene in a sentence or two, naming some entities in this order."""
    told = ", ".join(description(scene, number) for number in order)
    return f"{an(scene.place).capitalize()} with {told}."


def answer(scene: Scene, number: int, ask: Ask) -> str:
    """Return the right answer to a question about an entity, as a phrase."""
    if ask == "what":
        return phrase(scene.entities[number])
    return knowledge().answer(sight(scene, number), ask)


def question(name: str, ask: Ask) -> str:
    """Return a question about what is named, as "[2]" or "[a red ball by itself]"."""
    return QUESTIONS[ask].format(name)


def rationale(scene: Scene, number: int, name: str) -> str:
    """Return the visible facts that justify the answers about an entity."""
    return reason(name, phrase(scene.entities[number]), use_of(scene, number), scene.place)


def use_of(scene: Scene, number: int) -> str:
    """Return how an entity is used or what it is at, as a part of a sentence."""
    entity = scene.entities[number]
    if entity.is_person:
        return f"who {action(scene, entity)}"
    return "that nobody uses" if entity.user is None else "that somebody uses"


def reason(name: str, what: str, use: str, place: str) -> str:
    """Return the sentence that names the visible facts behind an answer."""
    return f"{name} is {what} {use}, at {an(place)}."


def third(scene: Scene, x: float) -> str:
    """Return where in a picture something stands, by the third of its width."""
    return THIRDS[min(2, max(0, int(3 * x / scene.width)))]


def third_of(scene: Scene, number: int) -> str:
    """Return the third of the picture in which an entity stands."""
    return third(scene, scene.entities[number].placing.x)


def standing(scene: Scene, number: int) -> str:
    """Return an entity with where it stands, as captions name it."""
    return f"{phrase(scene.entities[number])} {third_of(scene, number)}"


def caption(scene: Scene, rng: random.Random) -> str:
    """Return a caption of the whole scene; things are named by where they stand, not by number."""
    numbers = list(range(len(scene.entities)))
    rng.shuffle(numbers)
    first, *others = numbers
    entity = scene.entities[first]
    match rng.randrange(5):
        case 0:
            return f"{an(scene.place)} with {phrase(entity)}"
        case 1:
            return standing(scene, first)
        case 2 if others:
            return f"{standing(scene, first)} and {standing(scene, others[0])}"
        case 3 if entity.is_person:
            return f"{phrase(entity)} who {action(scene, entity)}"
        case 3:
            return description(scene, first)
        case _:
            listed = " and ".join(phrase(scene.entities[n]) for n in numbers[:2])
            return f"{an(scene.place)} with {listed}"


def changed(text: str, rng: random.Random) -> str | None:
    """Return a caption with one word changed for another of its kind, or None if it has none."""
    found = [(row, word) for row in CHANGED for word in row if f" {word} " in f" {text} "]
    if not found:
        return None
    row, word = rng.choice(found)
    other = rng.choice([one for one in row if one != word])
    return f" {text} ".replace(f" {word} ", f" {other} ", 1).strip()
