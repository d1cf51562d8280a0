"""Descriptors are kept back for the log and the store."""

import os
import resource
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from raftwerk.runtime.descriptors import RESERVED, allow_many, are_scarce, are_used_up


class Socket(NamedTuple):
    number: int

    def fileno(self) -> int:
        return self.number


class Connected:
    """A transport on a descriptor."""

    def __init__(self, number: int | None) -> None:
        self._socket = None if number is None else Socket(number)

    def get_extra_info(self, name: str) -> Socket | None:
        assert name == "socket"
        return self._socket


@pytest.fixture
def limits() -> Iterator[tuple[int, int]]:
    """Of this process, as they were, and as they are again afterwards."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield before
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.mark.parametrize(
    ("below_limit", "is_scarce"),
    [(RESERVED + 1, False), (RESERVED, True), (1, True)],
)
def test_last_descriptors_are_not_for_connections(
    limits: tuple[int, int], below_limit: int, is_scarce: bool
) -> None:
    assert are_scarce(Connected(limits[0] - below_limit)) is is_scarce  # type: ignore[arg-type]


def test_connection_without_a_socket_needs_none() -> None:
    assert not are_scarce(Connected(None))  # type: ignore[arg-type]


def test_limit_counts_as_it_is_now(limits: tuple[int, int]) -> None:
    high = max(int(path.name) for path in Path("/proc/self/fd").iterdir()) + RESERVED + 50
    resource.setrlimit(resource.RLIMIT_NOFILE, (high, limits[1]))
    assert are_scarce(Connected(high - RESERVED))  # type: ignore[arg-type]
    assert not are_scarce(Connected(high - RESERVED - 1))  # type: ignore[arg-type]


def test_before_a_handshake_all_that_are_open_count(limits: tuple[int, int]) -> None:
    """Whatever is free below: a connection of the same burst that was refused has just given it back."""
    held = [os.open(os.devnull, os.O_RDONLY) for _ in range(RESERVED)]
    while len(held) > RESERVED // 2:
        os.close(held.pop(0))
    count = len(list(Path("/proc/self/fd").iterdir())) - 1
    for limit, is_used_up in ((count + RESERVED, True), (count + RESERVED + 1, False)):
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limits[1]))
        assert are_used_up() is is_used_up
    for descriptor in held:
        os.close(descriptor)


def test_before_a_handshake_without_any_descriptor(limits: tuple[int, int]) -> None:
    with Path("/dev/null").open("rb") as file:
        lowest = file.fileno()
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest, limits[1]))
    assert are_used_up()


def test_server_allows_itself_what_the_system_does(limits: tuple[int, int]) -> None:
    soft, hard = limits
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft - 1, hard))
    allow_many()
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == (hard, hard)
