"""A desk becomes a web app: the guard, four pages, and the pictures that they show."""

import json
from pathlib import Path

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse
from starlette.staticfiles import StaticFiles

from lskd import marking
from lskd.errors import UserError
from lskd.marking.clear import COLOURS, casing
from lskd.studio import annotate, ask, compare, explore, prolific, security, serving
from lskd.studio.desk import Desk
from lskd.studio.safety import check

STATIC = Path(__file__).parent / "static"


def create(desk: Desk) -> FastAPI:
    """Return the studio's app; raises UserError for a desk that strangers could sit at."""
    check(desk.safety)
    app = FastAPI(title="lskd studio", docs_url=None, redoc_url=None, openapi_url=None)
    app.add_middleware(security.Guard, safety=desk.safety, store=desk.store)
    app.add_exception_handler(HTTPException, _refused)
    app.add_exception_handler(UserError, _refused)
    app.add_exception_handler(RequestValidationError, _misunderstood)

    @app.get("/", include_in_schema=False)
    def home() -> Response:
        return RedirectResponse("/explore" if desk.run else "/ask", 303)

    @app.get("/static/colours.js", include_in_schema=False)
    def colours() -> Response:
        return Response(_colours(), media_type="text/javascript")

    app.mount("/static", StaticFiles(directory=STATIC))
    app.include_router(security.router(desk))
    app.include_router(serving.router(desk.photographs))
    for part in (explore, annotate, compare, ask, prolific):
        app.include_router(part.router(desk))
    return app


def _colours() -> str:
    """Return the colours of marks as a module, so that no second list of them is kept."""
    pairs = [
        [_hex(marking.colour(number, "clear")), _hex(casing(marking.colour(number, "clear")))]
        for number in range(len(COLOURS))
    ]
    return f"export const COLOURS = {json.dumps(pairs)};\n"


def _hex(colour: tuple[int, int, int]) -> str:
    return "#{:02x}{:02x}{:02x}".format(*colour)


def _refused(request: Request, error: Exception) -> Response:
    if isinstance(error, HTTPException):
        return security.told(request, error.status_code, str(error.detail))
    assert isinstance(error, UserError)
    return security.refused(request, error)


def _misunderstood(request: Request, error: Exception) -> Response:
    """Tell the first thing that is wrong with a request; never what was sent, whatever it is."""
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"])
    return security.told(request, 422, f"{where}: {first['msg']}")
