"""Where the process of the command begins: it can be interrupted while the rest is still being loaded, which takes a moment."""

import signal
import sys

from raftwerk.cli.streams import standard_streams


def main() -> None:
    """Entry point. Until everything is loaded, Ctrl-C ends the process as it ends one in C: at once, and without a word."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    with standard_streams():
        _run()


def _run() -> None:
    if not __debug__:
        print(
            "raftwerk: refuses to run without assertions (python -O, PYTHONOPTIMIZE): they guard the data",
            file=sys.stderr,
        )
        sys.exit(2)
    if sys.argv[1:2] == ["serve"]:
        # Not through typer, which would take etcd's single-dash flags apart
        from raftwerk.cli import serve

        sys.exit(serve.main(sys.argv[2:]))
    from raftwerk.cli import main as command

    command.main()
