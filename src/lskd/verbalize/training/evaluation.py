"""A verbalizer writes about places that it never saw: how good its texts are, with intervals.

In: held-out captions and a verbalizer. Out: a figure for each measure and corpus, and what was
written about each place. Places of one picture rise and fall together, so that whole pictures are
drawn again for the intervals. What cannot be measured is None.
"""

import hashlib
import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lskd import bootstrap, picture, table
from lskd.bootstrap import Bootstrap
from lskd.corpora.captions.caption import Caption
from lskd.errors import UserError
from lskd.stage import batches
from lskd.verbalize.training import agreement, diversity
from lskd.verbalize.training.clip_score import ClipScore, cut_out
from lskd.verbalize.training.places import Places
from lskd.verbalize.training.settings import Evaluation
from lskd.verbalize.training.trained import Place, Verbalizer

FIGURES, TEXTS = "evaluation.json", "evaluation.jsonl"
ALL = "all"
USUAL = Bootstrap(resamples=1000)


@dataclass(frozen=True, slots=True)
class Figure:
    """A measure of a corpus' places, or of all: the mean and its 95 % interval."""

    measure: str
    corpus: str
    value: float | None
    low: float | None
    high: float | None
    places: int
    pictures: int


@dataclass(frozen=True, slots=True)
class Judged:
    """What was written about a place: the likeliest text, samples, and what each measure says."""

    caption: Caption
    text: str
    samples: tuple[str, ...]
    scores: Mapping[str, float]


def evaluate(
    verbalizer: Verbalizer,
    held_out: Mapping[str, Places],
    how: Evaluation,
    seed: int,
    tick: Callable[[int], None] = lambda count: None,
) -> list[Judged]:
    """Return what is written about some of the places that were held out.

    Raises UserError if a picture cannot be read any more.
    """
    asked = chosen(held_out, how.places, seed)
    measures = {"captioner": _agreeing, "narrator": _varied}[verbalizer.about.kind]
    clip = None if how.clip is None else ClipScore(how.clip)
    texts: list[str] = []
    samples: list[tuple[str, ...]] = []
    fits: list[dict[str, float]] = []
    for some in batches(asked, how.batch):
        shown = [picture.load(caption.image) for caption in some]
        places = [Place(p, c.box) for p, c in zip(shown, some, strict=True)]
        texts += (told := verbalizer.likeliest(places))
        if verbalizer.about.kind == "narrator":
            samples += [
                verbalizer.samples(place, caption.id, how.samples, how.temperature)
                for place, caption in zip(places, some, strict=True)
            ]
        else:
            samples += [()] * len(some)
        fits += _fits(clip, places, told, [caption.texts for caption in some])
        tick(len(some))
    scores = measures(texts, samples, [caption.texts for caption in asked])
    return [
        Judged(caption, text, drawn, {name: each[n] for name, each in scores.items()} | fits[n])
        for n, (caption, text, drawn) in enumerate(zip(asked, texts, samples, strict=True))
    ]


def chosen(held_out: Mapping[str, Places], most: int, seed: int) -> list[Caption]:
    """Return at most `most` held-out captions, as many of each corpus as there are alike."""
    lots = [
        (_lot(seed, name, number), name, number)
        for name, places in held_out.items()
        for number in range(len(places))
    ]
    ranked: dict[str, list[tuple[int, str, int]]] = {}
    for lot in sorted(lots):
        ranked.setdefault(lot[1], []).append(lot)
    by_turns = sorted(
        ((turn, lot) for own in ranked.values() for turn, lot in enumerate(own)),
        key=lambda each: (each[0], each[1]),
    )
    return [held_out[name][number] for _, (_, name, number) in by_turns[:most]]


def figures(judged: Sequence[Judged], how: Bootstrap = USUAL) -> list[Figure]:
    """Return the mean of each measure, for each corpus and for all of them."""
    corpora = list(dict.fromkeys(one.caption.corpus for one in judged))
    groups = {ALL: list(judged)} if len(corpora) != 1 else {}
    groups |= {name: [j for j in judged if j.caption.corpus == name] for name in corpora}
    names = list(dict.fromkeys(name for one in judged for name in one.scores))
    return [_figure(measure, name, some, how) for name, some in groups.items() for measure in names]


def write(folder: Path, judged: Sequence[Judged], found: Sequence[Figure], of: str) -> None:
    """Write figures and texts of what `of` names; raises UserError if the disk is full."""
    lines = [
        json.dumps(
            {
                "id": one.caption.id,
                "image": one.caption.image.path,
                "box": one.caption.box,
                "references": one.caption.texts,
                "text": one.text,
                "samples": one.samples,
                **{name: _known(value) for name, value in one.scores.items()},
            },
            ensure_ascii=False,
        )
        for one in judged
    ]
    with table.draft(folder / TEXTS) as unfinished:
        unfinished.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    told = {
        "of": of,
        "meteor_knows_synonyms": agreement.has_synonyms(),
        "figures": [table.plain(figure) for figure in found],
    }
    with table.draft(folder / FIGURES) as unfinished:
        unfinished.write_text(json.dumps(told, indent=1), encoding="utf-8")


def read(folder: Path, of: str) -> list[Figure] | None:
    """Return the figures that `write` wrote, None if there are none of what `of` names."""
    path = folder / FIGURES
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        return [Figure(**figure) for figure in told["figures"]] if told["of"] == of else None
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path} cannot be read: {error}; remove it and run again") from error


def _agreeing(
    texts: Sequence[str], samples: Sequence[Sequence[str]], references: Sequence[Sequence[str]]
) -> dict[str, list[float]]:
    """Return how texts agree with the references of their places."""
    return {
        "cider": agreement.cider(texts, references),
        "meteor": agreement.meteor(texts, references),
        "words": [float(len(agreement.words(text))) for text in texts],
    }


def _varied(
    texts: Sequence[str], samples: Sequence[Sequence[str]], references: Sequence[Sequence[str]]
) -> dict[str, list[float]]:
    """Return how the likeliest texts and the samples agree, and how different samples are."""
    rare = diversity.rarity(references)
    # Rank by rank: were references repeated, how rare a word is would depend on how many are drawn.
    ranks = [agreement.cider(drawn, references) for drawn in zip(*samples, strict=True)]
    return _agreeing(texts, samples, references) | {
        "sampled_cider": [_mean(place) for place in zip(*ranks, strict=True)],
        "distinct_1": [diversity.distinct(drawn, 1) for drawn in samples],
        "distinct_2": [diversity.distinct(drawn, 2) for drawn in samples],
        "self_bleu": [diversity.self_bleu(drawn) for drawn in samples],
        "self_cider": [diversity.self_cider(drawn, rare) for drawn in samples],
    }


def _fits(
    clip: ClipScore | None,
    places: Sequence[Place],
    texts: Sequence[str],
    references: Sequence[Sequence[str]],
) -> list[dict[str, float]]:
    if clip is None:
        return [{} for _ in places]
    parts = [cut_out(place.pixels, place.box) for place in places]
    return [
        {"clip_score": fit.alone, "ref_clip_score": fit.with_references}
        for fit in clip.fits(parts, texts, references)
    ]


def _figure(measure: str, corpus: str, judged: Sequence[Judged], how: Bootstrap) -> Figure:
    known = [j for j in judged if not math.isnan(j.scores.get(measure, math.nan))]
    images = [one.caption.image.id for one in known]
    names, owner = np.unique(np.array(images, dtype=np.str_), return_inverse=True)
    if not known:
        return Figure(measure, corpus, None, None, None, 0, 0)
    values = np.array([one.scores[measure] for one in known])
    value = float(values.mean())
    if len(names) < 2:
        return Figure(measure, corpus, value, None, None, len(known), len(names))
    sums = np.bincount(owner, weights=values)
    counts = np.bincount(owner)
    rng = np.random.default_rng(how.seed)
    drawn = rng.integers(0, len(names), (how.resamples, len(names)))
    means = sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1)
    low, high = bootstrap.ends(value, means, how.confidence)
    return Figure(measure, corpus, value, low, high, len(known), len(names))


def _mean(values: Iterable[float]) -> float:
    found = list(values)
    return sum(found) / len(found) if found else math.nan


def _known(value: float) -> float | None:
    return None if math.isnan(value) else value


def _lot(seed: int, name: str, number: int) -> int:
    digested = hashlib.blake2b(f"{seed} {name} {number}".encode(), digest_size=7)
    return int.from_bytes(digested.digest())
