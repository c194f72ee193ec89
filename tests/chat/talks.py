"""Conversations as the stages have them, for tests."""

from lskd.protocols import Conversation

SCHEMA = '{"type": "object", "properties": {"triples": {"type": "array"}}}'


def talk(
    name: str = "a",
    turns: int = 1,
    schema: str | None = None,
    picture: bytes | None = None,
    text: str = "Write exactly 2 triples.",
) -> Conversation:
    return Conversation(
        id=name,
        image_id=f"image-{name}",
        style="id",
        system="You write questions.",
        turns=tuple(f"{name}, turn {turn}: {text}" for turn in range(turns)),
        temperature=0.8,
        reply_tokens=300,
        schema=schema,
        picture=picture,
    )


def talks(count: int, turns: int = 1) -> list[Conversation]:
    return [talk(f"c{k}", turns) for k in range(count)]
