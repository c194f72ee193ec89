"""A pre-training begins with what another one learnt, word by word."""

from pathlib import Path

import torch

from lskd.blip2 import weights
from lskd.blip2.given import VOCABULARY
from lskd.blip2.stage1 import Stage1, new_student
from lskd.lab.pretrain import note
from lskd.lab.pretrain.shape import size


def begin_with(student: Stage1, words: list[str], start: Path) -> None:
    """Copy the weights of the base model in `start` into a student that knows `words`.

    What belongs to a word goes to the same word, wherever the two vocabularies have it; a word that
    the other model did not know keeps the student's own weights.
    """
    known = vocabulary_of(start)
    if known == words:
        weights.load(student, start)
        return
    other = new_student(size(len(known)), dropout=0.0)
    weights.load(other, start)
    shared = [word for word in words if word in set(known)]
    mine = torch.tensor([words.index(word) for word in shared])
    theirs = torch.tensor([known.index(word) for word in shared])
    taken = dict(other.named_parameters())
    with torch.no_grad():
        for name, weight in student.named_parameters():
            if weight.shape == taken[name].shape:
                weight.copy_(taken[name])
            else:  # a row for each word
                weight[mine] = taken[name][theirs]


def vocabulary_of(folder: Path) -> list[str]:
    """Return the words of a base model in their order, [DEC] being the last.

    Raises UserError if the folder has none.
    """
    path = note.present(folder, VOCABULARY)
    return [*path.read_text(encoding="utf-8").split("\n")[:-1], "[DEC]"]
