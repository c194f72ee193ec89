"""Commands as a user types them, done in this process: to fork one takes a second of a processor.

A command that is killed, that serves, that is watched at work or that is one of several needs a
process of its own: see `forked`. A warning is an error here, as everywhere in the tests.
"""

import contextlib
from pathlib import Path

from typer.testing import CliRunner

from forked import Ended
from lskd.cli import app


def lskd(*words: str | Path, folder: Path, **variables: str) -> Ended:
    """Run a command in `folder` and return what it printed; a defect is raised."""
    said = [str(word) for word in words]
    with contextlib.chdir(folder):
        done = CliRunner().invoke(app, said, prog_name="lskd", env={"COLUMNS": "200", **variables})
    if done.exit_code == 1 and done.exception is not None:
        raise done.exception
    return Ended(said, done.exit_code, done.stdout, done.stderr)
