"""Ideas for triples about one region: what it is for, what may come next, whose it may be."""

import re
from collections.abc import Iterator
from functools import partial

from lskd.generate.commonsense import facts
from lskd.generate.commonsense.facts import Fact
from lskd.generate.commonsense.knowledge import Category, Weather, knowledge, pairs_of
from lskd.generate.commonsense.spatial import FILLS, Frame, larger
from lskd.generate.commonsense.view import Entity, View
from lskd.generate.commonsense.wording import Draft, Idea, Writer, sentence
from lskd.types import Box

USE = (
    "What is {a} likely used for here?",
    "What purpose does {a} probably have?",
    "Why might somebody need {a}?",
    "What is {a} probably meant for?",
)
FOOD = (
    "What is {a} probably meant for?",
    "What may {a} have been prepared or bought for?",
)
USED = (
    "{a} is probably meant for {use}",
    "most likely {a} is there for {use}",
    "{a} is likely intended for {use}",
)
NEXT = (
    "What may happen next with {a}?",
    "What might follow for {a} in a short while?",
    "What could one expect to happen to {a} soon?",
)
PERSON_NEXT = (
    "What might {a} do next?",
    "What may {a} do in the next few minutes?",
    "What could one expect {a} to do soon?",
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
    "Who does {a} probably belong to?",
    "Which person may have brought {a}?",
    "Who might take {a} along when it is time to leave?",
)
OWNED = (
    "{a} probably belongs to {p}",
    "most likely it is {p} who owns or uses {a}",
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
    "What does {a} suggest about the weather?",
    "What may the weather be like, judging by {a}?",
)
LIGHT = (
    "When might the picture with {a} have been taken?",
    "What does the light around {a} suggest?",
)
LIGHT_SAYS = {
    "bright": (
        "The picture with {a} was probably taken in daylight or under strong lamps.",
        "A picture usually only turns out this way where there is plenty of light.",
    ),
    "dark": (
        "The picture with {a} may have been taken in the evening, at night or in a dim room.",
        "A picture usually turns out this way where there is little light.",
    ),
}


def ideas(seen: View) -> Iterator[Idea]:
    """Yield an idea for each kind of thing that can be said about each region alone."""
    light = brightness(seen)
    for a in seen.entities:
        if a.category:
            yield from everyday(seen, a, a.category)
        if owned := keeper(seen, a):
            person, fact = owned
            yield Idea("owner", (a, person), partial(ownership, a, person, fact))
        if seen.frame and a.box:
            yield from visible(seen, a, a.box, seen.frame)
        if light and a is seen.entities[0]:
            yield Idea("light", (a,), partial(lit, a, light))


def everyday(seen: View, a: Entity, category: Category) -> Iterator[Idea]:
    """Yield ideas about what usually holds of a category."""
    yield Idea("next", (a,), partial(sequel, seen, a, category))
    if category.use:
        yield Idea("use", (a,), partial(purpose, seen, a, category))
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


def support(seen: View, a: Entity, writer: Writer) -> list[Fact]:
    """Return a fact about an entity that bears on it: one with a thing that it has to do with.

    Else what or where it is, else nothing.
    """
    found = [fact for fact in facts.about(seen, a) if all(related(a, b) for b in fact.entities)]
    strong = [fact for fact in found if fact.relation in ("overlap", "close", "nearest")]
    alone = facts.kinds(seen, [a]) + facts.looks(seen, a)
    chance = writer.rng.random()
    if found and chance < (0.8 if alone else 1.0):
        return [writer.rng.choice(strong or found)]
    return [writer.rng.choice(alone)] if alone else []


def related(a: Entity, b: Entity) -> bool:
    """Say whether two entities are one, or of categories that have to do with each other."""
    if a is b:
        return True
    if not a.category or not b.category:
        return False
    one, other = a.category.name, b.category.name
    return bool(pairs_of(one, other) or pairs_of(other, one))


def purpose(seen: View, a: Entity, category: Category, writer: Writer) -> Draft | None:
    """Say what something is probably for."""
    if not (unused := writer.fresh(category.facts)):
        return None
    [why] = unused
    question = writer.pick(FOOD if category.kind == "food" else USE)
    return Draft(
        writer.fill(question, 0.2, a=a),
        sentence(writer.fill(writer.pick(USED), 1.0, a=a, use=writer.pick(category.use))),
        writer.rationale(support(seen, a, writer), why),
    )


def activity(seen: View, a: Entity, category: Category, writer: Writer) -> Draft | None:
    """Say what a person or an animal may be doing."""
    reasons = dict(category.acts)
    if not (unused := writer.fresh(tuple(reasons))):
        return None
    [act] = unused
    return Draft(
        writer.fill(writer.pick(ACTS), a=a),
        sentence(writer.fill("{a} may be {act}", 0.7, a=a, act=act)),
        writer.rationale(support(seen, a, writer), reasons[act]),
    )


def caution(seen: View, a: Entity, category: Category, writer: Writer) -> Draft | None:
    """Say what might go wrong with something."""
    answer, why = category.care
    if not writer.fresh([why]):
        return None
    return Draft(
        writer.fill(writer.pick(CARE), a=a),
        sentence(writer.fill(answer, 0.7, it=a)),
        writer.rationale(support(seen, a, writer), why),
    )


def requirement(seen: View, a: Entity, category: Category, writer: Writer) -> Draft | None:
    """Say what something or somebody probably needs."""
    if not writer.fresh([category.need_why]):
        return None
    return Draft(
        writer.fill(category.ask_need, a=a),
        sentence(writer.fill("{a} probably needs {need}", 0.8, a=a, need=category.need)),
        writer.rationale(facts.kinds(seen, [a]) or support(seen, a, writer), category.need_why),
    )


def surroundings(seen: View, a: Entity, category: Category, writer: Writer) -> Draft | None:
    """Say where such things are usually found."""
    reason = f"people need them for {category.use[0]}"
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


def sequel(seen: View, a: Entity, category: Category, writer: Writer) -> Draft | None:
    """Say what may come next."""
    if not (unused := writer.fresh(category.facts, category.next)):
        return None
    why, event = unused
    questions = PERSON_NEXT if category.name == "person" else NEXT
    return Draft(
        writer.fill(writer.pick(questions), a=a),
        sentence(writer.fill(event, 0.6, it=a)),
        writer.rationale(support(seen, a, writer), why),
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


def brightness(seen: View) -> str:
    """Return "bright" or "dark" if an answer in the dialogue says so, else ""."""
    for exchange in seen.observations.dialogue:
        if exchange.question == "Is the picture bright or dark?":
            said = re.findall(r"\b(bright|dark|not|neither)\b", exchange.answer.lower())
            return said[0] if said in (["bright"], ["dark"]) else ""
    return ""


def lit(a: Entity, light: str, writer: Writer) -> Draft:
    """Say when a picture may have been taken."""
    answer, why = LIGHT_SAYS[light]
    return Draft(
        writer.fill(writer.pick(LIGHT), a=a),
        sentence(writer.fill(answer, 0.3, a=a)),
        writer.rationale([Fact("light", (), light)], why),
    )
