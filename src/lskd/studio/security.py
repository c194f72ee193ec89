"""The guard: a request comes in, and goes on to a page, or is refused in one line.

Every request is looked at here, whatever page it is for: the name by which the studio was called (a
foreign name is a DNS rebinding), its size, who asks, and whether it was made by a page of ours.
Every answer leaves with headers that forbid a browser whatever no page needs.

The owner is whoever shows the token, or, without one, whoever sits at this machine. An annotator
shows the secret of a link and reaches no more than the pages of judging.
"""

import logging
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

from fastapi import APIRouter, HTTPException, Request, Response
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lskd.errors import EndpointError, UserError
from lskd.human.store import Store
from lskd.human.work import Annotator
from lskd.studio.desk import Desk
from lskd.studio.pages import page
from lskd.studio.safety import LOOPBACK, Safety, is_csrf, new_csrf, pass_of, same

OWNER, ANNOTATOR, CSRF = "lskd_owner", "lskd_annotator", "lskd_csrf"
CSRF_HEADER = "X-Lskd-Csrf"
OPEN = ("/static/", "/enter/", "/a/", "/study/", "/api/csrf")
PEOPLE = ("/annotate", "/compare", "/api/annotate/", "/api/compare/", "/images/")
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
        "connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who asks: the owner, an annotator, both (at one's own machine) or nobody known."""

    owner: bool
    annotator: Annotator | None


def visitor(request: Request) -> Visitor:
    """Return who asks; for `Depends`."""
    found: Visitor = request.state.visitor
    return found


# These two only look at what the guard has found: on the loop they cost no change of threads.
async def owner(request: Request) -> None:
    """Refuse everybody but the owner; for `Depends`."""
    if not visitor(request).owner:
        raise HTTPException(403, "this is for the owner of the studio")


async def annotator(request: Request) -> Annotator:
    """Return the annotator who asks, or refuse; for `Depends`."""
    found = visitor(request).annotator
    if found is None:
        raise HTTPException(401, "this is for annotators: open the link that you were sent")
    return found


def cookie(request: Request, response: Response, name: str, value: str) -> None:
    """Give a visitor a cookie that scripts cannot read and other sites cannot make use of."""
    https = request.url.scheme == "https"
    response.set_cookie(name, value, 90 * 86400, httponly=True, samesite="strict", secure=https)


class Guard:
    """Stands before the app; the only place that lets requests in."""

    def __init__(self, app: ASGIApp, safety: Safety, store: Store) -> None:
        self.app = app
        self.safety = safety
        self.store = store

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request in, or refuse it."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self.app(scope, receive, send)
            return
        request = Request(scope, receive)
        cookies = request.cookies
        known = is_csrf(self.safety, cookies.get(CSRF, ""))
        request.state.csrf = cookies[CSRF] if known else new_csrf(self.safety)
        fresh = None if known else request.state.csrf
        answer = Answer(send, fresh, https=scope["scheme"] == "https")
        try:
            refusal = await self.refusal(request, cookies)
            if refusal is not None:
                await told(request, *refusal)(scope, receive, answer.send)
            else:
                most = self.most(request)
                await self.app(scope, limited(receive, most), answer.send)
        except UserError as error:
            # Of who asks: the app tells its own, and none comes through once an answer has begun.
            await refused(request, error)(scope, receive, answer.send)
        except Exception:
            # A defect of ours: the visitor gets one line, the terminal all of it.
            _LOG.exception("%s %s", request.method, request.url.path)
            if not answer.begun:
                await told(request, 500, "a defect of lskd; the terminal says more")(
                    scope, receive, answer.send
                )

    async def refusal(self, request: Request, cookies: dict[str, str]) -> tuple[int, str] | None:
        """Return the status and the reason of a refusal; None lets the request in."""
        if self.safety.local and host_name(request.headers.get("host", "")) not in LOOPBACK:
            return 421, "this studio answers to localhost and 127.0.0.1 only"
        length = request.headers.get("content-length", "0")
        if not length.isascii() or not length.isdigit() or int(length) > self.most(request):
            return 413, f"a request of {length[:20]} bytes: at most {self.most(request)} here"
        found = await self.who(cookies)
        request.state.visitor = found
        path = request.url.path
        if not (found.owner or path.startswith(OPEN)):
            if not path.startswith(PEOPLE):
                return 403, "this is for the owner of the studio: open it with its token"
            if found.annotator is None:
                return 401, "this is for annotators: open the link that you were sent"
        if request.method not in ("GET", "HEAD") and not self.ours(request, cookies):
            return 403, "csrf: the request does not come from a page of this studio; reload it"
        return None

    async def who(self, cookies: dict[str, str]) -> Visitor:
        """Return who shows these cookies."""
        if self.safety.token is None:
            is_owner = True
        else:
            is_owner = same(cookies.get(OWNER, ""), pass_of(self.safety))
        secret = cookies.get(ANNOTATOR, "")
        known = await run_in_threadpool(self.store.annotator, secret) if secret else None
        return Visitor(is_owner, known)

    def ours(self, request: Request, cookies: dict[str, str]) -> bool:
        """Return whether a page of this studio made a request."""
        origin = request.headers.get("origin")
        if origin is not None and not same_origin(origin, request.headers.get("host", "")):
            return False
        shown = request.headers.get(CSRF_HEADER, "")
        return same(shown, cookies.get(CSRF, "")) and is_csrf(self.safety, shown)

    def most(self, request: Request) -> int:
        """Return how many bytes a request's body may have."""
        path: str = request.url.path
        return self.safety.upload if path.endswith("/upload") else self.safety.body


class Answer:
    """Passes an answer on with the headers that each has, and with a csrf cookie if one is due."""

    def __init__(self, send: Send, csrf: str | None, https: bool) -> None:
        self.out = send
        self.csrf = csrf
        self.https = https
        self.begun = False

    async def send(self, message: Message) -> None:
        """Send a part of an answer."""
        if message["type"] == "http.response.start":
            self.begun = True
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers[name] = value
            if "cache-control" not in headers:
                headers["Cache-Control"] = "no-store"
            if self.csrf is not None:
                # Not HttpOnly: the page's script shows it again in a header.
                rest = "; Path=/; SameSite=Strict" + ("; Secure" if self.https else "")
                headers.append("Set-Cookie", f"{CSRF}={self.csrf}{rest}")
        await self.out(message)


def limited(receive: Receive, most: int) -> Receive:
    """Return a `receive` that breaks off when a body turns out longer than it may be."""
    seen = 0

    async def counted() -> Message:
        nonlocal seen
        message = await receive()
        seen += len(message.get("body", b""))
        if seen > most:
            raise HTTPException(413, f"a request of more than {most} bytes")
        return message

    return counted


def host_name(host: str) -> str:
    """Return the name of a Host header, without a port and brackets."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def same_origin(origin: str, host: str) -> bool:
    """Return whether an Origin header names the host that was asked."""
    try:
        return urlsplit(origin).netloc.lower() == host.lower() != ""
    except ValueError:
        return False


def told(request: Request, status: int, reason: str) -> Response:
    """Return an error as a page for a person, or as JSON for a script."""
    line = " ".join(reason.split())
    wants_page = "text/html" in request.headers.get("accept", "")
    if request.method == "GET" and wants_page and not request.url.path.startswith("/api/"):
        return page(request, "error.html", status=status, reason=line)
    return JSONResponse({"error": line}, status)


def refused(request: Request, error: UserError) -> Response:
    """Return what was wrong with a request, or with the place that it needs."""
    # A database that is down is no mistake of the visitor's: a browser tries again later.
    return told(request, 503 if isinstance(error, EndpointError) else 400, str(error))


def router(desk: Desk) -> APIRouter:
    """Return the doors: the owner's, the annotators', and the token for scripts."""
    doors = APIRouter()

    @doors.get("/enter/{token}", include_in_schema=False)
    def enter(request: Request, token: str) -> Response:
        right = desk.safety.token
        if right is None or not same(token, right):
            raise HTTPException(403, "this is not the studio's token")
        answer = page(request, "enter.html", to="/")
        cookie(request, answer, OWNER, pass_of(desk.safety))
        return answer

    @doors.get("/a/{token}", include_in_schema=False)
    @doors.get("/a/{token}/{kind}", include_in_schema=False)
    def admit(
        request: Request, token: str, kind: Literal["annotate", "compare"] = "annotate"
    ) -> Response:
        if desk.store.annotator(token) is None:
            raise HTTPException(403, "this link is not known: ask for a new one")
        query = f"?{request.url.query}" if request.url.query else ""
        answer = page(request, "enter.html", to=f"/{kind}{query}")
        cookie(request, answer, ANNOTATOR, token)
        return answer

    @doors.get("/api/csrf")
    def csrf(request: Request) -> dict[str, str]:
        """Return the token that a request which changes something shows in X-Lskd-Csrf."""
        return {"csrf": request.state.csrf}

    return doors
