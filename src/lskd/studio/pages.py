"""A template becomes a page; all text in it is escaped."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fastapi import Request
from starlette.responses import HTMLResponse

from lskd import __version__
from lskd.templates import environment

_TEMPLATES = environment(Path(__file__).parent / "templates")
PAGES: Mapping[str, str] = {
    "explore": "Explore",
    "annotate": "Annotate",
    "compare": "Compare",
    "ask": "Ask",
}
FOR_ANNOTATORS = ("annotate", "compare")


def page(request: Request, template: str, **values: Any) -> HTMLResponse:
    """Return a template as a page, with the links that its visitor can follow.

    A template extends base.html and gets `owner`, `here` (the first part of the path), `pages` and
    the values given.
    """
    visitor = getattr(request.state, "visitor", None)
    is_owner = visitor is not None and visitor.owner
    known = visitor is not None and (visitor.owner or visitor.annotator is not None)
    names = PAGES if is_owner else FOR_ANNOTATORS if known else ()
    status = values.get("status", 200)
    text = _TEMPLATES.get_template(template).render(
        owner=is_owner,
        here=request.url.path.strip("/").partition("/")[0],
        pages=[(name, PAGES[name]) for name in names],
        version=__version__,
        **values,
    )
    return HTMLResponse(text, status)


def saved(name: str) -> dict[str, str]:
    """Return the headers by which a browser saves an answer as a file."""
    return {"Content-Disposition": f'attachment; filename="{name}"'}
