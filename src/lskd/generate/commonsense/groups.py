"""Ideas for triples about several regions: why they are together, and what place they tell of."""

from collections import Counter
from collections.abc import Iterator, Sequence
from functools import partial

from lskd.generate.commonsense import facts
from lskd.generate.commonsense.facts import Fact
from lskd.generate.commonsense.knowledge import Scene, article, indefinite, knowledge
from lskd.generate.commonsense.view import Entity, View
from lskd.generate.commonsense.wording import Draft, Idea, Writer, listed, sentence

GROUP = (
    "Why might {all} be there together?",
    "What may have brought {all} to the same place?",
    "What might be the reason that the picture shows {all}?",
)
PLACE = (
    "In what kind of place might {all} be?",
    "What kind of place may the picture with {all} show?",
    "Where might the picture with {all} have been taken?",
)
PROOF = (
    "How could one guess that {a} may be {where}?",
    "What might tell that {a} may be {where}?",
)
PROOF_SAYS = (
    "{others} probably give it away",
    "what may tell is that the picture shows {others} as well",
)
PLACE_SAYS = (
    "{all} may be {where}",
    "the picture with {all} may show {scene}",
)
ONLY = (
    "Is there another {noun} like {a} among the marked regions?",
    "Does any other marked region show {thing}, as {a} does?",
)


def ideas(seen: View) -> Iterator[Idea]:
    """Yield ideas about groups and about the place."""
    yield from groups(seen)
    yield from scenes(seen)


def groups(seen: View) -> Iterator[Idea]:
    """Yield ideas about all regions of a category, and about one that is the only one."""
    for name in sorted({entity.category.name for entity in seen.entities if entity.category}):
        members = [e for e in seen.entities if e.category and e.category.name == name]
        category = members[0].category
        if len(members) > 1 and category and category.group:
            yield Idea("group", tuple(members), partial(group, seen, members))
        elif len(seen.everything) > 2 and seen.categories_known and seen.style == "id":
            count = sum(1 for e in seen.everything if e.category and e.category.name == name)
            if count == 1:
                yield Idea("only", (members[0],), partial(only, seen, members[0]))


def group(seen: View, members: Sequence[Entity], writer: Writer) -> Draft | None:
    """Say what may have brought several of a kind together."""
    category = members[0].category
    assert category
    if not (unused := writer.fresh(category.group, category.group_why)):
        return None
    says, why = unused
    chosen = members
    if len(members) > 4:
        kept = writer.rng.sample(range(len(members)), 3)
        chosen = [members[k] for k in sorted(kept)]
    seen_so = []
    if seen.style == "id":
        seen_so = [Fact("are", tuple(chosen), category.name)]
        count = sum(1 for e in seen.everything if e.category is category)
        if seen.categories_known and len(chosen) < count:
            seen_so.append(Fact("count", (), category.name, count))
    return Draft(
        writer.fill(writer.pick(GROUP), all=chosen),
        sentence(writer.fill(says, all=chosen)),
        writer.rationale(seen_so, why),
    )


def only(seen: View, a: Entity, writer: Writer) -> Draft | None:
    """Say that a region is the only one of its category, and what the others are."""
    assert a.category
    others = Counter(e.category.name for e in seen.everything if e.category and e is not a)
    table = knowledge().categories
    shown = [indefinite(table[n]) if k == 1 else table[n].plural for n, k in others.items()]
    question = writer.pick(ONLY)
    return Draft(
        writer.fill(question, 0.0, a=a, noun=a.category.noun, thing=indefinite(a.category)),
        f"No, {writer.clause(Fact('only', (a,), a.category.name))}.",
        writer.rationale([Fact("others", (a,), listed(shown))], ""),
    )


def scenes(seen: View) -> Iterator[Idea]:
    """Yield what several regions, or one and the label of the whole picture, tell of the place."""
    tags = {place.lower() for place in seen.observations.places}
    for scene in knowledge().scenes:
        first: dict[str, Entity] = {}
        for entity in seen.entities:
            if entity.category and entity.category.name in scene.clues | scene.needed:
                first.setdefault(entity.category.name, entity)
        labels = sorted(scene.tags & tags)
        if scene.unless & {e.category.name for e in seen.everything if e.category}:
            continue
        if scene.needed & set(first) and len(first) + bool(labels) > 1:
            # What speaks for the place comes first.
            clues = sorted(first, key=lambda name: (name not in scene.needed, first[name].index))
            yield Idea(
                "scene",
                tuple(first[name] for name in clues[:3]),
                partial(place, seen, scene, [first[name] for name in clues[:3]], labels),
            )
            if len(clues) > 1:
                told = tuple(first[name] for name in clues[:3])
                yield Idea("evidence", told, partial(proof, seen, scene, told, labels))


def place(
    seen: View, scene: Scene, clues: Sequence[Entity], labels: Sequence[str], writer: Writer
) -> Draft | None:
    """Say what kind of place a picture may show."""
    if not writer.fresh([scene.why]):
        return None
    return Draft(
        writer.fill(writer.pick(PLACE), all=clues),
        sentence(
            writer.fill(writer.pick(PLACE_SAYS), all=clues, scene=scene.name, where=scene.where)
        ),
        writer.rationale(evidence(seen, clues, labels), scene.why),
    )


def proof(
    seen: View, scene: Scene, clues: Sequence[Entity], labels: Sequence[str], writer: Writer
) -> Draft | None:
    """Say by what one can tell the kind of place where something is."""
    if not writer.fresh([scene.why]):
        return None
    others = clues[:-1]
    says = PROOF_SAYS if len(others) > 1 else PROOF_SAYS[1:]
    return Draft(
        writer.fill(writer.pick(PROOF), 0.7, a=clues[-1], where=scene.where),
        sentence(writer.fill(writer.pick(says), others=others)),
        writer.rationale(evidence(seen, others, labels), scene.why),
    )


def evidence(seen: View, clues: Sequence[Entity], labels: Sequence[str]) -> list[Fact]:
    """Return what speaks for a place: what regions show, and the label of the whole picture."""
    shown = facts.kinds(seen, clues)
    if labels:
        shown.append(Fact("looks like", (), f"{article(labels[0])} {labels[0]}"))
    return shown
