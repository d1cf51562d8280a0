"""The command `raftwerk`."""

import sys

import typer

from raftwerk import __version__
from raftwerk.cli import serve

app = typer.Typer(
    help="Raft for Python: a replicated, durable key-value store that etcd v3 clients use unchanged.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
)


@app.command(
    "serve",
    context_settings={
        "ignore_unknown_options": True,
        "allow_extra_args": True,
        "help_option_names": [],
    },
    short_help="Run one member (takes etcd's flags).",
)
def serve_command(context: typer.Context) -> None:
    """Run one member (takes etcd's flags)."""
    raise typer.Exit(serve.main(context.args))


@app.command("version")
def version_command() -> None:
    """Print the version."""
    print(f"raftwerk {__version__}")


def main() -> None:
    """Entry point of the command."""
    if sys.argv[1:2] == ["serve"]:
        # Not through typer, which would take etcd's single-dash flags apart
        sys.exit(serve.main(sys.argv[2:]))
    app()
