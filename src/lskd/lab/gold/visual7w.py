"""Scenes become Visual7W telling: what, where, who and how many, about the whole picture.

Each picture has one question of each type that it allows. "When" has no answer in this world, and
"why" is asked of regions alone.
"""

from collections.abc import Sequence
from pathlib import Path

from lskd.lab.gold.files import chance, number_of, put_json, put_picture
from lskd.lab.gold.whole import Question, questions
from lskd.lab.world import Staged

SPLIT = "val"
TYPES = ("what", "where", "who", "how")
IDS = 10  # question ids of a picture: a picture has fewer questions


def write(folder: Path, world: Path, scenes: Sequence[Staged], seed: int) -> int:
    """Write dataset_v7w_telling.json and images into a folder; return the number of questions."""
    images: list[dict[str, object]] = []
    count = 0
    for staged in scenes:
        number = number_of(staged)
        put_picture(world, staged, folder / "images" / f"v7w_{number}.jpg")
        pairs = [_pair(number, place, asked) for place, asked in enumerate(_some(staged, seed))]
        count += len(pairs)
        images.append(
            {
                "image_id": number,
                "split": SPLIT,
                "filename": f"v7w_{number}.jpg",
                "qa_pairs": pairs,
            }
        )
    put_json(folder / "dataset_v7w_telling.json", {"dataset": "visual7w-telling", "images": images})
    return count


def _some(staged: Staged, seed: int) -> list[Question]:
    """Return a question of each type about a scene, by chance."""
    rng = chance(seed, staged, "visual7w")
    every = questions(staged.scene, rng)
    rng.shuffle(every)
    chosen = {one.type: one for one in every}
    return [chosen[kind] for kind in TYPES if kind in chosen]


def _pair(number: int, place: int, asked: Question) -> dict[str, object]:
    return {
        "qa_id": number * IDS + place,
        "image_id": number,
        "question": asked.text,
        "answer": asked.answer,
        "multiple_choices": list(asked.wrong),
        "type": asked.type,
    }
