"""The command `raftwerk`."""

import os
import signal
import sys
from collections import UserDict
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from typer.core import TyperGroup
from typer.main import get_command, get_group

from raftwerk import __version__
from raftwerk.cli.completion import ServeCommand, keep_flags, part_values
from raftwerk.cli.go_flags import plain_flags
from raftwerk.cli.habits import hints
from raftwerk.cli.streams import NOBODY_READS, UNPRINTED

PLACES: Final = {
    "sim": "sim:sim",
    "explore": "explore:explore",
    "bench": "bench:bench",
    "conformance": "conformance:conformance",
    "put": "ctl:put",
    "get": "ctl:get",
    "del": "ctl:delete",
    "status": "ctl:status",
    "members": "ctl_admin:member_list",
    "txn": "ctl_txn:txn",
    "watch": "ctl_live:watch",
    "lock": "ctl_live:lock",
    "elect": "ctl_live:elect",
    "compact": "ctl_admin:compact",
    "move-leader": "ctl_admin:move_leader",
    "lease": "ctl_live:lease",
    "member": "ctl_admin:member",
    "snapshot": "ctl_snapshot:snapshot",
    "alarm": "ctl_admin:alarm",
    "user": "ctl_auth:user",
    "role": "ctl_auth:role",
    "auth": "ctl_auth:auth",
}
"""Where the commands are that have modules of their own: a function, or a group of further commands."""


REFUSAL: Final = typer.BadParameter.__mro__[1]
"""Of a command line that cannot be taken apart. (typer has no name for it; BadParameter is the one of values that cannot be.)"""
INTERRUPTED: Final = 130
EXIT_CODES: Final = (
    "Exit codes: 0 done; 1 the answer is no (no such key); 2 an error, and nothing happened; 3 a write whose outcome is unknown; "
    f"{UNPRINTED} the answer cannot be printed (a full disk), whatever was done; {NOBODY_READS} nobody reads it to its end; "
    f"{INTERRUPTED} and 143 ended by Ctrl-C or SIGTERM. A lock ends with the code of its command."
)


class Commands(UserDict[str, Any]):
    """By name; loaded when one is looked at, for all together take a second: a server needs no simulator."""

    def __getitem__(self, name: str) -> Any:
        command = self.data[name]
        if isinstance(command, str):
            command = self.data[name] = _load(name, command)
        return command


def _load(name: str, place: str) -> Any:
    module, _, found_as = place.partition(":")
    found = getattr(import_module(f"raftwerk.cli.{module}"), found_as)
    if isinstance(found, typer.Typer):
        command: Any = get_group(found)
    else:
        alone = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
        alone.command()(found)
        command = get_command(alone)
    command.name = name
    return command


class OnDemand(TyperGroup):
    """A group whose commands are loaded on demand."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self.commands = Commands({**self.commands, **PLACES})

    def main(self, *arguments: Any, **more: Any) -> Any:
        """What was typed, or what the shell asks about what is being typed."""
        part_values(os.environ)
        if "_RAFTWERK_COMPLETE" in os.environ:
            keep_flags()
        return super().main(*arguments, **more)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Raises BadParameter for a flag that is neither true nor false."""
        return super().parse_args(ctx, args if ctx.resilient_parsing else plain_flags(self, args))

    def invoke(self, ctx: Any) -> Any:
        """Ctrl-C ends any command without a word; so does the end of the input, where something is asked for, with one."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as error:
            raise typer.Exit(INTERRUPTED) from error
        except typer.Abort as error:
            if isinstance(error.__context__, KeyboardInterrupt):
                raise typer.Exit(INTERRUPTED) from error
            print("raftwerk: the input ended before the answer", file=sys.stderr)
            raise typer.Exit(2) from error


app = typer.Typer(
    cls=OnDemand,
    epilog=EXIT_CODES,
    help="Raft for Python: a replicated, durable key-value store that etcd v3 clients use unchanged.",
    context_settings={"help_option_names": ["--help", "-h"]},
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
    cls=ServeCommand,
    context_settings={
        "ignore_unknown_options": True,
        "allow_extra_args": True,
        "help_option_names": [],
    },
    short_help="Run one member (takes etcd's flags).",
)
def serve_command(context: typer.Context) -> None:
    """Run one member (takes etcd's flags)."""
    from raftwerk.cli import serve

    raise typer.Exit(serve.main(context.args))


@app.command("dev")
def dev_command(
    nodes: Annotated[
        int | None, typer.Option(help="How many nodes; 3, or as many as the data are of.")
    ] = None,
    data_dir: Annotated[Path, typer.Option(help="Data and logs; kept for the next start.")] = Path(
        "raftwerk-data"
    ),
    base_port: Annotated[
        int | None,
        typer.Option(
            help="Client port of the first node; 2379, or as it was. The others: +20000, +30000, ... With three nodes, 1024 to "
            "2766: those above need ports that Linux gives to connections that go out, too, and that can be taken by chance."
        ),
    ] = None,
) -> None:
    """Run a cluster of real processes on this machine, until Ctrl-C.

    Exit code 0: so it ended; 1: a node could not start, or all have ended; 2: none was started (a port is taken, the data
    are of another cluster).
    """
    from raftwerk.cli import dev

    raise typer.Exit(dev.run(nodes, data_dir, base_port))


@app.command("demo")
def demo_command() -> None:
    """A tour that ends by itself: three nodes, real records, a crash half-way, nothing lost."""
    from raftwerk.cli import demo

    raise typer.Exit(demo.run())


@app.command("inspect")
def inspect_command(
    folder: Annotated[Path, typer.Argument(help="A member's data folder.")],
    entries: Annotated[int, typer.Option(help="How many of the last entries to print.")] = 20,
) -> None:
    """Look into a data folder, read-only: what is there, and what is damaged.

    Exit code 0: all is well; 1: something is damaged or missing; 2: it is no data folder.
    """
    from raftwerk.cli import inspect

    raise typer.Exit(inspect.run(folder, entries_max=entries))


@app.command("version")
def version_command() -> None:
    """Print the version."""
    _print_version(True)


def main() -> None:
    """Carries out sys.argv, and ends the process with the exit code."""
    signal.signal(
        signal.SIGINT, signal.default_int_handler
    )  # commands for people end what they began
    try:
        app(prog_name="raftwerk")
    except SystemExit as end:
        refusal = end.__context__
        if isinstance(refusal, REFUSAL) and not isinstance(refusal, typer.BadParameter):
            for hint in hints(sys.argv[1:]):
                print(f"raftwerk: {hint}", file=sys.stderr)
        raise
