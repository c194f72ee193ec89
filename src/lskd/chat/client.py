"""One server and its connections: a request goes out, and again if that helps, a response comes in.

A client runs on an event loop in a thread of its own, so that its users stay synchronous and
several threads share one pool, one limiter and one patience.
"""

import asyncio
import logging
import random
import threading
import urllib.request
import weakref
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

import aiohttp
from yarl import URL

from lskd.chat import stopping
from lskd.chat.endpoint import Endpoint, read_key
from lskd.chat.faults import Fault, fault_of_error, fault_of_status
from lskd.chat.limits import Limiter, Patience
from lskd.errors import EndpointError, UserError
from lskd.trace import measured

T = TypeVar("T")
CONNECT_SECONDS: Final = 10.0
LONGEST_WAIT: Final = 60.0  # between two attempts, unless the server asks for more
LONGEST_PAUSE: Final = 900.0  # a server that asks for more will not answer today
CLOSE_SECONDS: Final = 5.0

log = logging.getLogger("lskd")


class Client:
    """The connections to one endpoint.

    Raises UserError at once if the key's variable is missing.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self.limiter = Limiter(endpoint.concurrency)
        self._key = read_key(endpoint)
        self.patience = Patience(endpoint.patience)
        self._proxy = proxy_for(endpoint)
        self._short = aiohttp.ClientTimeout(total=endpoint.timeout, connect=CONNECT_SECONDS)
        self._long = aiohttp.ClientTimeout(
            total=None, sock_read=endpoint.timeout, connect=CONNECT_SECONDS
        )
        # Jitter must differ between processes and changes no result, so it has no seed.
        self._random = random.Random()
        self._loop = asyncio.new_event_loop()
        self._sessions: list[aiohttp.ClientSession] = []
        self._users = 0
        self._users_guard = threading.Lock()
        stopping.watch(self.limiter, self._loop)
        thread = threading.Thread(target=_serve, args=(self._loop,), name="lskd-chat", daemon=True)
        thread.start()
        # Not __del__: the loop must end before the interpreter does, and without a reference to us.
        self._end = weakref.finalize(self, _end, self._loop, thread, self._sessions)

    def close(self) -> None:
        """Close all connections; also done when the client is no longer used."""
        self._end()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run `work` on the client's loop and return what it returns; any thread may call this.

        An interrupt (Ctrl-C) lets the calls in flight finish; a second one does not. Raises
        UserError once this process was told to stop (`lskd.chat.stopping`).
        """
        with self._users_guard:
            if self._users == 0:
                self._loop.call_soon_threadsafe(self._reopen)
            self._users += 1
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            with measured("waiting"):
                return future.result()
        except KeyboardInterrupt:
            if stopping.told() is None:
                log.warning("waiting for the replies in flight; interrupt again to leave them")
                self._loop.call_soon_threadsafe(self.limiter.halt, UserError("interrupted"))
            try:
                future.exception()
            finally:
                future.cancel()
            raise
        finally:
            with self._users_guard:
                self._users -= 1

    def _reopen(self) -> None:
        told_to_stop = stopping.told()
        if told_to_stop is None:
            self.limiter.reopen()
        else:
            self.limiter.halt(told_to_stop)

    async def persist(self, attempt: Callable[[], Awaitable[T]]) -> T:
        """Repeat `attempt` until it brings something, with pauses that grow, and return that.

        Raises Fault if the request fails for good; EndpointError, here and in all other calls, if
        the endpoint is to be given up.
        """
        tries = failures = 0
        replies: int | None = None  # to anybody, when this request first failed
        while True:
            since = await self.limiter.enter()
            try:
                found = await attempt()
            except Fault as fault:
                tries += 1
                failures += fault.kind not in ("away", "busy")  # being put off is no failure
                if fault.kind in ("busy", "late"):
                    self.limiter.complained(since, fault.pause)
                replies = self.patience.replies if replies is None else replies
                self._give_up_if_vain(fault, failures, self.patience.replies == replies)
                pause = self._wait(fault, tries)
            else:
                self.limiter.succeeded()
                self.patience.answered()
                return found
            finally:  # not before the limiter knows what happened
                self.limiter.leave()
            await self.limiter.rest(pause)

    async def send(
        self,
        method: str,
        path: str,
        data: bytes | aiohttp.FormData | None = None,
        kind: str | None = None,
    ) -> str:
        """Send one HTTP request, `data` being of content type `kind`, and return its body.

        A form, and a file that is fetched, may take as long as bytes come. Raises Fault.
        """
        headers = {"Content-Type": kind} if kind else None
        session = self._session()
        address = URL(self.endpoint.base_url + path)
        try:
            async with session.request(
                method,
                address,
                data=data,
                headers=headers,
                proxy=self._proxy,
                timeout=self._short if kind else self._long,
                allow_redirects=False,  # the key is for this address
            ) as response:
                self.patience.reached()
                received = await response.read()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise fault_of_error(error) from None
        text = self._key.hide(received.decode("utf-8", "replace"))
        if not 200 <= response.status < 300:
            raise fault_of_status(response.status, response.headers, text)
        return text

    def _session(self) -> aiohttp.ClientSession:
        if not self._sessions:
            self._sessions.append(
                aiohttp.ClientSession(
                    connector=aiohttp.TCPConnector(limit=0),  # the limiter does that
                    headers=self._key.headers(),
                    cookie_jar=aiohttp.DummyCookieJar(),
                )
            )
        return self._sessions[0]

    def _give_up_if_vain(self, fault: Fault, failures: int, silent: bool) -> None:
        """Return if it makes sense to try again; else raise EndpointError or the fault.

        `silent`: nobody was answered since the request first failed.
        """
        pause = fault.pause or 0.0
        if pause > LONGEST_PAUSE:
            raise self._given_up(f"asks to wait {pause:,.0f} seconds: {fault}")
        match fault.kind:
            case "endpoint":
                raise self._given_up(f"refuses to serve: {fault}")
            case "away" | "busy":
                if self.patience.is_out(pause):
                    what = "cannot be reached" if fault.kind == "away" else "serves nothing"
                    raise self._given_up(f"{what}: {fault}")
            case "broken" | "late" if silent:
                # As far as can be seen it is the network, and not this request.
                vain = failures > self.endpoint.retries
                vain = vain or (fault.kind == "broken" and not self.patience.was_reached)
                if self.patience.is_out() and vain:
                    raise self._given_up(f"cannot be reached: {fault}")
            case _:
                if fault.kind == "request" or failures > self.endpoint.retries:
                    if self.patience.failed(refused=fault.kind == "request"):
                        raise self._given_up(f"answers nothing any more; the last time: {fault}")
                    raise fault

    def _given_up(self, what: str) -> UserError:
        return self.limiter.halt(EndpointError(f"{self.endpoint} {what}"))

    def _wait(self, fault: Fault, tries: int) -> float:
        """Return the seconds to wait: what the server asks for, or twice as long each time."""
        grown = min(LONGEST_WAIT, self.endpoint.backoff * 2.0 ** min(tries - 1, 20))
        jittered = grown * self._random.uniform(0.5, 1.0)
        if fault.pause is None:
            return jittered
        # Everyone who was told the same moment must not come at the same moment.
        return fault.pause + min(jittered, self.endpoint.backoff) * self._random.random()


def proxy_for(endpoint: Endpoint) -> str | None:
    """Return the proxy that the environment names for an endpoint; none for this machine."""
    parts = urlsplit(endpoint.base_url)
    if endpoint.is_loopback or urllib.request.proxy_bypass(parts.hostname or ""):
        return None
    return urllib.request.getproxies().get(parts.scheme)


def _serve(loop: asyncio.AbstractEventLoop) -> None:
    try:
        loop.run_forever()
    finally:
        loop.close()


def _end(
    loop: asyncio.AbstractEventLoop,
    thread: threading.Thread,
    sessions: list[aiohttp.ClientSession],
) -> None:
    async def finish() -> None:
        for session in sessions:
            await session.close()
        loop.stop()

    asyncio.run_coroutine_threadsafe(finish(), loop)
    if threading.current_thread() is not thread:
        thread.join(CLOSE_SECONDS)
