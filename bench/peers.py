"""What a paid call costs beside distilabel and curator: the same server, the same conversations.

    PYTHONPATH=src:tests python bench/peers.py [--calls 600] [--repeats 3] [--venvs FOLDER]

A server in another process answers after 50 ms; 64 calls are in flight. Each peer is installed in a
virtual environment of its own, below a temporary folder or in FOLDER, which is then used again; one
that cannot be installed or does not work is left out, with its reason. All clients are processes
that are started anew, in turns. CPU is that of the whole tree of processes. "A call more" is the
difference between a run of all calls and one of 40, without the start of the program; "in all" is
the run of all calls with it. Medians are printed, and whether the bars are met: a call more takes
at least 5 times less CPU than distilabel's, and 3 times its rate.
"""

import argparse
import contextlib
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

CONCURRENCY = 64
LATENCY_SECONDS = 0.05
FEW = 40
SYSTEM = "You write questions about pictures for people who study how machines see."
TEMPERATURE, TOKENS = 0.8, 300
LEAST_CPU_RATIO, LEAST_RATE_RATIO = 5.0, 3.0
PEERS = {
    "distilabel": ("distilabel[openai]==1.5.3", "requests"),  # which it imports and does not name
    "curator": ("bespokelabs-curator==0.1.31",),
}
# No telemetry, no cache between runs, nothing asked of a model hub.
QUIET = {
    "TELEMETRY_ENABLED": "false",
    "CURATOR_DISABLE_CACHE": "1",
    "HF_HUB_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "OPENAI_API_KEY": "none",
    "OMP_NUM_THREADS": "1",
}


def lskd(address: str, texts: list[str]) -> int:
    """Ask as every stage of ours does; return the number of replies."""
    from lskd.chat.journal import Journal
    from lskd.chat.teacher import ChatTeacher
    from lskd.protocols import Conversation

    with Journal(Path("journal.sqlite")) as journal:
        teacher = ChatTeacher(journal, model="m", base_url=address, concurrency=CONCURRENCY)
        replies = teacher.converse(
            [
                Conversation(f"c{k}", "image", "id", SYSTEM, (text,), TEMPERATURE, TOKENS)
                for k, text in enumerate(texts)
            ]
        )
        teacher.close()
    return sum(reply.error is None for (reply,) in replies)


def distilabel(address: str, texts: list[str]) -> int:
    """Ask by a pipeline of two steps; return the number of replies."""
    from distilabel.models import OpenAILLM  # type: ignore[import-not-found]
    from distilabel.pipeline import Pipeline  # type: ignore[import-not-found]
    from distilabel.steps import LoadDataFromDicts  # type: ignore[import-not-found]
    from distilabel.steps.tasks import TextGeneration  # type: ignore[import-not-found]

    rows = [{"instruction": text, "system_prompt": SYSTEM} for text in texts]
    with Pipeline(name="peer", cache_dir=Path.cwd()) as pipeline:
        load = LoadDataFromDicts(data=rows, batch_size=CONCURRENCY)
        model = OpenAILLM(
            model="m",
            base_url=address,
            api_key="none",
            generation_kwargs={"temperature": TEMPERATURE, "max_new_tokens": TOKENS},
        )
        ask = TextGeneration(llm=model, input_batch_size=CONCURRENCY)
        load >> ask
    found = pipeline.run(use_cache=False)["default"]["train"]
    return sum(row["generation"] is not None for row in found)


def curator(address: str, texts: list[str]) -> int:
    """Ask by a prompt class over a list of rows; return the number of replies."""
    from bespokelabs import curator as library  # type: ignore[import-not-found]

    class Ask(library.LLM):  # type: ignore[misc]  # not installed where types are checked
        """Sends a system message and a text."""

        def prompt(self, row: dict[str, str]) -> list[dict[str, str]]:
            """Return the messages of a row."""
            return [
                {"role": "system", "content": SYSTEM},
                {"role": "user", "content": row["text"]},
            ]

        def parse(self, row: dict[str, str], response: str) -> dict[str, str]:
            """Return the reply as a row."""
            return {"reply": response}

    model = Ask(
        model_name="m",
        backend="openai",
        generation_params={"temperature": TEMPERATURE, "max_tokens": TOKENS},
        backend_params={
            "base_url": address,
            "max_concurrent_requests": CONCURRENCY,
            "max_requests_per_minute": 1_000_000,
            "max_tokens_per_minute": 1_000_000_000,
        },
    )
    found = model([{"text": text} for text in texts])
    rows = getattr(found, "dataset", found)
    return sum(row["reply"] is not None for row in rows)


CLIENTS: dict[str, Callable[[str, list[str]], int]] = {
    "lskd": lskd,
    "distilabel": distilabel,
    "curator": curator,
}


@dataclass(frozen=True, slots=True)
class Took:
    """What a run of some calls took: seconds of CPU of its tree of processes, and of time."""

    cpu: float
    wall: float


def once(python: Path, name: str, address: str, texts: list[str]) -> Took:
    """Run one client in a process and folder of its own.

    Raises RuntimeError with the end of what it said if it fails.
    """
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        (folder / "texts.json").write_text(json.dumps(texts))
        (folder / "said.txt").touch()
        command = [str(python), str(Path(__file__).resolve()), "--client", name]
        environment = {**os.environ, **QUIET, "HOME": temporary, "CURATOR_CACHE_DIR": temporary}
        # Curator counts tokens by a vocabulary that it would fetch; litellm brings the same file.
        for vocabulary in python.parent.parent.glob("lib/*/site-packages/litellm/**/tokenizers"):
            environment["TIKTOKEN_CACHE_DIR"] = str(vocabulary)
        if name != "lskd":
            environment.pop("PYTHONPATH", None)
        with (folder / "said.txt").open("w") as said:
            started = time.perf_counter()
            process = subprocess.Popen(
                [*command, address], cwd=folder, env=environment, stdout=said, stderr=said
            )
            _, status, used = os.wait4(process.pid, 0)
            wall = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise RuntimeError(" ".join((folder / "said.txt").read_text()[-600:].split()))
    return Took(used.ru_utime + used.ru_stime, wall)


def installed(name: str, folder: Path) -> Path:
    """Return the interpreter of an environment in which a peer is, making it if it is not there.

    Raises RuntimeError with the end of what pip said if it cannot be installed.
    """
    python = folder / name / "bin" / "python"
    if not (folder / name / "done").exists():
        venv.create(folder / name, with_pip=True, clear=True)
        command = [str(python), "-m", "pip", "--quiet", "install", *PEERS[name]]
        made = subprocess.run(command, capture_output=True, text=True, check=False)
        if made.returncode:
            raise RuntimeError(" ".join(made.stderr[-600:].split()))
        (folder / name / "done").touch()
    return python


def interpreters(folder: Path) -> Iterator[tuple[str, Path]]:
    """Yield each client's name and interpreter; say which peer cannot be installed, and why."""
    yield "lskd", Path(sys.executable)
    for name in PEERS:
        try:
            yield name, installed(name, folder)
        except (RuntimeError, OSError, subprocess.SubprocessError) as error:
            print(f"{name} is left out, it cannot be installed: {error}")


@dataclass(frozen=True, slots=True)
class Cost:
    """CPU milliseconds a call and calls a second, of a call more and of the run in all.

    `rate_more` is NaN where more calls took no more time: the machine was busy otherwise.
    """

    cpu_more: float
    rate_more: float
    cpu_all: float
    rate_all: float


def cost(few: list[Took], many: list[Took], calls: int) -> Cost:
    """Return what a call costs, by the medians of runs of FEW and of all calls."""
    cpu_few, wall_few, cpu, wall = (
        statistics.median(values)
        for values in (
            [one.cpu for one in few],
            [one.wall for one in few],
            [one.cpu for one in many],
            [one.wall for one in many],
        )
    )
    more = calls - FEW
    return Cost(
        cpu_more=1e3 * (cpu - cpu_few) / more,
        rate_more=more / (wall - wall_few) if wall > wall_few else math.nan,
        cpu_all=1e3 * cpu / calls,
        rate_all=calls / wall,
    )


def compare(calls: int, repeats: int, folder: Path) -> dict[str, Cost]:
    """Run all clients in turns; return what a call of each costs."""
    from chat.server import Server
    from teacher import prompts

    clients = dict(interpreters(folder))
    texts = prompts(calls)
    found: dict[str, tuple[list[Took], list[Took]]] = {name: ([], []) for name in clients}
    with Server(latency=LATENCY_SECONDS) as server:
        for _ in range(repeats):
            for name, python in list(clients.items()):
                try:
                    found[name][0].append(once(python, name, server.base_url, texts[:FEW]))
                    found[name][1].append(once(python, name, server.base_url, texts))
                except RuntimeError as error:
                    print(f"{name} is left out, it does not work: {error}")
                    del clients[name]
    return {name: cost(*found[name], calls) for name in clients}


def client(name: str, address: str) -> None:
    """Be a client: ask all texts of the working folder; the exit code says whether all came."""
    texts = json.loads(Path("texts.json").read_text())
    replies = CLIENTS[name](address, texts)
    raise SystemExit(0 if replies == len(texts) else f"{replies} replies to {len(texts)} texts")


def main() -> None:
    """Install, measure, print a table, and say whether the bars are met."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=600)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--venvs", type=Path)
    parser.add_argument("--client", nargs=2, metavar=("NAME", "ADDRESS"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.client:
        client(*given.client)
    with contextlib.ExitStack() as stack:
        folder = given.venvs or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        found = compare(given.calls, given.repeats, folder.resolve())
    print(f"{given.calls} calls, {CONCURRENCY} in flight, medians of {given.repeats}")
    print(f"{'':12}{'a call more':>24}{'in all':>22}")
    print(f"{'':12}{'CPU ms':>12}{'calls/s':>12}{'CPU ms':>12}{'calls/s':>12}")
    for name, one in found.items():
        print(
            f"{name:12}{one.cpu_more:12.2f}{one.rate_more:12.0f}{one.cpu_all:12.2f}"
            f"{one.rate_all:12.0f}"
        )
    ours, theirs = found.get("lskd"), found.get("distilabel")
    if ours is None or theirs is None:
        print("bars: not known without distilabel")
        raise SystemExit(1)
    cpu, rate = theirs.cpu_more / ours.cpu_more, ours.rate_more / theirs.rate_more
    met = cpu >= LEAST_CPU_RATIO and rate >= LEAST_RATE_RATIO
    print(f"beside distilabel: {cpu:.1f} times less CPU, {rate:.1f} times its rate: ", end="")
    print(f"bars (5, 3) {'met' if met else 'MISSED'}")
    raise SystemExit(0 if met else 1)


if __name__ == "__main__":
    main()
