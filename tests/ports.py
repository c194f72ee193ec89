"""Ports for what a test starts and can only tell a number."""

import contextlib
import secrets
import socket

# Below those that systems give to connections and to who asks for any: nobody takes one of these
# between its choice and its use. Tests that choose at the same time rarely choose the same.
PLACES = range(20_000, 32_000)


def free_port() -> int:
    """Return a port of this machine on which nobody listens."""
    while True:
        port = secrets.choice(PLACES)
        with socket.socket() as tried, contextlib.suppress(OSError):
            tried.bind(("127.0.0.1", port))
            return port
