"""Scenes become VCR: what is asked of one region is asked of four, with the same four answers.

A question, as "Why is [2] here?", has the right answers of four regions as its choices, and all
four are asked; so whoever looks at no picture, or at a picture without its mark, is right in
exactly a quarter. The rationales are those of the four regions, each told of the region that is
asked: one of them is true of it.

QA -> R is told the right answer, as VCR has it, and from that alone knowledge of the world tells
most rationales apart: it is no measure of pointing. In "held" only regions of combinations that are
held out are asked, so not all four: there a text model that is fitted on "held" itself learns which
combinations these are. One that is fitted on anything else has nothing to learn.
"""

import random
import re
from collections.abc import Sequence
from pathlib import Path

from lskd.lab.gold.files import chance, put_lines
from lskd.lab.gold.regions import FILM, Numbered, apart, asked, in_rounds
from lskd.lab.knowledge import ASKS, Ask
from lskd.lab.words import answer, question, rationale
from lskd.lab.world import Staged

CHOICES = 4
SPLIT = "val"
_PIECE = re.compile(r"\[(\d+)\]|[\w-]+|[^\w\s]")


def write(folder: Path, world: Path, scenes: Sequence[Staged], seed: int) -> int:
    """Write val.jsonl and vcr1images into a folder; return the number of questions.

    `answer_sources` are the regions for which each choice is the right answer.
    """
    sets = in_rounds(folder, world, scenes, seed, lambda one: _sets(one, seed))
    rows = [row for together in sets for row in together]
    put_lines(
        folder / f"{SPLIT}.jsonl",
        (
            {"annot_id": f"{SPLIT}-{number}", "match_index": number, **row}
            for number, row in enumerate(rows)
        ),
    )
    return len(rows)


def tokens(text: str) -> list[str | list[int]]:
    """Return a text as VCR has it: words, punctuation, and lists of regions for their tags."""
    return [
        [int(found[1])] if found[1] is not None else found[0] for found in _PIECE.finditer(text)
    ]


def _sets(one: Numbered, seed: int) -> list[list[dict[str, object]]]:
    """Return the questions about a scene, those with the same answers together.

    What is asked first is by chance: the first questions of a file are of all kinds.
    """
    sets: list[list[dict[str, object]]] = []
    number = 0
    for ask in chance(seed, one.staged, "vcr").sample(ASKS, len(ASKS)):
        rng = chance(seed, one.staged, f"vcr/{ask}")
        offered = apart(one.staged, (ask,), CHOICES, rng) or ()
        rows = []
        for entity in offered:
            if asked(one.staged, entity):
                rows.append(
                    _row(one, ask, entity, offered, rng)
                    | {
                        "img_id": f"{SPLIT}-{one.staged.file}",
                        "match_fold": f"{SPLIT}-0",
                        "question_number": number,
                    }
                )
                number += 1
        if rows:
            sets.append(rows)
    return sets


def _row(
    one: Numbered, ask: Ask, entity: int, offered: tuple[int, ...], rng: random.Random
) -> dict[str, object]:
    region = one.region(entity)
    answers, reasons = (rng.sample(offered, CHOICES) for _ in range(2))
    asks = question(f"[{region}]", ask)
    said = [f"{answer(one.scene, number, ask)}." for number in answers]
    why = [rationale(one.scene, number, f"[{region}]") for number in reasons]
    right, justified = answers.index(entity), reasons.index(entity)
    return {
        "movie": FILM,
        "objects": one.labels,
        "interesting_scores": [0],
        "answer_likelihood": "likely",
        "img_fn": one.image,
        "metadata_fn": one.metadata,
        "question_orig": _original(asks),
        "answer_orig": _original(said[right]),
        "rationale_orig": _original(why[justified]),
        "question": tokens(asks),
        "answer_match_iter": list(range(CHOICES)),
        "answer_sources": [one.region(number) for number in answers],
        "answer_choices": [tokens(text) for text in said],
        "answer_label": right,
        "rationale_choices": [tokens(text) for text in why],
        "rationale_label": justified,
    }


def _original(text: str) -> str:
    """Return a text with regions counted from 1, as the authors' `_orig` fields have it."""
    return re.sub(r"\[(\d+)\]", lambda tag: str(int(tag[1]) + 1), text)
