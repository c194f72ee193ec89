"""Multiple-choice benchmarks become tasks of lmms-eval, so that other people's models can be asked.

In: a trial. Out: for each of its tasks a file `<name>.yaml` and a folder of Parquet beside it that
`datasets.load_dataset` reads: `image` with its regions drawn, `prompt`, `choices`, and `answer`,
the places of the right ones. lmms-eval finds them with `--include_path FOLDER --tasks <name>`, and
takes the choice of the highest likelihood after the prompt. The keys are those of its guide to
tasks; it is too heavy to be a library of the tests, so there the files are parsed and loaded only.
"""

import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import PIL.Image
import pyarrow as pa

from lskd import marking, table
from lskd.errors import UserError
from lskd.evaluate.figures import right_of
from lskd.evaluate.protocol import Protocol, panels
from lskd.evaluate.trial import Trial
from lskd.export import shards
from lskd.export.pictures import jpeg
from lskd.picture import ORIENTATION, load, read
from lskd.protocols import Panel
from lskd.types import Item

KNOWN = ("vcr", "aokvqa", "snli_ve", "visual7w")
PROTOCOL = Protocol(
    answer_text="Question: {question} Answer: {choice}",
    rationale_text="Question: {question} Answer: {answer} Rationale: {choice}",
)
COLUMNS = pa.schema(
    [
        ("image", shards.IMAGE),
        ("id", pa.string()),
        ("prompt", pa.string()),
        ("choices", pa.list_(pa.string())),
        ("answer", pa.list_(pa.int64())),
        ("kind", pa.string()),
    ]
)
SHARD_BYTES = 500_000_000


@dataclass(frozen=True, slots=True)
class Task:
    """A task that was written; `left_out` items have no public answer, or an empty text."""

    name: str
    file: Path
    rows: int
    left_out: int


def export(trials: Sequence[Trial], folder: Path) -> list[Task]:
    """Write the tasks of trials; raises UserError for one of no choices, and for what is there."""
    for trial in trials:
        if trial.name not in KNOWN:
            raise UserError(
                f"{trial.name} is not multiple choice; lmms-eval files can be written of: "
                f"{', '.join(KNOWN)}"
            )
    return [
        _written(trial, task, folder)
        for trial in trials
        for task in dict.fromkeys(item.task for item in trial.items)
    ]


def yaml(name: str, data: Path) -> str:
    """Return a task's file; every value is JSON, which YAML can be."""
    said = {
        "task": name,
        "tag": "lskd",
        "dataset_path": str(data.absolute()),
        "test_split": "test",
        "output_type": "multiple_choice",
        "doc_to_visual": "image",
        "doc_to_text": "prompt",
        "doc_to_choice": "choices",
        "doc_to_target": "answer",
        "metric_list": [{"metric": "acc", "aggregation": "mean", "higher_is_better": True}],
        "metadata": [{"version": 0.0}],
    }
    return "".join(f"{key}: {json.dumps(value)}\n" for key, value in said.items())


def _written(trial: Trial, task: str, folder: Path) -> Task:
    name = "_".join(part for part in ("lskd", trial.name, task) if part)
    data = folder / name
    if data.exists():
        raise UserError(f"{data} is there already: give another folder, or remove it")
    items = [item for item in trial.items if item.task == task]
    inner = data / "data"
    inner.mkdir(parents=True)
    written = shards.Shards(inner, COLUMNS, SHARD_BYTES)
    rows = 0
    for item, panel in _asked(items):
        picture = _picture(panel)
        written.add(
            "test",
            {
                "image": {"bytes": picture, "path": f"{item.image_id}.jpg"},
                "id": item.id,
                "prompt": panel.texts[0].prompt,
                "choices": [text.target for text in panel.texts],
                "answer": list(right_of(item)),
                "kind": item.kind,
            },
            [picture],
        )
        rows += 1
    written.close()
    file = folder / f"{name}.yaml"
    with table.draft(file) as unfinished:
        unfinished.write_text(yaml(name, data), encoding="utf-8")
    return Task(name, file, rows, len(items) - rows)


def _asked(items: Sequence[Item]) -> Iterator[tuple[Item, Panel]]:
    """Yield the items that can be asked; an empty choice has no likelihood."""
    for item in items:
        if item.right and all(choice.strip() for choice in item.choices):
            yield item, panels([item], PROTOCOL)[0]


def _picture(panel: Panel) -> bytes:
    """Return a panel's picture: the file itself if it is upright and has nothing to be drawn."""
    data = read(panel.image.path, panel.image.id)
    pixels = load(panel.image)
    regions = [region for region in panel.regions if marking.visible(region, pixels.size)]
    if not regions:
        with PIL.Image.open(io.BytesIO(data)) as opened:
            if opened.getexif().get(ORIENTATION, 1) == 1:
                return data
    return jpeg(marking.mark(pixels, regions, "clear"), panel.image.path)
