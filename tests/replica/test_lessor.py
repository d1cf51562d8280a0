"""The time of leases, with a clock that the test moves and a machine that executes what the lessor proposes."""

from collections.abc import Callable
from pathlib import Path

import pytest

from raftwerk.kv.commands import (
    Command,
    LeaseCheckpoint,
    LeaseCommand,
    LeaseExpire,
    LeaseGrant,
    LeaseLead,
    LeaseRenew,
    LeaseRevoke,
    Put,
    decode,
)
from raftwerk.replica.failure import Failure
from raftwerk.replica.lessor import (
    CHECKPOINT_INTERVAL_S,
    EXPIRIES_MAX,
    LOADED_MAX,
    SPARE_ENTRIES,
    Lessor,
)
from tests.kv.rig import Rig

GRACE_S = 2.0
TICK_S = 0.01
A, B = 7, 8


class Member:
    """A member of a cluster, as far as leases go."""

    def __init__(self, rig: Rig | None = None) -> None:
        self.rig = rig or Rig()
        self.now_s = 100.0
        self.term = 0
        self.proposed: list[LeaseCommand] = []
        self.held: list[Callable[[], None]] = []
        self.is_stuck = False
        self.failure: Failure | None = None
        """Of all proposals."""
        self.lessor = Lessor(self.rig.machine, self._propose, lambda: self.now_s, GRACE_S)

    def _propose(self, data: bytes, done: Callable[[object], None]) -> None:
        command = decode(data)
        assert isinstance(command, LeaseCommand)
        self.proposed.append(command)

        def settle() -> None:
            done(self.failure or self.rig.execute(command))

        if self.is_stuck:
            self.held.append(settle)
        else:
            settle()

    def release(self) -> None:
        self.is_stuck = False
        held, self.held = self.held, []
        for settle in held:
            settle()

    def execute(self, *commands: Command) -> None:
        self.rig.execute_all(*commands)

    def ticks(self, count: int = 1) -> None:
        for _ in range(count):
            self.now_s += TICK_S
            self.lessor.tick(self.term)

    def pass_s(self, seconds: float) -> None:
        """Tick as a loop that does nothing else."""
        self.ticks(round(seconds / TICK_S))

    def lead(self, term: int = 1) -> None:
        """Become leader, and let the grace go by."""
        self.term = term
        self.pass_s(GRACE_S + 0.1)

    def has(self, lease_id: int) -> bool:
        return self.rig.machine.leases.find(lease_id) is not None

    def remaining_s(self, lease_id: int) -> float | None:
        remaining_s = self.lessor.remaining_s(lease_id)
        return None if remaining_s is None else round(remaining_s, 1)

    def proposals(self, kind: type[LeaseCommand]) -> list[LeaseCommand]:
        return [command for command in self.proposed if isinstance(command, kind)]


@pytest.fixture
def member() -> Member:
    return Member()


def test_time_goes_by_for_a_lease_and_a_renewal_gives_it_back(member: Member) -> None:
    member.execute(LeaseGrant(A, 10))
    member.pass_s(4)
    assert member.remaining_s(A) == 6
    member.execute(LeaseRenew(A))
    assert member.remaining_s(A) == 10


def test_unknown_or_ended_lease_has_no_time(member: Member) -> None:
    member.execute(LeaseGrant(A, 10), LeaseRevoke(A))
    assert member.remaining_s(A) is None
    assert member.remaining_s(B) is None


def test_leader_ends_a_lease_after_its_time_and_not_before(member: Member) -> None:
    member.lead()
    member.execute(LeaseGrant(A, 5), Put(b"k", lease=A))
    member.pass_s(4.95)
    assert member.has(A)
    member.pass_s(0.2)
    assert not member.has(A)
    assert member.rig.machine.revision == 3, "its key is deleted"


def test_renewed_lease_lives_on(member: Member) -> None:
    member.lead()
    member.execute(LeaseGrant(A, 3), LeaseGrant(B, 3))
    for _ in range(10):
        member.pass_s(2)
        member.execute(LeaseRenew(A))
    assert member.has(A)
    assert not member.has(B)
    member.pass_s(3.2)
    assert not member.has(A)


def test_follower_ends_nothing(member: Member) -> None:
    member.execute(LeaseGrant(A, 1))
    member.pass_s(10)
    assert member.proposed == []
    assert member.remaining_s(A) == -9


def test_leader_proposes_nothing_before_its_term_is_in_the_state(member: Member) -> None:
    """It may have been deposed without knowing."""
    member.execute(LeaseGrant(A, 1))
    member.is_stuck = True
    member.term = 4
    member.pass_s(10)
    assert set(member.proposed) == {LeaseLead(4)}, "said again now and then, if it was lost"
    assert 5 <= len(member.proposed) <= 11
    member.release()
    member.pass_s(GRACE_S - 0.1)
    assert member.has(A)
    member.pass_s(0.3)
    assert not member.has(A)


def test_new_leader_lets_the_owners_renew_first(member: Member) -> None:
    """Nobody could, while there was no leader; and the time is not given anew."""
    member.execute(LeaseGrant(A, 3), LeaseGrant(B, 60))
    member.pass_s(5)
    member.term = 1
    member.pass_s(GRACE_S - 0.1)
    assert member.has(A)
    member.execute(LeaseRenew(A))
    member.pass_s(2.8)
    assert member.has(A)
    assert member.remaining_s(B) == 50.3, "60 less what went by"


def test_deposed_leader_ends_nothing(member: Member) -> None:
    """What it proposed comes late, after the next leader's term: the lease lives."""
    member.lead(term=1)
    member.execute(LeaseGrant(A, 1))
    member.is_stuck = True
    member.pass_s(1.5)
    member.execute(LeaseLead(2))
    member.release()
    assert isinstance(member.proposed[-1], LeaseExpire)
    assert member.has(A)
    member.term = 0
    member.pass_s(5)
    assert member.has(A)


def test_renewal_before_the_expiry_in_the_log_wins(member: Member) -> None:
    member.lead()
    member.execute(LeaseGrant(A, 1))
    member.is_stuck = True
    member.pass_s(1.5)
    member.execute(LeaseRenew(A))
    member.release()
    assert isinstance(member.proposed[-1], LeaseExpire)
    assert member.has(A)
    member.pass_s(0.9)
    assert member.has(A)
    member.pass_s(0.3)
    assert not member.has(A)


def test_leader_that_was_away_lets_the_owners_renew_first(member: Member) -> None:
    """SIGSTOP, or a loop that stood still: renewals wait in its sockets."""
    member.lead()
    member.execute(LeaseGrant(A, 5))
    member.now_s += 30
    member.ticks(int((GRACE_S - 0.1) / TICK_S))
    assert member.has(A)
    member.pass_s(0.3)
    assert not member.has(A)


def test_many_leases_end_in_batches_one_at_a_time(member: Member) -> None:
    member.lead()
    for lease_id in range(1, 251):
        member.execute(LeaseGrant(lease_id, 1))
    member.pass_s(2)
    batches = member.proposals(LeaseExpire)
    sizes = [len(batch.leases) for batch in batches if isinstance(batch, LeaseExpire)]
    assert sizes == [EXPIRIES_MAX, EXPIRIES_MAX, 50]
    assert member.rig.machine.leases.some(None, 10_000)[0] == []


def test_a_batch_waits_for_the_one_before(member: Member) -> None:
    member.lead()
    member.execute(LeaseGrant(A, 1))
    member.is_stuck = True
    member.pass_s(3)
    assert len(member.proposals(LeaseExpire)) == 1
    member.release()
    assert not member.has(A)


def test_expiry_that_failed_is_tried_again(member: Member) -> None:
    member.lead()
    member.execute(LeaseGrant(A, 1))
    member.is_stuck = True
    member.pass_s(1.3)
    member.held.clear()  # lost
    member.is_stuck = False
    member.lead(term=2)
    assert not member.has(A)


def test_leader_that_could_write_nothing_lets_the_owners_renew_first(member: Member) -> None:
    """A full disk: their renewals were refused like the expiry."""
    member.lead()
    member.execute(LeaseGrant(A, 1))
    member.failure = Failure.NO_SPACE
    member.pass_s(1.3)
    assert len(member.proposals(LeaseExpire)) == 1
    member.failure = None
    member.pass_s(GRACE_S - 0.5)
    member.execute(LeaseRenew(A))
    member.pass_s(0.9)
    assert member.has(A)
    member.pass_s(0.5)
    assert not member.has(A)


def test_new_leader_knows_what_was_renewed_under_the_last_one(member: Member) -> None:
    """Heap entries of old deadlines are no reason to end a lease."""
    for lease_id in range(1, 1001):
        member.execute(LeaseGrant(lease_id, 5))
    for _ in range(3):
        member.pass_s(3)
        for lease_id in range(1, 1001):
            member.execute(LeaseRenew(lease_id))
    member.lead()
    assert len(member.rig.machine.leases.some(None, 10_000)[0]) == 1000
    member.pass_s(5)
    assert member.rig.machine.leases.some(None, 10_000)[0] == []


def test_ended_leases_leave_no_memory(member: Member) -> None:
    """Long leases that are revoked at once, for ever."""
    for lease_id in range(1, 4 * SPARE_ENTRIES):
        member.execute(LeaseGrant(lease_id, 10**9), LeaseRevoke(lease_id))
    assert len(member.lessor._heap) <= SPARE_ENTRIES + 2
    assert not member.lessor._clocks


# Restarts and snapshots


def restarted(rig: Rig) -> Member:
    rig.checkpoint()
    rig.crash()
    return Member(rig)


def test_member_that_starts_again_finds_all_leases(member: Member) -> None:
    for lease_id in range(1, 2 * LOADED_MAX + 2):
        member.execute(LeaseGrant(lease_id, 5))
    again = restarted(member.rig)
    assert again.remaining_s(1) == 5, "also before they are read"
    again.lead()
    assert again.has(1)
    again.pass_s(3.5)
    assert again.rig.machine.leases.some(None, 10_000)[0] == []


def test_leases_behind_many_that_have_just_ended_are_found(tmp_path: Path) -> None:
    """A look at some finds none of them, and is not the last."""
    rig = Rig(tmp_path)
    last = 3 * LOADED_MAX
    rig.execute_all(*(LeaseGrant(lease_id, 5) for lease_id in range(1, last + 1)))
    rig.checkpoint()
    rig.execute_all(*(LeaseRevoke(lease_id) for lease_id in range(1, last)))
    member = Member(rig)
    member.lead()
    member.pass_s(7.5)
    assert not member.has(last), "it ends"
    rig.close()


def test_long_lease_goes_on_from_the_last_checkpoint(member: Member) -> None:
    member.lead()
    member.execute(LeaseGrant(A, 1000), LeaseGrant(B, 200))
    member.pass_s(CHECKPOINT_INTERVAL_S + 1)
    (checkpoint,) = member.proposals(LeaseCheckpoint)
    assert isinstance(checkpoint, LeaseCheckpoint)
    [(lease_id, _, left_s)] = checkpoint.leases
    assert lease_id == A, "not the short one, which is over in the meantime anyway"
    assert 699 <= left_s <= 703
    assert restarted(member.rig).remaining_s(A) == left_s


def test_checkpoints_come_in_pieces(member: Member) -> None:
    member.lead()
    for lease_id in range(1, 451):
        member.execute(LeaseGrant(lease_id, 1000))
    member.pass_s(CHECKPOINT_INTERVAL_S)
    sizes = [len(one.leases) for one in member.proposals(LeaseCheckpoint)]  # type: ignore[union-attr]
    assert sizes == [200, 200, 50]


def test_checkpoint_tells_a_member_that_lags(member: Member) -> None:
    """It never makes a lease longer."""
    member.execute(LeaseLead(1), LeaseGrant(A, 1000), LeaseCheckpoint(1, ((A, 1, 400),)))
    assert member.remaining_s(A) == 400
    member.execute(LeaseCheckpoint(1, ((A, 1, 600),)))
    assert member.remaining_s(A) == 400


def test_installed_snapshot_gives_no_time_to_what_was_not_renewed(member: Member) -> None:
    source = Rig()
    source.execute_all(LeaseGrant(A, 10), LeaseGrant(B, 10), LeaseGrant(3, 10), LeaseRenew(B))
    source.checkpoint()
    member.execute(LeaseGrant(A, 10), LeaseGrant(B, 10), LeaseGrant(9, 10))
    member.pass_s(4)
    member.rig.install(source.machine.open_snapshot())
    assert member.remaining_s(A) == 6
    member.ticks(1)
    member.now_s -= TICK_S
    assert [member.remaining_s(one) for one in (A, B, 3, 9)] == [6, 10, 10, None]
    member.lead()
    member.pass_s(4.1)
    assert not member.has(A)
    assert member.has(B)
    member.pass_s(4)
    assert member.rig.machine.leases.some(None, 10_000)[0] == []
