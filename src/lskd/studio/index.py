"""The tables of a run become a file that can be searched: `<run>/studio/corpus.sqlite`.

Shards are read one at a time, so that memory does not grow with the corpus; a shard whose files are
those of the last time is not read again. The file holds nothing that the tables do not: it can be
removed at any time.
"""

import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from contextlib import closing
from pathlib import Path

from lskd import table
from lskd.critique import judgments
from lskd.errors import UserError
from lskd.report.census import family
from lskd.run import Run
from lskd.storage.files import mark
from lskd.types import (
    Annotation,
    Concepts,
    Copy,
    Dialogue,
    Example,
    Image,
    Mention,
    Narratives,
    Region,
    Regions,
    Reject,
    Score,
    Triple,
)

VERSION = 2
READ = (Image, Copy, Annotation, Concepts, Narratives, Regions, Dialogue, Triple, Score, Example)
# Rows are numbered by shard and place, so that their order is the corpus's whenever they came.
IMAGES, ROWS = 1_000_000, 10_000_000
TABLES = """
CREATE TABLE shard (name TEXT PRIMARY KEY, stamp TEXT NOT NULL);
CREATE TABLE image (
    number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, shard TEXT NOT NULL, path TEXT NOT NULL,
    width INTEGER NOT NULL, height INTEGER NOT NULL, source TEXT, regions INTEGER, marks TEXT,
    triples INTEGER NOT NULL, accepted INTEGER, rejects INTEGER NOT NULL, best REAL);
CREATE TABLE triple (
    number INTEGER PRIMARY KEY, id TEXT NOT NULL, image INTEGER NOT NULL, style TEXT NOT NULL,
    mentions TEXT NOT NULL, accept REAL, accepted INTEGER);
CREATE TABLE reject (
    number INTEGER PRIMARY KEY, image INTEGER, stage TEXT NOT NULL, source TEXT NOT NULL,
    reason TEXT NOT NULL, gist TEXT NOT NULL, text TEXT NOT NULL);
CREATE TABLE judgment (
    triple_id TEXT NOT NULL, annotator TEXT NOT NULL, qa INTEGER NOT NULL, rationale INTEGER,
    seconds REAL);
CREATE INDEX image_shard ON image (shard);
CREATE INDEX image_regions ON image (regions, number);
CREATE INDEX triple_image ON triple (image);
CREATE INDEX triple_accept ON triple (coalesce(accept, -1), number);
CREATE INDEX reject_image ON reject (image);
CREATE INDEX reject_kind ON reject (stage, gist, number);
CREATE INDEX judgment_triple ON judgment (triple_id);
"""
# What an image's row says of other rows.
COUNT = """
UPDATE image SET
    triples = (SELECT count(*) FROM triple WHERE image = image.number),
    accepted = (SELECT sum(triple.accepted) FROM triple WHERE image = image.number),
    rejects = (SELECT count(*) FROM reject WHERE image = image.number),
    best = (SELECT max(accept) FROM triple WHERE image = image.number)
WHERE number = ?
"""
# Rows of other shards that are about images of one.
ABOUT = f"""
SELECT number / {ROWS} FROM triple WHERE image >= ?1 AND image < ?2
UNION SELECT number / {ROWS} FROM reject WHERE image >= ?1 AND image < ?2
"""
WORDS = {"said": "content", "asked": "question, answer, rationale"}

Say = Callable[[str], None]


def make(run: Run, say: Say, full_text: bool | None = None) -> Path:
    """Return the index of a run as it is now, after reading what is new.

    `full_text` says whether SQLite's FTS5 is used; by default it is where there is one. Raises
    UserError if the folder cannot be written.
    """
    file = run.own / "studio" / "corpus.sqlite"
    with_fts = has_fts5() if full_text is None else full_text
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        if not _usable(file, with_fts):
            for ending in ("", "-journal"):
                file.with_name(file.name + ending).unlink(missing_ok=True)
        with closing(sqlite3.connect(file, timeout=60, isolation_level=None)) as connection:
            _prepare(connection, with_fts)
            _follow(connection, run, say)
    except (OSError, sqlite3.OperationalError) as error:
        raise UserError(f"cannot write {file}: {error}") from error
    return file


def has_fts5() -> bool:
    """Return whether this SQLite can search texts by their words."""
    with closing(sqlite3.connect(":memory:")) as connection:
        options = {row[0] for row in connection.execute("PRAGMA compile_options")}
    return "ENABLE_FTS5" in options


def _marked(with_fts: bool) -> int:
    """Return the number that tells which form an index has."""
    return 2 * VERSION + with_fts


def _usable(file: Path, with_fts: bool) -> bool:
    """Return whether a file is an index of this form; whatever else it is, it is made anew."""
    if not file.exists():
        return True
    try:
        with closing(sqlite3.connect(file)) as connection:
            found: int = connection.execute("PRAGMA user_version").fetchone()[0]
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except sqlite3.DatabaseError:
        return False
    return found in (0, _marked(with_fts))


def _prepare(connection: sqlite3.Connection, with_fts: bool) -> None:
    """Make the tables if there are none; two studios may start at once."""
    connection.execute("BEGIN IMMEDIATE")
    if connection.execute("PRAGMA user_version").fetchone()[0] == 0:
        for statement in filter(str.strip, TABLES.split(";")):
            connection.execute(statement)
        for name, columns in WORDS.items():
            if with_fts:
                kind = f"VIRTUAL TABLE {name} USING fts5 ({columns}, tokenize='porter unicode61')"
            else:
                kind = f"TABLE {name} ({columns})"
            connection.execute(f"CREATE {kind}")
        connection.execute(f"PRAGMA user_version = {_marked(with_fts)}")
    connection.execute("COMMIT")


def _follow(connection: sqlite3.Connection, run: Run, say: Say) -> None:
    """Make the index what the tables are: shards that went, came or changed, and judgments."""
    known = dict(connection.execute("SELECT name, stamp FROM shard"))
    now = {shard: _stamp(run, shard) for shard in shards(run)}
    changed = {shard for shard, stamp in now.items() if known.get(shard) != stamp}
    gone = known.keys() - now.keys()
    if gone:
        connection.execute("BEGIN IMMEDIATE")
        tied = _tied(connection, gone)
        _count(connection, _forget(connection, gone | tied))
        connection.execute("COMMIT")
        changed |= tied & now.keys()
    if changed:
        say(f"making the index of {len(changed)} of {len(now)} shards, once")
    waiting, done = sorted(changed, reverse=True), 0
    while waiting:
        shard = waiting.pop()
        connection.execute("BEGIN IMMEDIATE")
        # Those that have images from this one lose them, and come again after it.
        tied = _tied(connection, {shard})
        about = _forget(connection, {shard, *tied})
        _count(connection, about | _add(connection, run, shard))
        connection.execute("INSERT INTO shard VALUES (?, ?)", (shard, now[shard]))
        connection.execute("COMMIT")
        if tied:
            waiting = sorted({*waiting, *tied} & now.keys(), reverse=True)
        done += 1
        if done % 100 == 0:
            say(f"{done} of {done + len(waiting)} shards")
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("DELETE FROM judgment")
    for one in _judged(run):
        connection.execute("INSERT INTO judgment VALUES (?, ?, ?, ?, ?)", one)
    connection.execute("COMMIT")


def shards(run: Run) -> list[str]:
    """Return the shards of a run, or of the examples that it was given."""
    return sorted({*run.tables.shards(Image), *run.tables.shards(Example)})


def _stamp(run: Run, shard: str) -> str:
    """Return what changes whenever a file of a shard does; a file is only ever replaced whole."""
    files = [run.tables.file(record, shard) for record in READ]
    files += [run.tables.file(Reject, shard, stage) for stage in _rejecting(run)]
    marks = ((file.parent.parent.name, file.parent.name, mark(file)) for file in files)
    return " ".join(f"{stage}/{record}:{told}" for stage, record, told in marks if told is not None)


def _rejecting(run: Run) -> list[str]:
    return [stage.name for stage in run.stages() if Reject in stage.writes]


def _judged(run: Run) -> Iterator[tuple[str, str, int, int | None, float | None]]:
    """Yield the judgments that the critic of a run is fitted on."""
    named = getattr(run.settings.get("critic"), "judgments", None)
    if not named or not Path(named).exists():
        return
    for one in judgments.read(Path(named)).judgments:
        yield one.triple_id, one.annotator, one.qa, one.rationale, one.seconds


def _tied(connection: sqlite3.Connection, shards: Set[str]) -> set[str]:
    """Return the other shards whose rows are about images of these, or about images of those."""
    tied: set[str] = set()
    waiting = [*shards]
    while waiting:
        found = connection.execute(ABOUT, _span(waiting.pop(), IMAGES))
        others = {f"{number:05d}" for (number,) in found} - shards - tied
        tied |= others
        waiting += others
    return tied


def _span(shard: str, each: int) -> tuple[int, int]:
    """Return the first number of a shard's rows, and that after the last."""
    return int(shard) * each, (int(shard) + 1) * each


def _count(connection: sqlite3.Connection, images: Iterable[int]) -> None:
    connection.executemany(COUNT, [(number,) for number in images])


def _forget(connection: sqlite3.Connection, shards: Set[str]) -> set[int]:
    """Remove all rows of some shards, and return the images that these were about."""
    about: set[int] = set()
    for shard in shards:
        rows, images = _span(shard, ROWS), _span(shard, IMAGES)
        for name in ("triple", "reject"):
            found = f"SELECT DISTINCT image FROM {name} WHERE number >= ? AND number < ?"
            images_of = connection.execute(f"{found} AND image IS NOT NULL", rows)
            about |= {number for (number,) in images_of}
        for name, column, span in (
            ("image", "number", images),
            ("said", "rowid", images),
            ("triple", "number", rows),
            ("asked", "rowid", rows),
            ("reject", "number", rows),
        ):
            connection.execute(f"DELETE FROM {name} WHERE {column} >= ? AND {column} < ?", span)
        connection.execute("DELETE FROM shard WHERE name = ?", (shard,))
    return about


def _add(connection: sqlite3.Connection, run: Run, shard: str) -> set[int]:
    """Add all rows of a shard, and return the images that they are about."""
    examples = {row.id: row for row in run.tables.read(Example, shard)}
    number_of = _add_images(connection, run, shard, examples.values())
    first = int(shard) * ROWS
    filtered = run.tables.has(Example, shard)
    scores = {row.triple_id: row.accept for row in run.tables.read(Score, shard)}
    scores |= {row.id: row.score for row in examples.values() if row.score is not None}
    triples: Sequence[Triple | Example] = run.tables.read(Triple, shard) or [*examples.values()]
    for number, triple in enumerate(triples, first):
        image = number_of[triple.image_id]
        accept, accepted = scores.get(triple.id), int(triple.id in examples) if filtered else None
        connection.execute(
            "INSERT INTO triple VALUES (?, ?, ?, ?, ?, ?, ?)",
            (number, triple.id, image, triple.style, _json(triple.mentions), accept, accepted),
        )
        connection.execute(
            "INSERT INTO asked (rowid, question, answer, rationale) VALUES (?, ?, ?, ?)",
            (number, triple.question, triple.answer, triple.rationale),
        )
    paths = {path: name for path, name in _paths(run, shard)}
    for number, (stage, row) in enumerate(_rejects(run, shard), first):
        # Ids of replies and triples begin with that of their image.
        about = number_of.get(paths.get(row.source, row.source.partition("-")[0]))
        connection.execute(
            "INSERT INTO reject VALUES (?, ?, ?, ?, ?, ?, ?)",
            (number, about, stage, row.source, row.reason, family(row.reason), row.text),
        )
    return {*number_of.values()}


def _add_images(
    connection: sqlite3.Connection, run: Run, shard: str, examples: Iterable[Example]
) -> Mapping[str, int]:
    """Add the images of a shard that are not there yet, and return the numbers of all."""
    images = {image.id: image for image in run.tables.read(Image, shard)}
    regions: dict[str, tuple[Region, ...]] = {}
    for row in examples:
        given = Image(row.image_id, row.path, row.width, row.height)
        images.setdefault(row.image_id, given)
        regions[row.image_id] = row.regions
    regions |= {row.image_id: row.regions for row in run.tables.read(Regions, shard)}
    texts = _texts(run, shard)
    numbers: dict[str, int] = {}
    for number, image in enumerate(images.values(), int(shard) * IMAGES):
        # In an imported corpus an image can lie in several shards; the first has it.
        values = (number, image.id, shard, image.path, image.width, image.height, image.source)
        placed = regions.get(image.id)
        marks = (None, None) if placed is None else (len(placed), _json(placed))
        connection.execute(
            "INSERT OR IGNORE INTO image VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 0, NULL, 0, NULL)",
            (*values, *marks),
        )
        found = connection.execute("SELECT number FROM image WHERE id = ?", (image.id,)).fetchone()
        numbers[image.id] = found[0]
        if found[0] == number:
            content = "\n".join(texts.get(image.id, ()))
            connection.execute("INSERT INTO said (rowid, content) VALUES (?, ?)", (number, content))
    return numbers


def _json(rows: tuple[Region, ...] | tuple[Mention, ...]) -> str:
    return json.dumps(table.plain(rows), ensure_ascii=False)


def _texts(run: Run, shard: str) -> Mapping[str, list[str]]:
    """Return what descriptors and annotations say of each image of a shard."""
    said: dict[str, list[str]] = {}
    for concepts in run.tables.read(Concepts, shard):
        labels = (*concepts.places, *concepts.objects, *concepts.concepts)
        said.setdefault(concepts.image_id, []).extend(one.label for one in labels)
    for narratives in run.tables.read(Narratives, shard):
        said.setdefault(narratives.image_id, []).extend(narratives.texts)
    for regions in run.tables.read(Regions, shard):
        for region in regions.regions:
            said.setdefault(regions.image_id, []).extend((region.label, region.description))
    for dialogue in run.tables.read(Dialogue, shard):
        for exchange in dialogue.exchanges:
            said.setdefault(dialogue.image_id, []).extend((exchange.question, exchange.answer))
    for given in run.tables.read(Annotation, shard):
        said.setdefault(given.image_id, []).extend(given.captions)
        said[given.image_id].extend(place.text for place in given.places)
    return said


def _paths(run: Run, shard: str) -> Iterator[tuple[str, str]]:
    """Yield the names by which rejects can speak of an image, with its id."""
    for image in run.tables.read(Image, shard):
        yield image.path, image.id
        yield image.source or image.path, image.id
    for copy in run.tables.read(Copy, shard):
        yield copy.path, copy.image_id


def _rejects(run: Run, shard: str) -> Iterator[tuple[str, Reject]]:
    for stage in _rejecting(run):
        for row in run.tables.read(Reject, shard, stage):
            yield stage, row
