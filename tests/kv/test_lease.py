"""Leases as replicated state. That a machine does what the naive model does is in tests/properties/test_kv_model.py."""

from collections.abc import Generator
from pathlib import Path

import pytest

from raftwerk.kv.commands import (
    DeleteRange,
    LeaseCheckpoint,
    LeaseExpire,
    LeaseGrant,
    LeaseLead,
    LeaseRenew,
    LeaseRevoke,
    Put,
    RangeQuery,
    Txn,
    encode,
)
from raftwerk.kv.lease import Lease
from raftwerk.kv.results import KvError
from tests.kv.model import Leased, Range
from tests.kv.rig import Rig

A, B = 7, -9
DONE = object()


@pytest.fixture
def rig() -> Rig:
    """With two leases, in term 3."""
    rig = Rig()
    rig.execute_all(LeaseLead(3), LeaseGrant(A, 60), LeaseGrant(B, 90))
    return rig


def keys(rig: Rig, lease_id: int) -> list[bytes]:
    return rig.machine.leases.keys(lease_id)


def revision_of(rig: Rig) -> int:
    return rig.machine.revision


def test_grant_answers_with_the_lease_and_leaves_the_revision(rig: Rig) -> None:
    assert rig.execute(LeaseGrant(11, 5)) == Leased(1, 11, 5)
    assert rig.machine.leases.find(11) == Lease(5, 3)


def test_id_is_granted_once(rig: Rig) -> None:
    assert rig.execute(LeaseGrant(A, 5)) is KvError.LEASE_EXISTS
    assert rig.machine.leases.find(A) == Lease(60, 1)


@pytest.mark.parametrize("command", [LeaseRevoke(1), LeaseRenew(1)], ids=["revoke", "renew"])
def test_unknown_lease_is_refused(rig: Rig, command: LeaseRevoke | LeaseRenew) -> None:
    assert rig.execute(command) is KvError.LEASE_NOT_FOUND


def test_put_needs_a_lease_that_is_there(rig: Rig) -> None:
    assert rig.execute(Put(b"k", lease=1)) is KvError.LEASE_NOT_FOUND
    assert rig.execute(Txn((), (Put(b"a"), Put(b"k", lease=1)))) is KvError.LEASE_NOT_FOUND
    assert revision_of(rig) == 1, "nothing was written"


def test_put_moves_a_key_between_leases(rig: Rig) -> None:
    rig.execute(Put(b"k", lease=A))
    assert (keys(rig, A), keys(rig, B)) == ([b"k"], [])
    rig.execute(Put(b"k", lease=B))
    assert (keys(rig, A), keys(rig, B)) == ([], [b"k"])
    rig.execute(Put(b"k", lease=B))
    assert keys(rig, B) == [b"k"]
    rig.execute(Put(b"k"))
    assert keys(rig, B) == [], "a put without a lease detaches the key"


def test_put_that_ignores_the_lease_keeps_it(rig: Rig) -> None:
    rig.execute_all(Put(b"k", lease=A), Put(b"k", b"new", ignore_lease=True))
    assert keys(rig, A) == [b"k"]


def test_deleted_key_is_no_longer_attached(rig: Rig) -> None:
    rig.execute_all(Put(b"k", lease=A), DeleteRange(b"k"), Put(b"k"))
    assert keys(rig, A) == []
    rig.execute(LeaseRevoke(A))
    assert isinstance(found := rig.execute(RangeQuery(b"k")), Range)
    assert found.count == 1


@pytest.mark.parametrize(
    "end",
    [LeaseRevoke(A), LeaseExpire(3, ((A, 1),))],
    ids=["revoke", "expire"],
)
def test_end_deletes_the_keys_in_order_in_one_revision(
    rig: Rig, end: LeaseRevoke | LeaseExpire
) -> None:
    for key in (b"c", b"a", b"b"):
        rig.execute(Put(key, lease=A))
    rig.execute(Put(b"other", lease=B))
    before = revision_of(rig)
    assert isinstance(answer := rig.execute(end), Leased)
    assert answer.revision == revision_of(rig) == before + 1
    left = rig.execute(RangeQuery(b"\0", b"\0"))
    assert isinstance(left, Range)
    assert [kv.key for kv in left.kvs] == [b"other"]
    assert rig.machine.leases.find(A) is None
    assert rig.execute(Put(b"a", lease=A)) is KvError.LEASE_NOT_FOUND


def test_end_of_a_lease_without_keys_makes_no_revision(rig: Rig) -> None:
    assert rig.execute(LeaseRevoke(A)) == Leased(1, A)


def test_each_lease_that_expires_makes_a_revision_of_its_own(rig: Rig) -> None:
    rig.execute_all(Put(b"a", lease=A), Put(b"b", lease=B))
    assert rig.execute(LeaseExpire(3, ((A, 1), (B, 2)))) == Leased(5)


def test_lease_is_seen_with_all_its_keys_or_not_at_all() -> None:
    """While its end is applied in slices."""
    rig = Rig(slice_rows=2)
    rig.execute_all(LeaseGrant(A, 60), *(Put(b"%d" % number, lease=A) for number in range(7)))
    steps = rig.machine.apply([encode(LeaseRevoke(A))], 99, b"later")
    assert isinstance(steps, Generator)
    slices = 1
    while next(steps, DONE) is not DONE:
        assert rig.machine.leases.find(A) is None
        assert rig.machine.revision == 8
        slices += 1
    assert slices == 3, "and the last"
    assert (rig.machine.revision, keys(rig, A)) == (9, [])


def test_renewal_that_came_first_wins_over_the_expiry(rig: Rig) -> None:
    """No race between the two: the log has them in one order."""
    assert rig.execute(LeaseRenew(A)) == Leased(1, A, 60)
    rig.execute(LeaseExpire(3, ((A, 1),)))
    assert rig.machine.leases.find(A) == Lease(60, 3)


def test_lease_granted_again_under_the_same_id_is_another_one(rig: Rig) -> None:
    rig.execute_all(LeaseRevoke(A), LeaseGrant(A, 60), LeaseExpire(3, ((A, 1),)))
    assert rig.machine.leases.find(A) == Lease(60, 3)


@pytest.mark.parametrize("term", [2, 4], ids=["deposed", "not known yet"])
def test_only_the_leader_of_the_term_ends_leases(rig: Rig, term: int) -> None:
    rig.execute_all(LeaseExpire(term, ((A, 1),)), LeaseCheckpoint(term, ((A, 1, 10),)))
    assert rig.machine.leases.find(A) == Lease(60, 1)


def test_term_of_the_leader_never_falls(rig: Rig) -> None:
    rig.execute_all(LeaseLead(2), LeaseExpire(3, ((A, 1),)))
    assert rig.machine.leases.find(A) is None


def test_checkpoint_holds_until_the_next_renewal(rig: Rig) -> None:
    rig.execute(LeaseCheckpoint(3, ((A, 1, 20), (B, 1, 20), (1, 1, 20))))
    assert rig.machine.leases.find(A) == Lease(60, 1, 20)
    assert rig.machine.leases.find(B) == Lease(90, 2), "renewed since"
    rig.execute(LeaseRenew(A))
    assert rig.machine.leases.find(A) == Lease(60, 3)


def test_leases_keys_numbers_and_term_survive_a_crash(rig: Rig) -> None:
    rig.execute_all(Put(b"k", lease=A), LeaseRenew(B))
    rig.checkpoint()
    rig.crash()
    leases = rig.machine.leases
    assert dict(leases.some(None, 10_000)[0]) == {A: Lease(60, 1), B: Lease(90, 3)}
    assert (keys(rig, A), leases.term) == ([b"k"], 3)
    rig.execute(LeaseGrant(11, 5))
    assert leases.find(11) == Lease(5, 4), "numbers are never used twice"


def test_snapshot_brings_the_leases(rig: Rig) -> None:
    rig.execute(Put(b"k", lease=A))
    rig.checkpoint()
    other = Rig()
    other.execute_all(LeaseLead(9), LeaseGrant(5, 5))
    other.install(rig.machine.open_snapshot())
    leases = other.machine.leases
    assert dict(leases.some(None, 10_000)[0]) == {A: Lease(60, 1), B: Lease(90, 2)}
    assert (keys(other, A), leases.term) == ([b"k"], 3)
    other.execute(LeaseRenew(A))
    assert leases.find(A) == Lease(60, 3)


def test_listener_hears_of_each_change_once(rig: Rig) -> None:
    heard: list[tuple[int, Lease | None]] = []
    rig.machine.leases.on_change = lambda lease_id, lease: heard.append((lease_id, lease))
    rig.execute_all(
        LeaseGrant(11, 5),
        LeaseRenew(11),
        LeaseCheckpoint(3, ((11, 4, 2),)),
        LeaseExpire(3, ((11, 4),)),
        LeaseRevoke(A),
        LeaseRenew(A),
    )
    assert heard == [
        (11, Lease(5, 3)),
        (11, Lease(5, 4)),
        (11, Lease(5, 4, 2)),
        (11, None),
        (A, None),
    ]


def test_scan_goes_on_behind_a_lease(rig: Rig) -> None:
    rig.execute(LeaseGrant(2**63 - 1, 5))
    every = [lease_id for lease_id, _ in rig.machine.leases.some(None, 10_000)[0]]
    assert sorted(every) == [B, A, 2**63 - 1]
    assert [lease_id for lease_id, _ in rig.machine.leases.some(every[0], 10)[0]] == every[1:]
    assert rig.machine.leases.some(every[-1], 10)[0] == []


def test_keys_of_the_last_lease_in_order_are_found(rig: Rig) -> None:
    rig.execute_all(LeaseGrant(-1, 5), Put(b"\xff", lease=-1), Put(b"k", lease=-1))
    assert keys(rig, -1) == [b"k", b"\xff"]


def test_an_end_passes_few_keys_in_a_slice_that_were_just_detached(tmp_path: Path) -> None:
    rig = Rig(tmp_path, slice_rows=100)
    rig.execute(LeaseGrant(A, 60))
    rig.execute_all(*(Put(b"%04d" % number, lease=A) for number in range(1000)))
    rig.checkpoint()
    rig.execute(DeleteRange(b"\0", b"\0"))
    rig.execute(Put(b"left", lease=A))
    keys, passed, after = rig.machine.leases.some_keys(A, None, 100)
    assert (keys, passed, after) == ([], 100, b"0099")
    steps = rig.machine.apply([encode(LeaseRevoke(A))], 2000, b"position")
    assert isinstance(steps, Generator)
    assert len(list(steps)) > 5
    assert rig.machine.leases.some(None, 10_000)[0] == []
    left = rig.execute(RangeQuery(b"left"))
    assert isinstance(left, Range)
    assert left.count == 0
    rig.close()


def test_many_leases_end_in_slices() -> None:
    """By one command: their keys count together."""
    rig = Rig(slice_rows=100)
    ids = range(1, 1001)
    rig.execute(LeaseLead(1))
    rig.execute_all(*(LeaseGrant(lease_id, 60) for lease_id in ids))
    rig.execute_all(*(Put(b"%04d" % lease_id, lease=lease_id) for lease_id in ids))
    leases = tuple(
        (lease_id, lease.number) for lease_id, lease in rig.machine.leases.some(None, 5000)[0]
    )
    steps = rig.machine.apply([encode(LeaseExpire(1, leases))], 5000, b"position")
    assert isinstance(steps, Generator)
    assert len(list(steps)) > 5
    assert rig.machine.leases.some(None, 5000) == ([], None)


def test_keys_are_read_on_from_behind_the_last_one(rig: Rig) -> None:
    """The next one may be the same, but for a zero."""
    rig.execute_all(*(Put(key, lease=A) for key in (b"a", b"a\0", b"a\0\0", b"a\1", b"b")))
    found: list[bytes] = []
    after: bytes | None = None
    while True:
        keys, _, after = rig.machine.leases.some_keys(A, after, 1)
        found += keys
        if after is None:
            break
    assert found == [b"a", b"a\0", b"a\0\0", b"a\1", b"b"]


def test_some_leases_pass_few_that_have_just_ended(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    rig.execute_all(*(LeaseGrant(number, 60) for number in range(1, 301)))
    rig.checkpoint()
    rig.execute_all(*(LeaseRevoke(number) for number in range(1, 300)))
    assert rig.machine.leases.some(None, 100) == ([], 100)
    found, after = rig.machine.leases.some(250, 100)
    assert ([lease_id for lease_id, _ in found], after) == ([300], None)
    rig.close()
