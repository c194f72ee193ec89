"""A service, a worker and a paced teacher in one process, to be run with a clock that jumps.

    python journal_jumps.py BASE_URL FOLDER

Prints as JSON how far the date jumped meanwhile, the replies with an error, and what was warned of.
"""

import json
import logging
import sys
import time
from pathlib import Path

from chat.talks import talks
from lskd.chat.journal import Journal
from lskd.chat.teacher import ChatTeacher
from lskd.journal.service import serving
from lskd.journal.worker import RemoteLedger


class Warnings(logging.Handler):
    """Keeps what is warned of."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(record.getMessage())


def main() -> None:
    base_url, folder = sys.argv[1], Path(sys.argv[2])
    warnings = Warnings()
    logging.getLogger("lskd").addHandler(warnings)
    dates = [time.time()]
    with Journal(folder / "j.sqlite") as journal, serving(journal, silence=4.0) as service:
        ledger = RemoteLedger(service.address, folder / "unsent")
        teacher = ChatTeacher(ledger, model="m", base_url=base_url, requests_per_minute=600)
        errors = []
        for part in range(3):
            held = teacher.converse([*talks(15 * (part + 1))])
            errors += [reply.error for (reply,) in held if reply.error]
            dates.append(time.time())
        teacher.close()
        ledger.close()
    far = max(dates) - min(dates)
    print(json.dumps({"far": far, "errors": errors, "warnings": warnings.texts}))


if __name__ == "__main__":
    main()
