"""The Q-Former's queries first learn what stands where, told by labels and not by words.

To hold a statement against a scene, a new Q-Former would have to learn at once what its queries
look for and what words mean. Taught captions or statements alone it stayed on a plateau: after
24,000 captions it told the place and nothing else, after 16,000 of the simplest statements nothing.
Here a linear head reads labels off all queries together, and is thrown away afterwards; captions
then begin with queries that know what is to be said.
"""

from collections.abc import Sequence
from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from lskd.blip2.stage1 import Stage1
from lskd.lab import words
from lskd.lab.knowledge import knowledge
from lskd.lab.pretrain.frames import NAMES
from lskd.lab.pretrain.gallery import NONE, USES, use
from lskd.lab.pretrain.speech import Shown
from lskd.lab.scene import ANIMALS, COLOURS, FURS, KINDS, PEOPLE
from lskd.training.task import StepLosses

PRESENT = 5.0  # how much a label that is there weighs beside one that is not: few are
LOUD = 10.0  # and what all of them weigh: a mean over so many would be lost below the clip
MOST = 6  # people that a label counts


@cache
def labels() -> dict[str, int]:
    """Return the number of each label.

    In each third of the picture: phrases ("a red ball"), kinds, how things are used and what people
    do, tints of frames;
    of all of it: the place, and how many people there are.
    """
    looks = [words.looks(kind, paint, True) for kind in PEOPLE for paint in COLOURS]
    for kind in KINDS:
        paints = FURS if kind in ANIMALS else COLOURS
        looks += [words.looks(kind, paint, False) for paint in paints]
    of_third = [
        *looks,
        *PEOPLE,
        *KINDS,
        *(name for name in USES if name != NONE),
        *map(_frame, NAMES),
    ]
    placed = [f"{name} {third}" for third in words.THIRDS for name in of_third]
    counted = [_people(count) for count in range(1, MOST + 1)]
    return {name: n for n, name in enumerate((*placed, *sorted(knowledge().places), *counted))}


def known(all_shown: Sequence[Shown]) -> NDArray[np.bool_]:
    """Return which labels fit each still, (stills, labels) bool."""
    fit = np.zeros((len(all_shown), len(labels())), dtype=bool)
    for row, one in enumerate(all_shown):
        fit[row, [labels()[name] for name in _named(one)]] = True
    return fit


def _named(one: Shown) -> list[str]:
    scene = one.scene
    names = [scene.place, _people(sum(entity.is_person for entity in scene.entities))]
    for number, entity in enumerate(scene.entities):
        third = words.third_of(scene, number)
        said = (words.phrase(entity), entity.kind, use(scene, number))
        names += [f"{name} {third}" for name in said]
    return names + [f"{_frame(drawn.tint)} {drawn.third}" for drawn in one.drawn]


def _frame(tint: str) -> str:
    return f"{tint} frame"


def _people(count: int) -> str:
    return f"{min(count, MOST)} people"


class Teller(nn.Module):
    """A student whose queries, together, tell labels by a linear head."""

    def __init__(self, student: Stage1) -> None:
        super().__init__()
        self.student = student
        size = student.backbone.qformer.size
        self.head = nn.Linear(size.queries * size.width, len(labels()))

    def forward(self, features: Tensor) -> Tensor:
        """Return logits, (views, labels), of features, (views, tokens, width)."""
        backbone = self.student.backbone
        told: Tensor = self.head(backbone.qformer.look(backbone.remember(features)).flatten(1))
        return told


class StandingTask:
    """Stills by number, with what the tower saw of each, and their labels."""

    def __init__(self, model: Teller, all_shown: Sequence[Shown], seen: Tensor) -> None:
        self.model = model
        self.seen = seen
        self.known = torch.from_numpy(known(all_shown)).to(seen.device)

    def losses(
        self, model: nn.Module, rows: Sequence[int], generator: torch.Generator
    ) -> StepLosses:
        """Return the loss of the labels."""
        some, device = torch.tensor(rows, device=self.seen.device), self.model.head.weight.device
        told = model(self.seen[some].to(device).float()).float()
        wanted = self.known[some].to(device).float()
        weight = torch.tensor(PRESENT, device=device)
        loss = functional.binary_cross_entropy_with_logits(told, wanted, pos_weight=weight) * LOUD
        return StepLosses(loss, (("labels", loss),))


@torch.no_grad()
def told(model: Teller, all_shown: Sequence[Shown], seen: Tensor) -> dict[str, float]:
    """Return how many labels are told of those that fit, and how many told ones fit."""
    wanted = torch.from_numpy(known(all_shown))
    device = model.head.weight.device
    said = [model(some.to(device).float()).cpu() > 0 for some in torch.split(seen, 256)]
    found = torch.cat(said)
    both = float((found & wanted).sum())
    return {"recall": both / float(wanted.sum()), "precision": both / max(1.0, float(found.sum()))}
