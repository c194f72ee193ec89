"""What happens to the shards of a stage, a JSON line for each event, beside the stage's tables.

In: a shard began, ended or failed. Out: `trace.jsonl`, which only grows, and what it says when it
is read again. It lies beside `shards.jsonl`; a run needs neither of them to go on. The events of
shard "" are about the stage as a whole: what comes before its first shard (models are loaded) and
after its last.
"""

import contextlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from lskd.chat.paid import Charge
from lskd.errors import cannot_write
from lskd.trace import Spans

TRACE = "trace.jsonl"
What = Literal["began", "ended", "failed"]


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to a shard at `time` (seconds since the epoch).

    `session` is that of the process (see `lskd.holder`). What "ended" or "failed" took: `spans`;
    `cpu` seconds of the whole process and what it `paid` since the event before, both of which are
    exact only in sum, since several shards may be in flight; `memory`, the most bytes that the
    process ever held. What was made: `images`, `rows` and `bytes` on disk by record. `gpu` says
    whether an accelerator was at hand to torch. `error` is why it failed.
    """

    time: float
    session: str
    stage: str
    shard: str
    what: What
    spans: Spans | None = None
    cpu: float = 0.0
    memory: int | None = None
    gpu: bool = False
    paid: Charge | None = None
    images: int = 0
    rows: Mapping[str, int] = field(default_factory=dict)
    bytes: Mapping[str, int] = field(default_factory=dict)
    error: str | None = None

    def as_json(self) -> dict[str, Any]:
        """Return the event as JSON, without what does not apply to it."""
        told: dict[str, Any] = {
            "time": round(self.time, 3),
            "session": self.session,
            "stage": self.stage,
            "shard": self.shard,
            "event": self.what,
        }
        if self.spans is not None:
            told["seconds"] = self.spans.as_json()
            told |= {"cpu": round(self.cpu, 4), "memory": self.memory, "gpu": self.gpu}
        if self.what == "ended":
            told |= {"images": self.images, "rows": self.rows, "bytes": self.bytes}
        if self.paid is not None:
            told["paid"] = {
                "input_tokens": self.paid.input_tokens,
                "output_tokens": self.paid.output_tokens,
                "price": self.paid.price,
            }
        return told if self.error is None else {**told, "error": self.error}


Listener = Callable[[Event], None]


def read_event(row: Mapping[str, Any]) -> Event:
    """Return the event of one JSON object.

    Raises KeyError, TypeError or ValueError if it is none.
    """
    paid, spans = row.get("paid"), row.get("seconds")
    return Event(
        time=float(row["time"]),
        session=str(row["session"]),
        stage=str(row["stage"]),
        shard=str(row["shard"]),
        what=row["event"],
        spans=Spans(**spans) if spans else None,
        cpu=float(row.get("cpu", 0.0)),
        memory=row.get("memory"),
        gpu=bool(row.get("gpu", False)),
        paid=Charge(paid["input_tokens"], paid["output_tokens"], paid["price"]) if paid else None,
        images=int(row.get("images", 0)),
        rows=row.get("rows", {}),
        bytes=row.get("bytes", {}),
        error=row.get("error"),
    )


def append(file: Path, event: Event) -> None:
    """Add a line to a trace; what a kill left of the line before it stays a line of its own.

    Raises UserError if the file cannot be written.
    """
    try:
        with file.open("a", encoding="utf-8") as opened:
            opened.write("\n" + json.dumps(event.as_json()))
    except OSError as error:
        raise cannot_write(file, error) from error


def read(file: Path) -> list[Event]:
    """Return the events of a trace in order; none if there is no such file."""
    if not file.exists():
        return []
    found = []
    for line in file.read_text(encoding="utf-8", errors="replace").splitlines():
        # A kill can leave half a line; that event is then not known.
        with contextlib.suppress(KeyError, TypeError, ValueError):
            found.append(read_event(json.loads(line)))
    return found
