"""What waits to be read is bounded over all connections."""

from raftwerk.server.backlog import Backlog, Reading


class Connection:
    def __init__(self) -> None:
        self.is_aborted = False

    def abort(self) -> None:
        self.is_aborted = True


def test_only_the_connection_that_holds_most_is_closed() -> None:
    """Also when it is another that goes beyond the bound."""
    backlog = Backlog(bytes_max=100)
    small, large, last = Connection(), Connection(), Connection()
    assert [backlog.tell(small, 30), backlog.tell(large, 50), backlog.tell(last, 20)] == [0, 0, 0]
    assert backlog.tell(last, 21) == 1
    assert [one.is_aborted for one in (small, large, last)] == [False, True, False]
    assert backlog.total_bytes == 51
    backlog.tell(large, 0)  # it is lost now
    assert backlog.total_bytes == 51


def test_what_was_read_counts_no_more() -> None:
    backlog = Backlog(bytes_max=100)
    connections = [Connection() for _ in range(10)]
    for connection in connections:
        backlog.tell(connection, 90)
        backlog.tell(connection, 5)
        backlog.tell(connection, 0)
    assert backlog.total_bytes == 0
    assert not any(connection.is_aborted for connection in connections)


def test_one_that_holds_too_much_alone_is_closed_itself() -> None:
    backlog = Backlog(bytes_max=100)
    connection = Connection()
    assert backlog.tell(connection, 101) == 1
    assert connection.is_aborted
    assert backlog.total_bytes == 0


def test_client_has_stalled_when_something_waited_and_nothing_was_taken() -> None:
    reading = Reading()
    looks = [(0, 0), (100, 60), (100, 60), (100, 59), (200, 159), (200, 0), (200, 0), (300, 100)]
    assert [reading.has_stalled(*look) for look in looks] == [
        *(False, False, True, False),
        *(True, False, False, False),
    ]
