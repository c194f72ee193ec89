"""Ideas for triples that need only boxes: for regions of which nothing else is known."""

from collections.abc import Iterator, Sequence
from functools import partial
from itertools import combinations, permutations

from lskd.generate.commonsense import spatial
from lskd.generate.commonsense.facts import Fact
from lskd.generate.commonsense.view import Entity, View
from lskd.generate.commonsense.wording import Draft, Idea, Writer, sentence

ACROSS = (
    "What would somebody who looks from left to right probably see first, {a} or {b}?",
    "Going from left to right, which would probably come first, {a} or {b}?",
)
DOWN = (
    "What would somebody who looks from top to bottom probably see first, {a} or {b}?",
    "Going from top to bottom, which would probably come first, {a} or {b}?",
)
FIRST = ("{a} would probably come first", "one would probably see {a} before {b}")
MIDDLE = (
    "Which of {all} would probably be met second from left to right?",
    "From left to right, which of {all} probably separates the other two?",
)
MIDDLE_SAYS = ("{a} would probably be met second", "{a} probably separates {b} from {c}")
# Questions with their answers.
EYE = {
    "Which probably catches the eye first, {a} or {b}?": "{c} probably catches the eye before {d}",
    "Which of {a} and {b} may matter more to the picture?": (
        "{c} may matter more to the picture than {d}"
    ),
}
EYE_WHY = (
    "What takes up more room usually catches the eye first.",
    "A photographer usually gives more room to what matters.",
)
ALIKE = ("What may {a} and {b} have in common?", "How might {a} and {b} be related?")
ALIKE_SAYS = (
    "{a} and {b} may be used or behave in the same way",
    "what holds of {a} may hold of {b} as well",
)
ALIKE_WHY = ("Things of one kind usually have much in common.",)


def ideas(seen: View) -> Iterator[Idea]:
    """Yield ideas about how regions lie to each other, and about free words that are the same."""
    for a, b in combinations(seen.entities, 2):
        if a.noun and a.noun == b.noun and not a.category:
            yield Idea("alike", (a, b), partial(alike, a, b))
    for a, b in permutations(seen.entities, 2):
        yield from order(seen, a, b)
    yield from rows(seen)


def order(seen: View, a: Entity, b: Entity) -> Iterator[Idea]:
    """Yield which of two comes first, and which is larger in the picture."""
    if seen.frame and a.box and b.box:
        if seen.frame.left_of(a.box, b.box):
            reason = Fact("left", (a, b))
            yield Idea("across", (a, b), partial(first, a, b, reason, ACROSS))
        if seen.frame.above(a.box, b.box):
            reason = Fact("above", (a, b))
            yield Idea("down", (a, b), partial(first, a, b, reason, DOWN))
        if spatial.larger(a.box, b.box, 2):
            yield Idea("eye", (a, b), partial(eye, a, b))
    elif a.across == "on the left" and b.across == "on the right":
        reason = Fact("opposite", (a, b))
        yield Idea("across", (a, b), partial(first, a, b, reason, ACROSS))


def first(
    a: Entity, b: Entity, reason: Fact, questions: Sequence[str], writer: Writer
) -> Draft | None:
    """Say that `a` comes before `b`."""
    one, other = (a, b) if writer.rng.random() < 0.5 else (b, a)
    return Draft(
        writer.fill(writer.pick(questions), a=one, b=other),
        sentence(writer.fill(writer.pick(FIRST), 0.7, a=a, b=b)),
        writer.rationale([reason], ""),
    )


def eye(a: Entity, b: Entity, writer: Writer) -> Draft | None:
    """Say that `a` is more striking than `b`."""
    if not (unused := writer.fresh(EYE_WHY)):
        return None
    [why] = unused
    one, other = (a, b) if writer.rng.random() < 0.5 else (b, a)
    question = writer.pick(tuple(EYE))
    return Draft(
        writer.fill(question, a=one, b=other),
        sentence(writer.fill(EYE[question], 0.7, c=a, d=b)),
        writer.rationale([Fact("larger", (a, b))], why),
    )


def alike(a: Entity, b: Entity, writer: Writer) -> Draft | None:
    """Say that two regions with the same free word may have much in common."""
    if not (unused := writer.fresh(ALIKE_WHY)):
        return None
    [why] = unused
    return Draft(
        writer.fill(writer.pick(ALIKE), a=a, b=b),
        sentence(writer.fill(writer.pick(ALIKE_SAYS), a=a, b=b)),
        writer.rationale([Fact("same word", (a, b))], why),
    )


def rows(seen: View) -> Iterator[Idea]:
    """Yield neighbours from left to right, three by three, none of which overlap."""
    boxed = sorted((e.box.x0 + e.box.x1, e.index, e) for e in seen.entities if e.box)
    ordered = [entity for _, _, entity in boxed]
    for a, b, c in zip(ordered, ordered[1:], ordered[2:], strict=False):
        if seen.frame and a.box and b.box and c.box and seen.frame.in_row(a.box, b.box, c.box):
            yield Idea("middle", (a, b, c), partial(middle, a, b, c))


def middle(a: Entity, b: Entity, c: Entity, writer: Writer) -> Draft:
    """Say which of three is the middle one, from left to right."""
    shuffled = writer.rng.sample([a, b, c], 3)
    return Draft(
        writer.fill(writer.pick(MIDDLE), all=shuffled),
        sentence(writer.fill(writer.pick(MIDDLE_SAYS), 0.5, a=b, b=a, c=c)),
        writer.rationale([Fact("between", (b, a, c))], ""),
    )
