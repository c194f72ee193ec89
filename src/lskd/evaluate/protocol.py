"""How a benchmark is asked of a model: items become panels, and fits become one score a choice.

In: items in the words and with the region ids of their authors, and a `Protocol` of settings. Out:
panels, each a picture with regions to draw and a text for each choice; and, of what a model says of
these, the numbers that rank the choices. The defaults ask as the paper's release asks its students.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from string import Formatter
from typing import Literal, Self

from pydantic import PositiveInt, model_validator

from lskd import marking
from lskd.errors import UserError
from lskd.protocols import Fits, Panel, Text
from lskd.stage import Section
from lskd.types import Image, Item, Region

_BRACKETS = re.compile(r"\[[^\[\]]*\]")
_SEVERAL = re.compile(r"\[[0-9]+\](?: , \[[0-9]+\])+")  # as the readers write them
_CHOICE = "{choice}"


class Protocol(Section):
    """How items are shown, worded and scored.

    `score` is the head that ranks the choices: matching, contrast, their sum (as LAVIS ranks), or
    the likelihood of a model that writes.

    Texts: with `question`, the templates `answer_text` and `rationale_text` (where the right answer
    is given), else, and for items that ask no question, those named `*_alone`. Where the choices
    are labels, as in SNLI-VE, the question always stays: see `of_labels`. `{choice}` comes last.
    `lower` makes texts lower-case; `words` cuts a text after so many, apart by blanks, not counting
    the template's own before its first part. A cut can take the choice away: see `cuts`.

    Regions: those that an item points to and those that its texts name are drawn, in that order,
    "all" others after them (until `most` are drawn, though none of the first is left out), or
    "none". With `renumber` a region's id is its place in that order, on the picture and in texts.
    A text names regions by "tags", as "[2]", by "tags and words", as "person [2]", or by "words",
    where `phrase` has the benchmark's word for it as `{label}`. Where an item has no regions, a
    number in brackets is a word as any other.
    """

    score: Literal["itm", "itc", "both", "likelihood"] = "itm"
    question: bool = True
    answer_text: str = "question: {question} answer: {choice}"  # the release
    rationale_text: str = "question: {question} answer: {answer} rationale: {choice}"
    answer_alone: str = _CHOICE
    rationale_alone: str = "{answer} {choice}"
    lower: bool = False
    words: PositiveInt | None = None
    drawn: Literal["pointed", "all", "none"] = "pointed"
    most: PositiveInt | None = None
    renumber: bool = True
    names: Literal["tags", "tags and words", "words"] = "tags"
    phrase: str = "the {label}"

    @model_validator(mode="after")
    def worded(self) -> Self:
        """Refuse templates that lack a part, or name one that there is not."""
        parts = {
            "answer_text": {"question", "choice"},
            "rationale_text": {"question", "answer", "choice"},
            "answer_alone": {"choice"},
            "phrase": {"label"},
        }
        for name, wanted in parts.items():
            _check(name, getattr(self, name), wanted)
        # CLIP-Event scores a rationale alone, without the answer.
        either = {"choice", "answer"} if "{answer}" in self.rationale_alone else {"choice"}
        _check("rationale_alone", self.rationale_alone, either)
        return self


@dataclass(frozen=True, slots=True)
class Cuts:
    """What `words` cuts from some items.

    Of `texts`, `shortened` lose words; in `alike` items two different choices became equal texts,
    so that no model can tell them apart.
    """

    texts: int
    shortened: int
    alike: int


def of_labels(protocol: Protocol) -> Protocol:
    """Return how choices are asked that are labels: with the question, which holds the statement.

    Without it every item would have the same texts.
    """
    return protocol.model_copy(update={"question": True})


def panels(items: Sequence[Item], protocol: Protocol) -> list[Panel]:
    """Return one panel for each item, its texts in the order of the choices.

    Raises UserError for an item whose texts name a region that it has not.
    """
    return [_panel(item, protocol) for item in items]


def cuts(items: Sequence[Item], protocol: Protocol) -> Cuts:
    """Return how much of the texts is cut off; an evaluation tells its user."""
    whole = protocol.model_copy(update={"words": None})
    texts = shortened = alike = 0
    for item in items:
        order = _order(item, protocol)
        before = [text.whole for text in _texts(item, order, whole)]
        after = [text.whole for text in _texts(item, order, protocol)]
        texts += len(after)
        shortened += sum(a != b for a, b in zip(after, before, strict=True))
        alike += len(set(after)) < len(set(before))
    return Cuts(texts, shortened, alike)


def chosen(fits: Fits, protocol: Protocol) -> tuple[float, ...]:
    """Return the scores of a panel's choices, higher for a better one.

    "both" is the logit of matching plus the similarity of contrast without temperature, as LAVIS
    ranks. Raises UserError if the model lacks the head.
    """
    wanted = ("itm", "itc") if protocol.score == "both" else (protocol.score,)
    given = [getattr(fits, head) for head in wanted]
    if None in given:
        has = [head for head in ("itm", "itc", "likelihood") if getattr(fits, head) is not None]
        raise UserError(
            f'score = "{protocol.score}" needs {" and ".join(wanted)}; this model gives '
            f"{' and '.join(has) or 'no score'}"
        )
    return tuple(sum(parts) for parts in zip(*given, strict=True))


def _panel(item: Item, protocol: Protocol) -> Panel:
    order = _order(item, protocol)
    drawn = () if protocol.drawn == "none" else order
    if protocol.renumber:
        drawn = tuple(replace(region, id=place) for place, region in enumerate(drawn))
    image = Image(item.image_id, item.path, item.width, item.height)
    return Panel(image, drawn, _texts(item, order, protocol))


def _order(item: Item, protocol: Protocol) -> tuple[Region, ...]:
    """Return an item's regions in the order of drawing, whether they are drawn or not."""
    if not item.regions:
        return ()
    known = {region.id: region for region in item.regions}
    said = (item.question, item.given or "", *item.choices)
    named = (number for text in said for number in marking.named(text))
    first = list(dict.fromkeys((*item.pointed, *named)))
    if unknown := [number for number in first if number not in known]:
        numbers = ", ".join(f"[{number}]" for number in known)
        raise UserError(
            f"{item.benchmark} {item.id}: region [{unknown[0]}] is named, known are: {numbers}"
        )
    if protocol.drawn == "all":
        others = [number for number in known if number not in first]
        free = len(others) if protocol.most is None else max(0, protocol.most - len(first))
        first += others[:free]
    return tuple(known[number] for number in first)


def _texts(item: Item, order: Sequence[Region], protocol: Protocol) -> tuple[Text, ...]:
    """Return the text of each choice."""
    template = _template(item, protocol)
    question = _renamed(item.question, order, protocol)
    answer = _renamed(item.given or "", order, protocol)
    start, head = template.removesuffix(_CHOICE), template.partition("{")[0]
    before = start.removeprefix(head).format(question=question, answer=answer)
    return tuple(
        _text(head, before, _renamed(choice, order, protocol), protocol) for choice in item.choices
    )


def _template(item: Item, protocol: Protocol) -> str:
    if protocol.question and item.question:
        return protocol.answer_text if item.given is None else protocol.rationale_text
    return protocol.answer_alone if item.given is None else protocol.rationale_alone


def _text(head: str, before: str, choice: str, protocol: Protocol) -> Text:
    """Return head, what stands before the choice (with a blank at its end, or "") and the choice.

    Where the choice is empty or cut off, all is one target: a prompt alone has no likelihood.
    """
    if protocol.lower:
        head, before, choice = head.lower(), before.lower(), choice.lower()
    choice = choice.rstrip(" ")
    if not choice:
        return Text("", head + " ".join(_words(before.rstrip(" "))[: protocol.words]))
    prior = _words(before.removesuffix(" ")) if before else []
    if protocol.words is not None and len(prior) >= protocol.words:
        return Text("", head + " ".join(prior[: protocol.words]))
    room = None if protocol.words is None else protocol.words - len(prior)
    prompt = head + " ".join(prior) if prior else head.removesuffix(" ")
    return Text(prompt, " ".join(_words(choice)[:room]))


def _words(text: str) -> list[str]:
    """Return what lies between single blanks: two blanks hold a word of no letters."""
    return text.split(" ")


def _renamed(text: str, order: Sequence[Region], protocol: Protocol) -> str:
    """Return a text that names regions by their new ids, by words, or by both."""
    if not order:
        return text
    places = {
        region.id: place if protocol.renumber else region.id for place, region in enumerate(order)
    }
    if protocol.names == "tags":
        return marking.renumber(text, places)
    labels = {region.id: region.label or "object" for region in order}

    def name(number: int) -> str:
        if protocol.names == "words":
            return protocol.phrase.format(label=labels[number])
        return f"{labels[number]} [{places[number]}]"

    def written(found: re.Match[str]) -> str:
        return " and ".join(map(name, marking.named(found[0]))) or found[0]

    if protocol.names == "words":
        text = _SEVERAL.sub(written, text)
    return _BRACKETS.sub(written, text)


def _check(name: str, template: str, wanted: set[str]) -> None:
    """Raise ValueError for a template that has other parts, or whose choice is not its end."""
    try:
        parts = list(Formatter().parse(template))
    except ValueError as error:
        raise ValueError(f"{name} = {template!r}: {error}") from error
    fields = [field for _, field, _, _ in parts if field is not None]
    if sorted(fields) != sorted(wanted) or any(kind or turn for _, _, kind, turn in parts):
        told = ", ".join(f"{{{part}}}" for part in sorted(wanted))
        raise ValueError(f"{name} = {template!r}: expected {told} once each, and no other")
    if "choice" not in wanted:
        return
    before = template.removesuffix(_CHOICE)
    if (
        before == template
        or (before and not before.endswith(" "))
        or "{{" in template
        or "}}" in template
    ):
        raise ValueError(
            f"{name} = {template!r}: expected it to end with a blank and {_CHOICE}, and no other "
            "braces"
        )
