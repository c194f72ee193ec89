"""VisualCOMET, Acc@50: fifty inferences about an event, of which the first few are people's own.

`{split}_annots.json` and VCR's images with their metadata go in; an item for each event and
relation (intent, before, after) comes out, with its own inferences first. The other candidates are
those that the authors published, where `{split}_rank_random_50.json` is in the folder; else they
are drawn, by the seed and the item, from all inferences of the split but its own. They are of any
image and any relation, and each keeps the relation that it was written for.

A candidate is worded by its relation, as the paper's official release has it ("PersonX wanted to
..."), with the first person of the event in the place of PersonX. The question is the event; the
place ("at a fancy party"), which the authors' own model reads too, is left out. People are numbers
from 1 in the files: "2" becomes "[1]" where the image has such a person, and stays a number where
it has none, which is so for amounts and for candidates of other images. An item points to the
people of the event as it names them, then to those of the candidates in ascending order.
"""

import random
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from lskd.errors import UserError
from lskd.evaluate.benchmark import Benchmark, File, Found, Options, file_in, known_split
from lskd.evaluate.candidates import Published, published
from lskd.evaluate.mentions import mentioned
from lskd.evaluate.rows import Row, Wrong, elements, gather, loaded, text, texts
from lskd.evaluate.scene import Scene, Scenes
from lskd.marking.tags import named
from lskd.types import Item, Reject

NAME = "visualcomet"
SPLITS = ("train", "val")  # test has no inferences
CANDIDATES = 50
PROMPTS = {  # in the order in which the authors' code lists the inferences of a row
    "intent": "wanted to",
    "before": "needed to",
    "after": "will most likely",
}
OLDER = {"intent": "xIntent"}  # the key in rows of an earlier release
# A number that stands alone: no time, date, amount of money or part of a longer number.
_NUMBER = re.compile(r"(?<![\w.:/$#-])[1-9][0-9]{0,2}(?![\w%/-]|[.:][0-9]|,[0-9]{3})")


@dataclass(frozen=True, slots=True)
class Inference:
    """One inference of the split, with the relation that it was written for."""

    relation: str
    text: str


@dataclass(frozen=True, slots=True)
class Group:
    """An event and a relation; `own` are the places of its inferences among all of the split."""

    row: Row
    number: int
    relation: str
    own: tuple[int, ...]


def read(folder: Path, options: Options) -> Found:
    """Return the items of a split, one for each event and relation that has inferences.

    Raises UserError if the annotations are missing or no JSON, or if candidates are published and
    a row cannot be counted. `notes` tell where the candidates come from.
    """
    split = known_split(options.split, SPLITS)
    file = file_in(folder, (f"{split}_annots.json",), "the annotations of VisualCOMET")
    every, groups, faults = _grouped(elements(loaded(file), f"{file.name} row"))
    ranked = folder / f"{split}_rank_random_50.json"
    lists = published(ranked) if ranked.is_file() else None
    if lists is not None and faults:
        first = faults[0]
        raise UserError(
            f"{ranked} counts the inferences of all rows, but {len(faults)} cannot be read, the "
            f"first being {first.source} ({first.reason}): mend the rows, or remove that file to "
            "have candidates drawn"
        )
    scenes = Scenes(options.images, folder)
    by_row = {f"{group.row.source} {group.relation}": group for group in groups}
    found = gather(
        (Row(source, group.row.text, group.row.fields) for source, group in by_row.items()),
        lambda row: _items(
            by_row[row.source],
            [every[i] for i in _candidates(by_row[row.source], len(every), lists, options.seed)],
            split,
            scenes.find(text(row.fields, "img_fn"), text(row.fields, "metadata_fn")),
        ),
        file,
        options.limit,
    )
    note = f"candidates as published in {ranked.name}"
    if lists is None:
        drawn = min(CANDIDATES, len(every))
        note = f"candidates drawn with seed {options.seed}, {drawn} to a question"
    return Found(found.items, (*faults, *found.faults), (note,))


def tagged(said: str, persons: Iterable[int]) -> str:
    """Return a text in which the number of a person, from 1, is a tag from 0: "3" is "[2]".

    `persons` are the ids of the image's persons; other numbers stay as they are. Raises Wrong if
    the text has a tag already.
    """
    if named(said):
        raise Wrong(f"words that read like a region's tag: {said!r}")
    known = frozenset(persons)

    def tag(found: re.Match[str]) -> str:
        region_id = int(found[0]) - 1
        return f"[{region_id}]" if region_id in known else found[0]

    return _NUMBER.sub(tag, said)


def keys_of(row: Row) -> dict[str, str]:
    """Return the relations that a row has, each with the key under which its release has it."""
    return {
        relation: key
        for relation in PROMPTS
        for key in (OLDER.get(relation, relation), relation)  # the later counts
        if key in row.fields
    }


def _grouped(
    rows: Iterable[Row | Reject],
) -> tuple[list[Inference], list[Group], list[Reject]]:
    """Return all inferences in the order of the authors' code, the groups of them, and faults.

    Rows of one image and one event are one group for each relation.
    """
    every: list[Inference] = []
    own: dict[tuple[str, str, str], list[int]] = {}
    heads: dict[tuple[str, str, str], tuple[Row, int]] = {}
    faults: list[Reject] = []
    for number, row in enumerate(rows):
        if isinstance(row, Reject):
            faults.append(row)
            continue
        try:
            event = (text(row.fields, "img_fn"), text(row.fields, "event"))
            said = _said(row)
        except Wrong as error:
            faults.append(Reject(row.source, str(error), row.text))
            continue
        for relation, inferences in said.items():
            for inference in inferences:
                heads.setdefault((*event, relation), (row, number))
                own.setdefault((*event, relation), []).append(len(every))
                every.append(Inference(relation, inference))
    groups = [Group(*heads[key], key[2], tuple(places)) for key, places in own.items()]
    return every, groups, faults


def _said(row: Row) -> dict[str, tuple[str, ...]]:
    """Return the inferences of each relation of a row; raises Wrong if it has no relation."""
    said = {relation: texts(row.fields, key) for relation, key in keys_of(row).items()}
    if not said:
        raise Wrong(f"it has none of {', '.join(PROMPTS)}: no inferences to be ranked")
    return said


def _candidates(group: Group, count: int, lists: Published | None, seed: int) -> tuple[int, ...]:
    """Return the places of a group's candidates among `count` inferences, its own first."""
    fields = group.row.fields
    key = (text(fields, "img_fn"), text(fields, "event"), group.relation)
    if lists is not None:
        return lists.candidates(key, group.own, count)
    others = count - len(group.own)
    wanted = min(max(0, CANDIDATES - len(group.own)), others)
    drawn = random.Random(f"{seed} {' '.join(key)}").sample(range(others), wanted)
    return (*group.own, *(_without(group.own, place) for place in drawn))


def _without(own: tuple[int, ...], place: int) -> int:
    """Return where the inference stands that is number `place` of those that are not `own`."""
    for skipped in own:  # in ascending order
        place += place >= skipped
    return place


def _items(group: Group, candidates: list[Inference], split: str, scene: Scene) -> Iterator[Item]:
    event = tagged(text(group.row.fields, "event"), scene.persons)
    subject = next((f"[{region_id}]" for region_id in named(event)), "PersonX")
    choices = tuple(
        f"{subject} {PROMPTS[candidate.relation]} {tagged(candidate.text, scene.persons)}"
        for candidate in candidates
    )
    # Ascending, not as met: people's own inferences stand first, and a model would be told them.
    others = tuple(sorted({region_id for choice in choices for region_id in named(choice)}))
    pointed = mentioned([[named(event)], [others]], scene.persons)
    scene.check_visible(pointed)
    yield Item(
        id=f"{split}-{group.number}-{group.relation}",
        benchmark=NAME,
        task="",
        split=split,
        image_id=scene.image.id,
        path=scene.image.path,
        width=scene.image.width,
        height=scene.image.height,
        regions=scene.regions,
        pointed=pointed,
        question=event,
        given=None,
        choices=choices,
        right=tuple(range(len(group.own))),
        ratings=(),
        kind=group.relation,
    )


BENCHMARK = Benchmark(
    name=NAME,
    title="VisualCOMET: intents, and what was before and will be after",
    metric="Acc@50: the share of people's inferences among as many best of 50",
    files=(
        File("{split}_annots.json", "the events and inferences"),
        File("{split}_rank_random_50.json", "the published candidates (val only)", needed=False),
        File("vcr1images/*/*.jpg", "the images of VCR"),
        File("vcr1images/*/*.json", "the boxes of each image, beside it"),
    ),
    source="https://github.com/jamespark3922/visual-comet",
    licence="none stated for the texts; images under VCR's own terms",
    images="VCR's (https://visualcommonsense.com/download/), as vcr1images/",
    splits=SPLITS,
    read=read,
)
