"""How the state of a run, and what the lab measured, are printed: lines and tables for people."""

import sys
import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from rich.table import Table

from lskd.cli.options import console, money
from lskd.forecast import Forecast, summed
from lskd.report.amounts import duration, shares
from lskd.report.statistics import Rejected
from lskd.status import StageStatus, Status

if TYPE_CHECKING:
    from lskd.lab.bars import Bar

DAY = 86_400
WIDTH = 140  # of a table in a file


def moment(seconds: float) -> str:
    """Return a time as the clock of this place shows it, with its date unless it is near."""
    form = "%H:%M:%S" if abs(seconds - time.time()) < DAY / 2 else "%Y-%m-%d %H:%M"
    return time.strftime(form, time.localtime(seconds))


def shards(one: StageStatus) -> str:
    """Return the shards of a stage by state: "3 of 9, 2 running, 1 failed"; or a model's steps."""
    if one.training is not None:
        return f"step {one.training.step:,} of {one.training.steps:,}"
    if not one.shards:
        return ""
    parts = [f"{one.shards_done:,} of {one.shards:,}"]
    counts = {"running": one.running, "failed": one.failed, "cut off": one.cut_off}
    return ", ".join([*parts, *(f"{count:,} {what}" for what, count in counts.items() if count)])


def print_status(found: Status) -> None:
    """Print a run's stages, then who is at work, what is left, what was paid, what went wrong."""
    shown = Table(
        "stage", "state", "shards", "rows", "rejects", "time", "images/s", "left", "spent"
    )
    for one in found.stages:
        shown.add_row(
            one.stage,
            one.state,
            shards(one),
            f"{one.rows:,}" if one.shards else "",
            f"{one.rejects:,}" if one.shards else "",
            "" if one.seconds is None else duration(one.seconds),
            "" if one.images_per_second is None else f"{one.images_per_second:,.1f}",
            duration(one.seconds_left) if one.seconds_left else "",
            shares(one.spans),
        )
    console(WIDTH).print(shown)
    sys.stdout.write(f"{at_work(found)}\n{what_is_left(found)}")
    if found.paid is not None:
        sys.stdout.write(
            f"{found.paid.calls:,} paid replies, {found.paid.input_tokens:,} tokens in, "
            f"{found.paid.output_tokens:,} out, price {money(found.paid.price)}\n"
        )
        if found.paid.uncounted:
            sys.stdout.write(
                f"the server counted no tokens of {found.paid.uncounted:,}: the most that they can "
                "be stands for them\n"
            )
        if found.paid.unanswered:
            sys.stdout.write(
                f"{found.paid.unanswered:,} calls were cut off before their reply arrived: "
                "they may have been paid for nothing\n"
            )
    for trouble in found.errors:
        shard = f" shard {trouble.shard}" if trouble.shard else ""
        sys.stdout.write(f"{moment(trouble.time)} {trouble.stage}{shard}: {trouble.text}\n")


def print_rejects(found: Sequence[Rejected]) -> None:
    """Print why things were left out, the most frequent reasons of each stage first."""
    for one in found:
        rest = one.count - sum(reason.count for reason in one.reasons)
        reasons = [(reason.count, reason.name) for reason in one.reasons]
        for count, reason in [*reasons, *([(rest, "other reasons")] if rest else [])]:
            sys.stdout.write(f"{one.stage:<11} {count:>9,}  {reason}\n")


def at_work(found: Status) -> str:
    """Return a line on who holds the run, or that nobody does."""
    if found.holder is None:
        if found.state == "done":
            return "done; no process is at work"
        return "stopped: no process is at work; the same `lskd run` continues it"
    one = found.holder
    who = "an older lskd" if one.process is None else f"process {one.process} on {one.host}"
    return f"running: {who}" + ("" if one.since is None else f", since {moment(one.since)}")


def what_is_left(found: Status) -> str:
    """Return a line on the time that is left, or "" if nothing is."""
    if found.state == "done":
        return ""
    apart = f", without {', '.join(found.unknown)} (no rate yet)" if found.unknown else ""
    if not found.seconds_left:
        return f"time left not known{apart}\n"
    ends = "" if found.ends is None else f", until {moment(found.ends)}"
    return f"about {duration(found.seconds_left)} left{ends}{apart}\n"


def size(value: float | None) -> str:
    """Return bytes as "1.2 GB", or "unknown"."""
    if value is None:
        return "unknown"
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000:
            return f"{value:.3g} {unit}"
        value /= 1000
    return f"{value:,.3g} TB"


def print_forecast(found: Forecast) -> None:
    """Print a line for each stage with its sources; then the sums and what they are without."""
    shown = Table("stage", "workers", "time", "memory", "storage", "price", "how it was computed")
    for one in found.lines:
        how = [f"time {one.time.how}"] if one.time.known else []
        if one.storage.known and one.storage.how != one.time.how:
            how.append(f"storage {one.storage.how}")
        if one.price.value:
            how.append(f"price {one.price.how}")
        shown.add_row(
            one.stage,
            f"{one.workers}",
            duration(one.time.value),
            size(one.memory.value),
            size(one.storage.value),
            money(one.price.value),
            "; ".join(how),
        )
    console(WIDTH).print(shown)
    where = "lskd run in one process" if found.cluster is None else f"cluster {found.cluster}"
    more = " at least" if found.unknown else ""
    sys.stdout.write(
        f"{found.images:,} images, {where}:{more} {duration(found.seconds)}, "
        f"{size(found.bytes)} on disk, price {money(found.price)}; "
        f"{size(found.memory)} of memory in one process\n"
    )
    for text in taken_over(found):
        sys.stdout.write(f"{text}\n")
    for text in found.unknown:
        sys.stdout.write(f"{text}\n")


def taken_over(found: Forecast) -> Iterator[str]:
    """Yield, for each run that stages are taken over from, a line on what it has already paid."""
    for parent in dict.fromkeys(one.parent for one in found.lines if one.parent):
        own = [one for one in found.lines if one.parent == parent]
        price = summed(one.price for one in own)
        paid = f"{money(price)} of the price and " if price else ""
        yield (
            f"{own[0].stage} to {own[-1].stage} are those of {parent}: what is made there is taken "
            f"over, {paid}{duration(summed(one.time for one in own))} of the time"
        )


def print_bars(found: Sequence["Bar"]) -> None:
    """Print what the lab measured, a line for each bar, with what was wanted and its interval."""
    shown = Table("bar", "wanted", "found", "95 %", "seeds", "")
    for one in found:
        measure = one.found
        met = {True: "met", False: "MISSED", None: ""}[one.met]
        interval = f"{measure.low:.1f} to {measure.high:.1f}"
        seeds = " ".join(f"{value:.1f}" for value in one.seeds)
        shown.add_row(one.claim, one.wanted, f"{measure.value:.1f}", interval, seeds, met)
    console(150).print(shown)
