"""A corpus of squares and a tiny BLIP-2: where the tests of students that write take place."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import toys

from lskd import table
from lskd.distil.generative.stage import STAGE, Settings
from lskd.facts import RunFacts
from lskd.stage import Context
from lskd.table import Tables
from lskd.types import Example, GenerativeStudent, Reject

BLIP2 = "lskd.writing.blip2:Blip2Writer"


@dataclass(frozen=True)
class Hall:
    """A corpus on disk, a base, and the stage's place beside them."""

    root: Path
    base: Path

    @property
    def folder(self) -> Path:
        return self.root / "generative"

    @property
    def student(self) -> Path:
        return self.folder / "student"

    @property
    def tables(self) -> Tables:
        folders = {"corpus": self.root / "corpus", "generative": self.folder}
        makers = {Example: "corpus", GenerativeStudent: "generative", Reject: "generative"}
        return Tables(folders, makers)

    def fill(self, *shards: list[Example]) -> None:
        for number, rows in enumerate(shards):
            table.write(Example, self.tables.file(Example, f"{number:05}"), rows)

    def settings(self, **changes: Any) -> Settings:
        """Return settings for a short training."""
        given: dict[str, Any] = {
            "student": {"use": BLIP2, "checkpoint": str(self.base)},
            "steps": 4,
            "batch": 4,
            "precision": "float32",
            "storage": "float32",
            "learning_rate": 1e-3,
            "save_every": 2,
            "log_every": 2,
            "workers": 1,
            "tokens": 6,
        }
        return Settings(**(given | changes))

    def train(
        self, said: list[str] | None = None, seed: int = 0, **changes: Any
    ) -> list[GenerativeStudent | Reject]:
        """Run the stage and return its rows."""
        assert STAGE.whole is not None
        lines = [] if said is None else said
        context = Context(
            stage="generative",
            folder=self.folder,
            seed=seed,
            journal_file=self.root / "journal.sqlite",
            facts=_no_facts,
            say=lines.append,
        )
        parts = STAGE.whole(self.settings(**changes), context, self.tables)
        rows = [row for _, some in parts for row in some]
        return [row for row in rows if isinstance(row, GenerativeStudent | Reject)]


def hall(root: Path, of: Path, pictures: int = 3) -> Hall:
    """Return a hall with one shard of examples about some pictures."""
    made = Hall(root, of)
    made.fill(toys.examples(root / "pictures", pictures))
    return made


def longer(example: Example, words: int) -> Example:
    """Return an example whose answer has so many words."""
    return replace(example, id=f"{example.id}-long", answer="red " * words)


def _no_facts() -> RunFacts:
    raise AssertionError("generative asks for no facts")
