"""The questions of a benchmark about a run's pictures, with what its authors answer.

In: a benchmark's folder and a run. Out: questions in words, each with the regions that it is about
and those that its right answer names; what else the benchmark asks is told and left out.
"""

import re
from collections.abc import Callable
from pathlib import Path

from lskd import marking
from lskd.distil.generative.answers import Posed
from lskd.errors import UserError
from lskd.evaluate import benchmarks
from lskd.evaluate.benchmark import Options
from lskd.human.answers import Answer
from lskd.table import Tables
from lskd.types import Image, Item

TRUTH = "truth"
APART = re.compile(r"\s+(n't\b|'(?:s|re|ve|ll|d|m)\b|[?.!,;:](?!\S))", re.IGNORECASE)
REASONS = "rationale"  # the task of VCR that gives reasons for the right answer


def posed(
    text: str, split: str, images: Path | None, tables: Tables, say: Callable[[str], None]
) -> list[Posed]:
    """Return the questions of a benchmark, "NAME=FOLDER", about the pictures of a run.

    Raises UserError for a benchmark that cannot be read, and if there is no such question.
    """
    name, equals, folder = text.partition("=")
    if not equals:
        raise UserError(f"--benchmark {text!r}: the form is NAME=FOLDER, as vcr=data/vcr")
    found = benchmarks.named(name).read(Path(folder), Options(split, images=images))
    if found.faults:
        first = found.faults[0]
        say(f"{name}: {len(found.faults)} rows cannot be asked, as {first.source}: {first.reason}")
    known = {
        image.id: image for shard in tables.shards(Image) for image in tables.read(Image, shard)
    }
    reasons = {item.id: item for item in found.items if item.task == REASONS}
    asked = [one for one in found.items if one.task != REASONS and _in_words(one)]
    made = [
        _posed(item, known[item.image_id], reasons.get(item.id))
        for item in asked
        if item.image_id in known
    ]
    if not made:
        raise UserError(_nothing(name, len(found.items), len(asked)))
    if elsewhere := len(asked) - len(made):
        say(f"{name}: {elsewhere:,} of {len(asked):,} questions are about other pictures")
    return made


def _in_words(item: Item) -> bool:
    return item.question.rstrip().endswith("?")


def _posed(item: Item, image: Image, reason: Item | None) -> Posed:
    answer, why = _right(item), "" if reason is None else _right(reason)
    named = set(item.pointed) | set(marking.named(f"{item.question} {answer} {why}"))
    question = Answer(
        question_id=" ".join(filter(None, (item.benchmark, item.task, item.id))),
        image=item.image_id,
        width=item.width,
        height=item.height,
        regions=tuple(sorted((r for r in item.regions if r.id in named), key=lambda r: r.id)),
        question=tidy(item.question),
        system=TRUTH,
        answer=answer,
        rationale=why,
        source=f"{item.benchmark} {item.id}",
    )
    return Posed(image, question, (question,) if answer else ())


def tidy(text: str) -> str:
    """Return a text as it is written: words of VCR are cut apart, as in "is n't it ?"."""
    return APART.sub(r"\1", text).strip()


def _right(item: Item) -> str:
    """Return the right choice, or "" where the authors keep it."""
    return tidy(item.choices[item.right[0]]) if item.right else ""


def _nothing(name: str, items: int, asked: int) -> str:
    if not items:
        return f"{name}: nothing in its folder can be asked"
    if not asked:
        return f"{name} asks nothing in words: take vcr, aokvqa, snli_ve or visual7w"
    return (
        f"none of the {asked} questions of {name} is about a picture of this run: make a run of "
        "its pictures, as with --set images.source=..."
    )
