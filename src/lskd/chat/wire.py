"""The OpenAI protocol: a request becomes JSON, JSON becomes a reply."""

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Final

from lskd.chat.faults import Fault, one_line, summary
from lskd.types import Message
from lskd.unicode import mended

# What servers say when they refuse `response_format`.
SCHEMA_WORDS: Final = (
    "response_format",
    "json_schema",
    "schema",
    "grammar",
    "guided",
    "structured",
)


def key_of(text: str) -> bytes:
    """Return the hash under which a journal keeps the reply to a request, 16 bytes."""
    return hashlib.blake2b(text.encode(), digest_size=16).digest()


@dataclass(frozen=True)
class Request:
    """One call: all that decides what may come back, and whose turn it is for."""

    conversation: str
    turn: int
    model: str
    messages: tuple[Message, ...]
    temperature: float
    reply_tokens: int
    top_p: float | None
    extra: Mapping[str, object]
    schema: str | None
    picture: bytes | None

    @cached_property
    def text(self) -> str:
        """Return the request as the journal keeps it: JSON, with the picture as its hash."""
        picture = (
            hashlib.blake2b(self.picture, digest_size=16).hexdigest() if self.picture else None
        )
        return json.dumps(
            {
                "conversation": self.conversation,
                "turn": self.turn,
                "model": self.model,
                "messages": [[message.role, message.text] for message in self.messages],
                "temperature": self.temperature,
                "reply_tokens": self.reply_tokens,
                "top_p": self.top_p,
                "extra": self.extra,
                "schema": self.schema,
                "picture": picture,
            },
            sort_keys=True,
        )

    @cached_property
    def key(self) -> bytes:
        """Return the hash under which the journal keeps the reply."""
        return key_of(self.text)

    @cached_property
    def most_text_tokens(self) -> int:
        """Return how many tokens the request can have at most, without its picture.

        No tokenizer of bytes makes more tokens than bytes; a chat template may add some to each
        message, and a few dozen in front.
        """
        texts = sum(len(message.text.encode(errors="replace")) + 16 for message in self.messages)
        return texts + 64 + len(self.schema or "")

    def most_tokens(self, picture_tokens: int) -> int:
        """Return how many tokens the request can have at most; a picture counts as given."""
        return self.most_text_tokens + (picture_tokens if self.picture else 0)


@dataclass(frozen=True, slots=True)
class Dialect:
    """How one server wants to be asked: does it take JSON schemas, how does it call the limit."""

    structured: bool
    limit: str = "max_tokens"

    def taught(self, refusal: str, may_drop_schema: bool) -> "Dialect | None":
        """Return how to ask after a refusal (the text of an HTTP 400), or None if it tells nothing.

        Newer hosted models refuse `max_tokens` and name `max_completion_tokens` instead.
        """
        text = refusal.lower()
        if self.limit == "max_tokens" and "max_completion_tokens" in text:
            return replace(self, limit="max_completion_tokens")
        if self.structured and may_drop_schema and any(word in text for word in SCHEMA_WORDS):
            return replace(self, structured=False)
        return None


def body(request: Request, dialect: Dialect) -> bytes:
    """Return the JSON to send."""
    sent: dict[str, object] = {
        **request.extra,
        "model": request.model,
        "messages": _messages(request.messages, request.picture),
        "temperature": request.temperature,
        dialect.limit: request.reply_tokens,
    }
    if request.top_p is not None:
        sent["top_p"] = request.top_p
    if dialect.structured and request.schema is not None:
        sent["response_format"] = {"type": "json_schema", "json_schema": _named(request.schema)}
    return json.dumps(sent).encode()


def _messages(messages: Sequence[Message], picture: bytes | None) -> list[dict[str, object]]:
    sent: list[dict[str, object]] = [{"role": m.role, "content": m.text} for m in messages]
    if picture is not None:
        first = next(message for message in sent if message["role"] == "user")
        url = "data:image/jpeg;base64," + base64.b64encode(picture).decode()
        first["content"] = [
            {"type": "text", "text": first["content"]},
            {"type": "image_url", "image_url": {"url": url}},
        ]
    return sent


def _named(schema: str) -> object:
    """Return a JSON schema in the protocol's wrapping; one that is wrapped already stays so."""
    found = json.loads(schema)
    if isinstance(found, dict) and isinstance(found.get("schema"), dict) and "name" in found:
        return found
    return {"name": "reply", "strict": True, "schema": found}


@dataclass(frozen=True, slots=True)
class Completion:
    """What a server's JSON says: the reply's text, why it ended, the tokens that it counted."""

    text: str
    finish: str
    input_tokens: int | None
    output_tokens: int | None


def read_completion(response: str) -> Completion:
    """Return what a response says.

    A refusal that stands apart from the content is taken as the text. Raises Fault if it is no JSON
    or has no choice.
    """
    try:
        found = json.loads(response)
    except (ValueError, RecursionError):
        what = f"the reply is no JSON: {one_line(response)[:80]!r}"
        raise Fault("passing", what, may_cost=True, body=response) from None
    choices = _get(found, "choices")
    choice = choices[0] if isinstance(choices, list) and choices else None
    message = _get(choice, "message")
    if not isinstance(message, dict):
        what = f"the reply has no choice: {summary(response)}"
        raise Fault("passing", what, may_cost=True, body=response)
    text = _text(message.get("content")) or _text(message.get("refusal"))
    finish = _get(choice, "finish_reason")
    usage = _get(found, "usage")
    return Completion(
        text=text,
        finish=_text(finish) if isinstance(finish, str) else "",
        input_tokens=_count(_get(usage, "prompt_tokens")),
        output_tokens=_count(_get(usage, "completion_tokens")),
    )


def _get(found: Any, name: str) -> Any:
    return found.get(name) if isinstance(found, dict) else None


def _text(content: Any) -> str:
    """Return the text of a message's content, which may come in parts; safe to write as UTF-8."""
    if isinstance(content, list):
        content = "".join(
            part for part in (_get(p, "text") for p in content) if isinstance(part, str)
        )
    if not isinstance(content, str):
        return ""
    # JSON can escape half of a surrogate pair, which no file can hold.
    return mended(content)


def _count(number: Any) -> int | None:
    fits = isinstance(number, int) and not isinstance(number, bool) and 0 <= number < 1 << 40
    return number if fits else None
