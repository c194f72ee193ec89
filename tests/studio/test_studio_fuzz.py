"""Wrong requests by the thousand, made from the API's own description: none is answered by 500.

Drawn by a seeded generator rather than by hypothesis, whose care for shrinking would take minutes
for so many; a failure names the request.
"""

import json
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from house_of_studio import Served

METHODS = ("get", "post", "put", "patch", "delete")
REQUESTS = 400
MANY = 20_000
ODD = (
    *("", "\0", "\x7f", "null", "-1", "1e999", "NaN", "9" * 30, "' OR 1=1 --", "../../etc/passwd"),
    *("%00", "<script>", "é😀", "\u202e", "a" * 3000, "[]", "{}", "0123456789abcdef", " ", '"*'),
)
NUMBERS = (0, 1, -1, 2, 3, 2**31, -(2**63) - 1, 2**70, 0.5, -0.0, 1e308, float("nan"), float("inf"))
Schemas = Mapping[str, Any]


@dataclass(frozen=True)
class Call:
    """One way to call the API: its method, path, and the schemas of its parameters and body."""

    method: str
    path: str
    parameters: tuple[Schemas, ...]
    body: Schemas | None


@dataclass(frozen=True)
class Request:
    """A request as it is sent."""

    method: str
    address: str
    content: bytes
    headers: Mapping[str, str]


def calls(description: Schemas) -> Iterator[Call]:
    """Yield all calls that a description of an API names."""
    for path, item in description["paths"].items():
        for method in METHODS:
            if method not in item:
                continue
            content = item[method].get("requestBody", {}).get("content", {})
            schema = next((kind.get("schema") for kind in content.values()), None)
            yield Call(method.upper(), path, tuple(item[method].get("parameters", ())), schema)


class Drawer:
    """Draws values that a schema allows or nearly does, with junk now and then."""

    def __init__(self, known: Schemas, seed: int) -> None:
        self.known = known
        self.rng = random.Random(seed)

    def junk(self, depth: int = 0) -> Any:
        rng = self.rng
        simple = (None, True, rng.choice(NUMBERS), rng.choice(ODD), "\ud800", self.text(20))
        if depth < 3 and rng.random() < 0.3:
            inner = [self.junk(depth + 1) for _ in range(rng.randrange(4))]
            return inner if rng.random() < 0.5 else {self.text(6): one for one in inner}
        return rng.choice(simple)

    def text(self, most: int) -> str:
        length = self.rng.randrange(most + 1)
        return "".join(chr(self.rng.choice((97, 50, 32, 233, 34, 0x1F600))) for _ in range(length))

    def value(self, schema: Schemas) -> Any:
        return self.junk() if self.rng.random() < 0.15 else self.nearly(schema)

    def nearly(self, schema: Schemas) -> Any:
        if "$ref" in schema:
            return self.nearly(self.known[schema["$ref"].rpartition("/")[2]])
        for several in ("anyOf", "oneOf", "allOf"):
            if several in schema:
                return self.nearly(self.rng.choice(schema[several]))
        if "enum" in schema:
            return self.rng.choice(schema["enum"])
        if "const" in schema:
            return schema["const"]
        return self.of_kind(schema)

    def of_kind(self, schema: Schemas) -> Any:
        rng, kind = self.rng, schema.get("type")
        if kind == "object":
            fields = {name: self.value(one) for name, one in schema.get("properties", {}).items()}
            if fields and rng.random() < 0.15:
                del fields[rng.choice(list(fields))]
            return fields | ({self.text(5): self.junk()} if rng.random() < 0.1 else {})
        if kind == "array":
            return [self.value(schema.get("items", {})) for _ in range(rng.randrange(4))]
        if kind in ("integer", "number"):
            low, high = int(schema.get("minimum", -2)), int(schema.get("maximum", 50))
            whole = rng.choice((low - 1, low, high, high + 1, rng.randint(low, high)))
            return whole if kind == "integer" else rng.choice((whole, rng.random(), *NUMBERS))
        if kind in ("boolean", "null"):
            return None if kind == "null" else rng.random() < 0.5
        return rng.choice((self.text(int(schema.get("maxLength", 40)) % 60 + 1), *ODD))

    def request(self, call: Call) -> Request:
        """Return a request that is wrong, odd, or right by chance."""
        rng, path, query = self.rng, call.path, []
        for one in call.parameters:
            value = self.value(one.get("schema", {}))
            text = value if isinstance(value, str) else json.dumps(value)
            text = text.encode("utf-8", "replace").decode()
            if one["in"] == "path":
                shown = "".join(f"%{byte:02x}" for byte in text.encode()) or "%20"
                path = path.replace("{" + one["name"] + "}", shown)
            elif one["in"] == "query" and rng.random() < 0.5:
                query.append((one["name"], text))
        if rng.random() < 0.05:
            query.append((rng.choice(ODD), rng.choice(ODD)))
        method = call.method if rng.random() < 0.97 else rng.choice(("DELETE", "PUT", "HEAD"))
        content = b"" if call.body is None else json.dumps(self.value(call.body)).encode()
        if rng.random() < 0.08:
            content = rng.choice((b"", b"{", b"[" * 5000, b"\xff\xfe", content[:-1], b"1" * 5000))
        headers = {"Content-Type": "application/json"} if rng.random() < 0.95 else {}
        raw = httpx.URL(path, params=query).raw_path.decode() if query else path
        return Request(method, raw, content, headers)


@pytest.fixture(scope="module")
def every(studio: Served) -> list[Call]:
    found = list(calls(studio.app.openapi()))
    pages = ("explore", "annotate", "compare", "ask")
    assert all(any(call.path.startswith(f"/api/{page}/") for call in found) for page in pages)
    return found


@pytest.mark.timeout(1800)
@pytest.mark.parametrize(
    ("seed", "requests"), [(6, REQUESTS), pytest.param(7, MANY, marks=pytest.mark.check)]
)
def test_wrong_requests_cause_no_500(
    studio: Served,
    every: list[Call],
    caplog: pytest.LogCaptureFixture,
    seed: int,
    requests: int,
) -> None:
    drawer = Drawer(studio.app.openapi().get("components", {}).get("schemas", {}), seed)
    token = studio.desk.store.enrol("the fuzz").token
    seen: dict[int, int] = {}
    reached: set[str] = set()
    with studio.client() as client:
        client.get(f"/a/{token}")
        for number in range(requests):
            call = every[number % len(every)]
            made = drawer.request(call)
            address = httpx.URL(studio.url).copy_with(raw_path=made.address.encode())
            answer = client.request(
                made.method, address, content=made.content, headers=made.headers
            )
            seen[answer.status_code] = seen.get(answer.status_code, 0) + 1
            told = f"{made.method} {made.address} {made.content[:300]!r}: {answer.text[:300]}"
            assert answer.status_code < 500, told
            if answer.status_code >= 400 and made.method != "HEAD":
                assert "\n" not in answer.json()["error"], told
            if answer.status_code < 400:
                reached.add(call.path)
    assert seen[200] and seen[422] and not caplog.records
    # Not all were refused at the door.
    assert len(reached) >= 8
