"""What decides a critic, as hashes: so equal judgments of equal triples train nothing twice."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from lskd import __version__, table
from lskd.blip2.given import files_of
from lskd.critique.rows import Row, Rows
from lskd.critique.settings import Settings
from lskd.fingerprint import effective, file_digest

# What it decides is in the rows.
IN_ROWS = {"annotators"}


@dataclass(frozen=True, slots=True)
class Digests:
    """Hashes of the labels alone, of what decides the weights, and of that and the evaluation."""

    judgments: str
    training: str
    all: str


def of(settings: Settings, rows: Rows, seed: int) -> Digests:
    """Return the hashes of the critic that settings and rows make."""
    labels = [table.plain(row.label) for row in rows.rows]
    training = of_rows(decisive(settings, seed), rows.of("train"))
    return Digests(
        judgments=hashlib.blake2b(json.dumps(labels).encode(), digest_size=8).hexdigest(),
        training=training,
        all=of_rows(training, rows.of("evaluate")),
    )


def decisive(settings: Settings, seed: int) -> dict[str, Any]:
    """Return what decides a critic beside its rows, as JSON."""
    return {
        "settings": {n: v for n, v in effective(settings).items() if n not in IN_ROWS},
        "seed": seed,
        "files": [file_digest(file) for file in files_of(settings)],
        "lskd": ".".join(__version__.split(".")[:2]),
    }


def of_rows(before: Any, rows: Sequence[Row]) -> str:
    """Return a hash of rows, whatever paths their images lie at, and of what came before them."""
    total = hashlib.blake2b(json.dumps(before, sort_keys=True).encode(), digest_size=8)
    for row in rows:
        shown = [table.plain(region) for region in row.view.regions]
        label = table.plain(row.label)
        total.update(json.dumps([row.view.image.id, shown, row.text, label]).encode())
    return total.hexdigest()
