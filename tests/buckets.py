"""An S3 server on the loopback, in a process of its own, and a proxy before it that misbehaves."""

import contextlib
import http.client
import importlib
import os
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import typed
from ports import free_port

fsspec: Any = importlib.import_module("fsspec")
s3fs: Any = importlib.import_module("s3fs")
SECRET = "a-secret-that-must-not-be-found"
CONNECTIONS = (
    ("s3fs", "S3FileSystem"),
    ("gcsfs", "GCSFileSystem"),
    ("gcsfs.core", "GCSFileSystem"),
    ("adlfs", "AzureBlobFileSystem"),
)


@contextlib.contextmanager
def served() -> Iterator[str]:
    """Run moto's server; give its address."""
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-W", "ignore", "-m", "moto.server", "-H", "127.0.0.1"]
    process = subprocess.Popen(
        [*command, "-p", str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        while True:
            with contextlib.suppress(urllib.error.URLError):
                urllib.request.urlopen(f"{address}/moto-api/", timeout=5).close()
                break
            assert process.poll() is None, "moto's server has ended"
            time.sleep(0.1)
        yield address
    finally:
        process.terminate()
        process.wait()


def bucket(address: str, name: str) -> str:
    """Make an empty bucket and return its URL."""
    asked = urllib.request.Request(f"{address}/{name}", method="PUT")
    urllib.request.urlopen(asked, timeout=30).close()
    return f"s3://{name}"


def environment(address: str, work: Path) -> dict[str, str]:
    """Return what tells a process where the server is; `work` is a machine's own disk."""
    return {**variables(address), **disk(work)}


def variables(address: str) -> dict[str, str]:
    """Return what tells a process of an S3 server."""
    return {
        "AWS_ACCESS_KEY_ID": "tester",
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_ENDPOINT_URL": address,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def disk(work: Path) -> dict[str, str]:
    """Return what gives a process a disk of its own."""
    return {"LSKD_WORK": str(work / "work"), "XDG_CACHE_HOME": str(work / "cache")}


@contextlib.contextmanager
def machine(variables: Mapping[str, str | None]) -> Iterator[None]:
    """Be a machine with such an environment within the block; it lacks the variables of None."""
    before = {name: os.environ.get(name) for name in variables}
    put(variables)
    try:
        yield
    finally:
        put(before)


def put(variables: Mapping[str, str | None]) -> None:
    """Change the environment, and forget the connections that were made by that before."""
    for name, value in variables.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
    for module, name in CONNECTIONS:
        if module in sys.modules:
            getattr(sys.modules[module], name).clear_instance_cache()


def lskd(*args: str, folder: Path) -> tuple[int, str, str]:
    """Give a command in this process, in a folder; return its exit code, output and errors."""
    found = typed.lskd(*args, folder=folder)
    return found.returncode, found.stdout, found.stderr


Rule = Callable[[str, str], str]
Asked = Callable[[str, str, bytes], tuple[str, str]]


def as_asked(method: str, path: str, body: bytes) -> tuple[str, str]:
    """Return what a request is for: the path without its query, but for that of a listing."""
    whole = urllib.parse.unquote(path)
    return method, whole if "prefix=" in whole else whole.partition("?")[0]


REFUSALS: Mapping[str, bytes] = {
    "401": b'{"error": {"code": 401, "message": "Anonymous caller does not have access."}}',
    "403": b'{"error": {"code": 403, "message": "tester does not have access."}}',
    "500": b"<Error><Code>InternalError</Code></Error>",
}


def well(method: str, path: str) -> str:
    """Let everything pass."""
    return ""


class Passing(BaseHTTPRequestHandler):
    """One connection to the proxy."""

    protocol_version = "HTTP/1.1"
    server: "Front"

    def handle_one_request(self) -> None:
        with contextlib.suppress(ConnectionError):
            super().handle_one_request()

    def pass_on(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        asked = self.server.asked(self.command, self.path, body)
        self.server.seen.append(asked)
        what = self.server.rule(*asked)
        if what in REFUSALS:
            self.answer(int(what), {}, REFUSALS[what])
            return
        if what:
            time.sleep(float(what))
        behind = http.client.HTTPConnection(self.server.behind, timeout=60)
        behind.request(self.command, self.path, body, dict(self.headers.items()))
        answer = behind.getresponse()
        content = answer.read()
        behind.close()
        self.answer(answer.status, dict(answer.getheaders()), content)

    def answer(self, status: int, headers: Mapping[str, str], content: bytes) -> None:
        self.send_response(status)
        for name, value in headers.items():
            if name.lower() not in ("transfer-encoding", "connection", "server", "date"):
                self.send_header(name, value)
        if "content-length" not in {name.lower() for name in headers}:
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    do_GET = do_PUT = do_HEAD = do_POST = do_DELETE = pass_on

    def log_message(self, format: str, *args: object) -> None:
        pass


class Front(ThreadingHTTPServer):
    """Passes requests on to `behind`; what it has `seen`, and the `rule` for what happens."""

    daemon_threads = True

    def __init__(self, behind: str, asked: Asked) -> None:
        super().__init__(("127.0.0.1", 0), Passing)
        self.behind = behind
        self.asked = asked
        self.rule: Rule = well
        self.seen: list[tuple[str, str]] = []
        self.address = f"http://127.0.0.1:{self.server_address[1]}"


@contextlib.contextmanager
def proxy(address: str, asked: Asked = as_asked) -> Iterator[Front]:
    """Pass requests on; `rule(method, path)` tells what happens to each of them.

    "" passes it on, "500" and the other `REFUSALS` refuse it, and a number of seconds is how much
    later it is passed on. `asked` tells the method and path that a request stands for.
    """
    with Front(address.removeprefix("http://"), asked) as front:
        thread = threading.Thread(target=front.serve_forever, daemon=True)
        thread.start()
        yield front
        front.shutdown()
        thread.join()
