"""Errors that a user can meet come whole from another process."""

import pickle

import pytest

from lskd import errors
from lskd.errors import MissingExtra, UserError
from lskd.studio.students import Busy
from lskd.training.processes import Left

PLAIN = [one for one in vars(errors).values() if isinstance(one, type) and one is not MissingExtra]
ERRORS: list[UserError] = [
    MissingExtra("--metrics", "prometheus-client", "metrics"),
    *(one("what was wrong") for one in (*PLAIN, Busy, Left) if issubclass(one, UserError)),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_an_error_comes_from_another_process_as_it_was_raised(error: UserError) -> None:
    heard = pickle.loads(pickle.dumps(error))
    assert type(heard) is type(error) and str(heard) == str(error)
    assert heard.exit_code == error.exit_code
