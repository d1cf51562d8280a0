"""What all commands for people share: where the servers are, who asks, how answers are printed, and the exit codes.

0 done; 1 the answer is no; 2 an error, nothing happened; 3 a write whose outcome is unknown.

From the environment, with RAFTWERK_ or ETCDCTL_ before it: ENDPOINTS; USER (name, or name:password) and PASSWORD; CACERT, CERT
and KEY, files for TLS.
"""

import asyncio
import base64
import json
import os
import ssl
import sys
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Annotated, Any, Final

import typer
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from rich.console import Console
from rich.table import Table

from raftwerk.api import status
from raftwerk.client import Client, OutcomeUnknown
from raftwerk.client.calls import parse_endpoint
from raftwerk.client.channel import CONNECT_TIMEOUT_S
from raftwerk.errors import RaftwerkError, UsageError

Endpoints = Annotated[
    str,
    typer.Option(
        "--endpoints",
        envvar=["RAFTWERK_ENDPOINTS", "ETCDCTL_ENDPOINTS"],
        help="Client addresses, comma-separated.",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Machine-readable output.")]
DEFAULT = "127.0.0.1:2379"
PIPE_WIDTH = 10_000
INT64_MAX: Final = 2**63 - 1
"""Of revisions, times and leases; ids of members have a bit more."""
UINT64_MAX: Final = 2**64 - 1


def split(endpoints: str) -> list[str]:
    return [endpoint.strip() for endpoint in endpoints.split(",") if endpoint.strip()]


def run(
    endpoints: str, action: Callable[[Client], Awaitable[int]], timeout_s: float = 10.0
) -> None:
    """Run with a client, and exit with what `action` returns; errors become one line and their exit code."""

    async def with_client() -> int:
        await check_running(endpoints)
        async with connect(split(endpoints), timeout_s) as client:
            return await action(client)

    try:
        raise typer.Exit(asyncio.run(with_client()))
    except OutcomeUnknown as error:
        print(
            f"raftwerk: {error}: it may have happened, or may yet happen; look before you try again",
            file=sys.stderr,
        )
        raise typer.Exit(3) from error
    except RaftwerkError as error:
        text = str(error).removeprefix("raftwerk: ")
        if text == status.USER_EMPTY.text:
            text += ": set RAFTWERK_USER=name:password"
        print(f"raftwerk: {text}", file=sys.stderr)
        raise typer.Exit(2) from error
    except KeyboardInterrupt as error:
        raise typer.Exit(130) from error


async def check_running(endpoints: str) -> None:
    """Raises UsageError when nothing listens at any of the endpoints: waiting would not help."""
    addresses = [parse_endpoint(endpoint) for endpoint in split(endpoints)]
    for host, port in addresses:
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                _, writer = await asyncio.open_connection(host, port)
        except ConnectionRefusedError:
            continue
        except (OSError, TimeoutError):
            return  # the client knows better what to say
        writer.close()
        return
    if addresses:
        raise UsageError(
            f"nothing listens at {', '.join(map(str, addresses))}. If that is one member of a cluster, name the others, with "
            "--endpoints or RAFTWERK_ENDPOINTS; if there is none yet, 'raftwerk dev' starts three, 'raftwerk serve' one"
        )


def as_dict(message: Message) -> dict[str, Any]:
    """As in etcd's JSON: names of the proto files, bytes in base64, large numbers as strings."""
    return MessageToDict(message, preserving_proto_field_name=True)


def print_json(message: Message) -> None:
    print(json.dumps(as_dict(message)))


def table(*columns: str) -> Table:
    table = Table()
    for column in columns:
        table.add_column(column, overflow="fold")  # never cut a value short
    return table


def print_table(table: Table) -> None:
    """As wide as the terminal; into a pipe as wide as it takes."""
    console = Console()
    if not console.is_terminal:
        console.width = PIPE_WIDTH
    console.print(table)


def text_of(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return f"base64:{base64.b64encode(data).decode()}"


def from_environment(name: str) -> str:
    """RAFTWERK_name, or else ETCDCTL_name."""
    return os.environ.get(f"RAFTWERK_{name}") or os.environ.get(f"ETCDCTL_{name}") or ""


def credentials() -> tuple[str, str] | None:
    """Who asks."""
    user, colon, password = from_environment("USER").partition(":")
    if not user:
        return None
    return user, password if colon else from_environment("PASSWORD")


def tls_context() -> ssl.SSLContext | None:
    """Raises UsageError for files that cannot be used."""
    ca, certificate, key = (from_environment(name) for name in ("CACERT", "CERT", "KEY"))
    if not (ca or certificate):
        return None
    try:
        context = ssl.create_default_context(cafile=ca or None)
        if certificate:
            context.load_cert_chain(certificate, key or None)
    except (OSError, ssl.SSLError) as error:
        raise UsageError(f"the certificates cannot be used: {error}") from error
    return context


def connect(endpoints: Sequence[str], timeout_s: float = 10.0) -> Client:
    """A client for one command: without a session, which would cost a write more."""
    return Client(
        endpoints,
        timeout_s=timeout_s,
        exactly_once=False,
        credentials=credentials(),
        tls=tls_context(),
    )


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
