"""A driver's journal service as a process of its own, which can be killed.

    LSKD_JOURNAL_TOKEN=... python journal_host.py JOURNAL PORT SILENCE [SEGMENTS]

Prints its address once it serves; ends when its standard input is closed.
"""

import os
import sys
from pathlib import Path

from lskd.chat.journal import Journal
from lskd.journal.service import serving


def main() -> None:
    path, port, silence, *segments = sys.argv[1:]
    with (
        Journal(Path(path)) as journal,
        serving(
            journal,
            port=int(port),
            token=os.environ["LSKD_JOURNAL_TOKEN"],
            segments=Path(segments[0]) if segments else None,
            silence=float(silence),
        ) as service,
    ):
        print(service.address.url, flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
