"""Questions to the index of a run: images, triples and rejects by filters, a page at a time.

A page is asked for by the row after which it begins, so that the thousandth costs what the first
does. Every call opens the file anew, read-only: threads share nothing.
"""

import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, NamedTuple, TypeVar

from pydantic import TypeAdapter

from lskd.studio import filters
from lskd.studio.filters import Condition, Turn, Wanted
from lskd.studio.index import ROWS
from lskd.types import Image, Judgment, Mention, Region, Style

R = TypeVar("R")
COUNTED = 10_000  # beyond that, a count says "more than"
MOST_REASONS = 200

_MENTIONS = TypeAdapter(tuple[Mention, ...])
_REGIONS = TypeAdapter(tuple[Region, ...])


@dataclass(frozen=True, slots=True)
class Tile:
    """An image of a page, with what there is of it; None where a stage has not come to it."""

    number: int
    id: str
    name: str
    width: int
    height: int
    regions: tuple[Region, ...] | None
    triples: int
    accepted: int | None
    rejects: int
    best: float | None


@dataclass(frozen=True, slots=True)
class Card:
    """A triple of a page, with its image; `accepted` is None before the run has filtered."""

    number: int
    id: str
    image_id: str
    width: int
    height: int
    regions: tuple[Region, ...]
    style: Style
    question: str
    answer: str
    rationale: str
    mentions: tuple[Mention, ...]
    score: float | None
    accepted: bool | None


@dataclass(frozen=True, slots=True)
class Dropped:
    """A reject of a page; `image_id` is None where it is about no image that was read."""

    number: int
    image_id: str | None
    stage: str
    source: str
    reason: str
    text: str


@dataclass(frozen=True, slots=True)
class Page(Generic[R]):
    """Rows, how many there are in all (at most COUNTED + 1), and whether more follow."""

    rows: tuple[R, ...]
    count: int
    more: bool


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a stage left something out, with numbers written as "#", and how often."""

    stage: str
    reason: str
    count: int


@dataclass(frozen=True, slots=True)
class Summary:
    """What there is to choose from."""

    images: int
    triples: int
    accepted: int | None
    rejects: int
    styles: tuple[Style, ...]
    scored: bool
    reasons: tuple[Reason, ...]


class _Query(NamedTuple):
    """Columns, the tables that they are from, and the column by which rows are numbered.

    `counted` are those of the tables that filters look at.
    """

    columns: str
    source: str
    key: str
    counted: str


class Catalogue:
    """Read access to an index that `lskd.studio.index` made."""

    def __init__(self, file: Path) -> None:
        self.file = file.absolute()
        definition = self._all("SELECT sql FROM sqlite_master WHERE name = 'asked'", ())[0]["sql"]
        self.full_text = "fts5" in definition.lower()
        self._summed: tuple[int, Summary] | None = None

    def summary(self) -> Summary:
        """Return what there is to choose from; counted once for each state of the index."""
        state = self.file.stat().st_mtime_ns
        if self._summed is None or self._summed[0] != state:
            self._summed = state, self._summary()
        return self._summed[1]

    def _summary(self) -> Summary:
        whole = self._all(
            "SELECT count(*) images, sum(triples) triples, sum(accepted) accepted FROM image",
            (),
        )[0]
        scored = self._all("SELECT EXISTS (SELECT 1 FROM triple WHERE accept >= 0) scored", ())[0]
        rejects = self._all("SELECT count(*) rejects FROM reject", ())[0]["rejects"]
        reasons = self._all(
            "SELECT stage, gist, count(*) often FROM reject GROUP BY stage, gist "
            "ORDER BY often DESC, stage, gist LIMIT ?",
            (MOST_REASONS,),
        )
        styles = self._all("SELECT DISTINCT style FROM triple ORDER BY style DESC", ())
        return Summary(
            images=whole["images"],
            triples=whole["triples"] or 0,
            accepted=whole["accepted"],
            rejects=rejects,
            styles=tuple(row["style"] for row in styles),
            scored=bool(scored["scored"]),
            reasons=tuple(Reason(row["stage"], row["gist"], row["often"]) for row in reasons),
        )

    def image(self, name: str) -> Image | None:
        """Return the row of an image by its id, or None if the run has none such."""
        found = self._all("SELECT * FROM image WHERE id = ?", (name,))
        if not found:
            return None
        row = found[0]
        return Image(row["id"], row["path"], row["width"], row["height"], row["source"])

    def shards(self, name: str) -> tuple[str, ...]:
        """Return the shards that speak of an image; in an imported corpus that can be several."""
        found = self._all(
            f"SELECT shard FROM image WHERE id = ?1 UNION SELECT printf('%05d', number / {ROWS}) "
            "FROM triple WHERE image = (SELECT number FROM image WHERE id = ?1) ORDER BY 1",
            (name,),
        )
        return tuple(row["shard"] for row in found)

    def judgments(self, name: str) -> tuple[Judgment, ...]:
        """Return what people said of an image's triples, as the run's critic reads it."""
        found = self._all(
            "SELECT judgment.* FROM triple JOIN judgment ON judgment.triple_id = triple.id "
            "WHERE triple.image = (SELECT number FROM image WHERE id = ?)",
            (name,),
        )
        return tuple(
            Judgment(r["triple_id"], name, r["annotator"], r["qa"], r["rationale"], r["seconds"])
            for r in found
        )

    def images(self, wanted: Wanted, turn: Turn) -> Page[Tile]:
        """Return a page of images."""
        conditions = filters.of_image(wanted)
        conditions += filters.some("triple", filters.of_triple(wanted))
        conditions += filters.some("reject", filters.of_reject(wanted))
        if filters.words_of(wanted.text):
            said = filters.spoken("said", wanted.text, self.full_text)
            asked = filters.spoken("asked", wanted.text, self.full_text)
            sql = (
                f"image.number IN (SELECT rowid FROM said WHERE {said.sql} UNION "
                "SELECT triple.image FROM triple WHERE triple.number IN "
                f"(SELECT rowid FROM asked WHERE {asked.sql}))"
            )
            conditions.append(Condition(sql, said.values + asked.values))
        return self._page(
            _Query("image.*", "image", "image.number", "image"), conditions, turn, _tile
        )

    def triples(self, wanted: Wanted, turn: Turn) -> Page[Card]:
        """Return a page of triples."""
        conditions = filters.of_triple(wanted) + filters.of_image(wanted)
        columns = (
            "triple.*, image.id image_id, image.width, image.height, image.marks, "
            "asked.question, asked.answer, asked.rationale"
        )
        query = _Query(
            columns,
            # CROSS JOIN keeps the order: SQLite would else begin with all the texts, and sort.
            "triple CROSS JOIN image ON image.number = triple.image "
            "CROSS JOIN asked ON asked.rowid = triple.number",
            "triple.number",
            "triple JOIN image ON image.number = triple.image"
            if filters.of_image(wanted)
            else "triple",
        )
        if filters.words_of(wanted.text):
            # By the words first: FTS5 gives rows in order, and only as many as are needed.
            source = (
                "asked CROSS JOIN triple ON triple.number = asked.rowid "
                "CROSS JOIN image ON image.number = triple.image"
            )
            query = _Query(columns, source, "asked.rowid", source)
            conditions.append(filters.spoken("asked", wanted.text, self.full_text))
        return self._page(query, conditions, turn, _card)

    def rejects(self, wanted: Wanted, turn: Turn) -> Page[Dropped]:
        """Return a page of rejects."""
        conditions = filters.of_reject(wanted)
        if wanted.text.strip():
            columns = ("reject.text", "reject.reason", "reject.source")
            conditions.append(filters.held(wanted.text.strip(), columns))
        query = _Query(
            "reject.*, image.id image_id",
            "reject LEFT JOIN image ON image.number = reject.image",
            "reject.number",
            "reject",
        )
        return self._page(query, conditions, turn, _dropped)

    def _page(
        self,
        query: _Query,
        conditions: Sequence[Condition],
        turn: Turn,
        record: Callable[[sqlite3.Row], R],
    ) -> Page[R]:
        here = filters.joined([*conditions, *filters.following(turn, query.key)])
        found = self._all(
            f"SELECT {query.columns} FROM {query.source} WHERE {here.sql} "
            f"ORDER BY {filters.ordered(turn, query.key)} LIMIT ?",
            (*here.values, turn.size + 1),
        )
        first = filters.joined([*conditions, *filters.following(Turn(order=turn.order), query.key)])
        count = self._all(
            f"SELECT count(*) count FROM (SELECT 1 FROM {query.counted} WHERE {first.sql} LIMIT ?)",
            (*first.values, COUNTED + 1),
        )[0]["count"]
        rows = tuple(record(row) for row in found[: turn.size])
        return Page(rows, count, len(found) > turn.size)

    def _all(self, sql: str, values: Sequence[str | int | float]) -> list[sqlite3.Row]:
        with closing(sqlite3.connect(f"{self.file.as_uri()}?mode=ro", uri=True)) as connection:
            connection.row_factory = sqlite3.Row
            return connection.execute(sql, values).fetchall()


def _tile(row: sqlite3.Row) -> Tile:
    regions = None if row["marks"] is None else _regions(row["marks"])
    return Tile(
        number=row["number"],
        id=row["id"],
        name=Path(row["source"] or row["path"]).name,
        width=row["width"],
        height=row["height"],
        regions=regions,
        triples=row["triples"],
        accepted=row["accepted"],
        rejects=row["rejects"],
        best=row["best"],
    )


def _card(row: sqlite3.Row) -> Card:
    return Card(
        number=row["number"],
        id=row["id"],
        image_id=row["image_id"],
        width=row["width"],
        height=row["height"],
        regions=() if row["marks"] is None else _regions(row["marks"]),
        style=row["style"],
        question=row["question"],
        answer=row["answer"],
        rationale=row["rationale"],
        mentions=_MENTIONS.validate_json(row["mentions"]),
        score=row["accept"],
        accepted=None if row["accepted"] is None else bool(row["accepted"]),
    )


def _dropped(row: sqlite3.Row) -> Dropped:
    return Dropped(
        number=row["number"],
        image_id=row["image_id"],
        stage=row["stage"],
        source=row["source"],
        reason=row["reason"],
        text=row["text"],
    )


def _regions(marks: str) -> tuple[Region, ...]:
    return _REGIONS.validate_json(marks)
