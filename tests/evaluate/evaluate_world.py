"""Benchmark folders small enough to be asked in a moment, and scorers that need no weights.

Settings name the scorers as `use = "evaluate_world:Class"`.
"""

import math
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gold_files
from gold_files import Json, picture, put, put_lines

from lskd.errors import UserError
from lskd.evaluate.stage import Settings
from lskd.facts import RunFacts
from lskd.protocols import Fits, Panel
from lskd.stage import Context

WORDS = ("frozen", "fresh", "dirty", "boiling")
COLOURS = "red blue green grey pink white black brown".split()

# A base and the student of a run, told apart by one benchmark.
BASE_AND_STUDENT = """
[evaluate.models.base]
use = "lskd.evaluate.scorers.stage1:Blip2Scorer"
weights = "base"
image = 28
tokens = 48
[evaluate.models.student]
use = "lskd.evaluate.scorers.stage1:StudentScorer"
folder = "{student}"

[evaluate.benchmarks]
aokvqa = {{ folder = "data/aokvqa" }}

[evaluate]
resamples = 50
"""


class Lot:
    """Scores a text by a hash of its words, so that answers are a lot that is always the same.

    It notes each asked panel in a file, if it is given one.
    """

    without_effect = frozenset({"log"})

    def __init__(self, seed: int = 0, log: str | None = None, fails_after: int = 10**9) -> None:
        self.seed, self.log, self.left = seed, log, fails_after

    def fits(self, panels: Sequence[Panel]) -> list[Fits]:
        self.left -= 1
        if self.left < 0:
            raise UserError("the lot is lost")
        if self.log is not None:
            with Path(self.log).open("a") as opened:
                opened.writelines(f"{panel.image.id}\n" for panel in panels)
        return [Fits(itm=tuple(self.score(text.whole) for text in p.texts)) for p in panels]

    def score(self, text: str) -> float:
        return zlib.crc32(f"{self.seed} {text}".encode()) / 2**32


class Constant:
    """Gives equal scores, and says that every text is too long."""

    def fits(self, panels: Sequence[Panel]) -> list[Fits]:
        return [Fits(itm=tuple(0.5 for _ in panel.texts)) for panel in panels]

    def shortened(self, panels: Sequence[Panel]) -> int:
        return sum(len(panel.texts) for panel in panels)


class Broken:
    """Gives what is no number."""

    def fits(self, panels: Sequence[Panel]) -> list[Fits]:
        return [Fits(itm=tuple(math.nan for _ in panel.texts)) for panel in panels]


class Bottomless:
    """Holds nothing for possible."""

    def fits(self, panels: Sequence[Panel]) -> list[Fits]:
        return [Fits(itm=tuple(-math.inf for _ in panel.texts)) for panel in panels]


class Blind:
    """Can be no scorer."""


def put_aokvqa(folder: Path, count: int = 12, broken: int = 0) -> Path:
    """Write questions about three pictures; the last `broken` ones name a picture that is not."""
    rows: list[Json] = [
        {
            "split": "val",
            "image_id": 1 + number % 3 if number < count - broken else 99,
            "question_id": f"q{number}",
            "question": f"What is it number {number}?",
            "choices": list(WORDS),
            "correct_choice_idx": number % 4,
            "direct_answers": ["muddy"] * 10,
            "difficult_direct_answer": False,
            "rationales": ["It is."] * 3,
        }
        for number in range(count)
    ]
    put(folder / "aokvqa_v1p0_val.json", rows)
    for number in (1, 2, 3):
        picture(folder / f"val2017/{number:012}.jpg", 40 + number, 30)
    return folder


def put_vcr(folder: Path, count: int = 6) -> Path:
    """Write rows about one scene, which point at different regions."""
    rows = [
        gold_files.vcr_row(number, question=["Why", "does", [number % 4], "wave", str(number), "?"])
        for number in range(count)
    ]
    return gold_files.put_vcr(folder, *rows)


def put_visualcomet(folder: Path, count: int = 12) -> Path:
    gold_files.put_scene(folder)
    rows = [
        {
            "img_fn": f"{gold_files.SCENE}.jpg",
            "metadata_fn": f"{gold_files.SCENE}.json",
            "movie": "film",
            "place": "at a party",
            "event": f"2 is talking to 1 about {number}0:30",
            "intent": [f"ask 4 out {number}", f"be kind {number}"],
            "before": [f"meet 1 {number}00", f"dress up {number}00"],
            "after": [f"dance with 3 {number}00"],
        }
        for number in range(count)
    ]
    put(folder / "val_annots.json", rows)
    return folder


def put_sherlock(folder: Path, count: int = 4) -> Path:
    """Write comparisons of four candidates each, rated by two people."""
    box = {"left": 5, "top": 6, "width": 20, "height": 10}
    image = {"url": "https://x.org/VG_100K/7.jpg", "width": 40, "height": 30}
    annotations, uses, instances = [], {}, []
    for number in range(count):
        rated = []
        for k in range(4):
            source = f"s{number}{k}"
            rated.append({"source_iid": source, "annot1": 1.0 + k % 3, "annot2": 1.0 + (k + 1) % 3})
            uses[f"i{number}{source}"] = {"Input_iid": f"i{number}", "candidate": source}
            instances.append(
                {
                    "image": image,
                    "region": [box],
                    "inference": f"a party of {source}",
                    "test_id": f"i{number}{source}",
                    "extra_info": {"task": "comparison"},
                }
            )
        annotations.append({"Input_iid": f"i{number}", "candidates": rated})
    key = {"annotations": annotations, "test_id_map": uses}
    put(folder / "val_comparison/val_comparison_instances.json", instances)
    put(folder / "val_comparison/val_comparison_answer_key.json", key)
    picture(folder / "VG_100K/7.jpg")
    return folder


def put_snli_ve(folder: Path, count: int = 6) -> Path:
    labels = ("entailment", "neutral", "contradiction")
    put_lines(
        folder / "snli_ve_dev.jsonl",
        [
            {
                "gold_label": labels[number % 3],
                "pairID": f"1000.jpg#{number}r1e",
                "captionID": f"1000.jpg#{number}",
                "sentence1": "A man sits.",
                "sentence2": f"A man rests {number}.",
                "Flickr30K_ID": "1000",
            }
            for number in range(count)
        ],
    )
    picture(folder / "flickr30k_images/1000.jpg")
    return folder


def put_visual7w(folder: Path, count: int = 8) -> Path:
    images = [
        {
            "image_id": number,
            "split": "val",
            "filename": f"v7w_{number}.jpg",
            "qa_pairs": [
                {
                    "qa_id": 10 * number + k,
                    "image_id": number,
                    "question": f"What is {k}?",
                    "answer": COLOURS[k],
                    "multiple_choices": [COLOURS[(k + n) % 8] for n in (1, 2, 3)],
                    "type": ("what", "who")[k % 2],
                }
                for k in range(2)
            ],
        }
        for number in range(1, count // 2 + 1)
    ]
    put(folder / "dataset_v7w_telling.json", {"dataset": "v7w_telling", "images": images})
    for number in range(1, count // 2 + 1):
        picture(folder / f"images/v7w_{number}.jpg")
    return folder


WRITERS = {
    "vcr": put_vcr,
    "sherlock": put_sherlock,
    "visualcomet": put_visualcomet,
    "aokvqa": put_aokvqa,
    "snli_ve": put_snli_ve,
    "visual7w": put_visual7w,
}


def world(root: Path, *names: str) -> dict[str, Any]:
    """Write folders of some benchmarks, of all by default, and return their settings."""
    return {name: {"folder": str(WRITERS[name](root / "data" / name))} for name in names or WRITERS}


def lot(seed: int = 0, **keys: object) -> dict[str, Any]:
    """Return the model line of a lot."""
    return {"use": "evaluate_world:Lot", "seed": seed, **keys}


CONSTANT = {"use": "evaluate_world:Constant"}


def settings(benchmarks: dict[str, Any], models: dict[str, Any], **others: object) -> Settings:
    return Settings(
        **{"models": models, "benchmarks": benchmarks, "resamples": 50, **others}  # type: ignore[arg-type]
    )


def context(folder: Path, said: list[str] | None = None, parents: Sequence[Path] = ()) -> Context:
    def facts() -> RunFacts:
        raise AssertionError("an evaluation asks nothing of its run")

    told: list[str] = [] if said is None else said
    return Context(
        "evaluate", folder, 0, folder / "no.sqlite", facts, tuple(parents), say=told.append
    )
