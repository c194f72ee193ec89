"""SNLI-VE: whether an image entails a sentence, contradicts it, or neither.

SNLI 1.0 and two lists of Flickr30k's images go in, and the split is built from them as the authors
build it; or the file that their program makes, `snli_ve_{split}.jsonl`. An item for each sentence
comes out, with the question and the three choices of the paper's official release. The premise, an
image's caption, is not used.

SNLI's own splits are not those of SNLI-VE: rows of all three SNLI files are grouped by image, and
the image decides. Test images are listed, dev are the last 1,000 of the other list, train the rest.
Rows without a label that people agreed on ("-") and rows about Visual Genome ("vg_") are no part of
SNLI-VE.
"""

from collections.abc import Iterator
from pathlib import Path

from lskd.errors import UserError
from lskd.evaluate.benchmark import Benchmark, File, Found, Options, file_in, known_split
from lskd.evaluate.pictures import Pictures
from lskd.evaluate.rows import Row, Wrong, gather, lines, name, text
from lskd.types import Item, Reject

NAME = "snli_ve"
SPLITS = ("train", "dev", "test")
LABELS = ("contradiction", "neutral", "entailment")  # in the order of the official release
SNLI = ("train", "dev", "test")
LISTS = ("flickr30k_test.lst", "flickr30k_train_val.lst")
DEV = 1000  # images, the last of the list
UNDECIDED = "-"


def read(folder: Path, options: Options) -> Found:
    """Return the items of a split; "val" is "dev", as the authors call it.

    Raises UserError if there is neither the ready file nor all that it is built from.
    """
    split = known_split("dev" if options.split == "val" else options.split, SPLITS)
    pictures, splits = Pictures(options.images, folder), _splits(folder)

    def make(row: Row) -> Iterator[Item]:
        return _items(row, split, pictures, splits)

    ready = folder / f"snli_ve_{split}.jsonl"
    if ready.is_file():
        return gather(lines(ready), make, ready, options.limit)
    what = f"a file of SNLI 1.0; {ready.name}, made by the authors' program, would do as well"
    files = [
        file_in(folder, (f"snli_1.0_{part}.jsonl", f"snli_1.0/snli_1.0_{part}.jsonl"), what)
        for part in SNLI
    ]
    for file in LISTS:
        file_in(folder, (file,), "a list of Flickr30k's images, from the authors' repository")
    rows, left = _regrouped(files, splits, split)
    found = gather(rows, make, files[0].parent, options.limit)
    return Found(found.items, found.faults, (f"built from SNLI 1.0, of which {left}",))


def flickr_splits(test: tuple[str, ...], others: tuple[str, ...]) -> dict[str, str]:
    """Return the split of each image, by the two lists: dev are the last 1,000 of `others`."""
    return {
        **dict.fromkeys(others[:-DEV], "train"),
        **dict.fromkeys(others[-DEV:], "dev"),
        **dict.fromkeys(test, "test"),
    }


def _splits(folder: Path) -> dict[str, str]:
    """Return the split of each image that the lists in a folder name; not all need to be there."""
    listed = []
    for listing in LISTS:
        file = folder / listing
        try:
            listed.append(tuple(file.read_text(encoding="utf-8").split()) if file.is_file() else ())
        except (OSError, UnicodeError) as error:
            raise UserError(f"cannot read {file}: {error}") from error
    return flickr_splits(listed[0], listed[1])


def _regrouped(
    files: list[Path], splits: dict[str, str], split: str
) -> tuple[list[Row | Reject], str]:
    """Return the rows of SNLI that belong to a split, image by image, and what was left out.

    Images are in the order of their list, the rows of one as they stand in train, dev and test.
    """
    groups: dict[str, list[Row | Reject]] = {
        image: [] for image, whose in splits.items() if whose == split
    }
    broken: list[Row | Reject] = []
    undecided = genome = unlisted = 0
    for file in files:
        for row in lines(file):
            pair = row.fields.get("pairID") if isinstance(row, Row) else None
            if isinstance(row, Reject) or not isinstance(pair, str):
                reason = row.reason if isinstance(row, Reject) else "its 'pairID' is not a text"
                broken.append(Reject(row.source, reason, row.text))
            elif row.fields.get("gold_label") == UNDECIDED:
                undecided += 1
            elif "vg_" in pair:
                genome += 1
            elif _image(pair) not in splits:
                unlisted += 1
            elif splits[_image(pair)] == split:
                groups[_image(pair)].append(row)
    left = (
        f"{undecided} rows have no agreed label, {genome} are about Visual Genome and {unlisted} "
        "about images that no list names"
    )
    return [*broken, *(row for group in groups.values() for row in group)], left


def _image(pair: str) -> str:
    """Return the image of a pair of sentences such as "4705552913.jpg#2r1n"."""
    return pair.partition(".jpg")[0]


def _flickr_id(row: Row) -> str:
    """Return the image of a row: in a ready file it has a field, which older ones misspell."""
    for key in ("Flickr30K_ID", "Flikr30kID"):
        if key in row.fields:
            return name(row.fields, key).removesuffix(".jpg")
    return _image(text(row.fields, "pairID"))


def _items(row: Row, split: str, pictures: Pictures, splits: dict[str, str]) -> Iterator[Item]:
    fields = row.fields
    flickr_id = _flickr_id(row)
    if splits.get(flickr_id, split) != split:
        raise Wrong(f"its image {flickr_id} is of split {splits[flickr_id]}, not of {split}")
    label = text(fields, "gold_label")
    if label not in LABELS:
        raise Wrong(f"its label is {label!r}, not {', '.join(LABELS)}")
    file = f"{flickr_id}.jpg"
    image = pictures.find((f"flickr30k_images/{file}", f"flickr30k-images/{file}", file))
    yield Item(
        id=name(fields, "pairID"),
        benchmark=NAME,
        task="",
        split=split,
        image_id=image.id,
        path=image.path,
        width=image.width,
        height=image.height,
        regions=(),
        pointed=(),
        question=f"Does the image describe {text(fields, 'sentence2')}?",
        given=None,
        choices=LABELS,
        right=(LABELS.index(label),),
        ratings=(),
        kind="",
    )


BENCHMARK = Benchmark(
    name=NAME,
    title="SNLI-VE: visual entailment",
    metric="accuracy of three classes",
    files=(
        File("snli_ve_{split}.jsonl", "the split, made by the authors' program", needed=False),
        File("snli_1.0_train.jsonl", "SNLI 1.0, if the split is to be built", needed=False),
        File("snli_1.0_dev.jsonl", "SNLI 1.0, if the split is to be built", needed=False),
        File("snli_1.0_test.jsonl", "SNLI 1.0, if the split is to be built", needed=False),
        File("flickr30k_test.lst", "the test images, if the split is to be built", needed=False),
        File("flickr30k_train_val.lst", "the others, if the split is to be built", needed=False),
        File("flickr30k_images/*.jpg", "the images"),
    ),
    source=(
        "https://github.com/necla-ml/SNLI-VE (lists) and "
        "https://nlp.stanford.edu/projects/snli/ (SNLI 1.0)"
    ),
    licence="SNLI CC BY-SA 4.0; Flickr30k's images for non-commercial research",
    images="Flickr30k (to be asked for at its authors'), as flickr30k_images/",
    splits=SPLITS,
    read=read,
    labels=True,
)
