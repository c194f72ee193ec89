"""A dataset of the Hugging Face Hub, read and written by its own library, on a small server here.

Each write is a commit: exports make a few, and no run works there.
"""

import base64
import contextlib
import json
import os
import subprocess
import sys
import threading
import urllib.parse
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

import house
from buckets import disk
from forked import TESTS
from lskd.run import load
from lskd.types import Image, Triple

pytestmark = pytest.mark.check
DATASET = "datasets/tester/photos"
LOOK_TWICE = f"""
from lskd.storage import files
from lskd.storage.address import located
here = located("hf://{DATASET}")
print(files.names(here, ".png"), flush=True)
input()
print(files.names(here, ".png"), flush=True)
print(files.exists(here / "new.png"), files.exists(here / "never.png"), flush=True)
"""
BRING_TWICE = f"""
from lskd.storage import mirror
for _ in range(2):
    student = mirror.brought("hf://{DATASET}/mine/student")
    print(sorted(file.name for file in student.glob("[!.]*")), flush=True)
    input()
print((student / "student.toml").read_text(), [*student.parent.parent.glob("*.png")])
"""


class Answer(BaseHTTPRequestHandler):
    """One request to the hub."""

    server: "Hub"

    def do_GET(self) -> None:
        path = urllib.parse.unquote(self.path.partition("?")[0]).removeprefix("/")
        self.server.asked.append(path)
        api, content = f"api/{DATASET}", f"{DATASET}/resolve/main/"
        if path == api:
            self.answer(200, json.dumps({"id": "tester/photos", "sha": "0"}).encode())
        elif (tree := path.rstrip("/")).startswith(f"{api}/tree/main") and (
            told := self.server.tree(tree.removeprefix(f"{api}/tree/main").strip("/"))
        ):
            self.answer(200, json.dumps(told).encode())
        elif (name := path.removeprefix(content)) in self.server.files:
            self.answer(200, self.server.files[name])
        else:
            code = "EntryNotFound" if path.startswith((api, content)) else "RepoNotFound"
            self.answer(404, b"{}", code)

    def do_POST(self) -> None:
        path = urllib.parse.unquote(self.path.partition("?")[0]).removeprefix("/")
        self.server.asked.append(path)
        content, api = self.content(), f"api/{DATASET}"
        if path == f"{api}/preupload/main":
            kept = {"uploadMode": "regular", "shouldIgnore": False}
            told = [{"path": one["path"], **kept} for one in json.loads(content)["files"]]
            self.answer(200, json.dumps({"files": told}).encode())
        elif path == f"{api}/commit/main":
            for line in content.splitlines():
                self.server.commit(**json.loads(line))
            made = {"commitUrl": f"{self.server.url}/{DATASET}/commit/1", "commitOid": "1"}
            self.answer(200, json.dumps(made).encode())
        elif path == f"{api}/paths-info/main":
            wanted = urllib.parse.parse_qs(content.decode())["paths"]
            told = [one for name in wanted for one in self.server.entry(name)]
            self.answer(200, json.dumps(told).encode())
        elif path == "api/validate-yaml":
            self.answer(200, b'{"warnings": []}')
        else:
            self.answer(404, b"{}", "RepoNotFound")

    def content(self) -> bytes:
        """Return what was sent, which may come in chunks."""
        if "chunked" not in self.headers.get("Transfer-Encoding", ""):
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        parts = []
        while size := int(self.rfile.readline(), 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def answer(self, status: int, content: bytes, code: str = "") -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("X-Error-Code", code)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        pass


class Hub(ThreadingHTTPServer):
    """A hub of one dataset that has `files`; what it was `asked` for."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.files: dict[str, bytes] = {}
        self.asked: list[str] = []

    @property
    def url(self) -> str:
        """Return where it listens."""
        return f"http://127.0.0.1:{self.server_address[1]}"

    def commit(self, key: str, value: dict[str, str]) -> None:
        """Take in a line of a commit."""
        if key == "file":
            self.files[value["path"]] = base64.b64decode(value["content"])
        elif key == "deletedFile":
            del self.files[value["path"]]
        else:
            assert key == "header", key

    def tree(self, folder: str) -> list[dict[str, object]]:
        """Return what a folder holds."""
        inside = [name for name in self.files if Path(name).is_relative_to(folder or ".")]
        depth = len(Path(folder).parts)
        names = dict.fromkeys("/".join(Path(name).parts[: depth + 1]) for name in inside)
        return [one for name in names for one in self.entry(name)]

    def entry(self, name: str) -> list[dict[str, object]]:
        """Return what is told of a file or folder; nothing if there is none."""
        if name in self.files:
            data = self.files[name]
            return [{"type": "file", "path": name, "oid": str(hash(data)), "size": len(data)}]
        if any(Path(file).is_relative_to(name) for file in self.files):
            return [{"type": "directory", "path": name, "oid": "0"}]
        return []


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    house.build(tmp_path, 5)
    with Hub() as hub:
        thread = threading.Thread(target=hub.serve_forever, daemon=True)
        thread.start()
        for file in sorted((tmp_path / "pictures").iterdir()):
            hub.files[file.name] = file.read_bytes()
        yield hub
        hub.shutdown()
        thread.join()


@contextlib.contextmanager
def python(hub: Hub, folder: Path, *args: str) -> Iterator[subprocess.Popen[str]]:
    """Run Python where the hub is the only one; its library reads that once, when it is loaded."""
    told = {"HF_ENDPOINT": hub.url, "HF_HOME": str(folder)}
    with subprocess.Popen(
        [sys.executable, *args],
        cwd=folder,
        env={**os.environ, **told, **disk(folder), "PYTHONPATH": str(TESTS)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        yield process


def test_images_on_the_hub_give_the_tables_of_the_same_images_on_the_disk(
    hub: Hub, tmp_path: Path
) -> None:
    for out, source in (("here", "pictures"), ("away", f"hf://{DATASET}")):
        command = ("run", "small.toml", "--out", out, "--until", "parse")
        change = ("--set", f"images.source={source}")
        with python(hub, tmp_path, "-m", "lskd", *command, *change) as process:
            said = process.communicate()[1]
            assert process.returncode == 0, said
    away, here = load(tmp_path / "away"), load(tmp_path / "here")
    assert {image.path for image in house.rows(away, Image)} == {
        f"hf://{DATASET}/{n:03d}.png" for n in range(5)
    }
    assert house.rows(away, Triple) == house.rows(here, Triple)
    # A folder is not listed anew for each image in it.
    listings = [path for path in hub.asked if "/tree/" in path]
    assert len(listings) < 5 <= len([path for path in hub.asked if "/resolve/" in path])


def test_what_another_has_written_to_the_hub_is_seen(hub: Hub, tmp_path: Path) -> None:
    with python(hub, tmp_path, "-c", LOOK_TWICE) as process:
        assert process.stdin is not None and process.stdout is not None
        assert "new.png" not in process.stdout.readline()
        hub.files["new.png"] = hub.files["000.png"]
        said, errors = process.communicate("\n")
    assert "new.png" in said and said.endswith("True False\n"), errors


def test_a_student_on_the_hub_is_brought_alone_and_again_when_it_has_changed(
    hub: Hub, tmp_path: Path
) -> None:
    for name in ("student.toml", "model.safetensors"):
        hub.files[f"mine/student/{name}"] = b"the first"
    with python(hub, tmp_path, "-c", BRING_TWICE) as process:
        assert process.stdin is not None and process.stdout is not None
        told = "['model.safetensors', 'student.toml']\n"
        assert process.stdout.readline() == told
        hub.files["mine/student/student.toml"] = b"another"
        before = len([path for path in hub.asked if "/resolve/" in path])
        process.stdin.write("\n")
        process.stdin.flush()
        assert process.stdout.readline() == told
        asked = [path for path in hub.asked if "/resolve/" in path][before:]
        said, errors = process.communicate("\n")
    assert said == "another []\n", errors
    assert {Path(path).name for path in asked} == {"student.toml"}


def test_a_dataset_that_is_not_there_is_told_in_one_line(hub: Hub, tmp_path: Path) -> None:
    change = "images.source=hf://datasets/tester/nothing"
    with python(hub, tmp_path, "-m", "lskd", "run", "small.toml", "--set", change) as process:
        said = process.communicate()[1]
    assert process.returncode == 2 and "Traceback" not in said
    assert said.splitlines()[-1].startswith("error: hf://datasets/tester/nothing")


def test_no_run_works_in_a_repository_where_each_write_is_a_commit(
    hub: Hub, tmp_path: Path
) -> None:
    command = ("run", "small.toml", "--out", f"hf://{DATASET}/run")
    with python(hub, tmp_path, "-m", "lskd", *command) as process:
        said = process.communicate()[1]
    assert process.returncode == 2, said
    assert said.splitlines()[-1].startswith(
        f"error: no run works in hf://{DATASET}/run: each write"
    )


def test_an_export_into_a_repository_holds_the_files_of_one_on_the_disk(
    hub: Hub, tmp_path: Path
) -> None:
    with python(hub, tmp_path, "-m", "lskd", "run", "small.toml") as process:
        assert process.communicate() and process.returncode == 0
    for out in ("corpus", f"hf://{DATASET}/corpus", f"hf://{DATASET}/corpus"):  # once more over it
        command = ("export", "small.toml", "--to", "hf", "--out", out)
        with python(hub, tmp_path, "-m", "lskd", *command) as process:
            said = process.communicate()[1]
        assert process.returncode == 0, said
    here = {
        file.relative_to(tmp_path).as_posix(): file.read_bytes()
        for file in (tmp_path / "corpus").rglob("*")
        if file.is_file() and not file.name.startswith(".")
    }
    there = {name: data for name, data in hub.files.items() if name.startswith("corpus/")}
    assert there == here and "corpus/README.md" in there
