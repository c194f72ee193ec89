"""A small run by hand: tables of triples for the stages that come after them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from lskd import table
from lskd.facts import RunFacts
from lskd.stage import Context, Stage
from lskd.table import Tables
from lskd.types import Fit, Image, Record, Regions, Reject, Sample, Triple

R = TypeVar("R")
MAKERS: dict[type, str] = {
    Image: "images",
    Regions: "regions",
    Triple: "parse",
    Sample: "sample",
    Fit: "critic",
}


def no_facts() -> RunFacts:
    raise AssertionError("a stage of this test asks for no facts")


@dataclass
class House:
    """Tables in a folder, and what a stage says while it works."""

    folder: Path
    seed: int = 0
    said: list[str] = field(default_factory=list)
    ticks: int = 0

    @property
    def tables(self) -> Tables:
        return Tables({name: self.folder / name for name in MAKERS.values()}, MAKERS)

    def put(self, record: type[R], shard: str, rows: Iterable[R]) -> None:
        table.write(record, self.tables.file(record, shard), rows)

    def rows(self, record: type[R], stage: str | None = None) -> list[R]:
        shards = self.tables.shards(record, stage)
        return [row for shard in shards for row in self.tables.read(record, shard, stage)]

    def make(self, stage: Stage[Any], **settings: object) -> Mapping[str, Sequence[Record]]:
        """Run a whole-table stage and write what it yields."""
        assert stage.whole is not None
        made = {}
        given = stage.settings(**settings)
        for shard, rows in stage.whole(given, self.context(stage), self.tables):
            made[shard] = tuple(rows)
            for kind in stage.writes:
                kept = [row for row in made[shard] if isinstance(row, kind)]
                table.write(kind, self.tables.file(kind, shard, stage.name), kept)
        return made

    def grows(self, stage: Stage[Any], **settings: object) -> bool:
        """Return whether a whole-table stage says that it would yield anything."""
        assert stage.grows is not None
        return stage.grows(stage.settings(**settings), self.context(stage), self.tables)

    def context(self, stage: Stage[Any]) -> Context:
        return Context(
            stage.name,
            self.folder / stage.name,
            self.seed,
            self.folder / "journal",
            no_facts,
            tick=self._tick,
            say=self.said.append,
        )

    def rejects(self, stage: str) -> list[Reject]:
        return self.rows(Reject, stage)

    def _tick(self, count: int) -> None:
        self.ticks += count


def triple(name: str, image_id: str) -> Triple:
    return Triple(name, "reply", image_id, "id", "Why [0]?", "So.", "It is.", (0,))


def image(name: str, path: str = "nowhere.png") -> Image:
    return Image(name, path, 10, 10)
