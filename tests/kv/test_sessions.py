"""Sessions: a write that comes again is executed once and answered alike; everything else is refused, and bounded."""

import tracemalloc
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from raftwerk.kv.commands import (
    Compact,
    Compare,
    CompareResult,
    CompareTarget,
    DeleteRange,
    Put,
    RangeQuery,
    SessionClose,
    SessionOpen,
    SessionOpenAs,
    SessionWrite,
    Txn,
    Write,
    encode,
)
from raftwerk.kv.machine import KvMachine
from raftwerk.kv.results import (
    DeleteRangeResult,
    KvError,
    PutResult,
    RangeResult,
    Result,
    SessionResult,
    TxnResult,
)
from raftwerk.kv.sessions import (
    KEPT_BYTES_MAX,
    WINDOW,
    Sessions,
)
from raftwerk.kv.store import Table
from raftwerk.storage.memory import MemoryStore
from tests.kv.rig import Rig
from tests.kv.session_rig import open_, use

A = 7
B = -8

INCREMENT = Txn(
    (Compare(CompareTarget.VERSION, CompareResult.EQUAL, b"k", 1),),
    (Put(b"k", b"2", prev_kv=True), RangeQuery(b"k"), Txn((), (DeleteRange(b"d"),), ())),
    (Put(b"k", b"1"),),
)
WRITES: dict[str, Write] = {
    "put": Put(b"k", b"new", prev_kv=True),
    "delete": DeleteRange(b"d", prev_kv=True),
    "txn": INCREMENT,
    "compact": Compact(2),
    "refused": Put(b"none", ignore_value=True),
}


class Rigged:
    """A machine, and what its log answers."""

    def __init__(self, folder: Path | None = None) -> None:
        self.rig = Rig(folder)

    @property
    def machine(self) -> KvMachine:
        return self.rig.machine

    def apply(
        self, command: SessionOpen | SessionOpenAs | SessionWrite | SessionClose | Write
    ) -> Result:
        log = self.rig.log
        log.append(encode(command))
        (result,) = self.machine.apply(log[-1:], len(log), len(log).to_bytes(8, "big"))
        return result

    def write(self, session: int, number: int, write: Write, first: int = 1) -> Result:
        return self.apply(SessionWrite(session, number, first, write))


@pytest.fixture
def rig() -> Rigged:
    rig = Rigged()
    rig.apply(Put(b"k", b"old"))
    rig.apply(Put(b"d", b"old"))
    rig.apply(SessionOpenAs(A))
    return rig


def test_opening_and_closing_say_which_session_it_is() -> None:
    rig = Rigged()
    assert rig.apply(SessionOpenAs(A)) == SessionResult(1, A)
    assert rig.apply(SessionClose(A)) == SessionResult(1, A)


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
def test_a_write_that_comes_again_is_answered_alike_and_changes_nothing(
    rig: Rigged, write: Write
) -> None:
    first = rig.write(A, 1, write)
    revision = rig.machine.revision
    rig.apply(Put(b"other"))
    assert encode(rig.write(A, 1, write)) == encode(first)
    assert rig.machine.revision == revision + 1


@pytest.mark.parametrize("first", ["put", "delete", "txn", "compact"])
@pytest.mark.parametrize("second", ["put", "delete", "txn", "compact"])
def test_number_stands_for_one_write(rig: Rigged, first: str, second: str) -> None:
    """What comes under it as another kind of write is refused: the result of the first would be taken for its own."""
    rig.write(A, 1, WRITES[first])
    revision = rig.machine.revision
    answer = rig.write(A, 1, WRITES[second])
    assert (answer is KvError.ANOTHER_WRITE) == (first != second)
    assert rig.machine.revision == revision


@pytest.mark.parametrize("is_restarted", [False, True])
def test_writes_that_overtook_each_other_are_done_once(rig: Rigged, is_restarted: bool) -> None:
    answers = {number: rig.write(A, number, Put(b"k")) for number in (3, 1, 2)}
    if is_restarted:
        rig.rig.checkpoint()
        rig.rig.crash()
    assert {number: rig.write(A, number, Put(b"k")) for number in (1, 2, 3)} == answers


def test_writes_without_a_session_are_executed_each_time(rig: Rigged) -> None:
    assert rig.apply(Put(b"k")) != rig.apply(Put(b"k"))


def test_the_same_number_of_another_session_is_another_write(rig: Rigged) -> None:
    rig.apply(SessionOpenAs(B))
    assert rig.write(A, 1, Put(b"k")) == PutResult(4, None)
    assert rig.write(B, 1, Put(b"k")) == PutResult(5, None)


@pytest.mark.parametrize("store", ["memory", "lmdb"])
@pytest.mark.parametrize("is_kept", [True, False], ids=["checkpoint", "log alone"])
def test_results_survive_a_crash(tmp_path: Path, store: str, is_kept: bool) -> None:
    rig = Rigged(tmp_path if store == "lmdb" else None)
    rig.apply(SessionOpenAs(A))
    result = rig.write(A, 1, Put(b"k"))
    if is_kept:
        rig.rig.checkpoint()
    rig.rig.crash()
    assert rig.write(A, 1, Put(b"k")) == result == PutResult(2, None)
    rig.rig.store.close()


def test_results_travel_in_a_snapshot(rig: Rigged) -> None:
    result = rig.write(A, 1, Put(b"k"))
    rig.rig.checkpoint()
    other = Rigged()
    other.rig.install(rig.machine.open_snapshot())
    assert other.write(A, 1, Put(b"k")) == result
    assert other.machine.revision == rig.machine.revision


def test_a_write_of_no_session_that_is_open_is_refused(rig: Rigged) -> None:
    assert rig.write(B, 1, Put(b"k")) is KvError.SESSION_EXPIRED
    assert rig.machine.revision == 3


def test_a_write_of_a_closed_session_is_refused_and_nothing_is_left(rig: Rigged) -> None:
    rig.write(A, 1, Put(b"k"))
    rig.apply(SessionClose(A))
    assert rig.write(A, 1, Put(b"k")) is KvError.SESSION_EXPIRED
    assert not list(rig.rig.store.scan(Table.SESSIONS, b"", None))


def test_what_is_late_is_refused(rig: Rigged) -> None:
    """Its client has the answer already, or has given it up: the number is over."""
    rig.write(A, 2, Put(b"k"), first=2)
    assert rig.write(A, 1, Put(b"k"), first=1) is KvError.OUTSIDE_WINDOW
    assert rig.machine.revision == 4


@pytest.mark.parametrize(("number", "is_taken"), [(WINDOW, True), (WINDOW + 1, False), (0, False)])
def test_numbers_stay_in_the_window(rig: Rigged, number: int, is_taken: bool) -> None:
    result = rig.write(A, number, Put(b"k"))
    assert (result is not KvError.OUTSIDE_WINDOW) == is_taken


def test_a_result_that_is_too_large_is_not_kept_and_the_write_is_done_once(rig: Rigged) -> None:
    rig.apply(Put(b"k", bytes(KEPT_BYTES_MAX)))
    assert isinstance(rig.write(A, 1, Put(b"k", prev_kv=True)), PutResult)
    revision = rig.machine.revision
    assert rig.write(A, 1, Put(b"k", prev_kv=True)) is KvError.RESULT_NOT_KEPT
    assert rig.machine.revision == revision


KV = bytes(100)


@pytest.mark.parametrize("extra", [0, 1])
@pytest.mark.parametrize(
    "wrap",
    [
        lambda kvs: DeleteRangeResult(1, len(kvs), kvs),
        lambda kvs: TxnResult(1, True, [RangeResult(1, kvs, False, len(kvs))]),
        lambda kvs: TxnResult(1, True, [TxnResult(1, True, [PutResult(1, kvs[-1])])]),
    ],
    ids=["deleted", "read", "replaced, nested"],
)
def test_result_is_kept_to_the_last_byte(wrap: Callable[[list[bytes]], Result], extra: int) -> None:
    """Members of all versions decide alike, to whom it is a matter of the encoded size."""
    small = [KV] * 10
    missing = KEPT_BYTES_MAX - len(msgspec.msgpack.encode(wrap([*small, bytes(300)])))
    result = wrap([*small, bytes(300 + missing + extra)])
    assert len(msgspec.msgpack.encode(result)) == KEPT_BYTES_MAX + extra
    sessions = sessions_of(1)
    sessions.execute(SessionOpenAs(A), 1, lambda write: result)
    command = SessionWrite(A, 1, 1, Put(b"k"))
    assert sessions.execute(command, 1, lambda write: result) is result
    again = sessions.execute(command, 1, lambda write: result)
    assert (again is KvError.RESULT_NOT_KEPT) == bool(extra)


def test_result_that_is_much_too_large_is_not_even_encoded() -> None:
    result = TxnResult(1, True, [DeleteRangeResult(1, 64, [bytes(KEPT_BYTES_MAX)] * 64)])
    sessions = sessions_of(1)
    sessions.execute(SessionOpenAs(A), 1, lambda write: result)
    tracemalloc.start()
    sessions.execute(SessionWrite(A, 1, 1, Put(b"k")), 1, lambda write: result)
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak_bytes < KEPT_BYTES_MAX


def test_room_for_results_comes_back_when_they_are_forgotten(rig: Rigged) -> None:
    rig.apply(Put(b"k", bytes(KEPT_BYTES_MAX * 2 // 3)))
    read = Txn((), (RangeQuery(b"k"), Put(b"w")), ())
    assert rig.write(A, 1, read) != KvError.RESULT_NOT_KEPT
    rig.write(A, 2, read)
    assert rig.write(A, 2, read) is KvError.RESULT_NOT_KEPT
    rig.write(A, 3, read, first=3)
    assert rig.write(A, 3, read, first=3) is not KvError.RESULT_NOT_KEPT


def sessions_of(limit: int, idle_writes: int = 1_000) -> Sessions:
    return Sessions(MemoryStore(), sessions_max=limit, idle_writes=idle_writes)


def test_the_session_unused_for_longest_makes_room() -> None:
    sessions = sessions_of(2)
    open_(sessions, 1, 2)
    use(sessions, 1, session=1)
    open_(sessions, 3)
    assert len(sessions) == 2
    assert use(sessions, 2, session=1) == PutResult(1, None)
    assert use(sessions, 1, session=2) is KvError.SESSION_EXPIRED


def test_a_session_that_was_not_used_for_many_writes_ends() -> None:
    sessions = sessions_of(100, idle_writes=3)
    open_(sessions, 1, 2)
    for number in range(1, 3):
        use(sessions, number, session=2)
    open_(sessions, 3)
    assert use(sessions, 1, session=1) is KvError.SESSION_EXPIRED
    assert use(sessions, 3, session=2) == PutResult(1, None)


def opened(rig: Rigged, lot: int) -> int:
    """The session that a server's command opens now."""
    result = rig.apply(SessionOpen(lot))
    assert isinstance(result, SessionResult)
    assert 0 < result.session < 2**63
    return result.session


def test_a_copy_of_the_opening_that_comes_late_opens_another_session(rig: Rigged) -> None:
    """Else a copy of a write, later still, would be executed a second time."""
    session = opened(rig, 5)
    rig.write(session, 1, Put(b"k"))
    rig.apply(SessionClose(session))
    revision = rig.machine.revision
    assert opened(rig, 5) != session
    assert rig.write(session, 1, Put(b"k")) is KvError.SESSION_EXPIRED
    assert rig.machine.revision == revision


def test_a_copy_of_the_opening_leaves_the_session_alone(rig: Rigged) -> None:
    session = opened(rig, 5)
    result = rig.write(session, 1, Put(b"k"))
    assert opened(rig, 5) != session
    assert rig.write(session, 1, Put(b"k")) == result


@pytest.mark.parametrize("is_kept", [True, False], ids=["checkpoint", "log alone"])
def test_no_id_is_given_again_after_a_crash(is_kept: bool) -> None:
    """Though nothing is left of the sessions that had them."""
    rig = Rigged()
    before = [opened(rig, 5), opened(rig, 5)]
    for session in before:
        rig.apply(SessionClose(session))
    if is_kept:
        rig.rig.checkpoint()
    rig.rig.crash()
    other = Rigged()
    other.rig.install(rig.machine.open_snapshot())
    after = opened(rig, 5)
    assert after not in before
    if is_kept:
        assert opened(other, 5) == after


def test_another_cluster_gives_other_ids() -> None:
    """Its sessions are counted from the beginning: the lot makes the difference."""
    assert opened(Rigged(), 5) != opened(Rigged(), 6)


def test_opening_again_in_a_log_of_an_earlier_version_changes_nothing() -> None:
    """There, the id was drawn by the server."""
    sessions = sessions_of(2)
    open_(sessions, 1)
    use(sessions, 1, session=1)
    open_(sessions, 1)
    result = sessions.execute(SessionWrite(1, 1, 1, Put(b"k")), 1, lambda _: KvError.UNREADABLE)
    assert result == PutResult(1, None)
