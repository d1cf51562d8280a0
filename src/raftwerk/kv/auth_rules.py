"""Who may do what: every command and every read is judged here, and nowhere else.

A range that is asked for must lie within the union of the ranges that a user's roles grant. What a request tells its client
by the way needs a permission as well: the earlier value of a key (prev_kv) and a comparison are reads, and attaching a lease
is a write to all its keys, which end with it. Operations of a transaction are judged in both branches, nested ones too:
otherwise the comparison would be told by the refusal.
"""

from collections.abc import Iterator, Sequence
from functools import partial
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
from raftwerk.kv.steps import Slice, Steps
from raftwerk.kv.versions import bounds


class Identity(NamedTuple):
    """Whom a request comes from, as it was known at an auth revision. user "": nobody in particular."""

    user: str
    auth_revision: int


NOBODY = Identity("", 0)
MEMBER = Identity("", -1)
"""A member by itself: it keeps house, or ends what somebody has begun."""


class LeaseKeys(NamedTuple):
    """Being told of some keys that they are attached to a lease."""

    keys: Sequence[bytes]


class LeaseCheck(NamedTuple):
    """All keys of a lease have to be among some, or the command is refused."""

    lease_id: int
    among: KeyRanges
    refused: KvError


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


def refusal(auth: Auth, by: Identity, command: Command | RangeQuery | LeaseKeys) -> KvError | None:
    """Why `by` may not execute a command or a read, but for what `lease_checks` finds. What members do by themselves has no
    user, and is never refused.
    """
    if not auth.is_enabled or by == MEMBER:
        return None
    if isinstance(command, SessionWrite):
        command = command.command
    if isinstance(command, RangeQuery | Put | DeleteRange | Txn | LeaseKeys):
        return _key_refusal(auth, by, command)
    if isinstance(command, Compact) or (
        isinstance(command, AuthCommand) and not isinstance(command, TokenGrant)
    ):
        return admin_refusal(auth, by)
    return None


def _key_refusal(auth: Auth, by: Identity, command: Operation | LeaseKeys) -> KvError | None:
    if isinstance(command, LeaseKeys) and not command.keys:
        return None
    if isinstance(command, Txn) and not _touches_keys(command):
        return None
    access = _access(auth, by)
    if isinstance(access, KvError):
        return access
    if access.is_admin:
        return None
    if isinstance(command, LeaseKeys):
        is_allowed = all(access.reads.covers(*bounds(key, b"")) for key in command.keys)
    else:
        is_allowed = _may(access, command)
    return None if is_allowed else KvError.PERMISSION_DENIED


def _access(auth: Auth, by: Identity) -> Access | KvError:
    """What a user may do, or why that is nothing."""
    if not by.user:
        return KvError.USER_EMPTY
    if by.auth_revision < auth.revision:
        return KvError.AUTH_OLD_REVISION
    return auth.access(by.user) or KvError.PERMISSION_DENIED


def _may(access: Access, operation: Operation) -> bool:
    if isinstance(operation, RangeQuery):
        return access.reads.covers(*bounds(operation.key, operation.range_end))
    if isinstance(operation, Txn):
        return all(
            access.reads.covers(*bounds(compare.key, compare.range_end))
            for compare in operation.compares
        ) and all(_may(access, nested) for nested in (*operation.success, *operation.failure))
    range_end = operation.range_end if isinstance(operation, DeleteRange) else b""
    start, stop = bounds(operation.key, range_end)
    return access.writes.covers(start, stop) and (
        not operation.prev_kv or access.reads.covers(start, stop)
    )


def _touches_keys(txn: Txn) -> bool:
    return bool(txn.compares) or any(
        not isinstance(one, Txn) or _touches_keys(one) for one in (*txn.success, *txn.failure)
    )


def lease_checks(auth: Auth, by: Identity, command: Command) -> list[LeaseCheck]:
    """What is still to be found out about a command that `refusal` lets through."""
    if not auth.is_enabled or by == MEMBER:
        return []
    if isinstance(command, SessionWrite):
        command = command.command
    if not isinstance(command, Put | Txn | LeaseRevoke):
        return []
    lease_ids = dict.fromkeys(_leases_of(command))
    if not lease_ids:
        return []
    access = _access(auth, by)
    if isinstance(access, KvError):  # of a revoke: of a lease without keys anybody may
        return [LeaseCheck(lease_id, KeyRanges(()), access) for lease_id in lease_ids]
    if access.is_admin:
        return []
    denied = KvError.PERMISSION_DENIED
    return [LeaseCheck(lease_id, access.writes, denied) for lease_id in lease_ids]


def _leases_of(command: Operation | LeaseRevoke) -> Iterator[int]:
    if isinstance(command, LeaseRevoke):
        yield command.lease_id
    elif isinstance(command, Put) and command.lease:
        yield command.lease
    elif isinstance(command, Txn):
        for nested in (*command.success, *command.failure):
            yield from _leases_of(nested)


def checked(checks: list[LeaseCheck], leases: Leases, part: Slice) -> Steps[KvError | None]:
    """Why the command is refused, if it is."""
    for lease_id, among, refused in checks:
        is_met = yield from among.covers_all(partial(leases.first_key, lease_id, part))
        if not is_met:
            return refused
    return None
