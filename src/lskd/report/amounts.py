"""Numbers, shares, times and prices become words; what is not known is said to be unknown."""

from datetime import datetime

from lskd.report.statistics import Usage
from lskd.trace import KINDS, Spans

UNKNOWN = "unknown"


def number(value: float | None) -> str:
    """Return a whole number with its thousands apart, or another with two digits; or "unknown"."""
    if value is None:
        return UNKNOWN
    return f"{value:,}" if isinstance(value, int) else f"{value:,.2f}"


def percent(value: float | None) -> str:
    """Return a share in per cent, or "unknown"."""
    return UNKNOWN if value is None else f"{100 * value:.1f} %"


def duration(seconds: float | None) -> str:
    """Return a time as "2 h 05 min", "3 min 20 s" or "4.1 s"; or "unknown"."""
    if seconds is None:
        return UNKNOWN
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s"


def shares(spans: Spans | None) -> str:
    """Return what time went into, the largest share first, as "waiting 80 %, computing 20 %"."""
    if spans is None or not spans.total:
        return ""
    found = sorted(((spans.of(kind) / spans.total, kind) for kind in KINDS), reverse=True)
    return ", ".join(f"{kind} {100 * share:.0f} %" for share, kind in found if share >= 0.005)


def moment(iso: str) -> str:
    """Return an ISO 8601 time to the minute, with its zone."""
    time = datetime.fromisoformat(iso)
    return f"{time:%Y-%m-%d %H:%M} {time.tzname() or ''}".rstrip()


def tokens(value: int | None, usage: Usage) -> str:
    """Return a number of tokens; a lower bound if some replies do not tell, or "unknown"."""
    bound = "at least " if value is not None and usage.silent_tokens else ""
    return bound + number(value)


def money(usage: Usage) -> str:
    """Return the price of some replies: a lower bound if some do not tell, "unknown" if none do.

    It is in the currency of the prices in the run file, which names none.
    """
    if usage.price is None:
        return UNKNOWN
    digits = 2 if usage.price == 0 or usage.price >= 1 else 4
    bound = "at least " if usage.silent_price else ""
    return f"{bound}{usage.price:,.{digits}f}"
