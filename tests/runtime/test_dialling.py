"""Connections to a name with several places."""

import asyncio
import errno
import socket
from collections.abc import Sequence
from typing import Any

import pytest

from raftwerk.runtime.addresses import Address
from raftwerk.runtime.dialling import reach

NAME = "several.example"
REFUSING = ("127.0.0.2", 1)
UNREACHABLE = ("255.255.255.255", 1)
"""No connection can be made to all at once."""


class Resolving(asyncio.SelectorEventLoop):
    """Knows one name."""

    def __init__(self, places: Sequence[tuple[str, int]]) -> None:
        super().__init__()
        self._places = places

    async def getaddrinfo(self, host: Any, port: Any, **_: Any) -> list[Any]:
        assert (host, port) == (NAME, 7)
        stream = (socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "")
        return [(*stream, place) for place in self._places]


def reached(*places: tuple[str, int]) -> tuple[str, int]:
    """Which of them is connected to."""
    with (
        asyncio.Runner(loop_factory=lambda: Resolving(places)) as runner,
        runner.run(reach(Address(NAME, 7))) as connected,
    ):
        peer: tuple[str, int] = connected.getpeername()
        return peer


def test_the_first_place_that_takes_it_is_reached() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        there = server.getsockname()
        assert reached(REFUSING, UNREACHABLE, there) == there


@pytest.mark.parametrize(
    "places",
    [[REFUSING], [REFUSING, ("127.0.0.3", 1)], [UNREACHABLE, REFUSING], [REFUSING, UNREACHABLE]],
    ids=["one", "two", "the last one", "the first one"],
)
def test_a_name_at_which_nothing_listens_is_refused(places: list[tuple[str, int]]) -> None:
    with pytest.raises(ConnectionRefusedError, match="Connection refused"):
        reached(*places)


def test_any_other_trouble_is_told_as_it_is() -> None:
    with pytest.raises(OSError, match="Network is unreachable") as caught:
        reached(UNREACHABLE, UNREACHABLE)
    assert caught.value.errno == errno.ENETUNREACH


def test_numbers_are_not_looked_up() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        asyncio.Runner(loop_factory=lambda: Resolving(())) as runner,
        runner.run(reach(Address(*server.getsockname()))) as connected,
    ):
        assert connected.getpeername() == server.getsockname()
