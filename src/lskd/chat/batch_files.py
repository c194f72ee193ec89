"""The hosted batch interface: a file of requests goes up, files of answers come down."""

import json
from dataclasses import dataclass
from typing import Any, Final

import aiohttp

from lskd.chat.client import Client
from lskd.chat.faults import Fault, fault_of_status, one_line

WINDOW: Final = "24h"
TAG: Final = "lskd"  # the metadata key under which a batch of ours can be found again
DONE: Final = ("completed", "expired", "cancelled")


@dataclass(frozen=True, slots=True)
class Line:
    """One request of a batch file: the hexadecimal key of its request, and what is sent."""

    key: str
    body: bytes

    def text(self) -> bytes:
        """Return the line as it stands in the file."""
        start = f'{{"custom_id": "{self.key}", "method": "POST", "url": "/v1/chat/completions", '
        return start.encode() + b'"body": ' + self.body + b"}\n"


@dataclass(frozen=True, slots=True)
class State:
    """How far a batch is; `files` are those with its answers, good and bad, once it is done."""

    status: str
    files: tuple[str, ...]
    message: str

    @property
    def is_done(self) -> bool:
        """Return whether all answers that will come are there."""
        return self.status in DONE


class Gone(Exception):
    """A batch, or a file of answers, that the server knows no more; its text is one line."""


async def upload(client: Client, lines: bytes) -> str:
    """Send a file of requests and return its name on the server."""

    async def attempt() -> str:
        form = aiohttp.FormData()
        form.add_field("purpose", "batch")
        form.add_field("file", lines, filename="lskd.jsonl", content_type="application/jsonl")
        return _name(_object(await client.send("POST", "/files", form)))

    return await client.persist(attempt)


async def submit(client: Client, file: str, token: str) -> str:
    """Make a batch of an uploaded file, tagged with a token, and return its name.

    Where it is not sure whether an attempt made one, it is looked for before another is made.
    """
    asked = {
        "input_file_id": file,
        "endpoint": "/v1/chat/completions",
        "completion_window": WINDOW,
        "metadata": {TAG: token},
    }
    unsure = False

    async def attempt() -> str:
        nonlocal unsure
        found = await _search(client, token) if unsure else None
        if found is not None:
            return found
        try:
            body = json.dumps(asked).encode()
            return _name(_object(await client.send("POST", "/batches", body, "application/json")))
        except Fault as fault:
            unsure = unsure or fault.may_cost or fault.kind == "passing"
            raise

    return await client.persist(attempt)


async def search(client: Client, token: str) -> str | None:
    """Return the name of the batch that is tagged with a token, or None if there is none."""
    return await client.persist(lambda: _search(client, token))


async def _search(client: Client, token: str) -> str | None:
    after = ""
    while True:
        page = _object(await client.send("GET", f"/batches?limit=100{after}"))
        rows = page.get("data") or []
        for row in rows:
            if (row.get("metadata") or {}).get(TAG) == token:
                return _name(row)
        if not rows or not page.get("has_more"):
            return None
        after = f"&after={_name(rows[-1])}"


async def state(client: Client, name: str) -> State:
    """Return how far a batch is. Raises Gone."""

    async def attempt() -> State:
        found = _object(await _found(client, f"/batches/{name}"))
        files = (found.get("output_file_id"), found.get("error_file_id"))
        errors = (found.get("errors") or {}).get("data") or []
        said = "; ".join(str(error.get("message")) for error in errors[:3])
        return State(str(found.get("status")), tuple(f for f in files if f), one_line(said))

    return await client.persist(attempt)


async def answers(client: Client, file: str) -> dict[str, str | Fault]:
    """Return the answers of a file: a response's JSON, or a fault, for the key of each request.

    Raises Gone.
    """

    async def attempt() -> str:
        return await _found(client, f"/files/{file}/content")

    text = await client.persist(attempt)
    return dict(_answer(line) for line in text.split("\n") if line.strip())


async def _found(client: Client, path: str) -> str:
    try:
        return await client.send("GET", path)
    except Fault as fault:
        if fault.gone:
            raise Gone(str(fault)) from None
        raise


def _answer(line: str) -> tuple[str, str | Fault]:
    row = _object(line)
    key = str(row.get("custom_id"))
    response = row.get("response") or {}
    if row.get("error") or not isinstance(response.get("status_code"), int):
        return key, Fault("passing", f"not answered: {one_line(json.dumps(row.get('error')))}")
    text = json.dumps(response.get("body"))
    if response["status_code"] == 200:
        return key, text
    return key, fault_of_status(response["status_code"], {}, text)


def _object(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise Fault("passing", f"no JSON object came: {one_line(text)[:80]!r}", may_cost=True)
    return found


def _name(row: dict[str, Any]) -> str:
    name = row.get("id")
    if not isinstance(name, str) or not name:
        raise Fault("passing", "what came has no id", may_cost=True)
    return name
