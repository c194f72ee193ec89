"""What is in a scene: a place, people and things, and how they stand to each other.

`draw` makes the scene of a seed, in numbers and words alone; `lskd.lab.drawing` renders it.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

from lskd.lab.knowledge import Sight, knowledge

Act = Literal["holds", "gives", "rides", "sits on", "points at", "stands"]
Posture = Literal["standing", "walking", "sitting", "riding"]

PEOPLE = ("man", "woman", "boy", "girl")
COLOURS = ("red", "blue", "green", "yellow", "purple", "white")
FURS = ("brown", "black", "white")
# How wide and high a kind is, in shares of a grown-up's height.
EXTENT = {
    "ball": (0.34, 0.34),
    "kite": (0.46, 0.56),
    "skateboard": (0.62, 0.22),
    "cake": (0.46, 0.36),
    "apple": (0.34, 0.36),
    "cup": (0.36, 0.36),
    "laptop": (0.48, 0.38),
    "book": (0.44, 0.38),
    "lamp": (0.36, 0.56),
    "suitcase": (0.40, 0.46),
    "bucket": (0.36, 0.38),
    "bicycle": (0.84, 0.56),
    "guitar": (0.34, 0.72),
    "drum": (0.46, 0.44),
    "dog": (0.58, 0.46),
    "cat": (0.50, 0.44),
    "chair": (0.42, 0.62),
    "stool": (0.42, 0.40),
    "open umbrella": (0.66, 0.60),
    "closed umbrella": (0.20, 0.66),
}
KINDS = tuple(EXTENT)
ANIMALS = ("dog", "cat")
SEATS = ("chair", "stool")
RIDDEN = ("bicycle", "skateboard")
HELD = tuple(kind for kind in KINDS if kind not in (*ANIMALS, *SEATS, "bicycle"))


class Placing(NamedTuple):
    """Where an entity stands: the middle of its foot, and its height, in pixels of the scene."""

    x: float
    y: float
    height: float


@dataclass(frozen=True, slots=True)
class Entity:
    """A person or a thing.

    `kind` is one of PEOPLE or KINDS; `colour` is that of a coat, a fur or a thing. `act` and
    `target`, the number of another entity, are what a person is at; `user` is the number of the
    person who uses a thing. `facing` is 1 (to the right) or -1.
    """

    kind: str
    colour: str
    placing: Placing
    facing: int = 1
    act: Act | None = None
    target: int | None = None
    posture: Posture = "standing"
    user: int | None = None

    @property
    def is_person(self) -> bool:
        """Return whether this is a person."""
        return self.kind in PEOPLE


@dataclass(frozen=True, slots=True)
class Scene:
    """A scene of `width` x `height` pixels; entities are numbered by their place in the tuple.

    `shade` in [0, 1] varies the light, `clutter` is the seed of what lies about unnamed.
    """

    seed: int
    place: str
    width: int
    height: int
    entities: tuple[Entity, ...]
    shade: float
    clutter: int


COMPANY = (2, 4)  # people in a scene, at least and at most
UNUSED = (1, 3)  # things that nobody uses
MOST = 6  # of both, and of things that are used

# Whether a scene may have this kind, under this act, at this place: how combinations are held out.
Allowed = Callable[[str, str, str], bool]


def anything(kind: str, act: str, place: str) -> bool:
    """Allow every combination."""
    return True


def draw(seed: int, allowed: Allowed = anything) -> Scene:
    """Return the scene of a seed; equal arguments give equal scenes."""
    rng = random.Random(f"scene/{seed}")
    place = rng.choice(sorted(knowledge().places))
    width, height = rng.choice((160, 176, 192, 208)), rng.choice((144, 160, 176))
    groups = _groups(rng, place, allowed)
    entities = _placed(groups, width, height, rng)
    return Scene(seed, place, width, height, entities, rng.random(), rng.randrange(1 << 30))


class _Group(NamedTuple):
    """Entities that stand together, `act` being what joins them, and the room that they need."""

    act: Act | Literal["free"]
    entities: tuple[Entity, ...]
    room: float


def _groups(rng: random.Random, place: str, allowed: Allowed) -> list[_Group]:
    people = rng.randint(*COMPANY)
    things = rng.randint(*UNUSED)
    groups: list[_Group] = []
    count = 0
    while people and count < MOST - 1:
        group = _group(rng, place, allowed, pairs=people > 1)
        if count + len(group.entities) > MOST:
            break
        groups.append(group)
        people -= sum(entity.is_person for entity in group.entities)
        count += len(group.entities)
    free = min(things, MOST - count)
    kinds = [kind for kind in KINDS if allowed(kind, "free", place)]
    # Two of one kind now and then, so that only the mark tells which is meant.
    for kind in rng.choices(kinds, k=free):
        thing = _thing(rng, kind)
        groups.append(_Group("free", (thing,), EXTENT[kind][0]))
    rng.shuffle(groups)
    return groups


ACTS: Sequence[Act] = (
    "holds",
    "holds",
    "holds",
    "gives",
    "rides",
    "sits on",
    "points at",
    "stands",
)


def _group(rng: random.Random, place: str, allowed: Allowed, pairs: bool) -> _Group:
    """Return a person at something, with what is used."""
    while True:
        act = rng.choice(ACTS)
        pool = {"holds": HELD, "gives": HELD, "rides": RIDDEN, "sits on": SEATS}.get(act, ())
        kinds = [kind for kind in pool if allowed(kind, act, place)]
        if (pool and not kinds) or (act == "gives" and not pairs):
            continue
        person = _person(rng)
        if act == "stands":
            walks = rng.random() < 0.4
            person = replace(person, act=act, posture="walking" if walks else "standing")
            return _Group(act, (person,), 0.5)
        if act == "points at":
            return _Group(act, (replace(person, act=act),), 0.7)
        thing = _thing(rng, rng.choice(kinds))
        if act == "gives":
            return _Group(act, (person, thing, _person(rng)), 1.3)
        posture: Posture = {"rides": "riding", "sits on": "sitting"}.get(act, "standing")  # type: ignore[assignment]
        person = replace(person, act=act, posture=posture)
        room = max(0.55, EXTENT[thing.kind][0]) + (0.3 if act == "holds" else 0.0)
        return _Group(act, (person, thing), room)


def _person(rng: random.Random) -> Entity:
    return Entity(rng.choice(PEOPLE), rng.choice(COLOURS), Placing(0, 0, 0), rng.choice((-1, 1)))


def _thing(rng: random.Random, kind: str) -> Entity:
    colours = FURS if kind in ANIMALS else COLOURS
    return Entity(kind, rng.choice(colours), Placing(0, 0, 0), rng.choice((-1, 1)))


def _placed(
    groups: Sequence[_Group], width: int, height: int, rng: random.Random
) -> tuple[Entity, ...]:
    """Return the entities of groups that stand beside each other, in two rows if they are many.

    Neighbours of different rows may overlap, so that figures are large.
    """
    needed = sum(group.room for group in groups)
    rows = 2 if len(groups) > 2 else 1
    # A grown-up's height, in pixels: as large as the room allows.
    grown = min(0.58 * height, (1.5 if rows == 2 else 0.95) * width / needed)
    step = (width - 0.2 * grown) / needed
    x = 0.1 * grown
    entities: list[Entity] = []
    back = rng.randrange(2)
    for number, group in enumerate(groups):
        low = 0.74 if rows == 2 and number % 2 == back else 0.90
        depth = low + rng.uniform(0.0, 0.06)
        scale = grown * (0.90 if low < 0.8 else 1.0)
        room = group.room * scale
        middle = x + group.room * step / 2 + rng.uniform(-0.04, 0.04) * width
        middle = min(max(middle, room / 2), width - room / 2)
        entities += _stood(group, middle, depth * height, scale, len(entities))
        x += group.room * step
    return _pointing(entities)


def _stood(group: _Group, x: float, y: float, grown: float, first: int) -> list[Entity]:
    """Return the entities of a group at a place, joined by number."""
    head = group.entities[0]
    if group.act == "free":
        return [replace(head, placing=Placing(x, y, EXTENT[head.kind][1] * grown))]
    tall = grown * (0.76 if head.kind in ("boy", "girl") else 1.0)
    if len(group.entities) == 1:
        return [replace(head, placing=Placing(x, y, tall))]
    thing = group.entities[1]
    wide, high = (extent * grown for extent in EXTENT[thing.kind])
    user = replace(thing, user=first)
    match group.act:
        case "rides":
            lift = 0.30 * high if thing.kind == "bicycle" else 0.50 * high
            person = replace(head, target=first + 1, placing=Placing(x, y - lift, tall * 0.92))
            return [
                person,
                replace(user, facing=head.facing, placing=Placing(x, y, high)),
            ]
        case "sits on":
            person = replace(head, target=first + 1, placing=Placing(x, y, tall * 0.88))
            return [person, replace(user, placing=Placing(x, y, high))]
        case "gives":
            other = group.entities[2]
            gap = 0.42 * grown
            hand = y - 0.50 * min(tall, grown) + high / 2
            giver = replace(
                head, facing=1, act="gives", target=first + 1, placing=Placing(x - gap, y, tall)
            )
            other_tall = grown * (0.76 if other.kind in ("boy", "girl") else 1.0)
            taker = replace(
                other,
                facing=-1,
                act="stands",
                target=first + 1,
                placing=Placing(x + gap, y, other_tall),
            )
            return [giver, replace(user, placing=Placing(x, hand, high)), taker]
        case _:
            side = head.facing * (0.22 * grown + 0.30 * wide)
            lifted = thing.kind in ("open umbrella", "kite")
            hand = y - (0.62 * tall if lifted else 0.42 * tall) + (0 if lifted else high / 2)
            foot = min(hand, y)
            person = replace(head, target=first + 1, placing=Placing(x - side * 0.45, y, tall))
            return [person, replace(user, placing=Placing(x + side * 0.75, foot, high))]


def _pointing(entities: Sequence[Entity]) -> tuple[Entity, ...]:
    """Turn those who point to the nearest free entity beside them; who has none just stands."""
    turned = list(entities)
    for number, entity in enumerate(entities):
        if entity.act != "points at":
            continue
        others = [n for n, other in enumerate(entities) if n != number and other.user is None]
        if not others:
            turned[number] = replace(entity, act="stands")
            continue
        near = min(others, key=lambda n: abs(entities[n].placing.x - entity.placing.x))
        facing = 1 if entities[near].placing.x >= entity.placing.x else -1
        turned[number] = replace(entity, facing=facing, target=near)
    return tuple(turned)


def sight(scene: Scene, number: int) -> Sight:
    """Return what decides the inferences of an entity."""
    entity = scene.entities[number]
    if not entity.is_person:
        use: Literal["free", "used"] = "free" if entity.user is None else "used"
        return Sight(use, knowledge().sorts[entity.kind], scene.place)
    return Sight("person", doing(scene.entities, entity), scene.place)


def doing(entities: Sequence[Entity], person: Entity) -> str:
    """Return what a person is at, in the words of the knowledge table."""
    thing = None if person.target is None else entities[person.target]
    match person.act:
        case "holds" if thing is not None:
            return f"holds {knowledge().sorts[thing.kind]}"
        case "stands" if person.target is not None:
            return "takes"
        case "gives" | "rides":
            return person.act
        case "sits on":
            return "sits"
        case "points at":
            return "points"
    return "stands"
