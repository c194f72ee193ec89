"""A BLIP-2 looks at pictures, writes texts and tells how likely texts are.

In: the parts of a loaded writer, sights and lines. Out: sights, cuts, texts, likelihoods. Lines go
through the language model in batches of equal length, and come back in their own order.
"""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

import PIL.Image
import torch
from torch import Tensor

from lskd.errors import UserError
from lskd.stage import batches
from lskd.training.memory import guarded
from lskd.writing import prefix
from lskd.writing.blip2_module import Asks, Blip2Module, shifted
from lskd.writing.decode import Asked, generated
from lskd.writing.masks import IGNORED, Row, check_asked, means, padded
from lskd.writing.parts import Parts
from lskd.writing.writer import Cut, Decoding, Line, Sight, Written


def look(parts: Parts, pictures: Sequence[PIL.Image.Image]) -> list[Sight]:
    """Return what the frozen tower sees, before the norm behind it, which may be trained."""
    for picture in pictures:
        if picture.size != (parts.side, parts.side):
            raise UserError(
                f"a picture of {picture.width} x {picture.height} pixels is shown to a model that "
                f"takes {parts.side} x {parts.side}: bring it to its canvas, then draw marks"
            )
    vision = parts.module.model.vision_model
    device = vision.post_layernorm.weight.device
    seen: list[Sight] = []
    remedy = f"lower batch ({parts.batch})"
    with torch.no_grad(), guarded("while pictures are looked at", remedy):
        for some in batches(pictures, parts.batch):
            pixels = parts.images(images=list(some), do_resize=False, return_tensors="pt")
            embedded = vision.embeddings(pixels["pixel_values"].to(device))
            states = vision.encoder(inputs_embeds=embedded).last_hidden_state
            seen += [Sight(features) for features in states]
    return seen


def cuts(parts: Parts, lines: Sequence[Line], new: int) -> list[Cut]:
    """Return the lines whose prompts are cut."""
    rows = (parts.module.speller.row(line, number, new) for number, line in enumerate(lines))
    return [Cut(number, row.cut) for number, row in enumerate(rows) if row.cut]


def write(
    parts: Parts, sights: Sequence[Sight], lines: Sequence[Line], decoding: Decoding
) -> list[Written]:
    """Return what is written after each prompt."""
    module = parts.module
    check_asked(lines)
    if module.speller.layout.end:
        decoding = replace(decoding, stop=(*decoding.stop, module.speller.layout.end))
    rows = [module.speller.row(line, n, decoding.tokens) for n, line in enumerate(lines)]
    told: dict[int, Written] = {}
    with _asking(parts, "while texts are written"):
        order = sorted(range(len(rows)), key=lambda n: (len(rows[n].after), lines[n].view))
        for some in batches(order, parts.batch):
            seen, places = _seen(parts, sights, [lines[n].view for n in some])
            pairs = zip(some, places, strict=True)
            given = prefix.stacked(
                [module.given(seen[place], rows[n]) for n, place in pairs], not module.encodes
            )
            texts = generated(
                module.model.language_model,
                {"inputs_embeds": given.embeds, "attention_mask": given.mask},
                parts.tokenizer,
                decoding,
                Asked(some, int(module.encodes)),
            )
            told.update(zip(some, texts, strict=True))
    return [told[number] for number in range(len(lines))]


def likelihoods(parts: Parts, sights: Sequence[Sight], lines: Sequence[Line]) -> list[float]:
    """Return the mean log-probability of a token of each target, ends left out."""
    module = parts.module
    spell = module.speller.row
    rows = [spell(line, number, ended=False) for number, line in enumerate(lines)]
    values = [math.nan] * len(lines)
    with _asking(parts, "while likelihoods are measured"):
        asks = Asks.of([line.view for line in lines], rows)
        behind: dict[int, list[int]] = {}
        for number, which in enumerate(asks.which):
            if rows[number].target:
                behind.setdefault(which, []).append(number)
        # Prompts of like length are read together, then targets of like length behind them.
        order = sorted(behind, key=lambda which: len(rows[asks.first[which][1]].after))
        for some in batches(order, parts.batch):
            read = _read(parts, sights, rows, [asks.first[which] for which in some])
            places = {n: place for place, which in enumerate(some) for n in behind[which]}
            for few in batches(sorted(places, key=lambda n: len(rows[n].target)), parts.batch):
                told = _told(module, read, [places[n] for n in few], [rows[n] for n in few])
                for number, value in zip(few, told, strict=True):
                    values[number] = value
    return values


def _read(
    parts: Parts, sights: Sequence[Sight], rows: Sequence[Row], asked: Sequence[tuple[int, int]]
) -> prefix.Prefix:
    """Return what the language model has read of prompts, each a view and a row that asks it."""
    module = parts.module
    seen, places = _seen(parts, sights, [view for view, _ in asked])
    given = [
        module.given(seen[place], rows[n]) for place, (_, n) in zip(places, asked, strict=True)
    ]
    read = prefix.encoded if module.encodes else prefix.remembered
    return read(module.model.language_model, given)


def _told(
    module: Blip2Module, read: prefix.Prefix, which: Sequence[int], rows: Sequence[Row]
) -> list[float]:
    """Return the likelihoods of targets, each behind one of the prompts that were read."""
    language = module.model.language_model
    labels = padded([row.target for row in rows], IGNORED).to(read.mask.device)
    counts = labels != IGNORED
    if module.encodes:
        targets = shifted(language, labels)
    else:
        targets = prefix.stacked([module.embedded(row.target) for row in rows]).embeds[:, :-1]
    return means(prefix.written_behind(language, read, which, targets, counts), labels)


def _seen(parts: Parts, sights: Sequence[Sight], views: Sequence[int]) -> tuple[Tensor, list[int]]:
    """Return the picture tokens of some views, each made once, and each view's place in them."""
    used = sorted(set(views))
    return parts.module.pictures([sights[view] for view in used]), [used.index(v) for v in views]


@contextmanager
def _asking(parts: Parts, when: str) -> Iterator[None]:
    """Ask a model as it is after training: nothing drops out, no gradient is kept."""
    training = parts.module.training
    parts.module.eval()
    try:
        with torch.inference_mode(), guarded(when, f"lower batch ({parts.batch})"):
            yield
    finally:
        parts.module.train(training)
