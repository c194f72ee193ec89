"""`python -m lskd`."""

from lskd.cli import main

main()
