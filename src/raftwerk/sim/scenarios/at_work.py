"""Sessions, leases, locks and watches: at work while nodes crash and part, and the moments on which they hang."""

from raftwerk.kv.commands import (
    Command,
    DeleteRange,
    LeaseExpire,
    LeaseGrant,
    LeaseLead,
    LeaseRenew,
    LeaseRevoke,
    Put,
    SessionOpen,
    SessionWrite,
    Write,
    encode,
)
from raftwerk.kv.results import KvError, SessionResult
from raftwerk.kv.sessions import KEPT_BYTES_MAX
from raftwerk.replica.checkpoints import INTERVAL_MS
from raftwerk.sim.kv_machine import IDLE_WRITES, SESSIONS_MAX, WINDOW
from raftwerk.sim.scenarios.stage import PATIENCE_MS, Stage
from raftwerk.sim.workload import Workload

LEASE = 1


def clients_at_work(stage: Stage) -> None:
    """Sessions, leases, locks and watches go through partitions, crashes of all nodes, compactions and snapshots."""
    stage.one_leader()
    workload = Workload(stage.cluster)
    workload.start()
    for number in range(4):
        victim = stage.random.choice(stage.nodes)
        stage.disconnect(victim)
        stage.run_ms(3_000)
        stage.connect(victim)
        stage.run_ms(1_000)
        if number % 2:
            stage.restart(*stage.nodes)
    workload.stop()
    stage.finish()
    for client in workload.watches:
        client.finish()
    stage.cluster.wait(
        lambda: not any(client.lacks() for client in workload.watches), PATIENCE_MS, "all events"
    )
    kv = stage.cluster.kv
    stage.cluster.wait(lambda: kv.leases.is_empty, 2 * PATIENCE_MS, "all leases have ended")


def _do(stage: Stage, command: Command) -> object:
    """Have it committed; its answer."""
    answers: list[object] = []
    stage.cluster.nodes[stage.one_leader()].propose(encode(command), answers.append)
    stage.cluster.wait(lambda: bool(answers), PATIENCE_MS, "an answer")
    return answers[0]


def _number(stage: Stage) -> int:
    """Of the lease's last renewal."""
    lease = stage.cluster.kv.oracle.leases.find(LEASE)
    assert lease is not None
    return lease.number


def deposed_leader_ends_no_lease(stage: Stage) -> None:
    """What a former leader says of the end of a lease comes to nothing: the present one may know of a renewal under way."""
    _do(stage, LeaseLead(3))
    _do(stage, LeaseGrant(LEASE, 1))
    _do(stage, LeaseLead(4))
    stage.run_ms(2_000)
    _do(stage, LeaseExpire(3, ((LEASE, _number(stage)),)))
    assert not stage.cluster.kv.leases.is_empty
    _do(stage, LeaseExpire(4, ((LEASE, _number(stage)),)))
    assert stage.cluster.kv.leases.is_empty


def renewal_meets_the_end(stage: Stage) -> None:
    """The leader's clock says that a lease is over, but a renewal stands before its end in the log: the log decides."""
    _do(stage, LeaseLead(3))
    _do(stage, LeaseGrant(LEASE, 1))
    stage.run_ms(2_000)
    number = _number(stage)
    _do(stage, LeaseRenew(LEASE))
    _do(stage, LeaseExpire(3, ((LEASE, number),)))
    assert not stage.cluster.kv.leases.is_empty


def lease_outlives_its_leaders(stage: Stage) -> None:
    """All nodes are started again every five minutes, and forget what they measured: a long lease ends all the same."""
    _do(stage, LeaseGrant(LEASE, 700))
    for _ in range(3):
        stage.run_ms(320_000)
        stage.restart(*stage.nodes)
        stage.one_leader()
    stage.run_ms(20_000)
    assert stage.cluster.kv.leases.is_empty, "the lease was granted anew with each restart"


def key_goes_from_lease_to_lease(stage: Stage) -> None:
    """A key that is put under another lease is no longer attached to the one before."""
    for lease_id in (1, 2):
        _do(stage, LeaseGrant(lease_id, 60))
    for value, lease_id in ((b"a", 1), (b"b", 2), (b"c", 1), (b"d", 0), (b"e", 2)):
        _do(stage, Put(b"k", value, lease=lease_id))
    for lease_id in (1, 2):
        _do(stage, LeaseRevoke(lease_id))


# Sessions: that each command is answered as it must be, the checker says


def _open(stage: Stage) -> int:
    answer = _do(stage, SessionOpen(stage.new_number()))
    assert isinstance(answer, SessionResult)
    return answer.session


def _write(
    stage: Stage, session: int, number: int, *, first: int = 1, write: Write | None = None
) -> None:
    write = write or Put(b"k", b"%d" % number, prev_kv=True)
    _do(stage, SessionWrite(session, number, first, write))


def sessions_make_room(stage: Stage) -> None:
    """When there are too many, the session that was not used for longest ends, also after a restart, or those that are idle.

    A checkpoint leaves out none of those in use, though only two of them are left to it, the others were written before.
    """
    old, idle, *rest = [_open(stage) for _ in range(SESSIONS_MAX)]
    _write(stage, old, 1)
    newest = _open(stage)
    for session in (newest, old, idle, *rest):
        _write(stage, session, 2)
    stage.run_ms(2 * INTERVAL_MS)
    stage.restart(*stage.nodes)
    _write(stage, newest, 2)
    _open(stage)
    for number in range(3, 3 + IDLE_WRITES):
        _write(stage, newest, number, first=number)
    _open(stage)
    for session in (old, *rest, newest):
        _write(stage, session, 3 + IDLE_WRITES, first=3 + IDLE_WRITES)
    counts = stage.cluster.coverage.counts
    assert counts["session: put out"] == 3
    assert counts["session: ended idle"] == 2
    assert counts["session: rows written before the checkpoint"]
    assert counts[f"session: {KvError.SESSION_EXPIRED}"]


def answers_of_a_session(stage: Stage) -> None:
    """Each number of the window stands for one write and one answer, if that is not too large; numbers beyond it, for none."""
    session = _open(stage)
    for number in (WINDOW, WINDOW + 1, 1, 1):
        _write(stage, session, number)
    _write(stage, session, 1, write=DeleteRange(b"k"))
    take = DeleteRange(b"k", prev_kv=True)
    for number, first in ((2, 1), (3, 1), (4, 3)):
        _do(stage, Put(b"k", (b"%d" % number).ljust(KEPT_BYTES_MAX * 2 // 3)))
        for _ in range(2):
            _write(stage, session, number, first=first, write=take)
    _write(stage, session, WINDOW + 2, first=3)
    _write(stage, session, WINDOW + 3, first=3)
    _write(stage, session, 2)
    counts = stage.cluster.coverage.counts
    for refusal in (KvError.OUTSIDE_WINDOW, KvError.RESULT_NOT_KEPT, KvError.ANOTHER_WRITE):
        assert counts[f"session: {refusal}"], refusal
    assert counts["session: answered again"] == 3
