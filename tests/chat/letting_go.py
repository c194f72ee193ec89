"""What a teacher holds open: its journal, and no longer than itself."""

import gc
import weakref
from collections.abc import Callable, Sequence
from pathlib import Path

from lskd.chat.batch import BatchTeacher
from lskd.chat.journal import Journal
from lskd.chat.teacher import ChatTeacher
from lskd.protocols import Conversation


def lets_go_of_its_journal(
    make: Callable[[Journal], ChatTeacher | BatchTeacher], path: Path, asked: Sequence[Conversation]
) -> None:
    """Check that a teacher whose one request fails holds its journal no longer than itself."""
    journal = Journal(path)
    asker = make(journal)
    gc.disable()  # so that nothing but the last reference lets go
    try:
        ((reply,),) = asker.converse(asked)
        asker.close()
        kept = weakref.ref(journal)
        del asker, journal
        assert reply.error is not None and kept() is None
    finally:
        gc.enable()
