"""python -m raftwerk.cli: the same as the command."""

from raftwerk.cli.entry import main

main()
