"""What is right to write after each prompt about a scene, by the scene itself."""

import random

from lskd.lab import words
from lskd.lab.gold import whole
from lskd.lab.knowledge import ASKS
from lskd.lab.pretrain.speaker_lessons import PROMPTS, names
from lskd.lab.scene import Scene


def right(scene: Scene) -> dict[str, str]:
    """Return it for all prompts but those about drawn rectangles."""
    asked = whole.questions(scene, random.Random(0))  # chance decides what is wrong alone
    found = {PROMPTS.answer(one.text): f"{one.answer}." for one in asked}
    for name in names(scene):
        for ask in ASKS:
            question = words.question(name.text, ask)
            answer = f"{words.answer(scene, name.number, ask)}."
            found[PROMPTS.answer(question)] = answer
            reason = words.rationale(scene, name.number, name.text)
            found[PROMPTS.rationale(question, answer)] = reason
    return found
