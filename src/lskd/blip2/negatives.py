"""Which rows of a batch may be held against each other, and which of them are."""

import hashlib
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from lskd import marking

# What rows are to each other that show one image (or copies of it) or have equal texts:
# "apart"   neither positives nor negatives: left out of the softmax and never drawn,
# "shared"  positives of each other, as in LAVIS when it is given ids; equal texts do not count,
# "release" negatives of each other, as in the paper's release, whose ids are numbers of rows.
Kin = Literal["apart", "shared", "release"]
FURTHER = 4  # numbers beyond those drawn that a text may be made to name


@dataclass(frozen=True, slots=True)
class Relation:
    """What each row of this process, (rows, all rows), is to the rows of all processes.

    `positive`, `compared` (what the softmax of ITC runs over) and `negative` are bool.
    """

    positive: Tensor
    compared: Tensor
    negative: Tensor


@dataclass(frozen=True, slots=True)
class Negatives:
    """For each row the row of all processes that gives it a wrong image, and a wrong text.

    Both (rows,), int64; -1 where there is none.
    """

    image: Tensor
    text: Tensor


def keys(names: Iterable[str]) -> Tensor:
    """Return a number for each name, (names,) int64: ids of images or texts that compare fast."""
    digests = (hashlib.blake2b(name.encode(), digest_size=8).digest() for name in names)
    return torch.tensor(
        [int.from_bytes(digest, "big", signed=True) for digest in digests], dtype=torch.int64
    )


def relate(images: Tensor, texts: Tensor, own: Tensor, kin: Kin) -> Relation:
    """Return what rows are to each other.

    `images` and `texts`, (all rows,), are keys of each row's image and text; `own`, (rows,), tells
    which of all rows are those of this process.
    """
    same_row = own[:, None] == torch.arange(len(images), device=images.device)[None]
    same_image = images[own][:, None] == images[None]
    everything = torch.ones_like(same_row)
    if kin == "release":
        return Relation(same_row, everything, ~same_row)
    if kin == "shared":
        return Relation(same_image, everything, ~same_image)
    other = ~(same_image | (texts[own][:, None] == texts[None]))
    return Relation(same_row, other | same_row, other)


def weigh(similarities: Tensor, allowed: Tensor) -> Tensor:
    """Return with which probability each row draws each other, (rows, all rows).

    The harder, that is the more similar, the likelier. Rows that may draw none have zeros.
    """
    weights = similarities.detach().float().masked_fill(~allowed, -torch.inf).softmax(dim=1)
    return weights.nan_to_num(0.0)  # a softmax over nothing is not a number


def choose(to_views: Tensor, to_texts: Tensor, relation: Relation, noise: Tensor) -> Negatives:
    """Draw hard negatives.

    `to_views` and `to_texts`, (rows, all rows), are the similarities of each row's text to all
    views, and of its view to all texts. `noise`, (2, rows, all rows), is exponential: the largest
    of weights over noise is a draw by these weights.
    """
    drawn = []
    for similarities, waiting in zip((to_views, to_texts), noise, strict=True):
        weights = weigh(similarities, relation.negative)
        best = (weights / waiting).argmax(dim=1)
        drawn.append(torch.where(relation.negative.any(dim=1), best, -1))
    return Negatives(*drawn)


def swap(texts: Sequence[str], drawn: Sequence[int], rng: random.Random) -> tuple[str, ...] | None:
    """Return the texts with their region ids permuted among the drawn ones, all texts alike.

    At least one id that they name changes; None if that cannot be, because they name no drawn
    region or only one is drawn. What comes out can be true by chance ("[1] and [2] are talking"),
    so let a critic look at it where there is one.
    """
    named = {n for text in texts for n in marking.named(text)}
    places = sorted(set(drawn))
    if not named & set(places) or len(places) < 2:
        return None
    while True:  # at worst, with one named of two drawn, every second permutation will do
        permuted = dict(zip(places, rng.sample(places, len(places)), strict=True))
        mapping = {n: n for n in named} | permuted
        if any(mapping[n] != n for n in named):
            return tuple(marking.renumber(text, mapping) for text in texts)


def misname(
    texts: Sequence[str], drawn: Sequence[int], rng: random.Random
) -> tuple[str, ...] | None:
    """Return the texts with one of the drawn regions that they name called by a number not drawn.

    What they say is then of nothing in the picture. The number is one of the `FURTHER` that follow
    the largest drawn. None if they name no drawn region.
    """
    named = {n for text in texts for n in marking.named(text)}
    known = sorted(named & set(drawn))
    if not known:
        return None
    free = [n for n in range(max(drawn) + 1, max(drawn) + 1 + FURTHER) if n not in named]
    if not free:
        return None
    mapping = {n: n for n in named} | {rng.choice(known): rng.choice(free)}
    return tuple(marking.renumber(text, mapping) for text in texts)
