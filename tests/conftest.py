"""What several tests share: the sample data, if it is there, a server and a journal."""

import gc
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from chat.server import Server
from lskd.__main__ import ALLOCATIONS
from lskd.chat.journal import Journal

# As the command does it: a tenth of the time of tests that load torch.
gc.set_threshold(ALLOCATIONS)

# Two cores that others use too: a slow example is no defect. Examples are others in each run, and
# bench/fuzz.py tries a million.
settings.register_profile("lskd", deadline=None, max_examples=50)
settings.load_profile("lskd")

TESTS = Path(__file__).parent
SHARED = TESTS.parents[1] / "shared"
# Files that take long, begun first: for what begins last all others wait.
LONG = (
    "lab/test_lab_course.py",
    "storage/test_storage_ray.py",
    "storage/test_storage_run.py",
    "docs/test_docs_commands.py",
    "docs/test_docs_site.py",
    "test_paid.py",
    "faults/test_fault_process.py",
    "training/test_training_ranks.py",
    "test_gen_gaps_run.py",
    "reproduce/test_reproduce_jobs.py",
    "lab/test_lab_tints.py",
    "distil/test_distil_pointing.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the files that take long before all others, which keep their order."""
    items.sort(key=lambda item: item.path.relative_to(TESTS).as_posix() not in LONG)


@pytest.fixture(scope="session")
def shared() -> Path:
    """Return the folder of shared data, or skip: it is no part of the project."""
    if not SHARED.is_dir():
        pytest.skip("no ../shared folder beside the project: its sample data cannot be read")
    return SHARED


@pytest.fixture(scope="session")
def shared_server() -> Iterator[Server]:
    """Have one server for all tests of a session."""
    with Server() as server:
        yield server


@pytest.fixture
def server(shared_server: Server) -> Server:
    """Return the server as it is at its start."""
    shared_server.reset()
    return shared_server


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    """Have a journal of the test's own."""
    with Journal(tmp_path / "journal.sqlite") as journal:
        yield journal
