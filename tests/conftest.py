"""What several tests share: where the data of the workplace lies, if it is there."""

from pathlib import Path

import pytest
from hypothesis import settings

# Two cores that others use too: a slow example is no defect.
settings.register_profile("lskd", deadline=None)
settings.load_profile("lskd")

SHARED = Path(__file__).parents[2] / "shared"


@pytest.fixture(scope="session")
def shared() -> Path:
    """Return the folder of shared data, or skip: it is no part of the project."""
    if not SHARED.is_dir():
        pytest.skip("no ../shared folder beside the project: its sample data cannot be read")
    return SHARED
