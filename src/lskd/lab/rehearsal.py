"""What a student rehearses in the lab: scenes that the base was pre-trained on, and statements.

`rehearsal/*.png` with `rehearsal/statements.jsonl`, and `rehearsal/questions.jsonl` for a student
that writes, in the forms of `lskd.distil.rehearsal`. The scenes are none of a world's, so nothing
of its splits is told, and both are of the kinds of pre-training (`lskd.lab.pretrain.statements`,
`speaker_lessons`): no region's number is among them.
"""

import json
import random
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

from lskd import table
from lskd.lab.combinations import shown
from lskd.lab.drawing import staged
from lskd.lab.pretrain.speaker_lessons import ask
from lskd.lab.pretrain.statements import statements
from lskd.lab.scene import Scene
from lskd.lab.workers import workers
from lskd.lab.world import PRETRAINING

FOLDER, FILE, ASKED = "rehearsal", "statements.jsonl", "questions.jsonl"
STATEMENTS = 16  # about each picture
QUESTIONS = 24  # that are drawn for each picture; what comes twice is asked once


def write(world: Path, pictures: int, tick: Callable[[int], None], processes: int = 2) -> Path:
    """Write so many pictures, what is said and asked of them, below a world's folder.

    Return the file of statements.
    """
    folder = world / FOLDER
    scenes = []
    with workers(processes) as pool:
        for scene in pool.map(partial(_picture, folder), range(pictures), chunksize=16):
            scenes.append(scene)
            tick(1)
    for name, lines in ((ASKED, _questions(scenes)), (FILE, _lines(scenes))):
        with table.draft(folder / name) as unfinished:
            unfinished.write_text("".join(lines), encoding="utf-8")
    return folder / FILE


def _picture(folder: Path, number: int) -> Scene:
    scene, rendered = staged(PRETRAINING + number, allowed=shown)
    with table.draft(folder / _name(number)) as unfinished:
        rendered.picture.save(unfinished, "PNG")
    return scene


def _lines(scenes: list[Scene]) -> Iterable[str]:
    for number, scene in enumerate(scenes):
        rng = random.Random(f"rehearsal/{number}")
        for _ in range(STATEMENTS):
            right, *wrong = statements(scene, rng.choice(scenes), rng)
            line = {"image": _name(number), "text": right, "wrong": wrong}
            yield json.dumps(line) + "\n"


def _questions(scenes: list[Scene]) -> Iterable[str]:
    for number, scene in enumerate(scenes):
        rng = random.Random(f"rehearsal/{number}/asked")
        drawn = (ask(scene, [], rng) for _ in range(QUESTIONS))
        for one in dict.fromkeys(drawn):
            line = {"image": _name(number), "prompt": one.prompt, "answer": one.target}
            yield json.dumps(line) + "\n"


def _name(number: int) -> str:
    return f"{number:06}.png"
