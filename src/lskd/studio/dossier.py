"""Everything that a run ever said of one image, and where each row came from."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from lskd import show
from lskd.human.store import Store
from lskd.run import Run
from lskd.studio.catalogue import Catalogue
from lskd.types import (
    Annotation,
    Concepts,
    Copy,
    Dialogue,
    Example,
    Image,
    Judgment,
    Mention,
    Narratives,
    Record,
    Regions,
    Reject,
    Reply,
    Sample,
    Score,
    Style,
    Triple,
)

R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Origin:
    """The stage that made a row and the shard in which it lies."""

    stage: str
    shard: str


@dataclass(frozen=True, slots=True)
class Heard:
    """A reply with the prompt that it answers, word for word."""

    origin: Origin
    reply: Reply


@dataclass(frozen=True, slots=True)
class Told:
    """A triple with what the critic and people think of it; `accepted` is None before the filter.

    `model` is the teacher that wrote it, or None where the reply is not there.
    """

    origin: Origin
    id: str
    reply_id: str | None
    model: str | None
    style: Style
    question: str
    answer: str
    rationale: str
    region_ids: tuple[int, ...]
    mentions: tuple[Mention, ...]
    score: Score | None
    accepted: bool | None
    sampled: str | None
    judgments: tuple[Judgment, ...]


@dataclass(frozen=True, slots=True)
class Left:
    """What a stage left out, and why."""

    origin: Origin
    reject: Reject


@dataclass(frozen=True, slots=True)
class Dossier:
    """All rows about an image. A part is None, or empty, where its stage has made none."""

    image: Image
    origin: Origin
    copies: tuple[str, ...]
    annotation: Annotation | None
    concepts: Concepts | None
    narratives: Narratives | None
    regions: Regions | None
    dialogue: Dialogue | None
    origins: tuple[tuple[str, Origin], ...]
    replies: tuple[Heard, ...]
    triples: tuple[Told, ...]
    rejects: tuple[Left, ...]


@dataclass(frozen=True, slots=True)
class _Row:
    origin: Origin
    record: Record


def dossier(
    run: Run, catalogue: Catalogue, name: str, store: Store | None = None
) -> Dossier | None:
    """Return all that a run has about an image, by its id; None if it has no such image.

    The tables are read, not the index: what is shown is what the run holds, word for word. What
    people say in the studio, by `store`, stands with what the critic was given.
    """
    image = catalogue.image(name)
    if image is None:
        return None
    shards = catalogue.shards(name)
    rows = [row for shard in shards for row in _rows(run, shard, image)]
    of_kind: dict[type, list[_Row]] = {}
    for row in rows:
        of_kind.setdefault(type(row.record), []).append(row)
    regions = _first(rows, Regions)
    example = _first(rows, Example)
    if regions is None and example is not None:
        regions = Regions(image.id, example.regions)
    return Dossier(
        image=image,
        origin=next((row.origin for row in of_kind.get(Image, ())), Origin("corpus", shards[0])),
        copies=tuple(row.record.path for row in rows if isinstance(row.record, Copy)),
        annotation=_first(rows, Annotation),
        concepts=_first(rows, Concepts),
        narratives=_first(rows, Narratives),
        regions=regions,
        dialogue=_first(rows, Dialogue),
        origins=tuple((kind.__name__.lower(), some[0].origin) for kind, some in of_kind.items()),
        replies=tuple(
            Heard(row.origin, row.record) for row in rows if isinstance(row.record, Reply)
        ),
        triples=tuple(_told(run, rows, _judged(rows, catalogue.judgments(name), store))),
        rejects=tuple(
            Left(row.origin, row.record) for row in rows if isinstance(row.record, Reject)
        ),
    )


def _first(rows: Sequence[_Row], kind: type[R]) -> R | None:
    """Return the first row of a kind, if there is one."""
    return next((row.record for row in rows if isinstance(row.record, kind)), None)


def _rows(run: Run, shard: str, image: Image) -> list[_Row]:
    """Return the rows of a shard about an image; a run's own tables, and examples it was given."""
    found = [_Row(Origin(row.stage, shard), row.record) for row in show.rows(run, shard, image)]
    if "corpus" not in run.settings:
        found += [
            _Row(Origin("corpus", shard), row)
            for row in run.tables.read(Example, shard)
            if row.image_id == image.id
        ]
    return found


def _judged(
    rows: Sequence[_Row], known: Sequence[Judgment], store: Store | None
) -> Sequence[Judgment]:
    """Return all judgments of an image's triples; of one person's two of a triple, the studio's."""
    ids = {row.record.id for row in rows if isinstance(row.record, Triple | Example)}
    new = [] if store is None else store.about(sorted(ids))
    found = {(one.triple_id, one.annotator): one for one in (*known, *new)}
    return [*found.values()]


def _told(run: Run, rows: Sequence[_Row], judgments: Sequence[Judgment]) -> list[Told]:
    """Return the triples of an image; the examples themselves where a run was given those."""
    examples = {row.record.id for row in rows if isinstance(row.record, Example)}
    kind = Triple if any(isinstance(row.record, Triple) for row in rows) else Example
    told = []
    for row in rows:
        one = row.record
        if not isinstance(one, kind):
            continue
        assert isinstance(one, Triple | Example)
        reply_id = one.reply_id if isinstance(one, Triple) else None
        filtered = run.tables.has(Example, row.origin.shard)
        told.append(
            Told(
                origin=row.origin,
                id=one.id,
                reply_id=reply_id,
                model=_model(rows, reply_id),
                style=one.style,
                question=one.question,
                answer=one.answer,
                rationale=one.rationale,
                region_ids=one.region_ids,
                mentions=one.mentions,
                score=_score(rows, one),
                accepted=one.id in examples if filtered else None,
                sampled=_sampled(rows, one.id),
                judgments=tuple(said for said in judgments if said.triple_id == one.id),
            )
        )
    return told


def _model(rows: Sequence[_Row], reply_id: str | None) -> str | None:
    replies = (row.record for row in rows if isinstance(row.record, Reply))
    return next((reply.model for reply in replies if reply.id == reply_id), None)


def _score(rows: Sequence[_Row], one: Triple | Example) -> Score | None:
    scores = (row.record for row in rows if isinstance(row.record, Score))
    found = next((score for score in scores if score.triple_id == one.id), None)
    if found is None and isinstance(one, Example) and one.score is not None:
        return Score(one.id, one.image_id, one.score, None, None)
    return found


def _sampled(rows: Sequence[_Row], triple_id: str) -> str | None:
    samples = (row.record for row in rows if isinstance(row.record, Sample))
    return next((one.purpose for one in samples if one.triple_id == triple_id), None)
