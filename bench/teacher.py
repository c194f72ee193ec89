"""What a call to a teacher costs: ours, a bare aiohttp loop, and the openai package.

A server in another process answers after 50 ms; 64 calls are in flight. Ours writes each call and
each reply to a journal on the disk of `--folder`. The clients take turns. Medians are printed: the
whole process' CPU time (all threads) and the rate, opening and closing included, also as ratios to
the bare loop just before. Two cores are needed for the client and the server: on a machine that is
busy otherwise, the rate shows the CPU time again.

    PYTHONPATH=src:tests python bench/teacher.py [--calls 1280] [--repeats 7] [--folder .]
"""

import argparse
import asyncio
import gc
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import aiohttp

from chat.server import Server
from lskd.chat.journal import Journal
from lskd.chat.teacher import ChatTeacher
from lskd.protocols import Conversation

CONCURRENCY = 64
LATENCY_SECONDS = 0.05
SYSTEM = "You write questions about pictures for people who study how machines see."
MOST_CPU_MS = 1.5
LEAST_RATE = 0.9


def prompts(calls: int) -> list[str]:
    """Return prompts of the size that an image with ten regions has: about 2,500 characters."""
    line = "a large white cup in the middle of the table beside a person in red"
    block = "\n".join(f"[{k}] (12, 30, 200, {410 + k}): {line}" for k in range(10))
    rules = "The answer is one sentence and commits itself, and names what is seen. " * 20
    return [f"Picture {call}\n{block}\n{rules}Write exactly 3 triples." for call in range(calls)]


def bare(address: str, texts: list[str], folder: Path) -> None:
    """Ask with aiohttp alone: no retry, no journal."""

    async def ask_all() -> None:
        places = asyncio.Semaphore(CONCURRENCY)
        connector = aiohttp.TCPConnector(limit=CONCURRENCY)
        async with aiohttp.ClientSession(connector=connector) as session:

            async def ask(text: str) -> str:
                request = {
                    "model": "m",
                    "messages": [
                        {"role": "system", "content": SYSTEM},
                        {"role": "user", "content": text},
                    ],
                    "temperature": 0.8,
                    "max_tokens": 300,
                }
                async with (
                    places,
                    session.post(f"{address}/chat/completions", json=request) as response,
                ):
                    found = await response.json()
                    return str(found["choices"][0]["message"]["content"])

            await asyncio.gather(*(ask(text) for text in texts))

    asyncio.run(ask_all())


def ours(address: str, texts: list[str], folder: Path) -> None:
    """Ask as every stage does: retries, limits, journal."""
    with Journal(folder / "journal.sqlite") as journal:
        teacher = ChatTeacher(journal, model="m", base_url=address, concurrency=CONCURRENCY)
        replies = teacher.converse(
            [
                Conversation(f"c{k}", "image", "id", SYSTEM, (text,), 0.8, 300)
                for k, text in enumerate(texts)
            ]
        )
        assert all(reply.error is None for (reply,) in replies)
        assert journal.spent().calls == len(texts)
        teacher.close()


def openai_package(address: str, texts: list[str], folder: Path) -> None:
    """Ask with the openai package on its default transport."""
    import openai

    async def ask_all() -> None:
        places = asyncio.Semaphore(CONCURRENCY)
        async with openai.AsyncOpenAI(base_url=address, api_key="none", max_retries=0) as client:

            async def ask(text: str) -> str:
                async with places:
                    found = await client.chat.completions.create(
                        model="m",
                        messages=[
                            {"role": "system", "content": SYSTEM},
                            {"role": "user", "content": text},
                        ],
                        temperature=0.8,
                        max_tokens=300,
                    )
                return str(found.choices[0].message.content)

            await asyncio.gather(*(ask(text) for text in texts))

    asyncio.run(ask_all())


def measured(
    ask: Callable[[str, list[str], Path], None], address: str, calls: int, folder: Path
) -> tuple[float, float]:
    """Return the CPU milliseconds a call and the calls a second of one run."""
    texts = prompts(calls)
    gc.collect()
    with tempfile.TemporaryDirectory(dir=folder) as temporary:
        cpu, wall = time.process_time(), time.perf_counter()
        ask(address, texts, Path(temporary))
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    return 1e3 * cpu / calls, calls / wall


def main() -> None:
    """Measure, print a table, and say whether the bars are met."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=1280)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--folder", type=Path, default=Path())
    options = parser.parse_args()
    clients = {"bare aiohttp": bare, "lskd": ours, "openai": openai_package}
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in clients}
    with Server(latency=LATENCY_SECONDS) as server:
        for ask in clients.values():  # connections, imports, caches
            measured(ask, server.base_url, CONCURRENCY, options.folder)
        for _ in range(options.repeats):
            for name, ask in clients.items():
                pair = measured(ask, server.base_url, options.calls, options.folder)
                found[name].append(pair)
    middle = {
        name: tuple(statistics.median(column) for column in zip(*pairs, strict=True))
        for name, pairs in found.items()
    }
    # Ratios are between neighbours in time, so that a busy moment does not favour one of them.
    ratios = {
        name: [
            statistics.median(own[k] / bare[k] for own, bare in zip(pairs, first, strict=True))
            for k in (0, 1)
        ]
        for first in [found["bare aiohttp"]]
        for name, pairs in found.items()
    }
    print(f"{options.calls} calls, {CONCURRENCY} in flight, medians of {options.repeats}")
    print(f"{'':14}{'CPU ms a call':>14}{'ratio':>8}{'calls/s':>10}{'ratio':>8}")
    for name, (cpu, rate) in middle.items():
        more_cpu, share = ratios[name]
        print(f"{name:14}{cpu:14.2f}{more_cpu:8.2f}{rate:10.0f}{share:8.2f}")
    met = middle["lskd"][0] <= MOST_CPU_MS and ratios["lskd"][1] >= LEAST_RATE
    bars = f"at most {MOST_CPU_MS} ms, at least {LEAST_RATE:.0%} of the bare rate"
    print(f"bars ({bars}): {'met' if met else 'MISSED'}")
    raise SystemExit(0 if met else 1)


if __name__ == "__main__":
    main()
