"""A teacher that asks the server of the tests."""

from collections.abc import Callable, Iterator

import pytest

from chat.server import Server
from lskd.chat.journal import Journal
from lskd.chat.teacher import ChatTeacher

Ask = Callable[..., ChatTeacher]


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
