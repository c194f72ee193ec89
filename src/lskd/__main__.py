"""`lskd`, also as `python -m lskd`."""

import gc
import sys

INTERRUPTED = 130
# Libraries make millions of objects while they are loaded, and none is garbage: looking for it
# after every 700 takes a tenth of the time of that.
ALLOCATIONS = 50_000


def main() -> None:
    """Run the command line; an interrupt while it is being loaded ends without a traceback."""
    gc.set_threshold(ALLOCATIONS)
    try:
        from lskd.cli import app
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    app()


if __name__ == "__main__":
    main()
