"""The replies of a teacher become sums: tokens, price, time, failures."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from lskd.report.sketch import Tally
from lskd.report.statistics import Usage
from lskd.types import Reply

MODELS = 32
OTHERS = "others"


@dataclass(slots=True)
class Sum:
    """Adds up what is known and counts what is not."""

    total: float | None = None
    silent: int = 0

    def add(self, value: float | None) -> None:
        """Add `value`, or note that it is not known."""
        if value is None:
            self.silent += 1
        else:
            self.total = (self.total or 0) + value

    @property
    def whole(self) -> int | None:
        """Return the total of whole numbers."""
        return None if self.total is None else round(self.total)


@dataclass(slots=True)
class Bill:
    """Adds up what the replies of one model took."""

    replies: int = 0
    failed: int = 0
    seconds: float = 0.0
    read: Sum = field(default_factory=Sum)
    written: Sum = field(default_factory=Sum)
    price: Sum = field(default_factory=Sum)

    def add(self, reply: Reply) -> None:
        """Add one reply."""
        self.replies += 1
        self.failed += reply.error is not None
        self.seconds += reply.seconds
        self.read.add(reply.input_tokens)
        self.written.add(reply.output_tokens)
        self.price.add(reply.price)

    def usage(self, stage: str, model: str) -> Usage:
        """Return the sums."""
        return Usage(
            stage=stage,
            model=model,
            replies=self.replies,
            failed=self.failed,
            seconds=self.seconds,
            input_tokens=self.read.whole,
            output_tokens=self.written.whole,
            price=self.price.total,
            silent_tokens=max(self.read.silent, self.written.silent),
            silent_price=self.price.silent,
        )


class Accounts:
    """Adds up replies: together, by stage and model (the first 32), by how they ended."""

    def __init__(self) -> None:
        self.bill = Bill()
        self.models: dict[tuple[str, str], Bill] = {}
        self.finishes = Tally(100)

    def add(self, stage: str, replies: Sequence[Reply]) -> None:
        """Add replies that a stage asked for."""
        for reply in replies:
            self.bill.add(reply)
            key = (stage, reply.model)
            if key not in self.models and len(self.models) >= MODELS:
                key = (stage, OTHERS)
            self.models.setdefault(key, Bill()).add(reply)
            self.finishes.add("no reply" if reply.error is not None else reply.finish or "not said")

    def usages(self) -> tuple[Usage, ...]:
        """Return the sums of each stage and model."""
        return tuple(bill.usage(*key) for key, bill in self.models.items())
