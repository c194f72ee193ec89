"""One server for all tests of a session, reset before each; and a teacher that asks it."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from chat.server import Server
from lskd.chat.journal import Journal
from lskd.chat.teacher import ChatTeacher

Ask = Callable[..., ChatTeacher]


@pytest.fixture(scope="session")
def shared_server() -> Iterator[Server]:
    with Server() as server:
        yield server


@pytest.fixture
def server(shared_server: Server) -> Server:
    shared_server.reset()
    return shared_server


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    with Journal(tmp_path / "journal.sqlite") as journal:
        yield journal


@pytest.fixture
def teacher(server: Server, journal: Journal) -> Iterator[Ask]:
    """Make teachers with short pauses; each is closed at the end."""
    made: list[ChatTeacher] = []

    def make(**settings: object) -> ChatTeacher:
        chosen = {"model": "m", "base_url": server.base_url, "backoff": 0.01, **settings}
        made.append(ChatTeacher(journal, **chosen))
        return made[-1]

    yield make
    for one in made:
        one.close()
