"""The simulated teacher behind the OpenAI protocol, for clients that speak nothing else.

`POST /v1/chat/completions` and `GET /v1/models`, on this machine alone unless told otherwise. A
request's words decide its reply; a temperature changes nothing.
"""

import asyncio
import hashlib
import json
from collections.abc import Callable
from typing import Any

from aiohttp import web

from lskd.errors import UserError
from lskd.lab.teacher import MODEL, Habits, reply
from lskd.types import Message

ROLES = ("system", "user", "assistant")


def application(habits: Habits) -> web.Application:
    """Return the server's application."""
    app = web.Application(client_max_size=8 << 20)

    async def complete(request: web.Request) -> web.Response:
        try:
            messages = _messages(await request.json())
        except (ValueError, TypeError, KeyError) as error:
            return _refusal(f"the request is no conversation: {error}")
        return web.json_response(_completion(messages, reply(messages, habits)))

    async def models(_: web.Request) -> web.Response:
        return web.json_response({"object": "list", "data": [{"id": MODEL, "object": "model"}]})

    app.router.add_post("/v1/chat/completions", complete)
    app.router.add_get("/v1/models", models)
    return app


def serve(habits: Habits, host: str, port: int, listening: Callable[[int], None]) -> None:
    """Serve until interrupted; `listening` is given the port once requests are answered.

    That is `port`, or where it is 0 one that was free. Raises KeyboardInterrupt in the end, which
    aiohttp's own `run_app` keeps to itself, and UserError if the port is taken.
    """
    asyncio.run(_serve(application(habits), host, port, listening))


async def _serve(
    app: web.Application, host: str, port: int, listening: Callable[[int], None]
) -> None:
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, host, port).start()
        except OSError as error:
            raise UserError(f"cannot listen on {host} port {port}: is it taken?") from error
        listening(runner.addresses[0][1])
        await asyncio.Event().wait()
    finally:
        await runner.cleanup()


def _messages(body: Any) -> list[Message]:
    given = body["messages"]
    if not isinstance(given, list) or not given:
        raise ValueError("`messages` is empty")
    found = []
    for one in given:
        role, content = one["role"], one["content"]
        if role not in ROLES:
            raise ValueError(f"role {role!r}: one of {', '.join(ROLES)}")
        if isinstance(content, list):  # text in parts; the teacher sees no pictures
            content = "\n".join(part["text"] for part in content if part.get("type") == "text")
        if not isinstance(content, str):
            raise ValueError("content is neither text nor a list of parts")
        found.append(Message(role, content))
    return found


def _completion(messages: list[Message], text: str) -> dict[str, Any]:
    prompt = sum(len(message.text.split()) for message in messages)
    said = len(text.split())
    digest = hashlib.blake2b(
        json.dumps([message.text for message in messages]).encode(), digest_size=8
    ).hexdigest()
    return {
        "id": f"lab-{digest}",
        "object": "chat.completion",
        "created": 0,
        "model": MODEL,
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": text},
                "finish_reason": "stop",
            }
        ],
        # Words stand for tokens: no tokenizer is involved.
        "usage": {
            "prompt_tokens": prompt,
            "completion_tokens": said,
            "total_tokens": prompt + said,
        },
    }


def _refusal(reason: str) -> web.Response:
    error = {"message": reason, "type": "invalid_request_error", "code": None, "param": None}
    return web.json_response({"error": error}, status=400)
