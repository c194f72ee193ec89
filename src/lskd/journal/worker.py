"""A worker's side: the ledger of a run that the driver keeps, over HTTP.

In: what a teacher asks before it pays and tells after. Out: the driver's answers. What the driver
does not acknowledge is sent again; while it cannot be reached, a paid reply waits in a local file
(`lskd.journal.unsent`), and no further call is made.
"""

import asyncio
import json
import logging
import math
import threading
import time
import uuid
from collections.abc import Callable, Coroutine, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar

import aiohttp

from lskd.chat.budget import Limits
from lskd.chat.ledger import Answer, Leased
from lskd.chat.paid import Charge, Paid, SentBatch, Totals, charged
from lskd.errors import EndpointError, UserError
from lskd.journal import messages
from lskd.journal.address import Address
from lskd.journal.unsent import Unsent, unsent_folder

T = TypeVar("T")
PATIENCE_SECONDS: Final = 60.0  # for a driver that does not answer
TIMEOUT: Final = aiohttp.ClientTimeout(total=60.0, connect=15.0)
PAUSE, LONGEST_PAUSE = 0.05, 2.0  # between two attempts, in seconds
BEATS: Final = 5  # in the time after which a silent worker counts as dead

log = logging.getLogger("lskd")


class RemoteLedger:
    """The driver's ledger as a worker sees it; safe to use from several threads and event loops.

    What waits in the folder `unsent` for this journal is delivered first. Raises EndpointError if
    the driver cannot be reached for `patience` seconds, or refuses the token. A process that is
    `tied` to the driver ends with it: once there was contact it waits as long as it takes.
    """

    def __init__(
        self,
        address: Address,
        unsent: Path | None = None,
        patience: float = PATIENCE_SECONDS,
        tied: bool = False,
    ) -> None:
        self._address = address
        self._patience = patience
        self._heard = math.inf  # when the driver last answered
        self.tied = tied
        self.holder = uuid.uuid4().hex  # by this name it claims; the driver may let go of it
        self._open: dict[int, tuple[bytes, str]] = {}  # key and endpoint of each call that is ours
        self._waiting: set[int] = set()  # tickets of claims that are not answered yet
        self._newest = 0
        self._totals = Totals()
        self._session: aiohttp.ClientSession | None = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(
            target=self._loop.run_forever, name="lskd-ledger", daemon=True
        )
        self._thread.start()
        try:
            hello = self._here(self._send("hello", {}))
            self._unsent = Unsent(unsent or unsent_folder(), hello["journal"])
            self._pause = hello["silence"] / BEATS
            self._here(self._deliver())
        except BaseException:
            self.close()
            raise
        self._beat = asyncio.run_coroutine_threadsafe(self._beats(), self._loop)

    def close(self) -> None:
        """Close the connections; the process's end does it too."""

        async def end() -> None:
            others = asyncio.all_tasks() - {asyncio.current_task()}
            for task in others:
                task.cancel()
            await asyncio.gather(*others, return_exceptions=True)
            if self._session is not None:
                await self._session.close()
            self._loop.call_soon(self._loop.stop)

        if self._thread.is_alive():
            asyncio.run_coroutine_threadsafe(end(), self._loop)
            self._thread.join()
            self._loop.close()

    @property
    def totals(self) -> Totals:
        """Return the sums of what this worker has bought; the driver alone knows all."""
        return self._totals

    async def find(self, key: bytes) -> Paid | None:
        """Return the reply to a request, or None if it was not bought yet."""
        return messages.read_paid(await self._there(self._send("find", {"key": key.hex()})))

    async def claim(self, key: bytes, most: Charge, limits: Limits) -> Answer:
        """Return the reply if it is there, leave to buy it for `most`, or what is against it."""
        return await self._there(self._claim(key, most, limits))

    async def keep(self, call: int, key: bytes, paid: Paid, most: Charge) -> Paid:
        """Deliver the reply to a call; on return the driver has it. Return the one that stands.

        Raises EndpointError or UserError if it could not be delivered: it then waits in a file.
        """
        return await self._there(self._keep(call, key, paid, most))

    async def withdraw(self, call: int) -> None:
        """Forget a call that was refused or never reached the server: it cost nothing."""
        await self._there(self._settle(call, "withdraw", {"call": call}))

    async def lose(self, call: int, fault: str, response: str) -> None:
        """Note why no usable reply to a call arrived, and what came instead; it may cost."""
        told = {"call": call, "fault": fault, "response": response}
        await self._there(self._settle(call, "lose", told))

    async def begin_batch(self, calls: Sequence[int], token: str) -> int:
        """Note that calls are about to be sent together, under a token; return its number."""
        told = {"calls": list(calls), "token": token}
        number = int(await self._there(self._send("begin_batch", told)))
        for call in calls:
            self._open.pop(call, None)
        return number

    async def name_batch(self, number: int, name: str) -> None:
        """Note the server's name of a batch: from now on it exists."""
        await self._there(self._send("name_batch", {"number": number, "name": name}))

    async def end_batch(self, number: int) -> None:
        """Forget a batch, all of whose calls were kept, withdrawn or lost."""
        await self._there(self._send("end_batch", {"number": number}))

    async def batches(self) -> list[SentBatch]:
        """Return the batches that have not ended, those of other workers included."""
        found = await self._there(self._send("batches", {}))
        return [messages.read_batch(batch) for batch in found]

    async def calls_of(self, batch: int) -> Mapping[bytes, int]:
        """Return the calls of a batch that are neither kept, withdrawn nor lost yet."""
        return messages.read_calls(await self._there(self._send("calls_of", {"batch": batch})))

    async def expect(self, calls: Sequence[int]) -> None:
        """Note that somebody waits for calls of a batch: they may yet give money back."""
        await self._there(self._send("expect", {"calls": list(calls)}))

    def _here(self, work: Coroutine[Any, Any, T]) -> T:
        """Run `work` on the ledger's own loop, and wait for it in this thread."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    async def _there(self, work: Coroutine[Any, Any, T]) -> T:
        """Run `work` on the ledger's own loop, and wait for it on the caller's."""
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, self._loop))

    async def _claim(self, key: bytes, most: Charge, limits: Limits) -> Answer:
        self._newest += 1
        ticket = self._newest
        self._waiting.add(ticket)
        try:
            told = messages.told_claim(ticket, key, most, limits)
            answer = messages.read_answer(await self._send("claim", told))
            if isinstance(answer, Leased):
                self._open[answer.call] = (key, limits.endpoint)
            return answer
        finally:
            self._waiting.discard(ticket)

    async def _settle(self, call: int, name: str, told: Mapping[str, Any]) -> None:
        await self._send(name, told)
        self._open.pop(call, None)

    async def _keep(self, call: int, key: bytes, paid: Paid, most: Charge) -> Paid:
        told = messages.told_reply(call, key, paid, most)
        put_by: list[bool] = []
        answer = await self._send("keep", told, lambda: put_by.append(self._put_by(told)))
        stands = messages.read_paid(answer)
        assert stands is not None
        if any(put_by):
            self._unsent.remove(told)
        self._open.pop(call, None)
        self._totals = self._totals.plus(charged(paid, most))
        return stands

    def _put_by(self, told: Mapping[str, Any]) -> bool:
        """Keep a reply in a file before it is sent again: this process may end meanwhile.

        Return whether that was possible.
        """
        try:
            self._unsent.add(told)
            return True
        except OSError as error:
            log.warning(
                "cannot write %s: %s; a paid reply is held in memory until %s answers",
                self._unsent.folder,
                error.strerror or error,
                self._address.url,
            )
            return False

    async def _deliver(self) -> None:
        """Send what waits in files, this worker's or that of one that is gone."""
        count = 0
        for told in self._unsent.waiting():
            await self._send("keep", told)
            self._unsent.remove(told)
            count += 1
        if count:
            log.warning("delivered %d paid replies that had waited for the driver", count)

    async def _beats(self) -> None:
        """Tell the driver again and again that this worker is there, and which calls it holds."""
        while True:
            await asyncio.sleep(self._pause)
            calls = [(call, key.hex(), place) for call, (key, place) in self._open.items()]
            told = {"calls": calls, "waiting": list(self._waiting), "newest": self._newest}
            try:
                await self._send("alive", told)
                await self._deliver()
            except UserError as error:
                # Whoever claims or keeps meets the same, and tells the user.
                log.debug("%s", error)

    async def _send(
        self, name: str, told: Mapping[str, Any], at_first_failure: Callable[[], None] | None = None
    ) -> Any:
        """Send a message until it is answered; return the answer."""
        pause, since = PAUSE, time.monotonic()
        while True:
            status, said = await self._sent(name, told)
            if status == 200:
                self._answered(since)
                return json.loads(said)
            if at_first_failure is not None:
                at_first_failure()
                at_first_failure = None
            if status == 401:
                raise EndpointError(
                    f"the journal service at {self._address.url} refuses the token: it serves "
                    f"another run{self._left()}"
                )
            if status in (400, 404, 507):
                raise UserError(f"{reason(said)}{self._left()}")
            waits = self.tied and self._heard < math.inf
            if not waits and time.monotonic() - since > self._patience:
                raise EndpointError(
                    f"the journal service at {self._address.url} cannot be reached "
                    f"({reason(said)}): nothing is asked without it{self._left()}"
                )
            await asyncio.sleep(pause)
            pause = min(LONGEST_PAUSE, 2 * pause)

    def _answered(self, since: float) -> None:
        """Note that the driver answers; after a long silence tell once how long that was."""
        now = time.monotonic()
        silence = now - max(self._heard, since)  # other messages may have come through meanwhile
        self._heard = now
        if silence > self._patience:
            log.warning(
                "the journal service at %s could not be reached for %.0f s; nothing was asked "
                "meanwhile, and the work goes on",
                self._address.url,
                silence,
            )

    async def _sent(self, name: str, told: Mapping[str, Any]) -> tuple[int, str]:
        """Send a message once; return the status and the text that came, or 0 and why none did."""
        if self._session is None:
            headers = {"Authorization": f"Bearer {self._address.token}", "Worker": self.holder}
            connector = aiohttp.TCPConnector(limit=0)
            self._session = aiohttp.ClientSession(
                connector=connector, headers=headers, timeout=TIMEOUT
            )
        address = f"{self._address.url}/{name}"
        try:
            async with self._session.post(address, json=told) as response:
                return response.status, await response.text()
        except TimeoutError:
            return 0, "no answer in time"
        except (aiohttp.ClientError, OSError) as error:
            return 0, str(error) or type(error).__name__

    def _left(self) -> str:
        """Return how many paid replies wait for the driver, to be added to an error."""
        unsent = getattr(self, "_unsent", None)
        count = unsent.count() if unsent is not None else 0
        if not count:
            return ""
        where = unsent.folder if unsent is not None else ""
        replies = "1 paid reply waits" if count == 1 else f"{count} paid replies wait"
        return f"; {replies} in {where} and will be delivered at the next contact"


def reason(said: str) -> str:
    """Return what a response or a failure says, in one line."""
    try:
        found = json.loads(said)
    except ValueError:
        found = None
    text = found.get("error", said) if isinstance(found, dict) else said
    return " ".join(str(text).split())[:300]
