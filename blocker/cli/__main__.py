"""`python -m blocker.cli` is `blocker`."""

from blocker.cli import main

main()
