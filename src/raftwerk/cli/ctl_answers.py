"""How commands that ask one thing print the answer: a line that says that it is done, the answer as JSON, or what is in it."""

from collections.abc import Awaitable, Callable, Iterable
from typing import Any, TypeVar

from google.protobuf.message import Message

from raftwerk.cli.ctl_shell import Shell, as_dict, print_dict, printable
from raftwerk.client import Client
from raftwerk.client.fate import Kind

M = TypeVar("M", bound=Message)


def do(
    shell: Shell,
    said: str,
    action: Callable[[Client], Awaitable[object]],
    first: Callable[[], object] = lambda: None,
) -> None:
    """Print `said` when it is done. first: as for Shell.run."""

    async def done(client: Client) -> int:
        await action(client)
        print(printable(said))
        return 0

    shell.run(done, first=first)


def read(path: str, request: Message, kind: type[M]) -> Callable[[Client], Awaitable[M]]:
    """A request that changes nothing, for its whole answer: the methods of a client return what is in it."""
    return lambda client: client.calls.unary(path, request.SerializeToString(), kind, Kind.READ)


def show(
    shell: Shell,
    ask: Callable[[Client], Awaitable[M]],
    lines: Callable[[M], Iterable[str]],
    *,
    as_json: bool,
    fields: Callable[[M], dict[str, Any]] = as_dict,
) -> None:
    """Print the lines that people want of an answer, or with as_json all its fields."""

    async def shown(client: Client) -> int:
        answer = await ask(client)
        if as_json:
            print_dict(fields(answer))
        else:
            for line in lines(answer):
                print(printable(line))
        return 0

    shell.run(shown)
