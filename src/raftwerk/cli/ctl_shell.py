"""What all commands for people share: where the servers are, who asks, how answers are printed, and the exit codes.

0 done; 1 the answer is no; 2 an error, nothing happened; 3 a write whose outcome is unknown.

A command that talks to a cluster takes a Shell first, and is decorated with @connected: Shell's fields are options of it then.
"""

import asyncio
import base64
import functools
import inspect
import json
import os
import ssl
import sys
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, fields, replace
from typing import Annotated, Any, Concatenate, Final, NoReturn, ParamSpec

import typer
from google.protobuf.message import Message

from raftwerk.api import status
from raftwerk.cli import ctl_tls, go_duration
from raftwerk.cli.patience import tell_of_waiting
from raftwerk.cli.runner import run_loop
from raftwerk.client import CallError, Client, OutcomeUnknown
from raftwerk.client.connection import CONNECT_TIMEOUT_S
from raftwerk.client.endpoints import parse_endpoint
from raftwerk.client.ranges import FROM_KEY, bounds, prefix_end
from raftwerk.errors import RaftwerkError, UsageError
from raftwerk.runtime.dialling import reach

AsJson = Annotated[bool, typer.Option("--json", help="Machine-readable output.")]
Prefix = Annotated[bool, typer.Option("--prefix", help="All keys that begin with KEY.")]
FromKey = Annotated[bool, typer.Option("--from-key", help="KEY, and all keys after it.")]
PrevKv = Annotated[bool, typer.Option("--prev-kv", help="What was there before, too.")]
End = Annotated[
    str | None, typer.Argument(metavar="END", help="All keys from KEY up to, not including, END.")
]
HexId = Annotated[str, typer.Argument(metavar="ID", help="In hex, as it is printed.")]
PIPE_WIDTH = 10_000
INT64_MAX: Final = 2**63 - 1
"""Of revisions, times and leases; ids of members have a bit more."""
UINT64_MAX: Final = 2**64 - 1
COMMAND_TIMEOUT_S: Final = 10.0
EXPLAIN_S: Final = 1.0
NO_LEADER: Final = (
    "the member that answers knows no leader: most members may be down; see 'raftwerk status'"
)
NO_ANSWER: Final = (status.DEADLINE_EXCEEDED, status.UNAVAILABLE)
IN_DOUBT: Final = "it may have happened, or may yet happen; look before you try again"

P = ParamSpec("P")


def _option(name: str, meaning: str) -> Any:
    """One that is in the environment too, with RAFTWERK_ or ETCDCTL_ before it."""
    variable = name.upper().replace("-", "_")
    return typer.Option(
        f"--{name}",
        envvar=[f"RAFTWERK_{variable}", f"ETCDCTL_{variable}"],
        show_envvar=False,
        help=meaning,
        rich_help_panel="Where, and who (also from RAFTWERK_* or ETCDCTL_* of the same name)",
    )


@dataclass(frozen=True)
class Shell:
    """The options of all commands that talk to a cluster, and how that is done."""

    endpoints: Annotated[str, _option("endpoints", "Client addresses, comma-separated.")] = (
        "127.0.0.1:2379"
    )
    user: Annotated[str, _option("user", "NAME, or NAME:PASSWORD.")] = ""
    password: Annotated[str, _option("password", "If it is not in --user.")] = ""
    ca_file: Annotated[str, _option("cacert", "Who signs the servers' certificates.")] = ""
    cert_file: Annotated[str, _option("cert", "The client's certificate.")] = ""
    key_file: Annotated[str, _option("key", "The key of the client's certificate.")] = ""
    command_timeout: Annotated[
        str, _option("command-timeout", "Of each request, in seconds or like 1m30s.")
    ] = ""

    @property
    def addresses(self) -> list[str]:
        """The endpoints, one by one."""
        return [endpoint.strip() for endpoint in self.endpoints.split(",") if endpoint.strip()]

    @functools.cached_property
    def credentials(self) -> tuple[str, str] | None:
        """Who asks. A password that is nowhere is asked for on a terminal. Raises UsageError."""
        name, colon, password = self.user.partition(":")
        if not name:
            if self.password:
                raise UsageError("--password needs --user")
            return None
        if self.password or colon:
            return name, self.password or password
        if not sys.stdin.isatty():
            raise UsageError(
                f"the password of {name} is needed: --password, or --user {name}:PASSWORD"
            )
        return name, typer.prompt(f"Password of {name}", hide_input=True, err=True)

    def tls_context(self) -> ssl.SSLContext | None:
        """Raises UsageError for files that cannot be used."""
        return ctl_tls.context_of(self.ca_file, self.cert_file, self.key_file)

    def timeout_s(self, default_s: float = COMMAND_TIMEOUT_S) -> float:
        """Raises UsageError."""
        text = self.command_timeout
        if not text:
            return default_s
        try:
            found_s = float(text)
        except ValueError:
            found_s = go_duration.seconds(text)
        if not 0 < found_s < float("inf"):
            raise UsageError(f"--command-timeout must be more than nothing, not {text}")
        return found_s

    def connect(
        self, endpoints: Sequence[str] | None = None, timeout_s: float = COMMAND_TIMEOUT_S
    ) -> Client:
        """A client for one command: without a session, which would cost a write more. timeout_s: unless another was given."""
        return Client(
            self.addresses if endpoints is None else endpoints,
            timeout_s=self.timeout_s(timeout_s),
            exactly_once=False,
            tls=self.tls_context(),
            credentials=self.credentials,  # last: it may be asked for
        )

    def run(
        self,
        action: Callable[[Client], Awaitable[int]],
        timeout_s: float = COMMAND_TIMEOUT_S,
        *,
        first: Callable[[], object] = lambda: None,
        goes_on: str = "",
    ) -> None:
        """Run with a client, and exit with what `action` returns; errors as in `end_with`.

        first: what the user is asked for, when a server is known to be there.
        goes_on: name of a command that takes as long as it takes, and tells of its waiting.
        """

        async def with_client(client: Client) -> int:
            telling = self._tell_of_waiting(client, goes_on) if goes_on else None
            async with client:
                try:
                    return await action(client)
                except CallError as error:
                    if error.code in NO_ANSWER and await self._knows_no_leader():
                        error.add_note(NO_LEADER)
                    raise
                finally:
                    if telling is not None:
                        telling.cancel()

        def check_and_run() -> int:
            run_loop(check_running(self.addresses))
            client = self.connect(timeout_s=timeout_s)  # outside of a loop, which would hear Ctrl-C
            first()
            try:
                return run_loop(with_client(client))
            except KeyboardInterrupt:
                if client.calls.was_left_in_doubt:
                    print(f"raftwerk: interrupted: {IN_DOUBT}", file=sys.stderr)
                raise

        end_with(check_and_run)

    def _tell_of_waiting(self, client: Client, name: str) -> "asyncio.Task[None]":
        async def why() -> str:
            return NO_LEADER if await self._knows_no_leader() else client.calls.trouble

        whom = ", ".join(self.addresses)
        return asyncio.create_task(tell_of_waiting(name, whom, lambda: client.calls.trouble, why))

    async def _knows_no_leader(self) -> bool:
        """The endpoint that answers."""
        with suppress(RaftwerkError):
            async with self.connect() as client:
                client.calls.timeout_s = EXPLAIN_S
                return not (await client.status()).leader
        return False


def end_with(action: Callable[[], int]) -> NoReturn:
    """Exit with what it returns; errors become one line and their exit code."""
    try:
        raise typer.Exit(action())
    except OutcomeUnknown as error:
        print(f"raftwerk: {error}: {IN_DOUBT}", file=sys.stderr)
        _print_notes(error)
        raise typer.Exit(3) from error
    except RaftwerkError as error:
        text = str(error).removeprefix("raftwerk: ")
        if text == status.USER_EMPTY.text:
            text += ": say who asks, with --user NAME:PASSWORD or RAFTWERK_USER=NAME:PASSWORD"
        print(f"raftwerk: {text}", file=sys.stderr)
        _print_notes(error)
        raise typer.Exit(2) from error


def _print_notes(error: RaftwerkError) -> None:
    for note in getattr(error, "__notes__", ()):
        print(f"raftwerk: {note}", file=sys.stderr)


_OPTIONS: Final = [
    inspect.Parameter(
        field.name, inspect.Parameter.KEYWORD_ONLY, default=field.default, annotation=field.type
    )
    for field in fields(Shell)
]
_CONTEXT: Final = inspect.Parameter(
    "context", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context
)


def connected(command: Callable[Concatenate[Shell, P], None]) -> Callable[..., None]:
    """The command as typer sees it: the options of Shell come after its own."""
    own = inspect.signature(command)
    call: Callable[..., None] = command

    @functools.wraps(command)
    def with_options(context: typer.Context, **given: Any) -> None:
        shell = Shell(**{option.name: given.pop(option.name) for option in _OPTIONS})
        source = context.get_parameter_source("password")
        is_from_environment = source is not None and source.name == "ENVIRONMENT"
        if is_from_environment and (not shell.user or ":" in shell.user):
            shell = replace(shell, password="")  # what is there is for a name that has none
        call(shell, **given)

    parameters = [*own.parameters.values()][1:]
    with_options.__signature__ = own.replace(  # type: ignore[attr-defined]
        parameters=[*parameters, *_OPTIONS, _CONTEXT]
    )
    return with_options


async def check_running(endpoints: Sequence[str]) -> None:
    """Raises UsageError when nothing listens at any of the endpoints: waiting would not help."""
    addresses = [parse_endpoint(endpoint) for endpoint in endpoints]
    for endpoint in endpoints:
        if not await is_refused(endpoint):
            return  # of other troubles the client knows better what to say
    if addresses:
        raise UsageError(
            f"nothing listens at {', '.join(map(str, addresses))}. If that is one member of a cluster, name the others, with "
            "--endpoints or RAFTWERK_ENDPOINTS; if there is none yet, 'raftwerk dev' starts three, 'raftwerk serve' one"
        )


async def is_refused(endpoint: str) -> bool:
    """Whether nothing listens there, as far as that can be known at once."""
    try:
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            (await reach(parse_endpoint(endpoint))).close()
    except (OSError, TimeoutError) as error:
        return isinstance(error, ConnectionRefusedError)
    return False


def standard_input() -> bytes:
    """All of it. Raises BadParameter when it was closed from the beginning: nothing is meant by that."""
    if sys.__stdin__ is None:
        raise typer.BadParameter("standard input is closed")
    return sys.stdin.buffer.read()


def key_range(
    key: str, end: str | None = None, *, prefix: bool = False, from_key: bool = False
) -> tuple[bytes, bytes]:
    """(key, range_end) of a request. Raises BadParameter when it is said twice where the range ends."""
    if (end is not None) + prefix + from_key > 1:
        raise typer.BadParameter("only one of END, --prefix and --from-key says where a range ends")
    start = os.fsencode(key)
    if from_key:
        return start or FROM_KEY, FROM_KEY
    return bounds(start, os.fsencode(end or ""), prefix=prefix)


def range_text(key: bytes, range_end: bytes) -> str:
    """As it is asked for: KEY, KEY END, KEY --prefix or KEY --from-key."""
    if (key, range_end) == (FROM_KEY, FROM_KEY):
        return '"" --prefix'
    if range_end == FROM_KEY:
        return f"{text_of(key)} --from-key"
    if range_end and range_end == prefix_end(key):
        return f"{text_of(key)} --prefix"
    return f"{text_of(key)} {text_of(range_end)}".rstrip()


def as_dict(message: Message) -> dict[str, Any]:
    """As in etcd's JSON: names of the proto files, bytes in base64, numbers of 64 bits, so ids too, as decimal strings."""
    from google.protobuf.json_format import MessageToDict  # not for every command

    return MessageToDict(message, preserving_proto_field_name=True)


def print_json(message: Message) -> None:
    """An answer is printed whole, its header too, by every command."""
    print_dict(as_dict(message))


def print_dict(fields: dict[str, Any]) -> None:
    print(json.dumps(fields))


def print_table(columns: Sequence[str], rows: Iterable[Sequence[str | tuple[str, str]]]) -> None:
    """As wide as the terminal; into a pipe as wide as it takes. A cell is a text, or a text and its colour."""
    from rich.console import Console  # for tables alone
    from rich.table import Table
    from rich.text import Text

    table = Table()
    for column in columns:
        table.add_column(column, overflow="fold")  # never cut a value short
    for row in rows:
        cells = ((cell, "") if isinstance(cell, str) else cell for cell in row)
        table.add_row(*(Text(printable(cell), colour) for cell, colour in cells))
    console = Console()
    if not console.is_terminal:
        console.width = PIPE_WIDTH
    console.print(table)


def printable(text: str) -> str:
    """What a terminal would obey, or break a line at, is shown as Python writes it.

    >>> printable("no\\x1b[31mred")
    'no\\\\x1b[31mred'
    """
    return "".join(
        one if one.isprintable() else one.encode("unicode_escape").decode() for one in text
    )


def text_of(data: bytes, *, is_one_line: bool = False) -> str:
    """is_one_line: nothing in it may begin another one, or steer the terminal."""
    with suppress(UnicodeDecodeError):
        text = data.decode()
        if text.isprintable() or not is_one_line:
            return text
    return f"base64:{base64.b64encode(data).decode()}"


def lease_id(text: str) -> int:
    """As it is printed: in hex. Raises BadParameter."""
    return _number(text, INT64_MAX, "a lease is a number in hex, like 694d71ddacfda227")


def member_id(text: str) -> int:
    """As it is printed: in hex. Raises BadParameter."""
    return _number(text, UINT64_MAX, "a member is a number in hex, like 8e9e05c52164694d")


def _number(text: str, at_most: int, expected: str) -> int:
    with suppress(ValueError):
        number = int(text, 16)
        if 0 <= number <= at_most:
            return number
    raise typer.BadParameter(f"{text!r}: {expected}")
