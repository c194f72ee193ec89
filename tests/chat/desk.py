"""The process behind `chat.server.Server`: an HTTP server that counts and can misbehave."""

import argparse
import asyncio
import hashlib
import json
import os
import re
import sys
import threading
import time
from dataclasses import asdict
from typing import Any

from aiohttp import web

from chat.server import Misbehaviour, Tally


def count_tokens(text: str) -> int:
    """Count as a tokenizer might: one for about four bytes."""
    return len(text.encode()) // 4 + 1


def texts_of(request: dict[str, Any]) -> list[str]:
    """Return the texts of a request's messages, pictures as their data URL."""
    found = []
    for message in request["messages"]:
        content = message["content"]
        parts = [content] if isinstance(content, str) else content
        found += [
            part if isinstance(part, str) else part.get("text") or part["image_url"]["url"]
            for part in parts
        ]
    return found


def words_for(request: dict[str, Any]) -> str:
    """Return the reply to a request: the same for the same messages."""
    texts = texts_of(request)
    seed = hashlib.sha256(json.dumps(request["messages"]).encode()).hexdigest()
    regions = re.findall(r"^\[(\d+)\] \(", "\n".join(texts), re.MULTILINE)
    names = [f"[{number}]" for number in regions]
    if not names:
        listed = re.search(r"^Regions:\n((?:- .*\n)+)", "\n".join(texts), re.MULTILINE)
        names = [f"[{line[2:]}]" for line in listed[1].splitlines()] if listed else ["[0]"]
    asked = re.search(r"(Write|Ask) exactly (\d+)", texts[-1] if texts else "")
    if asked is None:
        return f"It looks like scene {seed[:8]}."
    numbers = range(int(asked[2]))
    if asked[1] == "Ask":
        questions = [f"Is thing {seed[2 * k : 2 * k + 6]} in the picture?" for k in numbers]
        as_json = json.dumps({"questions": questions})
        return as_json if "response_format" in request else "\n".join(questions)
    triples = []
    for k in numbers:
        name, mark = names[(int(seed[:4], 16) + k) % len(names)], seed[2 * k : 2 * k + 6]
        question = f"Why might {name} matter to moment {mark}?"
        answer = f"Because {name} takes part in moment {mark}."
        rationale = f"What is seen of {name} is what moment {mark} usually looks like."
        triples.append({"question": question, "answer": answer, "rationale": rationale})
    if "response_format" in request:
        return json.dumps({"triples": triples})
    return "\n\n".join(
        "\n".join(f"{part.capitalize()}: {text}" for part, text in triple.items())
        for triple in triples
    )


class Desk:
    """What the server knows: its settings, its counts, its files and batches."""

    def __init__(self, latency: float, key: str, batch_seconds: float) -> None:
        self.key = key
        self.batch_seconds = batch_seconds
        self.reset(latency)

    def reset(self, latency: float) -> None:
        self.latency = latency
        self.planned: list[dict[str, Any]] = []
        self.requests: dict[str, int] = {}
        self.billed = [0, 0]
        self.at_once = self.most_at_once = 0
        self.arrivals: list[float] = []
        self.last: dict[str, Any] = {}
        self.files: dict[str, str] = {}
        self.batches: dict[str, dict[str, Any]] = {}

    def tally(self) -> Tally:
        return Tally(
            calls=sum(self.requests.values()),
            requests=self.requests,
            billed_input=self.billed[0],
            billed_output=self.billed[1],
            most_at_once=self.most_at_once,
            arrivals=self.arrivals,
            batches=len(self.batches),
            last=self.last,
        )

    def next_misbehaviour(self, text: str) -> Misbehaviour | None:
        for plan in self.planned:
            if plan["times"] > 0 and plan["about"] in text:
                plan["times"] -= 1
                return Misbehaviour(**plan)
        return None

    def note(self, text: str) -> dict[str, Any]:
        digest = hashlib.sha256(text.encode()).hexdigest()[:16]
        self.requests[digest] = self.requests.get(digest, 0) + 1
        self.arrivals.append(time.time())
        self.last = json.loads(text)
        return self.last

    def complete(self, request: dict[str, Any]) -> dict[str, Any]:
        words = words_for(request)
        tokens = sum(map(count_tokens, texts_of(request))), count_tokens(words)
        limit = request.get("max_tokens") or request.get("max_completion_tokens") or 1 << 30
        finish = "stop"
        if tokens[1] > limit:
            words, tokens, finish = words[: 4 * limit - 4], (tokens[0], limit), "length"
        self.billed[0] += tokens[0]
        self.billed[1] += tokens[1]
        return {
            "id": "chatcmpl-" + hashlib.sha256(words.encode()).hexdigest()[:8],
            "object": "chat.completion",
            "created": 1,
            "model": request["model"],
            "choices": [
                {
                    "index": 0,
                    "message": {"role": "assistant", "content": words},
                    "finish_reason": finish,
                }
            ],
            "usage": {
                "prompt_tokens": tokens[0],
                "completion_tokens": tokens[1],
                "total_tokens": sum(tokens),
            },
        }


DESK = web.AppKey("desk", Desk)


async def chat(request: web.Request) -> web.StreamResponse:
    desk = request.app[DESK]
    text = await request.text()
    asked = desk.note(text)
    fault = desk.next_misbehaviour(text)
    desk.at_once += 1
    desk.most_at_once = max(desk.most_at_once, desk.at_once)
    try:
        await asyncio.sleep(desk.latency + (fault.hang if fault else 0.0))
    finally:
        desk.at_once -= 1
    given = request.headers.get("Authorization", "").removeprefix("Bearer ")
    if desk.key and given != desk.key:
        message = f"Incorrect API key provided: {given}"
        return web.json_response({"error": {"message": message}}, status=401)
    if fault and fault.cut == "before":
        assert request.transport is not None
        request.transport.abort()
    if fault and fault.status != 200:
        message = fault.body.replace("{key}", given) or '{"error": {"message": "out of order"}}'
        return web.Response(status=fault.status, headers=fault.headers, text=message)
    answer = json.dumps(desk.complete(asked)) if not (fault and fault.answer) else fault.answer
    if fault and fault.cut == "within":
        half = web.StreamResponse(headers={"Content-Length": str(len(answer))})
        await half.prepare(request)
        await half.write(answer[: len(answer) // 2].encode())
        assert request.transport is not None
        request.transport.close()
        return half
    return web.Response(text=answer, content_type="application/json")


async def add_file(request: web.Request) -> web.Response:
    desk = request.app[DESK]
    fault = desk.next_misbehaviour("upload of a file")
    if fault:
        return web.Response(status=fault.status, text=fault.body)
    form = await request.post()
    sent = form["file"]
    assert isinstance(sent, web.FileField) and form["purpose"] == "batch"
    name = f"file-{len(desk.files)}"
    desk.files[name] = sent.file.read().decode()
    return web.json_response({"id": name, "object": "file", "purpose": "batch"})


async def get_file(request: web.Request) -> web.Response:
    files, name = request.app[DESK].files, request.match_info["name"]
    return web.Response(text=files[name]) if name in files else gone(name)


def gone(name: str) -> web.Response:
    return web.json_response({"error": {"message": f"No such object: {name}"}}, status=404)


async def add_batch(request: web.Request) -> web.Response:
    desk = request.app[DESK]
    asked = await request.json()
    assert asked["endpoint"] == "/v1/chat/completions" and asked["completion_window"] == "24h"
    name = f"batch-{len(desk.batches)}"
    lines = [json.loads(line) for line in desk.files[asked["input_file_id"]].splitlines()]
    good, bad = [], []
    for line in lines:
        text = json.dumps(line["body"])
        desk.note(text)
        fault = desk.next_misbehaviour(text)
        row = {"id": "r", "custom_id": line["custom_id"], "error": None}
        if fault and fault.status == 410:
            row |= {"error": {"code": "batch_expired", "message": "not done in time"}}
            bad.append(row | {"response": None})
        elif fault:
            out = json.loads(fault.body or '{"error": {"message": "out of order"}}')
            bad.append(row | {"response": {"status_code": fault.status, "body": out}})
        else:
            answer = {"status_code": 200, "request_id": "q", "body": desk.complete(line["body"])}
            good.append(row | {"response": answer})
    desk.batches[name] = {
        "id": name,
        "object": "batch",
        "metadata": asked.get("metadata"),
        "created": time.time(),
        "output_file_id": f"{name}-out" if good else None,
        "error_file_id": f"{name}-err" if bad else None,
    }
    # In an order of its own, as hosted services do.
    desk.files[f"{name}-out"] = "".join(json.dumps(row) + "\n" for row in reversed(good))
    desk.files[f"{name}-err"] = "".join(json.dumps(row) + "\n" for row in bad)
    if "cut-the-answer" in json.dumps(lines):
        assert request.transport is not None
        request.transport.abort()
    return web.json_response(batch_now(desk, name))


def batch_now(desk: Desk, name: str) -> dict[str, Any]:
    batch = desk.batches[name]
    if time.time() - batch["created"] >= desk.batch_seconds:
        return batch | {"status": "completed"}
    return batch | {"status": "in_progress", "output_file_id": None, "error_file_id": None}


async def get_batch(request: web.Request) -> web.Response:
    desk, name = request.app[DESK], request.match_info["name"]
    return web.json_response(batch_now(desk, name)) if name in desk.batches else gone(name)


async def list_batches(request: web.Request) -> web.Response:
    desk = request.app[DESK]
    names = list(reversed(desk.batches))
    start = names.index(request.query["after"]) + 1 if "after" in request.query else 0
    page = names[start : start + 2]
    more = start + 2 < len(names)
    rows = [batch_now(desk, name) for name in page]
    return web.json_response({"object": "list", "data": rows, "has_more": more})


async def control(request: web.Request) -> web.Response:
    desk, argument = request.app[DESK], await request.json()
    match request.match_info["name"]:
        case "misbehave":
            desk.planned = argument
        case "reset":
            desk.reset(argument)
        case "complete":
            desk.batch_seconds = 0.0
        case "forget":
            desk.files.clear()
            if argument == "batches":
                desk.batches.clear()
        case "calls":
            return web.json_response(len(desk.arrivals))
    return web.json_response(asdict(desk.tally()))


def end_with_parent() -> None:
    """End this process as soon as its standard input is closed."""
    sys.stdin.read()
    os._exit(0)


async def serve(options: argparse.Namespace) -> None:
    app = web.Application(client_max_size=1 << 28)
    app[DESK] = Desk(options.latency, options.key, options.batch_seconds)
    app.router.add_post("/v1/chat/completions", chat)
    app.router.add_post("/v1/files", add_file)
    app.router.add_get("/v1/files/{name}/content", get_file)
    app.router.add_post("/v1/batches", add_batch)
    app.router.add_get("/v1/batches", list_batches)
    app.router.add_get("/v1/batches/{name}", get_batch)
    app.router.add_post("/control/{name}", control)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", options.port)
    await site.start()
    print(runner.addresses[0][1], flush=True)
    await asyncio.Event().wait()


def main() -> None:
    threading.Thread(target=end_with_parent, daemon=True).start()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--latency", type=float, default=0.0)
    parser.add_argument("--key", default="")
    parser.add_argument("--batch-seconds", type=float, default=0.0)
    asyncio.run(serve(parser.parse_args()))


if __name__ == "__main__":
    main()
