"""`lskd`, also as `python -m lskd`."""

import sys

INTERRUPTED = 130


def main() -> None:
    """Run the command line; an interrupt while it is being loaded ends without a traceback."""
    try:
        from lskd.cli import app
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    app()


if __name__ == "__main__":
    main()
