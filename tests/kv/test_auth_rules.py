"""Who may do what, as a table; and against a model that asks key by key."""

from collections.abc import Generator
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raftwerk.kv import auth_commands as auth
from raftwerk.kv.auth_commands import AuthCommand, Permission, PermissionType, TokenGrant
from raftwerk.kv.auth_rules import (
    MEMBER,
    NOBODY,
    Identity,
    LeaseKeys,
    checked,
    lease_checks,
    refusal,
)
from raftwerk.kv.commands import (
    Authorized,
    Command,
    Compact,
    Compare,
    CompareResult,
    CompareTarget,
    DeleteRange,
    LeaseExpire,
    LeaseGrant,
    LeaseRenew,
    LeaseRevoke,
    Put,
    RangeQuery,
    SessionWrite,
    Txn,
    encode,
)
from raftwerk.kv.results import KvError, SessionResult
from raftwerk.kv.steps import Slice, begun
from tests.kv.rig import Rig, completed

READ, WRITE, BOTH = PermissionType
OWN, FOREIGN, EMPTY, NEXT = 1, 2, 3, 4
"""Leases: with a key that the user may write, with another, with none, with one right behind those that it may."""
SETUP: list[Command] = [
    auth.UserAdd("root", b"hash"),
    auth.UserGrantRole("root", "root"),
    auth.RoleAdd("r"),
    auth.RoleGrantPermission("r", Permission(READ, b"r", b"s")),
    auth.RoleGrantPermission("r", Permission(WRITE, b"w", b"x")),
    auth.RoleAdd("q"),
    auth.RoleGrantPermission("q", Permission(BOTH, b"b", b"c")),
    auth.RoleGrantPermission("q", Permission(BOTH, b"c", b"d")),
    auth.UserAdd("user", b"hash"),
    auth.UserGrantRole("user", "r"),
    auth.UserGrantRole("user", "q"),
    LeaseGrant(OWN, 100),
    LeaseGrant(FOREIGN, 100),
    LeaseGrant(EMPTY, 100),
    LeaseGrant(NEXT, 100),
    Put(b"w1", lease=OWN),
    Put(b"x1", lease=FOREIGN),
    Put(b"x", lease=NEXT),
    auth.AuthEnable(),
]
REVISION = 12
USER, ADMIN = Identity("user", REVISION), Identity("root", REVISION)
ALLOWED = None
DENIED = KvError.PERMISSION_DENIED


def apply_each(rig: Rig, *commands: Command) -> None:
    for command in commands:
        rig.log.append(encode(command))
        completed(rig.machine.apply(rig.log[-1:], len(rig.log), b""))


def enabled() -> Rig:
    rig = Rig()
    apply_each(rig, *SETUP)
    assert rig.machine.auth.revision == REVISION
    return rig


RIG = enabled()


def judged(by: Identity, command: Command | RangeQuery | LeaseKeys) -> KvError | None:
    machine = RIG.machine
    refused = refusal(machine.auth, by, command)
    if refused is not None or isinstance(command, RangeQuery | LeaseKeys):
        return refused
    checks = lease_checks(machine.auth, by, command)
    found = begun(checked(checks, machine.leases, Slice(100)))
    assert not isinstance(found, Generator)
    return found


def is_newer(key: bytes, range_end: bytes = b"") -> Compare:
    return Compare(CompareTarget.MOD, CompareResult.GREATER, key, 0, range_end)


OF_KEYS: dict[str, tuple[Command | RangeQuery | LeaseKeys, KvError | None]] = {
    "read": (RangeQuery(b"r1"), ALLOWED),
    "read_range": (RangeQuery(b"r", b"s"), ALLOWED),
    "read_over_two_ranges": (RangeQuery(b"b", b"d"), ALLOWED),
    "read_too_far": (RangeQuery(b"b", b"d\0"), DENIED),
    "read_to_the_end": (RangeQuery(b"r1", b"\0"), DENIED),
    "read_count": (RangeQuery(b"x", count_only=True), DENIED),
    "read_what_may_be_written": (RangeQuery(b"w1"), DENIED),
    "write": (Put(b"w1"), ALLOWED),
    "write_what_may_be_read": (Put(b"r1"), DENIED),
    "write_and_be_told_the_old": (Put(b"w1", prev_kv=True), DENIED),
    "write_and_be_told_the_old_with_both": (Put(b"b1", prev_kv=True), ALLOWED),
    "delete": (DeleteRange(b"w", b"x"), ALLOWED),
    "delete_too_far": (DeleteRange(b"w", b"\0"), DENIED),
    "delete_and_be_told_the_old": (DeleteRange(b"w1", prev_kv=True), DENIED),
    "delete_and_be_told_the_old_with_both": (DeleteRange(b"b", b"d", prev_kv=True), ALLOWED),
    "attach_own_lease": (Put(b"b1", lease=OWN), ALLOWED),
    "attach_empty_lease": (Put(b"b1", lease=EMPTY), ALLOWED),
    "attach_foreign_lease": (Put(b"b1", lease=FOREIGN), DENIED),
    "revoke_own_lease": (LeaseRevoke(OWN), ALLOWED),
    "revoke_empty_lease": (LeaseRevoke(EMPTY), ALLOWED),
    "revoke_foreign_lease": (LeaseRevoke(FOREIGN), DENIED),
    "attach_lease_of_the_key_right_behind": (Put(b"b1", lease=NEXT), DENIED),
    "keys_of_a_lease": (LeaseKeys((b"b", b"r1")), ALLOWED),
    "keys_of_a_lease_that_may_be_written": (LeaseKeys((b"b", b"w1", b"r1")), DENIED),
    "no_keys_of_a_lease": (LeaseKeys(()), ALLOWED),
    "txn": (Txn((is_newer(b"r1"),), (Put(b"w1"),), (RangeQuery(b"b"),)), ALLOWED),
    "txn_of_nothing": (Txn((), (Txn(),)), ALLOWED),
    "txn_compares": (Txn((is_newer(b"w1"),)), DENIED),
    "txn_compares_a_range": (Txn((is_newer(b"r", b"t"),)), DENIED),
    "txn_success": (Txn((), (Put(b"r1"),)), DENIED),
    "txn_branch_not_taken": (Txn((), (), (RangeQuery(b"w1"),)), DENIED),
    "txn_prev_kv": (Txn((), (Put(b"w1", prev_kv=True),)), DENIED),
    "txn_lease": (Txn((), (Put(b"w1", lease=FOREIGN),)), DENIED),
    "txn_leases": (Txn((), (Put(b"w1", lease=OWN),), (Put(b"w2", lease=FOREIGN),)), DENIED),
    "txn_own_leases": (Txn((), (Txn((), (Put(b"w1", lease=OWN),)),)), ALLOWED),
    "txn_nested_lease": (Txn((), (Txn((), (Put(b"w1", lease=FOREIGN),)),)), DENIED),
    "lease_in_a_session": (SessionWrite(1, 1, 1, Put(b"w1", lease=FOREIGN)), DENIED),
    "txn_nested": (Txn((), (Txn((), (), (DeleteRange(b"x"),)),)), DENIED),
    "txn_nested_compares": (Txn((), (Txn((is_newer(b"x"),)),)), DENIED),
    "write_in_a_session": (SessionWrite(1, 1, 1, Put(b"x")), DENIED),
    "own_write_in_a_session": (SessionWrite(1, 1, 1, Put(b"w1")), ALLOWED),
}


@pytest.mark.parametrize("case", OF_KEYS)
def test_user_may_what_its_roles_grant(case: str) -> None:
    command, expected = OF_KEYS[case]
    assert judged(USER, command) is expected


@pytest.mark.parametrize("case", OF_KEYS)
def test_root_may_everything(case: str) -> None:
    assert judged(ADMIN, OF_KEYS[case][0]) is None


@pytest.mark.parametrize("case", OF_KEYS)
def test_member_by_itself_may_everything(case: str) -> None:
    command, _ = OF_KEYS[case]
    assert judged(MEMBER, command) is None


FREE_OF_KEYS = {"revoke_empty_lease", "no_keys_of_a_lease", "txn_of_nothing"}
"""There is nothing to protect."""


@pytest.mark.parametrize("case", sorted(OF_KEYS.keys() - FREE_OF_KEYS))
def test_nobody_may_nothing(case: str) -> None:
    assert judged(NOBODY, OF_KEYS[case][0]) is KvError.USER_EMPTY


@pytest.mark.parametrize("case", sorted(OF_KEYS.keys() - FREE_OF_KEYS))
def test_what_was_known_before_a_change_is_refused(case: str) -> None:
    old = Identity("root", REVISION - 1)
    assert judged(old, OF_KEYS[case][0]) is KvError.AUTH_OLD_REVISION


def test_deleted_user_may_nothing() -> None:
    assert judged(Identity("gone", REVISION), Put(b"w1")) is DENIED


CHANGES: list[AuthCommand | Compact] = [
    auth.AuthEnable(),
    auth.AuthDisable(),
    auth.UserAdd("u"),
    auth.UserDelete("u"),
    auth.UserChangePassword("user", b"h"),
    auth.UserGrantRole("user", "root"),
    auth.UserRevokeRole("user", "r"),
    auth.RoleAdd("n"),
    auth.RoleDelete("r"),
    auth.RoleGrantPermission("r", Permission(BOTH, b"", b"\0")),
    auth.RoleRevokePermission("r", b"r", b"s"),
    Compact(1),
]


@pytest.mark.parametrize("command", CHANGES, ids=lambda one: type(one).__name__)
def test_change_is_for_administrators(command: AuthCommand | Compact) -> None:
    """Whatever auth revision they knew: etcd does not ask."""
    assert judged(USER, command) is DENIED
    assert judged(NOBODY, command) is KvError.USER_EMPTY
    assert judged(Identity("gone", REVISION), command) is DENIED
    assert judged(Identity("root", 0), command) is None


@pytest.mark.parametrize(
    "command",
    [LeaseGrant(9, 10), LeaseRenew(OWN), LeaseExpire(1, ()), TokenGrant("user", b"d", REVISION)],
    ids=lambda one: type(one).__name__,
)
def test_anybody_may_what_touches_no_key(command: Command) -> None:
    assert judged(NOBODY, command) is None


def test_everything_is_allowed_while_auth_is_disabled() -> None:
    machine = Rig().machine
    commands = [command for command, _ in OF_KEYS.values()] + CHANGES
    assert {refusal(machine.auth, NOBODY, one) for one in commands} == {None}
    assert all(
        lease_checks(machine.auth, NOBODY, one) == []
        for one in commands
        if not isinstance(one, RangeQuery | LeaseKeys)
    )


def test_machine_judges_when_it_applies() -> None:
    """What was allowed when it was asked for is refused if auth changed before it in the log."""
    rig = enabled()
    assert rig.execute(Put(b"w1")) is KvError.USER_EMPTY
    assert rig.execute(Authorized(*USER, Put(b"x1"))) is DENIED
    assert not isinstance(rig.execute(Authorized(*USER, Put(b"w1"))), KvError)
    rig.machine.apply([encode(Authorized(*ADMIN, auth.UserRevokeRole("user", "r")))], 99, b"")
    assert rig.execute(Authorized(*USER, Put(b"w1"))) is KvError.AUTH_OLD_REVISION
    assert rig.execute(Authorized("user", REVISION + 1, Put(b"w1"))) is DENIED


def test_refused_write_uses_no_number_of_its_session() -> None:
    """It may be sent again when it is allowed."""
    rig = enabled()
    machine = rig.machine
    open_session = encode([50, 7])
    assert machine.apply([open_session], 98, b"") == [SessionResult(machine.revision, 7)]
    assert rig.execute(SessionWrite(7, 1, 1, Put(b"x"))) is KvError.USER_EMPTY
    assert rig.execute(Authorized(*USER, SessionWrite(7, 1, 1, Put(b"x")))) is DENIED
    assert not isinstance(
        rig.execute(Authorized(*ADMIN, SessionWrite(7, 1, 1, Put(b"x")))), KvError
    )


# A naive model: permissions and requests over eight keys

ALPHABET = [bytes([one]) for one in b"abcdefgh"]
KEYS = st.sampled_from(ALPHABET)
ENDS = st.sampled_from([b"", b"\0", *ALPHABET])
GRANTS = st.lists(st.tuples(st.sampled_from(PermissionType), KEYS, ENDS), max_size=4)
COMPARES = st.builds(is_newer, KEYS, ENDS)
LEAVES = st.one_of(
    st.builds(RangeQuery, KEYS, ENDS),
    st.builds(Put, KEYS, prev_kv=st.booleans()),
    st.builds(DeleteRange, KEYS, ENDS, prev_kv=st.booleans()),
)
OPERATIONS = st.recursive(
    LEAVES,
    lambda inner: st.builds(
        lambda compares, success, failure: Txn(tuple(compares), tuple(success), tuple(failure)),
        st.lists(COMPARES, max_size=2),
        st.lists(inner, max_size=2),
        st.lists(inner, max_size=2),
    ),
    max_leaves=4,
)
BEHIND = b"\xff"
"""Stands for all keys behind those of the alphabet."""


def keys_of(key: bytes, range_end: bytes) -> set[bytes]:
    if not range_end:
        return {key}
    everything = [*ALPHABET, BEHIND]
    return {one for one in everything if one >= key and (range_end == b"\0" or one < range_end)}


def wants(command: Command | RangeQuery) -> tuple[set[bytes], set[bytes]]:
    """Keys that are read, and written."""
    if isinstance(command, RangeQuery):
        return keys_of(command.key, command.range_end), set()
    if isinstance(command, Txn):
        parts = [wants(one) for one in (*command.success, *command.failure)]
        parts += [(keys_of(one.key, one.range_end), set()) for one in command.compares]
        return set().union(*(reads for reads, _ in parts)), set().union(*(one for _, one in parts))
    assert isinstance(command, Put | DeleteRange)
    keys = keys_of(command.key, command.range_end if isinstance(command, DeleteRange) else b"")
    return (keys if command.prev_kv else set()), keys


def has_empty_range(command: Command | RangeQuery | Compare) -> bool:
    if isinstance(command, Txn):
        return any(map(has_empty_range, (*command.compares, *command.success, *command.failure)))
    range_end = b"" if isinstance(command, Put) else command.range_end  # type: ignore[union-attr]
    return not keys_of(command.key, range_end)  # type: ignore[union-attr]


@given(grants=GRANTS, command=OPERATIONS)
def test_rules_are_those_of_the_model(
    grants: list[tuple[PermissionType, bytes, bytes]], command: Command | RangeQuery
) -> None:
    if has_empty_range(command):
        return
    machine = Rig().machine
    for number, grant in enumerate(grants):  # one role each: the union counts
        for setup in (
            auth.RoleAdd(str(number)),
            auth.RoleGrantPermission(str(number), Permission(*grant)),
        ):
            machine.auth.execute(setup, 1)
    for setup in (*SETUP[:2], auth.UserAdd("u"), auth.AuthEnable()):
        assert not isinstance(machine.apply([encode(setup)], 1, b"")[0], KvError)
    for number in range(len(grants)):
        machine.auth.execute(auth.UserGrantRole("u", str(number)), 1)
    reads: set[bytes] = set()
    writes: set[bytes] = set()
    for kind, key, range_end in grants:
        reads |= keys_of(key, range_end) if kind is not WRITE else set()
        writes |= keys_of(key, range_end) if kind is not READ else set()
    wanted_reads, wanted_writes = wants(command)
    expected = None if wanted_reads <= reads and wanted_writes <= writes else DENIED
    by = Identity("u", machine.auth.revision)
    assert refusal(machine.auth, by, command) is expected


@pytest.mark.parametrize("last", [b"b9", b"x9"], ids=["allowed", "denied"])
@pytest.mark.parametrize(
    "command",
    [Put(b"b", lease=EMPTY), Txn((), (Put(b"b", lease=EMPTY),)), LeaseRevoke(EMPTY)],
    ids=lambda one: type(one).__name__,
)
def test_keys_of_a_lease_that_were_just_deleted_are_passed_in_slices(
    tmp_path: Path, command: Command, last: bytes
) -> None:
    rig = Rig(tmp_path, slice_rows=100)
    apply_each(rig, *SETUP[:-1], *(Put(b"b%04d" % n, lease=EMPTY) for n in range(1000)))
    rig.checkpoint()
    apply_each(rig, DeleteRange(b"b", b"c"), Put(last, lease=EMPTY), SETUP[-1])
    by = Identity("user", rig.machine.auth.revision)
    steps = rig.machine.apply([encode(Authorized(*by, command))], 5000, b"position")
    assert isinstance(steps, Generator)
    slices = 0
    while isinstance(steps, Generator):
        steps = begun(steps)
        slices += 1
    assert slices > 5
    assert (steps == [DENIED]) is (last == b"x9")
    rig.close()


def test_a_command_that_is_judged_first_does_one_slice_in_a_turn() -> None:
    rig = Rig(slice_rows=100)
    keys = (Put(b"b%04d" % n, lease=EMPTY) for n in range(1000))
    apply_each(rig, *SETUP[:-1], *keys, SETUP[-1])
    by = Identity("user", rig.machine.auth.revision)
    steps = rig.machine.apply([encode(Authorized(*by, LeaseRevoke(EMPTY)))], 5000, b"position")
    left = [1000]
    while isinstance(steps, Generator):
        left.append(len(rig.machine.leases.keys(EMPTY)))
        steps = begun(steps)
    assert max(before - after for before, after in pairwise(left)) <= 100
    assert left[-1] <= 100
