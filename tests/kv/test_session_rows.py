"""The rows of sessions and of their results: written for a checkpoint, and what a restart finds there."""

import pytest

from raftwerk.kv.results import KvError
from raftwerk.kv.sessions import RESULT_OVERHEAD_BYTES, UNKEPT_MAX, Sessions
from raftwerk.kv.store import Store, Table
from raftwerk.storage.memory import MemoryStore
from tests.kv.session_rig import open_, use

A = 7


def numbers(store: Store) -> list[int]:
    """Of the writes whose results have rows."""
    rows = [row for row, _ in store.scan(Table.SESSIONS, b"", None) if len(row) == 16]
    return [int.from_bytes(row[8:], "big") for row in rows]


def test_results_that_the_client_has_are_forgotten() -> None:
    """Before a checkpoint they have no row at all; those that a checkpoint had lose theirs."""
    store = MemoryStore()
    sessions = Sessions(store)
    open_(sessions, A)
    for number in range(1, 5):
        use(sessions, number, session=A, first=max(1, number - 1))
    assert numbers(store) == []
    sessions.keep()
    assert numbers(store) == [3, 4]
    use(sessions, 5, session=A, first=4)
    sessions.keep()
    assert numbers(store) == [4, 5]


def test_more_results_than_may_wait_for_a_checkpoint_are_written_at_once() -> None:
    """Until there is room again: a checkpoint writes those that wait in one go."""
    store = MemoryStore()
    sessions = Sessions(store, unwritten_bytes_max=3 * RESULT_OVERHEAD_BYTES)
    open_(sessions, A)
    for number in range(1, 5):
        use(sessions, number, session=A)
    assert numbers(store) == [
        3,
        4,
    ]  # the overhead is not all that is counted: there is room for two
    use(sessions, 5, session=A, first=2)
    assert numbers(store) == [3, 4]
    sessions.keep()
    assert numbers(store) == [2, 3, 4, 5]
    use(sessions, 6, session=A, first=6)
    assert numbers(store) == []


def test_the_order_of_use_survives_a_restart() -> None:
    store = MemoryStore()
    sessions = Sessions(store, sessions_max=2)
    open_(sessions, 1, 2)
    use(sessions, 1, session=1)
    sessions.keep()
    again = Sessions(store, sessions_max=2)
    open_(again, 3)
    assert use(again, 1, session=2) is KvError.SESSION_EXPIRED


def test_sessions_are_the_same_after_a_restart_however_many_were_used() -> None:
    """Rows of the first ones are written before the checkpoint, and again if they were used since."""
    store = MemoryStore()
    sessions = Sessions(store)
    open_(sessions, *range(1, UNKEPT_MAX + 2))
    assert len(list(store.scan(Table.SESSIONS, b"", None))) == UNKEPT_MAX
    for session in (1, 2, UNKEPT_MAX + 1):
        use(sessions, 1, session=session)
    sessions.keep()
    use(sessions, 2, session=2)
    sessions.keep()
    assert list(Sessions(store).rows()) == list(sessions.rows())


@pytest.mark.parametrize("unwritten_bytes_max", [0, 2 * RESULT_OVERHEAD_BYTES, 100_000])
@pytest.mark.parametrize("unkept_max", [1, 2, 5])
def test_a_restart_after_any_checkpoint_finds_all_sessions(
    unkept_max: int, unwritten_bytes_max: int
) -> None:
    """However few rows may wait for one."""
    store = MemoryStore()
    sessions = Sessions(
        store, sessions_max=4, unkept_max=unkept_max, unwritten_bytes_max=unwritten_bytes_max
    )
    for number in range(1, 30):
        open_(sessions, 100 + number // 3)
        use(sessions, number, session=100 + number // 5, first=max(1, number - 2))
        before = list(sessions.rows())
        if number % 4 == 0:
            sessions.keep()
            assert list(Sessions(store).rows()) == before
