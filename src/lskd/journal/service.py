"""The driver's side: the ledger of a run, served to its workers over HTTP.

In: claims and replies of workers. Out: leave to pay, and an acknowledgement once a reply is
committed. A worker that is silent for a while is taken for dead, and its claims are given up; a
service that was started anew with the same token waits as long for workers of before.
"""

import asyncio
import contextlib
import functools
import hmac
import logging
import secrets
import threading
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from aiohttp import web

from lskd.chat.journal import Journal
from lskd.chat.ledger import Answer, LocalLedger, Wait, local_ledger
from lskd.errors import UserError
from lskd.journal import messages
from lskd.journal.address import Address
from lskd.journal.segments import Segments
from lskd.journal.unsent import take_in

SILENCE_SECONDS: Final = 20.0  # a worker speaks five times in that time, if only to say so
HOLD_SECONDS: Final = 10.0  # a claim that must wait is answered after this, and comes again
ELSEWHERE_SECONDS: Final = 0.2  # until a reply that another worker is buying is looked for
LONGEST_REST: Final = 1.0
CLOSE_SECONDS: Final = 5.0  # for messages that are being answered when the service ends
BACKLOG: Final = 1024  # each worker opens a connection for each claim that waits
LARGEST_MESSAGE: Final = 256 << 20
PUBLISH_SECONDS: Final = 30.0
BEFORE: Final = "before"  # the holder of calls that were sent before the service began

log = logging.getLogger("lskd")
Told = dict[str, Any]
STOPPING: Final = "the run is being stopped: nothing more is asked"


class Service:
    """Answers the workers of one run; made by `serving`."""

    def __init__(self, ledger: LocalLedger, address: Address, silence: float) -> None:
        self.ledger = ledger
        self.address = address
        self._silence = silence
        self._heard: dict[str, float] = {}
        self._lines: dict[str, asyncio.Lock] = {}
        self._news = asyncio.Event()
        self._stopping = False

    def expect_workers_of_before(self) -> None:
        """Let nobody ask what is open from before, until who asked it has had time to say so."""
        self._heard[BEFORE] = time.monotonic()
        for call, key in self.ledger.journal.open_calls().items():
            self.ledger.take_up(BEFORE, call, key, "")

    def drain(self, seconds: float) -> int:
        """Grant no more claims; wait for the replies in flight; return how many are still out."""
        self._stopping = True
        until = time.monotonic() + seconds
        while (left := self.ledger.in_flight_elsewhere) and time.monotonic() < until:
            time.sleep(0.02)
        return left

    async def close(self) -> None:
        """Grant no more claims, and answer those that wait."""
        self._stopping = True
        self._settled()

    async def answer(self, request: web.Request) -> web.Response:
        """Answer one message of a worker."""
        given = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if not hmac.compare_digest(given.encode(), self.address.token.encode()):
            return web.json_response({"error": "wrong token"}, status=401)
        holder = request.headers.get("Worker", "")
        self._heard[holder] = time.monotonic()
        try:
            told = await request.json()
            found = await self._answers(request.match_info["name"], holder, told)
        except UserError as error:
            # A full disk, say: the worker keeps its reply, and tells its user.
            return web.json_response({"error": str(error)}, status=507)
        except (KeyError, TypeError, ValueError) as error:
            return web.json_response({"error": f"not understood: {error!r}"}, status=400)
        return web.json_response(found)

    async def _answers(self, name: str, holder: str, told: Told) -> Any:
        ledger = self.ledger
        match name:
            case "hello":
                return {"journal": ledger.journal.identity(), "silence": self._silence}
            case "alive":
                self._reconcile(holder, told)
                return {}
            case "find":
                return messages.told_paid(await ledger.find(bytes.fromhex(told["key"])))
            case "claim":
                return messages.told_answer(await self._claim(holder, told))
            case "keep":
                stands = ledger.kept(*messages.read_reply(told))
                self._settled()
                return messages.told_paid(stands)
            case "withdraw":
                await ledger.withdraw(told["call"])
                self._settled()
                return {}
            case "lose":
                await ledger.lose(told["call"], told["fault"], told["response"])
                self._settled()
                return {}
            case _:
                return await self._answers_batch(name, told)

    async def _answers_batch(self, name: str, told: Told) -> Any:
        ledger = self.ledger
        match name:
            case "begin_batch":
                return await ledger.begin_batch(told["calls"], told["token"])
            case "name_batch":
                return await ledger.name_batch(told["number"], told["name"])
            case "end_batch":
                return await ledger.end_batch(told["number"])
            case "batches":
                return [messages.told_batch(batch) for batch in await ledger.batches()]
            case "calls_of":
                calls = await ledger.calls_of(told["batch"])
                return {key.hex(): call for key, call in calls.items()}
            case "expect":
                return await ledger.expect(told["calls"])
        raise ValueError(f"no message is called {name!r}")

    async def _claim(self, holder: str, told: Told) -> Answer:
        """Answer a claim when its turn comes, or after a while with "wait".

        Those who ask one endpoint come in the order of their claims.
        """
        ticket, key, most, limits = messages.read_claim(told)
        line = self._lines.setdefault(limits.endpoint, asyncio.Lock())
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(HOLD_SECONDS), line:
                while True:
                    if self._stopping:
                        raise UserError(STOPPING)
                    answer = self.ledger.claim_for(holder, ticket, key, most, limits)
                    if not isinstance(answer, Wait):
                        return answer
                    if answer.elsewhere:  # others in the line need not wait for that
                        return Wait(ELSEWHERE_SECONDS, elsewhere=True)
                    await self._rest(min(answer.seconds, LONGEST_REST))
        return Wait(0.0)

    async def _rest(self, seconds: float) -> None:
        """Wait for so long, or until some call is settled."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._news.wait()

    def _settled(self) -> None:
        self._news.set()
        self._news = asyncio.Event()

    def _reconcile(self, holder: str, told: Told) -> None:
        """Take up the calls that a worker says it holds; forget those that it never heard of."""
        for call, key, endpoint in told["calls"]:
            self.ledger.take_up(holder, call, bytes.fromhex(key), endpoint)
        theirs = {call for call, _, _ in told["calls"]}
        for call, ticket in self.ledger.held_by(holder).items():
            # The answer to its claim was lost, and nobody waits for it any more.
            if call not in theirs and ticket <= told["newest"] and ticket not in told["waiting"]:
                self.ledger.forget(call)
        self._settled()

    async def watch(self) -> None:
        """Give up, for ever, what those hold who have been silent for too long."""
        while True:
            await asyncio.sleep(self._silence / 8)
            now = time.monotonic()
            for holder in [h for h, heard in self._heard.items() if now - heard > self._silence]:
                try:
                    count = self.ledger.let_go_of(holder)
                except UserError as error:  # the disk may be full for a while
                    self._heard[holder] = now
                    log.warning("%s; what a silent worker holds is given up later", error)
                    continue
                del self._heard[holder]
                self._settled()
                if count:
                    who = "workers of before" if holder == BEFORE else "a worker"
                    calls = "1 paid call" if count == 1 else f"{count} paid calls"
                    log.warning("%s fell silent with %s in flight", who, calls)


@contextmanager
def serving(
    journal: Journal,
    host: str = "127.0.0.1",
    port: int = 0,
    *,
    token: str | None = None,
    segments: Path | None = None,
    silence: float = SILENCE_SECONDS,
    publish_every: float = PUBLISH_SECONDS,
) -> Iterator[Service]:
    """Serve a journal to workers on other hosts as long as the block lasts.

    `host` is this node's name as workers reach it. Without a `token` one is made, which nobody of
    before can know. In `segments` what was paid is published, every `publish_every` seconds and
    at the end, and the journal takes in from there what it lacks: so a driver's disk may be lost.
    Raises UserError if it cannot listen, or if `segments` are another journal's.
    """
    published = None if segments is None else Segments(journal, segments)
    works: list[Callable[[], Awaitable[None]]] = []
    if published is not None:
        published.restore()
        works.append(functools.partial(_publish, published, publish_every))
    take_in(journal)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="lskd-journal", daemon=True)
    thread.start()

    def on_loop(work: Awaitable[Any]) -> Any:
        async def done() -> Any:
            return await work

        return asyncio.run_coroutine_threadsafe(done(), loop).result()

    address = Address("", token or secrets.token_urlsafe(32))
    service = Service(local_ledger(journal), address, silence)
    if token is not None:
        service.expect_workers_of_before()
    try:
        runner, tasks = on_loop(_listen(service, host, port, works))
        try:
            yield service
        finally:
            on_loop(service.close())
            on_loop(_end(runner, tasks))
            service.ledger.let_go_of_all()
            if published is not None:
                published.publish()
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def _listen(
    service: Service, host: str, port: int, works: Sequence[Callable[[], Awaitable[None]]]
) -> tuple[web.AppRunner, list[asyncio.Task[None]]]:
    app = web.Application(client_max_size=LARGEST_MESSAGE)
    app.router.add_post("/{name}", service.answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=CLOSE_SECONDS)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port, backlog=BACKLOG).start()
    except OSError as error:
        await runner.cleanup()
        raise UserError(
            f"the journal service cannot listen at {host}:{port}: {error.strerror or error}"
        ) from error
    taken = runner.addresses[0][1]
    name = f"[{host}]" if ":" in host else host
    service.address = Address(f"http://{name}:{taken}", service.address.token)
    return runner, [asyncio.ensure_future(_as_task(work)) for work in (service.watch, *works)]


async def _as_task(work: Callable[[], Awaitable[None]]) -> None:
    await work()


async def _publish(published: Segments, every: float) -> None:
    while True:
        await asyncio.sleep(every)
        try:
            await asyncio.to_thread(published.publish)
        except (UserError, OSError) as error:  # storage may be away for a while; nothing is lost
            log.warning("%s; it is tried again", error)


async def _end(runner: web.AppRunner, tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await runner.cleanup()
