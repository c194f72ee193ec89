"""The fenced blocks of README.md and of the pages in docs/: commands, and settings in TOML."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
COMMANDS = ("", "sh", "bash", "console", "shell")
FENCE = re.compile(r"^(?P<indent> *)(?P<fence>`{3,}|~{3,}) *(?P<word>\w*)[^\n]*$")
COMMENT = re.compile(r"(?:^|\s+)#\s.*$")


@dataclass(frozen=True)
class Block:
    """A fenced block: the page, the line of its fence, its language and its text."""

    page: str
    line: int
    language: str
    text: str


@dataclass(frozen=True)
class Command:
    """A command as it is written, on one line, without what is remarked behind it."""

    text: str
    place: str


def pages() -> list[Path]:
    """Return the pages whose blocks are looked at."""
    return [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def blocks(page: Path) -> Iterator[Block]:
    """Yield the fenced blocks of a page."""
    opened: re.Match[str] | None = None
    start, lines = 0, list[str]()
    for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), 1):
        found = FENCE.match(line)
        if opened is None:
            if found:
                opened, start, lines = found, number, []
        elif found and found["fence"].startswith(opened["fence"]) and not found["word"]:
            name = str(page.relative_to(ROOT))
            yield Block(name, start, opened["word"], "\n".join(lines) + "\n")
            opened = None
        else:
            lines.append(line.removeprefix(opened["indent"]))
    assert opened is None, f"{page}:{start}: a fence that is never closed"


def every_block() -> list[Block]:
    """Return the blocks of all pages."""
    return [block for page in pages() for block in blocks(page)]


def commands(block: Block) -> Iterator[Command]:
    """Yield the commands of a block; lines that end in a backslash go on in the next."""
    text, begun = "", block.line
    for number, line in enumerate(block.text.splitlines(), block.line + 1):
        text, begun = (f"{text} {line}", begun) if text else (line, number)
        if text.endswith("\\"):
            text = text.removesuffix("\\")
            continue
        plain = " ".join(COMMENT.sub("", text).removeprefix("$ ").split())
        if plain:
            yield Command(plain, f"{block.page}:{begun}")
        text = ""


def every_command() -> list[Command]:
    """Return the commands of all pages, in their order."""
    shown = [block for block in every_block() if block.language in COMMANDS]
    return [command for block in shown for command in commands(block)]
