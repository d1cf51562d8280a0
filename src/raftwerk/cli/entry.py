"""Where the process of the command begins: it can be interrupted while the rest is still being loaded, which takes a moment."""

import signal


def main() -> None:
    """Entry point. Until everything is loaded, Ctrl-C ends the process as it ends one in C: at once, and without a word."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    from raftwerk.cli import main as command

    command.main()
