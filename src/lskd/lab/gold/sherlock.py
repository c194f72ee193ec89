"""Scenes become Sherlock's comparison: ten inferences, and what two people think of each.

Five regions of a picture are asked over the same ten inferences, two of each region; its own two
are rated 3, the others 1. So every inference is as often good as bad, and text alone orders
nothing. The second person is one step off at a known rate. A picture without five regions of which
no two share an inference is not asked. In "held" only regions of combinations that are held out are
asked, so there the balance holds for those alone who have not seen these labels.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from lskd.lab.gold.files import chance, number_of, put_json, put_picture
from lskd.lab.gold.regions import apart, asked
from lskd.lab.knowledge import INFERRED, Ask
from lskd.lab.words import answer
from lskd.lab.world import Staged
from lskd.types import Box

SPLIT = "val"
REGIONS, EACH = 5, 2  # 5 x 2 = 10 candidates, as the authors have it
GOOD, MIDDLE, BAD = 3, 2, 1
STRAY = 0.05  # how often the second person is one step off


@dataclass(frozen=True, slots=True)
class _Candidate:
    """An inference, the entity that it was written for, and both people's ratings."""

    entity: int
    ask: Ask
    ratings: tuple[int, int]


def write(folder: Path, world: Path, scenes: Sequence[Staged], seed: int) -> int:
    """Write instances, answer key and VG_100K into a folder; return the number of annotations."""
    instances: list[dict[str, object]] = []
    annotations: list[dict[str, object]] = []
    ids: dict[str, dict[str, str]] = {}
    for staged in scenes:
        fresh = list(_annotations(staged, seed))
        if fresh:
            put_picture(world, staged, folder / _image(staged))
        for entity, candidates in fresh:
            own = f"{number_of(staged):06}-{entity}"
            listed: list[dict[str, object]] = []
            for place, one in enumerate(candidates):
                source, test_id = f"{own}-{one.entity}-{one.ask}", f"{own}-{place}"
                first, second = one.ratings
                listed.append({"source_iid": source, "annot1": first, "annot2": second})
                ids[test_id] = {"Input_iid": own, "candidate": source}
                text = answer(staged.scene, one.entity, one.ask)
                instances.append(_instance(staged, entity, text, test_id))
            annotations.append({"Input_iid": own, "candidates": listed})
    stem = folder / f"{SPLIT}_comparison"
    put_json(stem / f"{stem.name}_instances.json", instances)
    key = {"annotations": annotations, "test_id_map": ids}
    put_json(stem / f"{stem.name}_answer_key.json", key)
    return len(annotations)


def _annotations(staged: Staged, seed: int) -> Iterator[tuple[int, list[_Candidate]]]:
    """Yield the entities that are asked, each with the candidates in an order by chance."""
    rng = chance(seed, staged, "sherlock")
    asks = rng.sample(INFERRED, EACH)
    offered = apart(staged, asks, REGIONS, rng)
    for entity in offered or ():
        if offered and asked(staged, entity):
            candidates = []
            for other, ask in rng.sample([(o, a) for o in offered for a in asks], REGIONS * EACH):
                rating = GOOD if other == entity else BAD
                second = MIDDLE if rng.random() < STRAY else rating
                candidates.append(_Candidate(other, ask, (rating, second)))
            yield entity, candidates


def _image(staged: Staged) -> str:
    return f"VG_100K/{number_of(staged):06}.jpg"


def _instance(staged: Staged, entity: int, inference: str, test_id: str) -> dict[str, object]:
    scene = staged.scene
    return {
        "image": {
            "url": f"lab/{_image(staged)}",
            "width": scene.width,
            "height": scene.height,
        },
        "region": [_region(staged.boxes[entity])],
        "inference": inference,
        "test_id": test_id,
        "extra_info": {"task": "comparison"},
    }


def _region(box: Box) -> dict[str, int]:
    return {
        "height": int(box.height),
        "width": int(box.width),
        "left": int(box.x0),
        "top": int(box.y0),
    }
