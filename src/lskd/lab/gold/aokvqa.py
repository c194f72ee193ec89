"""Scenes become A-OKVQA: where it is, how many people there are, colours, and what stands where.

Each picture has up to three questions of different kinds. They are about the whole picture and take
no more knowledge than the names of things: in this world what knowledge tells is asked of regions.
"""

from collections.abc import Sequence
from pathlib import Path

from lskd.lab.gold.files import chance, number_of, put_json, put_picture
from lskd.lab.gold.whole import Question, questions
from lskd.lab.world import Staged

SPLIT = "val"
EACH = 3  # questions of a picture, at most
PEOPLE = 10  # who answered directly, in the authors' files
KINDS = ("place", "people", "colour", "side")


def write(folder: Path, world: Path, scenes: Sequence[Staged], seed: int) -> int:
    """Write aokvqa_v1p0_val.json and val2017 into a folder; return the number of questions."""
    rows: list[dict[str, object]] = []
    for staged in scenes:
        put_picture(world, staged, folder / f"{SPLIT}2017" / f"{number_of(staged):012}.jpg")
        rows += [
            _row(staged, place, asked, seed) for place, asked in enumerate(_some(staged, seed))
        ]
    put_json(folder / f"aokvqa_v1p0_{SPLIT}.json", rows)
    return len(rows)


def _some(staged: Staged, seed: int) -> list[Question]:
    """Return questions of different kinds about a scene, by chance."""
    rng = chance(seed, staged, "aokvqa")
    every = questions(staged.scene, rng)
    rng.shuffle(every)
    chosen: dict[str, Question] = {}
    for one in every:
        if one.kind in KINDS and len(chosen) < EACH:
            chosen.setdefault(one.kind, one)
    return list(chosen.values())


def _row(staged: Staged, place: int, asked: Question, seed: int) -> dict[str, object]:
    choices = [asked.answer, *asked.wrong]
    chance(seed, staged, f"aokvqa/{asked.text}").shuffle(choices)
    return {
        "split": SPLIT,
        "image_id": number_of(staged),
        "question_id": f"{number_of(staged):06}-{place}",
        "question": asked.text,
        "choices": choices,
        "correct_choice_idx": choices.index(asked.answer),
        "direct_answers": [asked.answer] * PEOPLE,
        "difficult_direct_answer": False,
        "rationales": [asked.fact] * 3,
    }
