"""The command `raftwerk`."""

import signal
import sys
from pathlib import Path
from typing import Annotated

import typer

from raftwerk import __version__
from raftwerk.cli import (
    bench,
    conformance,
    ctl,
    ctl_admin,
    ctl_live,
    ctl_snapshot,
    ctl_txn,
    demo,
    dev,
    explore,
    inspect,
    serve,
    sim,
)

app = typer.Typer(
    help="Raft for Python: a replicated, durable key-value store that etcd v3 clients use unchanged.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
)


def _print_version(is_wanted: bool) -> None:
    if is_wanted:
        print(f"raftwerk {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    """What stands before the command."""


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


@app.command("dev")
def dev_command(
    nodes: Annotated[int, typer.Option(help="How many nodes.")] = 3,
    data_dir: Annotated[Path, typer.Option(help="Data and logs; kept for the next start.")] = Path(
        "raftwerk-data"
    ),
    base_port: Annotated[
        int, typer.Option(help="Client port of the first node; the others: +20000, +30000, ...")
    ] = 2379,
) -> None:
    """Run a cluster of real processes on this machine, until Ctrl-C."""
    raise typer.Exit(dev.run(nodes, data_dir, base_port))


@app.command("demo")
def demo_command() -> None:
    """A tour that ends by itself: three nodes, real records, a crash half-way, nothing lost."""
    raise typer.Exit(demo.run())


@app.command("inspect")
def inspect_command(
    folder: Annotated[Path, typer.Argument(help="A member's data folder.")],
    entries: Annotated[int, typer.Option(help="How many of the last entries to print.")] = 20,
) -> None:
    """Look into a data folder, read-only: what is there, and what is damaged."""
    raise typer.Exit(inspect.run(folder, entries_max=entries))


app.command("sim")(sim.sim)
app.command("explore")(explore.explore)
app.command("bench")(bench.bench)
app.command("conformance")(conformance.conformance)
app.command("put")(ctl.put)
app.command("get")(ctl.get)
app.command("del")(ctl.delete)
app.command("status")(ctl.status)
app.command("members")(ctl.members)
app.command("txn")(ctl_txn.txn)
app.command("watch")(ctl_live.watch)
app.command("lock")(ctl_live.lock)
app.command("elect")(ctl_live.elect)
app.command("compact")(ctl_admin.compact)
app.command("move-leader")(ctl_admin.move_leader)
app.add_typer(ctl_live.lease, name="lease")
app.add_typer(ctl_admin.member, name="member")
app.add_typer(ctl_snapshot.snapshot, name="snapshot")
app.add_typer(ctl_admin.alarm, name="alarm")
app.add_typer(ctl_admin.user, name="user")
app.add_typer(ctl_admin.role, name="role")
app.add_typer(ctl_admin.auth, name="auth")


@app.command("version")
def version_command() -> None:
    """Print the version."""
    _print_version(True)


def main() -> None:
    """Entry point of the command: carries out sys.argv, and ends the process with the exit code."""
    if not __debug__:
        print(
            "raftwerk: refuses to run without assertions (python -O, PYTHONOPTIMIZE): they guard the data",
            file=sys.stderr,
        )
        sys.exit(2)
    if sys.argv[1:2] == ["serve"]:
        # Not through typer, which would take etcd's single-dash flags apart
        sys.exit(serve.main(sys.argv[2:]))
    signal.signal(
        signal.SIGINT, signal.default_int_handler
    )  # commands for people end what they began
    app(prog_name="raftwerk")
