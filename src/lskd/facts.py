"""What a report must be told of a run, because it stands in no table."""

from dataclasses import dataclass

from lskd.trace import Spans


@dataclass(frozen=True, slots=True)
class StageFacts:
    """How far a stage has come: shards finished, shards there are, and seconds of work if known.

    `spans` tells what its time went into, if that is known.
    """

    name: str
    done: int
    total: int
    seconds: float | None
    spans: Spans | None = None


@dataclass(frozen=True, slots=True)
class RunFacts:
    """A run as its reader knows it.

    `created` is an ISO 8601 time, `version` lskd's, `settings` the effective run file as TOML.
    `notices` are sentences that no reader may miss. `stages` stand in the order of work.
    `threshold` is the score from which triples are kept, or None where a best share is kept.
    """

    name: str
    created: str
    version: str
    notices: tuple[str, ...]
    settings: str
    stages: tuple[StageFacts, ...]
    threshold: float | None = None
