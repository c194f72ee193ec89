"""A real server on the loopback that speaks the OpenAI protocol, counts, and misbehaves on demand.

It runs in a process of its own, so that clients can be killed and its CPU time is its own:

    with Server(latency=0.05) as server:
        teacher = ChatTeacher(journal, model="m", base_url=server.base_url)
        server.misbehave(Misbehaviour(status=429, headers={"Retry-After": "1"}, times=3))
        ...
        assert server.tally().calls == 3 + 1

Replies depend on the messages alone, and fit the prompts of the project: asked to "Write exactly 3
triples" it writes three about regions named in the prompt, asked to "Ask exactly 5 short questions"
it asks five, as JSON if the request has a schema; anything else gets one sentence. `/files` and
`/batches` do the same for batches.

Every call is counted as it arrives, and billed when a whole completion was made for it, whether or
not that reached the client.
"""

import json
import os
import subprocess
import sys
import urllib.request
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, Self


@dataclass(frozen=True)
class Misbehaviour:
    """What happens instead of a reply, to the next `times` calls whose JSON contains `about`.

    `status`, `headers` and `body` replace the response ("{key}" in the body is the client's key;
    an empty body is an error message). `hang` seconds pass before. `cut`: the connection ends
    before the response, or within its body. `answer` replaces the body of a good response.
    `about` "upload of a file" is for those.
    """

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: str = ""
    hang: float = 0.0
    cut: Literal["", "before", "within"] = ""
    answer: str | None = None
    times: int = 1
    about: str = ""


@dataclass(frozen=True)
class Tally:
    """What the server saw since it started or was reset.

    `requests` counts the calls by a hash of their JSON; `billed_*` are the tokens of the
    completions that were made; `most_at_once` the calls under way together; `arrivals` their times
    (seconds since the epoch); `last` the last request.
    """

    calls: int
    requests: dict[str, int]
    billed_input: int
    billed_output: int
    most_at_once: int
    arrivals: list[float]
    batches: int
    last: dict[str, Any]


class Server:
    """The server's process; a context manager that ends it.

    `latency` seconds pass in each call; with `key`, others are refused; `batch_seconds` pass until
    a batch is complete. A `port` can be given so that a server returns where one was.
    """

    def __init__(
        self, latency: float = 0.0, key: str = "", port: int = 0, batch_seconds: float = 0.0
    ) -> None:
        self._command = [sys.executable, "-m", "chat.desk"]
        self._command += ["--latency", str(latency), "--key", key]
        self._command += ["--batch-seconds", str(batch_seconds), "--port"]
        self.port = port
        self._process: subprocess.Popen[str] | None = None

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def start(self) -> Self:
        self._process = subprocess.Popen(
            [*self._command, str(self.port)],
            stdin=subprocess.PIPE,  # closed when this process ends, however: then the server ends
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])},
        )
        assert self._process.stdout is not None
        self.port = int(self._process.stdout.readline())
        return self

    def stop(self) -> None:
        """End the process at once; the port stays known, and `start` takes it again."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def misbehave(self, *misbehaviours: Misbehaviour) -> None:
        """Do these to the next calls, one after the other, then behave."""
        self._control("misbehave", [asdict(one) for one in misbehaviours])

    def reset(self, latency: float = 0.0) -> None:
        """Forget all counts, batches and misbehaviours."""
        self._control("reset", latency)

    def complete_batches(self) -> None:
        """Let batches be complete from now on."""
        self._control("complete", None)

    def forget(self, what: Literal["files", "batches"]) -> None:
        """Know no file any more, or no batch either: as hosted services do after some weeks."""
        self._control("forget", what)

    def calls(self) -> int:
        """Return the number of calls so far: a small question, to be asked often."""
        return int(self._control("calls", None))

    def tally(self) -> Tally:
        return Tally(**self._control("tally", None))

    def _control(self, name: str, argument: object) -> Any:
        address = f"http://127.0.0.1:{self.port}/control/{name}"
        request = urllib.request.Request(address, json.dumps(argument).encode(), method="POST")
        with urllib.request.urlopen(request, timeout=30) as response:
            return json.load(response)
