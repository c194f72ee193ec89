"""Records become cards: Markdown in which a text from outside stays text."""

import functools
import json
import re
from pathlib import Path

import jinja2

from lskd.report.amounts import moment, money, number, percent, tokens

HERE = Path(__file__).parent


def quoted(text: str) -> str:
    """Return a text as a YAML scalar; JSON strings are."""
    return json.dumps(text, ensure_ascii=False)


def cell(text: str) -> str:
    """Return a text as it can stand in a Markdown table or line: nothing in it is markup."""
    flat = " ".join(text.split()).replace("&", "&amp;").replace("<", "&lt;")
    return re.sub(r"([\\`*_\[\]|])", r"\\\1", flat)


def fenced(text: str, language: str = "toml") -> str:
    """Return a text as a fenced block, whatever back-ticks it holds."""
    longest = max((len(run) for run in re.findall(r"`{3,}", text)), default=2)
    fence = "`" * (longest + 1)
    return f"{fence}{language}\n{text}\n{fence}"


def rendered(template: str, **values: object) -> str:
    """Return what a template of this package makes of some values."""
    return _environment().get_template(template).render(**values)


@functools.cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,
    )
    environment.filters |= {
        "cell": cell,
        "quoted": quoted,
        "fenced": fenced,
        "number": number,
        "percent": percent,
        "moment": moment,
    }
    environment.globals |= {"tokens": tokens, "money": money}
    return environment
