"""A worker of a cluster as a process of its own, which can be killed.

    LSKD_JOURNAL=... LSKD_JOURNAL_TOKEN=... python journal_worker.py BASE_URL COUNT FROM STEP FILE

Holds every STEP-th of COUNT conversations with the teacher, from the FROM-th on, and writes the
replies to a file at the end: it is there only if the worker was not killed. What goes wrong is said
in one line.
"""

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from chat.talks import talks
from lskd.chat.journal import Journal
from lskd.chat.ledger import Ledger
from lskd.chat.teacher import ChatTeacher
from lskd.errors import UserError
from lskd.journal.address import service_address
from lskd.journal.worker import RemoteLedger

TURNS = 2
CONCURRENCY = 6  # of all workers together


def main() -> None:
    base_url, count, start, step, file = sys.argv[1:]
    address = service_address()
    assert address is not None
    try:
        rows = hold(
            RemoteLedger(address, patience=30.0), base_url, int(count), int(start), int(step)
        )
    except UserError as error:
        sys.exit(f"error: {error}")
    Path(file).write_text(json.dumps(rows))


def hold(
    ledger: Journal | Ledger, base_url: str, count: int, start: int = 0, step: int = 1
) -> list[list[dict[str, Any]]]:
    """Hold a worker's conversations, and return the replies but for their times."""
    teacher = ChatTeacher(
        ledger, model="m", base_url=base_url, concurrency=CONCURRENCY, backoff=0.05
    )
    held = teacher.converse(talks(count, TURNS)[start::step])
    teacher.close()
    rows = [[asdict(reply) | {"seconds": None} for reply in replies] for replies in held]
    return list(json.loads(json.dumps(rows)))


if __name__ == "__main__":
    main()
