"""A browser without a screen: the studio's addresses come in, what it answers comes out.

It keeps the cookies of one visitor and shows the studio's token against forged requests, as the
studio's own pages do. What is not answered is sent again, so that a studio may stop and come back.
"""

import asyncio
import json
import time
from functools import cache
from types import TracebackType
from typing import Any, TypeVar
from urllib.parse import urlsplit

import aiohttp
from pydantic import TypeAdapter, ValidationError

from lskd import table
from lskd.errors import EndpointError, UserError
from lskd.lab.wire import Token

R = TypeVar("R")

PATIENCE = 10.0  # seconds for which a studio that is away is waited for
AGAIN = 0.1  # seconds between two tries
CSRF = "X-Lskd-Csrf"
SLOWEST = 60.0  # seconds for one answer


class Visitor:
    """Visits the studio at an address such as "http://127.0.0.1:8600".

    The address may be the one that `lskd studio` prints, with its token. Raises UserError for what
    is no address; methods raise it where the studio refuses, and EndpointError where none answers.
    """

    def __init__(self, address: str, patience: float = PATIENCE) -> None:
        try:
            parts = urlsplit(address)
            good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        except ValueError:
            good = False
        if not good:
            raise UserError(
                f"{address!r} is no address of a studio: give what `lskd studio` prints, as "
                "http://127.0.0.1:8600/"
            )
        self.address = f"{parts.scheme}://{parts.netloc}"
        self.entrance = parts.path
        self.patience = patience
        self.csrf = ""
        # Without `unsafe` no cookie of a bare IP address is kept.
        self._session = aiohttp.ClientSession(
            cookie_jar=aiohttp.CookieJar(unsafe=True), timeout=aiohttp.ClientTimeout(SLOWEST)
        )

    async def __aenter__(self) -> "Visitor":
        """Come in by the address's own path."""
        try:
            if self.entrance.startswith("/enter/"):
                await self.data(self.entrance)
            await self._sign()
        except BaseException:
            await self._session.close()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Leave."""
        await self._session.close()

    async def data(self, path: str) -> bytes:
        """Return a page or a file."""
        return await self._answer("GET", path, None)

    async def get(self, path: str, record: type[R]) -> R:
        """Return what the API tells."""
        found: R = self._record(path, record, await self.data(path))
        return found

    async def post(self, path: str, body: object, record: type[R]) -> R:
        """Send a record, and return what the API says to it."""
        found: R = self._record(path, record, await self._answer("POST", path, body))
        return found

    async def send(self, path: str, body: object) -> None:
        """Send a record to which nothing is said that matters."""
        await self._answer("POST", path, body)

    def _record(self, path: str, record: Any, answer: bytes) -> Any:
        try:
            return _adapter(record).validate_json(answer)
        except ValidationError as error:
            reason = error.errors()[0]["msg"]
            raise UserError(
                f"{self.address}{path} is no studio of this version of lskd: {reason}"
            ) from error

    async def _answer(self, method: str, path: str, body: object | None) -> bytes:
        """Return an answer; what got none is sent again, and so is what a restart made stale."""
        deadline = time.monotonic() + self.patience
        while True:
            late = time.monotonic() >= deadline
            try:
                status, found = await self._try(method, path, body)
            except (aiohttp.ClientError, TimeoutError) as error:
                if late:
                    raise EndpointError(
                        f"no studio answers at {self.address}: `lskd studio RUN.toml` starts one"
                    ) from error
            else:
                if status < 400:
                    return found
                reason = _reason(found)
                stale = status == 403 and reason.startswith("csrf") and body is not None
                if late or not (stale or status == 503):
                    raise UserError(f"{self.address}{path.split('?')[0]}: {status}: {reason}")
                if stale:
                    await self._sign()
            await asyncio.sleep(AGAIN)

    async def _try(self, method: str, path: str, body: object | None) -> tuple[int, bytes]:
        headers = {CSRF: self.csrf} if self.csrf else {}
        sent = None if body is None else table.plain(body)
        async with self._session.request(
            method, self.address + path, json=sent, headers=headers
        ) as answer:
            return answer.status, await answer.read()

    async def _sign(self) -> None:
        """Take the token of this start of the studio."""
        self.csrf = (await self.get("/api/csrf", Token)).csrf


@cache
def _adapter(record: type) -> TypeAdapter[Any]:
    return TypeAdapter(record)


def _reason(answer: bytes) -> str:
    try:
        return str(json.loads(answer)["error"])
    except (ValueError, KeyError, TypeError):
        return answer[:200].decode("utf-8", "replace")
