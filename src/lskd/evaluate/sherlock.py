"""Sherlock, comparison: how plausible ten inferences are for a region, as two people rated them.

`{split}_comparison_instances.json` (image, boxes, inference) and the answer key of the same name
(which inferences belong to one region, and their ratings) go in, as in the leaderboard's zip; an
item for each annotation of the key comes out. Choices are in the key's order, which the official
score depends on; `ratings` are those of both people, apart, and there is no right choice.

The key of the test split is not public: without a key there are no items.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from lskd.evaluate.benchmark import Benchmark, File, Found, Options, file_in, known_split
from lskd.evaluate.pictures import Pictures, check_size
from lskd.evaluate.rows import (
    Row,
    Wrong,
    element,
    elements,
    gather,
    loaded,
    mapping,
    name,
    number,
    several,
    text,
)
from lskd.marking.tags import named
from lskd.types import Box, Image, Item, Region, Reject

NAME = "sherlock"
SPLITS = ("val", "test")
RATERS = ("annot1", "annot2")
MOST = 10  # the official score has ten numbers to break ties with


@dataclass(frozen=True, slots=True)
class Instance:
    """A text to be scored against regions of an image."""

    image: Image
    regions: tuple[Region, ...]
    inference: str


@dataclass(frozen=True, slots=True)
class Texts:
    """The rows to be scored, by annotation and candidate, and the images that they are about."""

    rows: Mapping[tuple[str, str], Row]
    pictures: Pictures


def read(folder: Path, options: Options) -> Found:
    """Return the items of a split, one for each annotation of its answer key.

    Raises UserError if a file is missing or no JSON. An instance that the key does not name is
    a fault.
    """
    split = known_split(options.split, SPLITS)
    stem = f"{split}_comparison"
    file = file_in(folder, *_places(stem, "instances", "the texts and regions to be compared"))
    key = file_in(folder, *_places(stem, "answer_key", "the ratings of these texts"))
    answers = element(loaded(key), key.name)
    if isinstance(answers, Reject):
        return Found((), (answers,))
    rows, faults = _used(elements(loaded(file), f"{file.name} row"), answers.fields)
    texts = Texts(rows, Pictures(options.images, folder))
    found = gather(
        elements(answers.fields.get("annotations"), f"{key.name} annotation"),
        lambda row: _items(row, split, texts),
        key,
        options.limit,
    )
    return Found(found.items, (*faults, *found.faults))


def image_names(url: str) -> tuple[str, ...]:
    """Return the names that an image may have from a folder, by its address.

    VG_100K/1.jpg or VG_100K_2/1.jpg for Visual Genome, vcr1images/film/clip.jpg for VCR.
    """
    parts = url.split("/")
    two, three = "/".join(parts[-2:]), "/".join(parts[-3:])
    if "VG_" in url:
        return (two, f"images/{two}", f"visual_genome/{two}")
    return (three, two)


def _places(stem: str, part: str, what: str) -> tuple[tuple[str, ...], str]:
    file = f"{stem}_{part}.json"
    return (f"{stem}/{file}", file), what


def _used(
    rows: Iterable[Row | Reject], answers: Mapping[str, object]
) -> tuple[dict[tuple[str, str], Row], list[Reject]]:
    """Return the row of each annotation and candidate that a key names, and rows of no use."""
    ids = answers.get("test_id_map")
    uses = {
        test_id: (str(use.get("Input_iid")), str(use.get("candidate")))
        for test_id, use in (ids.items() if isinstance(ids, dict) else ())
        if isinstance(use, dict)
    }
    made: dict[tuple[str, str], Row] = {}
    faults: list[Reject] = []
    for row in rows:
        if isinstance(row, Reject):
            faults.append(row)
            continue
        try:
            test_id = name(row.fields, "test_id")
            if test_id not in uses:
                raise Wrong("its test_id is not in the answer key")
            if uses[test_id] in made:
                raise Wrong(f"its test_id stands for what {made[uses[test_id]].source} is")
            made[uses[test_id]] = row
        except Wrong as error:
            faults.append(Reject(row.source, str(error), row.text))
    return made, faults


def _instance(row: Row, pictures: Pictures) -> Instance:
    fields = row.fields
    extra = fields.get("extra_info")
    if isinstance(extra, dict) and extra.get("task", "comparison") != "comparison":
        raise Wrong(f"it is of the task {extra['task']!r}, not comparison")
    about = mapping(fields.get("image"), "'image'")
    image = pictures.find(image_names(text(about, "url")))
    check_size(about, image)
    boxes = several(fields, "region")
    if not boxes:
        raise Wrong("it has no region")
    regions = tuple(
        Region(place, _box(mapping(box, "a region"), image), "", "", 1.0)
        for place, box in enumerate(boxes)
    )
    inference = text(fields, "inference")
    if lost := [number for number in named(inference) if number >= len(regions)]:
        numbers = ", ".join(f"[{region.id}]" for region in regions)
        raise Wrong(f"its inference names region [{lost[0]}]; it has {numbers}")
    return Instance(image, regions, inference)


def _box(sides: Mapping[str, object], image: Image) -> Box:
    """Return a box clipped to its image: hundreds run over the lower edge of VCR's."""
    left, top, width, height = (
        number(sides.get(side), f"{side!r} of a region")
        for side in ("left", "top", "width", "height")
    )
    box = Box(left, top, left + width, top + height).within(image.width, image.height)
    if not box.area > 0:
        raise Wrong(f"a region covers no part of the image: {dict(sides)}")
    return box


def _items(row: Row, split: str, texts: Texts) -> Iterator[Item]:
    item_id = name(row.fields, "Input_iid")
    candidates = [mapping(c, "a candidate") for c in several(row.fields, "candidates")]
    if not 2 <= len(candidates) <= MOST:
        raise Wrong(f"{len(candidates)} candidates, not 2 to {MOST}")
    offered = [_candidate(item_id, candidate, texts) for candidate in candidates]
    first = offered[0]
    if any((other.image, other.regions) != (first.image, first.regions) for other in offered):
        raise Wrong("its candidates are of several images or regions")
    yield Item(
        id=item_id,
        benchmark=NAME,
        task="",
        split=split,
        image_id=first.image.id,
        path=first.image.path,
        width=first.image.width,
        height=first.image.height,
        regions=first.regions,
        pointed=tuple(region.id for region in first.regions),
        question="",
        given=None,
        choices=tuple(instance.inference for instance in offered),
        right=(),
        ratings=tuple(
            tuple(number(candidate.get(rater), rater) for candidate in candidates)
            for rater in RATERS
        ),
        kind="",
    )


def _candidate(item_id: str, candidate: Mapping[str, object], texts: Texts) -> Instance:
    """Return the instance of a candidate; raises Wrong if there is none that can be read."""
    source = name(candidate, "source_iid")
    row = texts.rows.get((item_id, source))
    if row is None:
        raise Wrong(f"no instance has the test_id of its candidate {source}")
    try:
        return _instance(row, texts.pictures)
    except Wrong as error:
        raise Wrong(f"{row.source}: {error}") from error


BENCHMARK = Benchmark(
    name=NAME,
    title="Sherlock comparison: inferences ranked as people rank them",
    metric="agreement of pairs with both raters, -100 to 100",
    files=(
        File("{split}_comparison/{split}_comparison_instances.json", "the texts and regions"),
        File("{split}_comparison/{split}_comparison_answer_key.json", "the ratings"),
        File("VG_100K/*.jpg", "the images of Visual Genome, part 1"),
        File("VG_100K_2/*.jpg", "the images of Visual Genome, part 2"),
        File("vcr1images/*/*.jpg", "the images of VCR"),
    ),
    source="https://github.com/allenai/sherlock (leaderboard_eval: val_comparison.zip)",
    licence="texts CC BY 4.0; images as Visual Genome and VCR have it",
    images="Visual Genome 1.2 (https://homes.cs.washington.edu/~ranjay/visualgenome) and VCR",
    splits=SPLITS,
    read=read,
)
