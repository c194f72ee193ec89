"""The symbolic teacher's triples are held against the annotations, by a reader of their English."""

import re
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from truth_reader import PLURALS, Photo, Reader, photos

from lskd.generate.parse import Parser
from lskd.generate.replies import Settings, conversation
from lskd.generate.symbolic import NOTHING_MORE, SymbolicTeacher
from lskd.prompt import Descriptors
from lskd.types import (
    Concept,
    Concepts,
    Dialogue,
    Exchange,
    Image,
    Narratives,
    Regions,
    Reply,
    Style,
    Triple,
)

SEEDS = range(3)
LAYOUT = re.compile("left to right|top to bottom|catches the eye|nearer to|met second|main subject")
STYLES: tuple[Style, ...] = ("id", "description")
SETTINGS = Settings.model_validate({"teacher": {"use": "lskd.generate.symbolic:SymbolicTeacher"}})


def told(photo: Photo, style: Style, seed: int) -> list[Reply]:
    """Return the teacher's replies to the stage's own prompt about a photograph."""
    kept = (Concept(photo.place, 0.9),) if photo.place else ()
    given = Descriptors(
        Image(photo.name, "", photo.width, photo.height),
        Concepts(photo.name, kept, (), ()),
        Narratives(photo.name, photo.captions or ("A photograph.",)),
        Regions(photo.name, photo.regions),
        Dialogue(photo.name, exchanges(photo)),
    )
    asked = conversation(given, style, SETTINGS)
    # What rests on the layout alone comes last, so much is asked for to meet it.
    more = replace(asked, turns=(*asked.turns, "Write exactly 30 more triples."))
    return list(SymbolicTeacher(seed).converse([more])[0])


def exchanges(photo: Photo) -> tuple[Exchange, ...]:
    """Return a dialogue with answers: what is counted right, and the mean light of the pixels."""
    labels = sorted(set(photo.labels.values()))
    counted = [
        Exchange(f"How many {PLURALS[label]} are there?", str(len(photo.named(label))))
        for label in labels
    ]
    return (Exchange("Is the picture bright or dark?", "dark"), *counted)


def parsed(photo: Photo, style: Style, seed: int) -> list[Triple]:
    """Return the triples of a photograph; nothing that the teacher writes may be rejected."""
    parser = Parser(photo.regions)
    replies = [r for r in told(photo, style, seed) if r.text != NOTHING_MORE]
    rows = [row for reply in replies for row in parser.parse(reply)]
    assert all(isinstance(row, Triple) for row in rows), rows
    return [row for row in rows if isinstance(row, Triple)]


@dataclass(frozen=True)
class Said:
    """A triple with the reader that can judge it."""

    reader: Reader
    triple: Triple


@pytest.fixture(scope="module")
def said(shared: Path) -> list[Said]:
    """Return the triples of all annotated photographs, in both styles, for several seeds."""
    return [
        Said(reader, triple)
        for photo in photos(shared / "data" / "photos")
        for style in STYLES
        for reader in [Reader(photo, style)]
        for seed in SEEDS
        for triple in parsed(photo, style, seed)
    ]


def early(one: Said) -> bool:
    """Say whether a triple is of the three turns that the stage asks for."""
    return not one.triple.reply_id.endswith("-3")


def test_photographs_give_about_nine_triples_a_style_and_none_is_rejected(
    said: list[Said],
) -> None:
    count = Counter((one.reader.photo.name, one.reader.style) for one in said if early(one))
    assert len(count) == 30 * len(STYLES)
    assert min(count.values()) >= 5 * len(SEEDS)
    assert count.total() >= 0.98 * 9 * len(count) * len(SEEDS)


def test_what_rests_on_boxes_alone_is_only_asked_where_nothing_better_is_left(
    said: list[Said],
) -> None:
    asked = [one.triple.question for one in said if early(one)]
    plain = [question for question in asked if LAYOUT.search(question)]
    assert len(plain) < 0.03 * len(asked), plain


def test_mean_brightness_tells_nothing_of_the_hour(said: list[Said]) -> None:
    told = [f"{one.triple.answer} {one.triple.rationale}" for one in said]
    assert not [
        text for text in told if re.search(r"picture is (?:dark|bright)|daylight|dim room", text)
    ]


def test_every_statement_is_true_of_the_annotations(said: list[Said]) -> None:
    problems = [
        f"{one.reader.photo.name} {one.triple.id}: {problem}"
        for one in said
        for problem in one.reader.problems(one.triple)
    ]
    assert not problems, "\n".join(problems[:20])


def test_most_forms_of_statement_were_met_and_checked(said: list[Said]) -> None:
    texts = {text for one in said for text in (one.triple.answer, one.triple.rationale)}
    forms = [pattern for pattern, _ in said[0].reader.statements]
    met = [form.pattern for form in forms if any(map(form.search, texts))]
    assert len(met) >= 18, met


@pytest.mark.parametrize(
    ("true", "false"),
    [
        ("is to the left of", "is to the right of"),
        ("is to the right of", "is to the left of"),
        ("is higher up in the picture than", "is lower down in the picture than"),
        ("are close together in the picture", "are far apart in the picture"),
        ("are far apart in the picture", "overlap in the picture"),
        ("takes up less of the picture than", "takes up more of the picture than"),
        ("exactly six of", "exactly five of"),
        ("the left edge", "the right edge"),
        ("of the marked people.", "of the marked people and smiles."),
        ("the person [", "the dog ["),
        ("] is a ", "] is a teddy bear and not a "),
        ("[0]", "[77]"),
        ("on the left]", "on the moon]"),
        ("are people", "are horses"),
        ("Here, ", "Here, it rains and "),
    ],
)
def test_a_false_triple_is_found_out(said: list[Said], true: str, false: str) -> None:
    corrupted = [
        Said(one.reader, changed)
        for one in said
        if (changed := altered(one.triple, true, false)) != one.triple
    ]
    assert corrupted, f"no triple says {true!r}"
    believed = [one.triple for one in corrupted if not one.reader.problems(one.triple)]
    assert not believed, believed[:5]


def altered(triple: Triple, true: str, false: str) -> Triple:
    """Return a triple whose answer and rationale say `false` wherever they said `true`."""
    answer, rationale = (t.replace(true, false) for t in (triple.answer, triple.rationale))
    return replace(triple, answer=answer, rationale=rationale)


def test_a_guess_that_is_stated_as_a_fact_is_found_out(said: list[Said]) -> None:
    for one in said:
        modest = re.sub(r"\b(?:may|might|could|would)\b", "will", one.triple.answer)
        bold = re.sub(r"\b(?:most likely|likely|probably|usually|often) ", "", modest, flags=re.I)
        if bold != one.triple.answer:
            assert one.reader.problems(replace(one.triple, answer=bold)), bold


def test_a_swap_of_what_is_larger_is_found_out(said: list[Said]) -> None:
    pattern = re.compile(r"(\[\d+\]) takes up more of the picture than ((?:the [a-z ]+ )?\[\d+\])")
    swapped = 0
    for one in said:
        if found := pattern.search(one.triple.rationale):
            wrong = one.triple.rationale.replace(
                found[0], f"{found[2]} takes up more of the picture than {found[1]}"
            )
            swapped += 1
            assert one.reader.problems(replace(one.triple, rationale=wrong))
    assert swapped
