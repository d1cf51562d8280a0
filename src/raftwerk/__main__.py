"""python -m raftwerk: the same as the command."""

from raftwerk.cli.main import main

main()
