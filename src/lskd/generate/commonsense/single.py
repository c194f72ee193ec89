"""Ideas for triples about one region: what it is for, what may come next, whose it may be."""

from collections.abc import Iterator, Sequence
from functools import partial

from lskd.generate.commonsense import facts
from lskd.generate.commonsense.facts import Fact
from lskd.generate.commonsense.knowledge import Category, Reasoned, Weather, knowledge
from lskd.generate.commonsense.spatial import FILLS, Frame, larger
from lskd.generate.commonsense.view import Entity, View
from lskd.generate.commonsense.wording import Draft, Idea, Writer, sentence
from lskd.types import Box

USE = (
    "What might {a} be there for?",
    "What purpose may {a} have?",
    "Why might somebody need {a}?",
    "What could somebody want {a} for?",
)
FOOD = (
    "What might {a} be meant for?",
    "What may {a} have been prepared or bought for?",
)
USED = (
    "{a} may be meant for {use}",
    "{a} may well be there for {use}",
    "somebody may need {a} for {use}",
)
NEXT = (
    "What may happen next with {a}?",
    "What might follow for {a} in a short while?",
    "What could one expect to happen to {a} soon?",
)
BEFORE = (
    "What may have happened to {a} before this moment?",
    "What might have come before the moment that shows {a}?",
    "What might somebody have done with {a} earlier?",
)
CARE = (
    "Why might one have to be careful with {a}?",
    "What could go wrong with {a}?",
    "What risk may there be with {a}?",
)
ACTS = (
    "What might {a} be doing at this moment?",
    "What could {a} be up to?",
    "How may {a} be spending this moment?",
)
FOUND = (
    "Where would one usually expect to see something like {a}?",
    "In what kind of place are things like {a} usually found?",
)
OWNER = (
    "Who might {a} belong to?",
    "Which person may have brought {a}?",
    "Who might take {a} along when it is time to leave?",
)
OWNED = (
    "{a} may well belong to {p}",
    "it may be {p} who owns or uses {a}",
)
OWNER_WHY = (
    "People usually keep their things close to themselves.",
    "Things that people bring along are usually kept within reach of their owner.",
)
HIDDEN = (
    "Why might only a part of {a} be visible?",
    "Might {a} go on beyond what the picture shows?",
)
CUT_OFF = (
    "A part of {a} may lie outside of the picture",
    "{a} may go on beyond the {side} edge of the picture",
)
HIDDEN_WHY = (
    "A camera usually catches only a part of what is there.",
    "Things at the border of a photograph are often cut off.",
)
SUBJECT = (
    "What may the photographer have wanted to show above all, judging by {a}?",
    "Why might {a} be the main subject of the picture?",
)
SUBJECT_SAYS = (
    "{a} may be the main subject of the picture",
    "the photographer probably wanted to show {a} above all",
)
SUBJECT_WHY = (
    "What matters most to a photographer usually takes up the most room.",
    "People usually go near, or zoom in, to what they want to show.",
)
WEATHER = (
    "What might {a} suggest about the weather?",
    "What may the weather be like, judging by {a}?",
)


def ideas(seen: View) -> Iterator[Idea]:
    """Yield an idea for each kind of thing that can be said about each region alone."""
    for a in seen.entities:
        if a.category:
            yield from everyday(seen, a, a.category)
        if owned := keeper(seen, a):
            person, fact = owned
            yield Idea("owner", (a, person), partial(ownership, a, person, fact))
        if seen.frame and a.box:
            yield from visible(seen, a, a.box, seen.frame)


def everyday(seen: View, a: Entity, category: Category) -> Iterator[Idea]:
    """Yield ideas about what usually holds of a category."""
    for _ in category.next:
        yield Idea("next", (a,), partial(told, seen, a, category.next, NEXT))
    # What came about of itself was done by nobody.
    by_itself = any(event.startswith("{it}") for event, _ in category.before)
    asked = BEFORE[:2] if by_itself or category.kind == "animal" else BEFORE
    for _ in category.before:
        yield Idea("before", (a,), partial(told, seen, a, category.before, asked))
    for _ in category.use:
        yield Idea("use", (a,), partial(purpose, seen, a, category))
    if category.use and category.kind not in ("part", "building"):
        yield Idea("found", (a,), partial(surroundings, seen, a, category))
    if category.acts:
        yield Idea("acts", (a,), partial(activity, seen, a, category))
    if category.care:
        yield Idea("care", (a,), partial(caution, seen, a, category))
    if category.need:
        yield Idea("need", (a,), partial(requirement, seen, a, category))
    for weather in knowledge().weather:
        if weather.clue == category.name:
            yield Idea("weather", (a,), partial(forecast, seen, a, weather))


def visible(seen: View, a: Entity, box: Box, frame: Frame) -> Iterator[Idea]:
    """Yield ideas that rest on the box of a region."""
    if side := frame.edge(box):
        yield Idea("hidden", (a,), partial(hidden, a, side))
    rest = [entity.box for entity in seen.everything if entity is not a]
    if (
        len(rest) > 1
        and frame.share(box) >= FILLS
        and all(other and larger(box, other) for other in rest)
    ):
        yield Idea("subject", (a,), partial(subject, a))


def purpose(seen: View, a: Entity, category: Category, writer: Writer) -> Draft | None:
    """Say what something is probably for."""
    if not (chosen := writer.reasoned(category.use)):
        return None
    use, why = chosen
    asked = FOOD if category.kind == "food" else USE
    question = writer.pick(USE[:2] if category.kind == "part" else asked)
    return Draft(
        writer.fill(question, 0.2, a=a),
        sentence(writer.fill(writer.pick(USED), 1.0, a=a, use=use)),
        writer.rationale(facts.kinds(seen, [a]), why),
    )


def activity(seen: View, a: Entity, category: Category, writer: Writer) -> Draft | None:
    """Say what an animal may be doing."""
    if not (chosen := writer.reasoned(category.acts)):
        return None
    act, why = chosen
    return Draft(
        writer.fill(writer.pick(ACTS), a=a),
        sentence(writer.fill("{a} may be {act}", 0.7, a=a, act=act)),
        writer.rationale(facts.kinds(seen, [a]), why),
    )


def caution(seen: View, a: Entity, category: Category, writer: Writer) -> Draft | None:
    """Say what might go wrong with something."""
    answer, why = category.care
    if not writer.fresh([why]):
        return None
    return Draft(
        writer.fill(writer.pick(CARE), a=a),
        sentence(writer.fill(answer, 0.7, it=a)),
        writer.rationale(facts.kinds(seen, [a]), why),
    )


def requirement(seen: View, a: Entity, category: Category, writer: Writer) -> Draft | None:
    """Say what something or somebody probably needs."""
    if not writer.fresh([category.need_why]):
        return None
    return Draft(
        writer.fill(category.ask_need, a=a),
        sentence(writer.fill("{a} may need {need}", 0.8, a=a, need=category.need)),
        writer.rationale(facts.kinds(seen, [a]), category.need_why),
    )


def surroundings(seen: View, a: Entity, category: Category, writer: Writer) -> Draft | None:
    """Say where such things are usually found."""
    reason = f"people need them for {category.use[0][0]}"
    if category.kind == "food":
        reason = "people cook, eat or shop"
    fixed = category.kind in ("outdoor", "furniture", "appliance")
    why = f"{category.plural} are usually {'placed' if fixed else 'kept'} where {reason}"
    if not writer.fresh([why]):
        return None
    return Draft(
        writer.fill(writer.pick(FOUND), a=a),
        sentence(f"{category.plural} are usually found {category.found}"),
        writer.rationale(facts.kinds(seen, [a]), why),
    )


def forecast(seen: View, a: Entity, weather: Weather, writer: Writer) -> Draft | None:
    """Say what something suggests about the weather."""
    if not writer.fresh([weather.why]):
        return None
    return Draft(
        writer.fill(writer.pick(WEATHER), a=a),
        sentence(weather.answer),
        writer.rationale(facts.kinds(seen, [a]), weather.why),
    )


def told(
    seen: View, a: Entity, events: Reasoned, asked: Sequence[str], writer: Writer
) -> Draft | None:
    """Say what may come next for something, or what may have been before."""
    if not (chosen := writer.reasoned(events)):
        return None
    event, why = chosen
    return Draft(
        writer.fill(writer.pick(asked), a=a),
        sentence(writer.fill(event, 0.6, it=a)),
        writer.rationale(facts.kinds(seen, [a]), why),
    )


def keeper(seen: View, a: Entity) -> tuple[Entity, Fact] | None:
    """Return the person that something probably belongs to, and the fact that says so."""
    if not a.category or a.category.name not in knowledge().belongings:
        return None
    if not seen.categories_known:
        return None
    people = [e for e in seen.everything if e.category and e.category.name == "person"]
    if len(people) == 1:
        person, fact = people[0], Fact("only", (people[0],), "person")
        return (person, fact) if person.tag and not apart(seen, a, person) else None
    near = facts.nearest(seen, a, people)
    if near is None or not near.tag or apart(seen, a, near):
        return None
    return near, Fact("nearest person", (a, near))


def apart(seen: View, a: Entity, b: Entity) -> bool:
    """Say whether two entities are too far apart for one to belong to the other."""
    if seen.frame and a.box and b.box:
        return not facts.within_reach(seen, a, b)
    return bool(a.across) and bool(b.across) and a.across != b.across


def ownership(a: Entity, person: Entity, fact: Fact, writer: Writer) -> Draft | None:
    """Say who something probably belongs to."""
    if not (unused := writer.fresh(OWNER_WHY)):
        return None
    [why] = unused
    return Draft(
        writer.fill(writer.pick(OWNER), 0.6, a=a),
        sentence(writer.fill(writer.pick(OWNED), 0.6, a=a, p=person)),
        writer.rationale([fact], why),
    )


def hidden(a: Entity, side: str, writer: Writer) -> Draft | None:
    """Say that something may be cut off by an edge."""
    if not (unused := writer.fresh(HIDDEN_WHY)):
        return None
    [why] = unused
    return Draft(
        writer.fill(writer.pick(HIDDEN), a=a),
        sentence(writer.fill(writer.pick(CUT_OFF), a=a, side=side)),
        writer.rationale([Fact("edge", (a,), side)], why),
    )


def subject(a: Entity, writer: Writer) -> Draft:
    """Say that something may be the main subject."""
    return Draft(
        writer.fill(writer.pick(SUBJECT), a=a),
        sentence(writer.fill(writer.pick(SUBJECT_SAYS), a=a)),
        writer.rationale([Fact("largest", (a,))], writer.pick(SUBJECT_WHY)),
    )
