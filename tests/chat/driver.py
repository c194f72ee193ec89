"""A run that can be killed: many conversations with a server, then all replies to a file.

    python -m chat.driver BASE_URL JOURNAL CONVERSATIONS FILE

Two threads share the teacher, as two shards do. The file is written at the end, so it is there only
if the run was not killed.
"""

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path

from chat.talks import talks
from lskd.chat.journal import Journal
from lskd.chat.teacher import ChatTeacher

TURNS = 3


def main() -> None:
    base_url, journal_file, count, file = sys.argv[1:]
    with Journal(Path(journal_file)) as journal:
        teacher = ChatTeacher(journal, model="m", base_url=base_url, concurrency=16)
        all_talks = talks(int(count), TURNS)
        shards = [all_talks[0::2], all_talks[1::2]]
        with ThreadPoolExecutor(2) as threads:
            held = [one for shard in threads.map(teacher.converse, shards) for one in shard]
        teacher.close()
    rows = [[asdict(reply) | {"seconds": None} for reply in replies] for replies in held]
    Path(file).write_text(json.dumps(rows))


if __name__ == "__main__":
    main()
