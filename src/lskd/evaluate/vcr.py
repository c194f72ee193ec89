"""VCR: a question about an image with numbered objects, four answers, then four rationales.

`{split}.jsonl` and the folder vcr1images go in, as their authors ship them; two items for each row
come out, "answer" (Q -> A) and "rationale" (QA -> R, asked with the right answer `given`).

Tokens are words or lists of object indices from 0, in the row's order, which is not sorted (the
fields that end in `_orig` count from 1 and are not used). One order of regions holds for both items
of a row, that of first mention in question, answers and rationales, so that a region has one number
in both. The answer item points at those of the question and the answers; they come first.
Where the authors keep the labels (test), there is no answer to be given, so no rationale item.
"""

from collections.abc import Iterator
from pathlib import Path

from lskd.evaluate.benchmark import (
    SPLITS,
    Benchmark,
    File,
    Found,
    Options,
    file_in,
    known_split,
)
from lskd.evaluate.mentions import Token, mentioned, tokens, worded
from lskd.evaluate.rows import Row, Wrong, choice, gather, lines, name, several, text, texts
from lskd.evaluate.scene import Scene, Scenes
from lskd.types import Item

NAME = "vcr"
CHOICES = 4
LABELS = ("answer_label", "rationale_label")


def read(folder: Path, options: Options) -> Found:
    """Return the items of a split, two for each row; one where the authors keep the labels.

    Raises UserError if the split's file is missing.
    """
    split = known_split(options.split, SPLITS)
    file = file_in(folder, (f"{split}.jsonl",), "the annotations of VCR")
    scenes = Scenes(options.images, folder)
    return gather(lines(file), lambda row: _items(row, split, scenes), file, options.limit)


def _items(row: Row, split: str, scenes: Scenes) -> Iterator[Item]:
    fields = row.fields
    item_id = name(fields, "annot_id")
    whose = item_id.partition("-")[0]
    if whose in SPLITS and whose != split:
        raise Wrong(f"{item_id} is of split {whose}, not of {split}")
    labelled = split != "test" or any(key in fields for key in LABELS)
    labels = tuple(choice(fields, key, CHOICES) for key in LABELS) if labelled else ()
    scene = scenes.find(text(fields, "img_fn"), text(fields, "metadata_fn"))
    _check_objects(texts(fields, "objects"), scene)
    question = tokens(several(fields, "question"), len(scene.regions))
    answers = _choices(row, "answer_choices", scene)
    reasons = _choices(row, "rationale_choices", scene)

    def item(
        task: str,
        given: str | None,
        named_in: list[tuple[Token, ...]],
        offered: list[tuple[Token, ...]],
        right: tuple[int, ...],
    ) -> Item:
        pointed = mentioned(named_in, scene.persons)
        scene.check_visible(pointed)
        return Item(
            id=item_id,
            benchmark=NAME,
            task=task,
            split=split,
            image_id=scene.image.id,
            path=scene.image.path,
            width=scene.image.width,
            height=scene.image.height,
            regions=scene.regions,
            pointed=pointed,
            question=worded(question),
            given=given,
            choices=tuple(worded(words) for words in offered),
            right=right,
            ratings=(),
            kind="",
        )

    yield item("answer", None, [question, *answers], answers, labels[:1])
    if labels:
        given = worded(answers[labels[0]])
        yield item("rationale", given, [question, *answers, *reasons], reasons, labels[1:])


def _choices(row: Row, key: str, scene: Scene) -> list[tuple[Token, ...]]:
    offered = several(row.fields, key)
    if len(offered) != CHOICES:
        raise Wrong(f"{key!r} has {len(offered)} choices, not {CHOICES}")
    return [tokens(words, len(scene.regions)) for words in offered]


def _check_objects(objects: tuple[str, ...], scene: Scene) -> None:
    labels = tuple(region.label for region in scene.regions)
    if objects != labels:
        raise Wrong(
            f"its objects are {', '.join(objects) or 'none'}, those of its metadata "
            f"{', '.join(labels) or 'none'}"
        )


BENCHMARK = Benchmark(
    name=NAME,
    title="VCR: visual commonsense reasoning",
    metric="accuracy of Q -> A, QA -> R and Q -> AR",
    files=(
        File("{split}.jsonl", "the questions"),
        File("vcr1images/*/*.jpg", "the images"),
        File("vcr1images/*/*.json", "the boxes of each image, beside it"),
    ),
    source="https://visualcommonsense.com/download/",
    licence="VCR's own terms, to be accepted there: research and education only",
    images="vcr1images.zip of the same page, unpacked in the folder; stills of films",
    splits=SPLITS,
    read=read,
)
