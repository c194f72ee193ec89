"""A network between a client and a server that can be cut in the ways in which networks are."""

import contextlib
import socket
import struct
import threading
import time
from types import TracebackType
from typing import Literal, Self

Mode = Literal["open", "refused", "reset", "hole"]


class Network:
    """A port of its own that leads to a server.

    "refused": nobody listens; "reset": connections break as soon as they are made, and those that
    were open do; "hole": they stay open, and nothing comes through any more.
    """

    def __init__(self, server: int) -> None:
        self._server = server
        self._mode: Mode = "open"
        self._guard = threading.Lock()
        self._sockets: list[socket.socket] = []
        self._listener = self._listen(0)
        self.port = int(self._listener.getsockname()[1])
        self._ended = False
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def become(self, mode: Mode) -> None:
        with self._guard:
            self._mode = mode
            if mode in ("refused", "reset"):
                for one in self._sockets:
                    reset(one)
                self._sockets.clear()
        if mode == "refused":
            self._listener.close()
        elif self._listener.fileno() < 0:
            self._listener = self._listen(self.port)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._ended = True
        self.become("refused")
        self._thread.join()

    def _listen(self, port: int) -> socket.socket:
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        listener.listen(128)
        listener.settimeout(0.05)
        return listener

    def _accept(self) -> None:
        while not self._ended:
            try:
                client, _ = self._listener.accept()
            except TimeoutError:
                continue
            except OSError:  # nobody listens just now
                time.sleep(0.02)
                continue
            with self._guard:
                if self._mode != "open":
                    if self._mode == "hole":
                        self._sockets.append(client)
                    else:
                        reset(client)
                    continue
                far = socket.create_connection(("127.0.0.1", self._server))
                client.settimeout(None)
                self._sockets += [client, far]
            for pair in ((client, far), (far, client)):
                threading.Thread(target=self._pump, args=pair, daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                if self._mode == "hole":
                    return
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)


def reset(one: socket.socket) -> None:
    """Close a connection so that its other side sees it break."""
    with contextlib.suppress(OSError):
        one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        one.shutdown(socket.SHUT_RD)  # wakes who reads from it here
    one.close()
