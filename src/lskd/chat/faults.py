"""What can go wrong with a call, and what follows from it."""

import email.utils
import json
import time
from collections.abc import Mapping
from typing import Final, Literal

import aiohttp

LONGEST_MESSAGE: Final = 300
# Of who waits for a model no longer (524 is Cloudflare's): it may go on, and what it makes is paid.
TOO_LATE: Final = (408, 504, 524)

Kind = Literal["endpoint", "away", "busy", "late", "broken", "passing", "request"]


class Fault(Exception):
    """A call that brought no usable reply; its text is one line.

    `kind` says what follows: "endpoint": nothing can be asked of this server; "away": no server was
    there, try again for a while; "busy": it asks for less, try again for a while; "passing": try
    again a few times; "late": the same, and ask for less; "broken": the same, but if nobody is
    answered it is the network, try again for a while; "request": this request will never do.
    `may_cost`: the server may have made, and charged, a reply. `pause`: seconds to wait that the
    server asked for. `body`: what came. `gone`: what was asked for is not there.
    """

    def __init__(
        self,
        kind: Kind,
        message: str,
        *,
        may_cost: bool = False,
        pause: float | None = None,
        body: str = "",
        gone: bool = False,
    ) -> None:
        super().__init__(message)
        self.kind = kind
        self.may_cost = may_cost
        self.pause = pause
        self.body = body
        self.gone = gone


def fault_of_status(status: int, headers: Mapping[str, str], body: str) -> Fault:
    """Return the fault that a response with an HTTP status other than 200 stands for."""
    message = f"HTTP {status}: {summary(body) or 'no message'}"
    pause = retry_after(headers, server_time(headers))
    if status == 429 and not _says(body, "insufficient_quota", "billing_hard_limit"):
        return Fault("busy", message, pause=pause)
    if status in (503, 529):
        return Fault("busy", message, pause=pause)
    if status in TOO_LATE:
        return Fault("passing", message, may_cost=True, pause=pause, body=body)
    if status in (409, 425) or status >= 500:
        return Fault("passing", message, pause=pause)
    if 300 <= status < 400:
        return Fault("endpoint", f"HTTP {status}: moved to {headers.get('Location', '?')}")
    if status in (401, 402, 403, 404, 407, 429):
        return Fault("endpoint", message, gone=status == 404)
    return Fault("request", message, body=body, gone=status == 410)


def fault_of_error(error: Exception) -> Fault:
    """Return the fault that an exception of aiohttp or of the system stands for."""
    if isinstance(error, aiohttp.ConnectionTimeoutError):
        return Fault("away", "no connection in time")
    if isinstance(error, TimeoutError):
        return Fault("late", "no reply in time", may_cost=True)
    if isinstance(error, (aiohttp.ClientConnectorCertificateError, aiohttp.ClientSSLError)):
        return Fault("endpoint", f"no secure connection: {one_line(str(error))}")
    if isinstance(error, aiohttp.ClientConnectorError):
        reason = error.os_error.strerror or str(error.os_error)
        return Fault("away", f"no connection: {one_line(reason)}")
    if isinstance(error, aiohttp.ClientHttpProxyError):
        # It made no tunnel: nothing has reached the server. Its address may hold a password.
        what = f"the proxy of the environment (HTTPS_PROXY, HTTP_PROXY) answers HTTP {error.status}"
        return Fault("endpoint" if error.status == 407 else "away", what)
    if isinstance(error, aiohttp.InvalidURL):
        return Fault("endpoint", "base_url, or the proxy of HTTPS_PROXY or HTTP_PROXY, is no URL")
    if isinstance(error, aiohttp.ClientPayloadError):
        return Fault("broken", "the reply broke off", may_cost=True)
    # Among these a keep-alive connection that the server closed as the request went out.
    return Fault("broken", f"the connection broke: {type(error).__name__}", may_cost=True)


def server_time(headers: Mapping[str, str]) -> float:
    """Return the time of a response in seconds since the epoch.

    By the server's clock, for it is that which a date of the server means; ours may be wrong.
    """
    try:
        return email.utils.parsedate_to_datetime(headers.get("date", "")).timestamp()
    except (ValueError, OverflowError):
        return time.time()


def retry_after(headers: Mapping[str, str], now: float) -> float | None:
    """Return the seconds from `now` (since the epoch) that a response asks to wait, or None."""
    for name, unit in (("retry-after-ms", 1e-3), ("retry-after", 1.0)):
        text = headers.get(name, "").strip()
        if text.replace(".", "", 1).isdecimal() and text.isascii():
            return float(text) * unit
    try:
        date = email.utils.parsedate_to_datetime(headers.get("retry-after", ""))
        return max(0.0, date.timestamp() - now)
    except (ValueError, OverflowError):
        return None


def summary(body: str) -> str:
    """Return what an error response says, in one line: its JSON's message, or its beginning."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return one_line(body)
    for name in ("error", "message", "detail"):
        if isinstance(found, dict) and found.get(name):
            found = found[name]
    return one_line(found if isinstance(found, str) else body)


def one_line(text: str) -> str:
    """Return the beginning of a text, its white space made single blanks."""
    line = " ".join(text[: 4 * LONGEST_MESSAGE].split())
    return line if len(line) <= LONGEST_MESSAGE else line[: LONGEST_MESSAGE - 3] + "..."


def _says(body: str, *words: str) -> bool:
    lower = body.lower()
    return any(word in lower for word in words)
