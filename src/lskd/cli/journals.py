"""The command that saves what can be read of a damaged journal of paid replies."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from lskd.cli.options import plain_errors
from lskd.run import JOURNAL


def salvage(
    where: Annotated[
        Path, typer.Argument(metavar="RUN", help="The run's folder, or the journal in it.")
    ],
) -> None:
    """Put what can be read of a damaged journal in its place, so that it is not bought again.

    For after a power failure or a bad disk, when a run says that its journal is damaged. The
    damaged file is kept beside the new one; the run then buys only the replies that are lost,
    whose price stays in its budget where that can be read.

    Example: lskd salvage out/photos
    """
    from lskd.chat.salvage import salvage as salvaged

    with plain_errors():
        path = where / JOURNAL if where.is_dir() else where
        found = salvaged(path)
        sys.stdout.write(
            f"{path}: {found.replies:,} replies are saved, and {found.unanswered:,} calls without "
            f"one; of {found.lost:,} of these the reply is lost. The damaged file is "
            f"{found.aside}\n"
        )
