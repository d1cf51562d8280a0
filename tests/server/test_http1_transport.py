"""What waits at an HTTP/1.1 connection is told, and who takes nothing of it is cut off."""

import pytest

from raftwerk.server.http1_transport import PERIOD_S, WatchedTransport
from tests.server.fakes import FakeLoop, FakeTransport


class Watched:
    """A connection under watch. told: the bytes that waited, whenever they changed."""

    def __init__(self) -> None:
        self.loop = FakeLoop()
        self.socket = FakeTransport()
        self.told: list[int] = []
        self.transport = WatchedTransport(
            self.socket, self.loop, lambda connection, waiting: self.told.append(waiting)
        )

    def clog(self) -> None:
        """The socket takes nothing from now on."""
        self.socket.waiting_bytes = 1
        self.transport.write(b"x" * 99)


@pytest.fixture
def watched() -> Watched:
    return Watched()


def test_what_the_socket_takes_does_not_wait(watched: Watched) -> None:
    watched.transport.write(b"x" * 99)
    assert watched.socket.writes == [b"x" * 99]
    assert watched.told == []


def test_what_waits_is_told_with_what_is_held(watched: Watched) -> None:
    watched.transport.hold(1000)
    watched.clog()
    watched.transport.hold(1000)
    watched.socket.waiting_bytes = 40
    watched.transport.tell_waiting()
    watched.transport.hold(0)
    assert watched.told == [1000, 1100, 1040, 40]


def test_nothing_waits_at_a_lost_connection(watched: Watched) -> None:
    watched.clog()
    watched.transport.lost()
    watched.transport.hold(5)
    assert watched.told == [100, 0]
    assert watched.loop.timers == 0


def test_client_that_takes_no_byte_for_a_period_is_cut_off(watched: Watched) -> None:
    watched.clog()
    watched.loop.advance(PERIOD_S)
    assert not watched.socket.is_aborted
    watched.loop.advance(PERIOD_S)
    assert watched.socket.is_aborted


def test_slow_client_stays(watched: Watched) -> None:
    watched.clog()
    for waiting in range(99, 90, -1):
        watched.loop.advance(PERIOD_S)
        watched.socket.waiting_bytes = waiting
    assert not watched.socket.is_aborted
    assert watched.told == [100, *range(99, 91, -1)]


def test_client_for_whom_nothing_waits_stays(watched: Watched) -> None:
    watched.transport.write(b"x")
    watched.loop.advance(10 * PERIOD_S)
    assert not watched.socket.is_aborted
