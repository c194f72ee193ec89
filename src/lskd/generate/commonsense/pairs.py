"""Ideas for triples about two regions: what they suggest together, and how they lie."""

from collections.abc import Iterator, Sequence
from functools import partial
from itertools import permutations

from lskd.generate.commonsense import facts, spatial
from lskd.generate.commonsense.facts import Fact
from lskd.generate.commonsense.knowledge import (
    Category,
    Pair,
    Reasoned,
    knowledge,
    pairs_of,
)
from lskd.generate.commonsense.view import Entity, View
from lskd.generate.commonsense.wording import (
    Draft,
    Idea,
    Writer,
    length,
    sentence,
)

DOING = (
    "What might {a} be doing with {b}?",
    "What may {a} have to do with {b}?",
    "Why might {a} and {b} be in the picture together?",
    "What do {a} and {b} suggest when they are seen together?",
)
THINGS = (
    "What may {a} have to do with {b}?",
    "Why might {a} and {b} be in the picture together?",
    "What do {a} and {b} suggest when they are seen together?",
    "How might {a} and {b} belong together?",
)
PAIR_NEXT = (
    "What might {a} do next with {b}?",
    "What may come next for {a} and {b}?",
    "What could one expect {a} to do in a while, given {b}?",
)
PAIR_BEFORE = (
    "What might {a} have done with {b} before this moment?",
    "What may have come before the moment that shows {a} and {b}?",
)
THINGS_NEXT = PAIR_NEXT[1:2]
THINGS_BEFORE = PAIR_BEFORE[1:]
SIZE = (
    "Which would usually be larger in real life, {a} or {b}?",
    "If {a} and {b} stood side by side, which would probably be larger?",
)
DEPTH = (
    "Which is probably nearer to the camera, {a} or {b}?",
    "Who or what was probably nearer to the photographer, {a} or {b}?",
)
NEARER = (
    "{a} is probably nearer to the camera than {b}",
    "{a} was probably nearer to the photographer than {b}",
)
DEPTH_WHY = (
    "Of two things of the same kind the nearer one usually looks larger.",
    "What is nearer to a camera usually looks larger and reaches further down.",
)
PERSPECTIVE_WHY = (
    "{small} is usually much smaller than {big}, so it probably only looks larger from near by.",
)
FRONT = (
    "Which may be in front, {a} or {b}?",
    "Might {a} or {b} hide a part of the other?",
)
FRONT_SAYS = ("{a} may be in front of {b}", "{a} may hide a part of {b}")
FRONT_WHY = (
    "Of two things on the same ground the one that reaches further down is usually in front.",
    "What stands nearer usually has its foot further down in a photograph.",
)
REACH = (
    "Could {p} probably reach {a} from there?",
    "Would {p} probably have to walk to get to {a}?",
)
REACH_WHY = ("Things that are close together in a picture are often within reach of each other.",)
AWAY_WHY = ("An arm is usually shorter than one metre.",)


def ideas(seen: View) -> Iterator[Idea]:
    """Yield ideas about every two regions."""
    for a, b in permutations(seen.entities, 2):
        if a.category and b.category:
            yield from together(seen, a, b, a.category, b.category)
            yield from distances(seen, a, b, a.category, b.category)


def together(seen: View, a: Entity, b: Entity, first: Category, second: Category) -> Iterator[Idea]:
    """Yield what two categories suggest together, in this order."""
    person = first.name == "person"
    for pair in pairs_of(first.name, second.name):
        # Two of a kind would be met twice, in both orders.
        once = first.name != second.name or a.index < b.index
        if once and near_enough(seen, a, b, pair):
            yield Idea("pair", (a, b), partial(suggestion, seen, a, b, pair))
            asked: Sequence[str] = PAIR_NEXT if person else THINGS_NEXT
            yield Idea("next", (a, b), partial(story, seen, a, b, pair, pair.next, asked))
            asked = PAIR_BEFORE if person else THINGS_BEFORE
            yield Idea("before", (a, b), partial(story, seen, a, b, pair, pair.before, asked))
    if first.metres >= 2.5 * second.metres:
        yield Idea("size", (a, b), partial(real_size, seen, a, b))


def near_enough(seen: View, a: Entity, b: Entity, pair: Pair) -> bool:
    """Say whether two entities are as near to each other as a pair asks for."""
    if pair.when == "touching":
        return facts.touching(seen, a, b) and facts.within_reach(seen, a, b)
    return pair.when == "anywhere" or facts.within_reach(seen, a, b)


def distances(
    seen: View, a: Entity, b: Entity, first: Category, second: Category
) -> Iterator[Idea]:
    """Yield what boxes tell about how near two things are, to the camera and to each other."""
    if not seen.frame or not a.box or not b.box:
        return
    standing = {first.name, second.name} <= knowledge().grounded
    lower = seen.frame.lower(a.box, b.box)
    if first.name == second.name and standing and lower and spatial.larger(a.box, b.box, 2.5):
        yield Idea("depth", (a, b), partial(depth, a, b))
    if second.metres >= 3 * first.metres and spatial.larger(a.box, b.box):
        yield Idea("depth", (a, b), partial(perspective, a, b))
    if first.name != second.name and standing and lower and spatial.overlap(a.box, b.box):
        yield Idea("front", (a, b), partial(front, a, b))
    if first.name == "person" and second.metres < 1 and second.kind != "animal":
        if facts.within_reach(seen, a, b):
            yield Idea("reach", (a, b), partial(reach, a, b, Fact("close", (a, b))))
        elif seen.frame.far(a.box, b.box):
            yield Idea("reach", (a, b), partial(reach, a, b, Fact("far", (a, b))))


def suggestion(seen: View, a: Entity, b: Entity, pair: Pair, writer: Writer) -> Draft | None:
    """Say what two things suggest together."""
    if not (unused := writer.fresh(pair.says, pair.why)):
        return None
    says, why = unused
    person = bool(a.category and a.category.name == "person")
    asked: Sequence[str] = (
        DOING if person and not (b.category and b.category.name == "person") else THINGS
    )
    if b.category and b.category.kind == "part":
        asked = THINGS[:1]  # what is a part of something is there for no other reason
    return Draft(
        writer.fill(writer.pick(asked), a=a, b=b),
        sentence(writer.fill(says, 0.7, a=a, b=b)),
        writer.rationale(facts.evidence(seen, a, b, pair.when == "anywhere"), why),
    )


def story(
    seen: View,
    a: Entity,
    b: Entity,
    pair: Pair,
    events: Reasoned,
    asked: Sequence[str],
    writer: Writer,
) -> Draft | None:
    """Say what may come next for two things, or what may have been before."""
    if not (chosen := writer.reasoned(events)):
        return None
    event, why = chosen
    return Draft(
        writer.fill(writer.pick(asked), a=a, b=b),
        sentence(writer.fill(event, 0.7, a=a, b=b)),
        writer.rationale(facts.evidence(seen, a, b, pair.when == "anywhere"), why),
    )


def real_size(seen: View, big: Entity, small: Entity, writer: Writer) -> Draft | None:
    """Say which of two things is usually larger, whatever the picture makes of them."""
    assert big.category and small.category
    large, little = big.category, small.category
    why = (
        f"{large.generic} usually measures {length(large.metres)}, "
        f"and {little.generic} only {length(little.metres)}"
    )
    if not writer.fresh([why]):
        return None
    a, b = (big, small) if writer.rng.random() < 0.5 else (small, big)
    rationale = sentence(why)
    if big.box and small.box and spatial.larger(small.box, big.box):
        rationale = sentence(f"{writer.clause(Fact('larger', (small, big)))}, but {why}")
    return Draft(
        writer.fill(writer.pick(SIZE), a=a, b=b),
        sentence(writer.fill("{a} would usually be larger", 1.0, a=big)),
        rationale,
    )


def depth(a: Entity, b: Entity, writer: Writer) -> Draft | None:
    """Say which of two of a kind is nearer to the camera."""
    return nearer(a, b, [Fact("larger", (a, b)), Fact("lower", (a, b))], DEPTH_WHY, writer)


def perspective(a: Entity, b: Entity, writer: Writer) -> Draft | None:
    """Say that a small thing that looks larger than a big one is nearer to the camera."""
    assert a.category and b.category
    small, big = a.category.generic, b.category.generic
    why = [writer.fill(text, small=small, big=big) for text in PERSPECTIVE_WHY]
    return nearer(a, b, [Fact("larger", (a, b))], why, writer)


def nearer(
    a: Entity,
    b: Entity,
    seen_so: list[Fact],
    known: Sequence[str],
    writer: Writer,
    said: tuple[Sequence[str], Sequence[str]] = (DEPTH, NEARER),
) -> Draft | None:
    """Say that `a` is probably nearer to the camera than `b`: `said` are questions and answers."""
    if not (unused := writer.fresh(known)):
        return None
    [why] = unused
    first, second = (a, b) if writer.rng.random() < 0.5 else (b, a)
    questions, answers = said
    return Draft(
        writer.fill(writer.pick(questions), a=first, b=second),
        sentence(writer.fill(writer.pick(answers), 0.7, a=a, b=b)),
        writer.rationale(seen_so, why),
    )


def front(a: Entity, b: Entity, writer: Writer) -> Draft | None:
    """Say which of two things that overlap may be in front."""
    seen_so = [Fact("overlap", (a, b)), Fact("lower", (a, b))]
    return nearer(a, b, seen_so, FRONT_WHY, writer, (FRONT, FRONT_SAYS))


def reach(p: Entity, a: Entity, distance: Fact, writer: Writer) -> Draft | None:
    """Say whether somebody could probably reach something."""
    near = distance.relation == "close"
    if not (unused := writer.fresh(REACH_WHY if near else AWAY_WHY)):
        return None
    [why] = unused
    question = writer.pick(REACH)
    yes = near == question.startswith("Could")
    says = (
        "{p} could probably reach {a} with one hand"
        if near
        else "{p} would probably have to move to get hold of {a}"
    )
    return Draft(
        writer.fill(question, p=p, a=a),
        f"{'Yes' if yes else 'No'}, {writer.fill(says, 0.6, p=p, a=a)}.",
        writer.rationale([distance], why),
    )
