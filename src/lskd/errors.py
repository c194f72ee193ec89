"""The errors that a user can meet, with their exit codes; all are one line.

```
UserError         2  a setting, a path or a file is wrong: what, what was given, what would be right
├── MissingExtra  2  a library is not installed: which `pip install` brings it
├── EndpointError 4  a server is down, or refuses the key or the model: nothing can be asked of it
├── JudgmentsNeeded 5 the critic waits for people: where the triples to be judged are
└── BudgetReached 3  the next reply could cost more than `max_price` or `max_tokens` allows
```
"""

from pathlib import Path


class UserError(Exception):
    """Something that the user can put right; its text is one line and is all that is printed."""

    exit_code = 2


def cannot_write(file: Path, error: OSError) -> UserError:
    """Return what to tell where the disk is full, or a file or folder cannot be written."""
    return UserError(
        f"cannot write {file}: {error.strerror or error}; what was finished is kept, and the same "
        "command goes on once this is mended"
    )


class MissingExtra(UserError):
    """A library that a setting asks for is not installed."""

    def __init__(self, wanted: str, library: str, extra: str) -> None:
        super().__init__(f"{wanted} needs {library}: pip install 'lskd[{extra}]'")
        self._given = wanted, library, extra

    def __reduce__(self) -> tuple[type["MissingExtra"], tuple[str, str, str]]:
        """Return what it is made from again where another process hears of it."""
        return MissingExtra, self._given


class BudgetReached(UserError):
    """The next reply could overspend the budget; what was paid for is kept."""

    exit_code = 3


class JudgmentsNeeded(UserError):
    """The critic cannot be fitted before people have judged a sample of triples."""

    exit_code = 5


class EndpointError(UserError):
    """A server cannot be used at all: it is down, or refuses the key or the model."""

    exit_code = 4
