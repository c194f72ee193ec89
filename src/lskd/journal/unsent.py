"""Paid replies that the driver has not acknowledged yet, a local file each, until it has.

In: a reply whose delivery failed. Out: the same, for this process or the next on this machine to
deliver. A file is written whole, and deleted once the driver has its reply. It holds no token.
"""

import json
import logging
import os
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from lskd.chat.journal import Journal
from lskd.journal.messages import read_reply

log = logging.getLogger("lskd")
FOLDER_VARIABLE = "LSKD_UNSENT"


def unsent_folder() -> Path:
    """Return where replies wait: LSKD_UNSENT, or a folder of the user's own."""
    if given := os.environ.get(FOLDER_VARIABLE):
        return Path(given)
    state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(state) / "lskd" / "unsent"


def take_in(journal: Journal, folder: Path | None = None) -> int:
    """Keep, in a journal that this process holds, what waits for it on this machine.

    Return how many replies that are. They are of workers whose driver had ended before them.
    """
    folder = folder or unsent_folder()
    if not any(folder.glob("*.json")):
        return 0
    unsent, count = Unsent(folder, journal.identity()), 0
    for told in unsent.waiting():
        journal.keep(*read_reply(told))
        unsent.remove(told)
        count += 1
    if count:
        log.warning("%d paid replies that had waited for this run are in its journal now", count)
    return count


class Unsent:
    """The waiting replies to one journal in a folder; several processes may share it."""

    def __init__(self, folder: Path, journal: str) -> None:
        self.folder = folder
        self._journal = journal

    def add(self, reply: Mapping[str, Any]) -> None:
        """Write a reply, as it is sent, durably; the same again changes nothing.

        Raises OSError.
        """
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = self.folder / f".{uuid.uuid4().hex}"
        try:
            with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as new:
                json.dump(reply, new)
                new.flush()
                os.fsync(new.fileno())
            draft.replace(self._file(reply))
        finally:
            draft.unlink(missing_ok=True)

    def remove(self, reply: Mapping[str, Any]) -> None:
        """Delete a reply that the driver has."""
        try:
            self._file(reply).unlink(missing_ok=True)
        except OSError as error:  # it is delivered again, which changes nothing
            log.warning("%s cannot be removed: %s", self._file(reply), error.strerror or error)

    def waiting(self) -> Iterator[dict[str, Any]]:
        """Yield the replies that wait, those of other processes on this machine included."""
        for file in sorted(self.folder.glob(f"{self._journal}-*.json")):
            try:
                yield json.loads(file.read_text(encoding="utf-8"))
            except FileNotFoundError:  # another process has just delivered it
                continue
            except (OSError, ValueError) as error:
                log.warning("%s cannot be read and stays where it is: %s", file, error)

    def count(self) -> int:
        """Return how many replies wait."""
        return len(list(self.folder.glob(f"{self._journal}-*.json")))

    def _file(self, reply: Mapping[str, Any]) -> Path:
        return self.folder / f"{self._journal}-{reply['call']:x}.json"
