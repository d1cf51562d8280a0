"""Who may do what: every command and every read is judged here, and nowhere else.

A range that is asked for must lie within the union of the ranges that a user's roles grant. What a request tells its client
by the way needs a permission as well: the earlier value of a key (prev_kv) and a comparison are reads, and attaching a lease
is a write to all its keys, which end with it. Operations of a transaction are judged in both branches, nested ones too:
otherwise the comparison would be told by the refusal.
"""

from typing import NamedTuple

from raftwerk.kv.auth import Auth
from raftwerk.kv.auth_access import Access, KeyRanges
from raftwerk.kv.auth_commands import AuthCommand, TokenGrant
from raftwerk.kv.commands import (
    Authorized,
    Command,
    Compact,
    DeleteRange,
    LeaseRevoke,
    Operation,
    Put,
    RangeQuery,
    SessionWrite,
    Txn,
)
from raftwerk.kv.lease import Leases
from raftwerk.kv.results import KvError
from raftwerk.kv.versions import bounds


class Identity(NamedTuple):
    """Whom a request comes from, as it was known at an auth revision. user "": nobody in particular."""

    user: str
    auth_revision: int


NOBODY = Identity("", 0)
MEMBER = Identity("", -1)
"""A member by itself: it keeps house, or ends what somebody has begun."""


class LeaseKeys(NamedTuple):
    """Reading which keys are attached to a lease."""

    lease_id: int


def identified(command: Command | Authorized) -> tuple[Command, Identity]:
    """The command itself, and whom it comes from."""
    if isinstance(command, Authorized):
        return command.command, Identity(command.user, command.auth_revision)
    return command, NOBODY


def admin_refusal(auth: Auth, by: Identity) -> KvError | None:
    """Why `by` may not do what only administrators may. (They are judged by what they are now, whatever they knew.)"""
    if not auth.is_enabled:
        return None
    if not by.user:
        return KvError.USER_EMPTY
    access = auth.access(by.user)
    return None if access is not None and access.is_admin else KvError.PERMISSION_DENIED


def refusal(
    auth: Auth, leases: Leases, by: Identity, command: Command | RangeQuery | LeaseKeys
) -> KvError | None:
    """Why `by` may not execute a command or a read. What members do by themselves has no user, and is never refused."""
    if not auth.is_enabled or by == MEMBER:
        return None
    if isinstance(command, SessionWrite):
        command = command.command
    if isinstance(command, RangeQuery | Put | DeleteRange | Txn | LeaseRevoke | LeaseKeys):
        return _key_refusal(auth, leases, by, command)
    if isinstance(command, Compact) or (
        isinstance(command, AuthCommand) and not isinstance(command, TokenGrant)
    ):
        return admin_refusal(auth, by)
    return None


def _key_refusal(
    auth: Auth, leases: Leases, by: Identity, command: Operation | LeaseRevoke | LeaseKeys
) -> KvError | None:
    if isinstance(command, LeaseRevoke | LeaseKeys) and (
        leases.first_key(command.lease_id, b"") is None
    ):
        return None
    if isinstance(command, Txn) and not _touches_keys(command):
        return None
    if not by.user:
        return KvError.USER_EMPTY
    if by.auth_revision < auth.revision:
        return KvError.AUTH_OLD_REVISION
    access = auth.access(by.user)
    if access is None:
        return KvError.PERMISSION_DENIED
    if access.is_admin:
        return None
    if isinstance(command, LeaseRevoke):
        is_allowed = _include_keys(access.writes, leases, command.lease_id)
    elif isinstance(command, LeaseKeys):
        is_allowed = _include_keys(access.reads, leases, command.lease_id)
    else:
        is_allowed = _may(access, leases, command)
    return None if is_allowed else KvError.PERMISSION_DENIED


def _may(access: Access, leases: Leases, operation: Operation) -> bool:
    if isinstance(operation, RangeQuery):
        return access.reads.covers(*bounds(operation.key, operation.range_end))
    if isinstance(operation, Txn):
        return all(
            access.reads.covers(*bounds(compare.key, compare.range_end))
            for compare in operation.compares
        ) and all(
            _may(access, leases, nested) for nested in (*operation.success, *operation.failure)
        )
    range_end = operation.range_end if isinstance(operation, DeleteRange) else b""
    start, stop = bounds(operation.key, range_end)
    return (
        access.writes.covers(start, stop)
        and (not operation.prev_kv or access.reads.covers(start, stop))
        and (
            isinstance(operation, DeleteRange)
            or not operation.lease
            or _include_keys(access.writes, leases, operation.lease)
        )
    )


def _touches_keys(txn: Txn) -> bool:
    return bool(txn.compares) or any(
        not isinstance(one, Txn) or _touches_keys(one) for one in (*txn.success, *txn.failure)
    )


def _include_keys(ranges: KeyRanges, leases: Leases, lease_id: int) -> bool:
    """Whether all keys of a lease lie within ranges."""
    return ranges.covers_all(lambda key: leases.first_key(lease_id, key))
