"""A studio that is served on loopback, as `lskd studio` serves it."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import fastapi
import uvicorn


@contextmanager
def served(app: fastapi.FastAPI, port: int = 0) -> Iterator[str]:
    """Serve an app in a thread on a port of this machine, else on a free one; gives its address."""
    # With its protocol named, asyncio sends answers at once; else each waits for 40 ms.
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        config = uvicorn.Config(
            app, log_level="warning", lifespan="off", timeout_graceful_shutdown=1
        )
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            while not server.started:
                assert thread.is_alive(), "the studio did not start"
                time.sleep(0.01)
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(20)
