"""The commands of the key-value machine, as they stand in the log, and the query of a read.

Values are those of etcd's v3 requests (KV service). Struct tags and field orders are on disk and on the wire: append
fields with defaults, never reorder, never reuse a tag.
"""

from enum import IntEnum
from typing import Annotated, Final, TypeAlias, cast

import msgspec

from raftwerk.kv.auth_commands import AuthCommand

ALL_FROM_KEY: Final = b"\0"
"""As range_end: every key >= key."""


class SortOrder(IntEnum):
    NONE = 0
    ASCEND = 1
    DESCEND = 2


class SortTarget(IntEnum):
    KEY = 0
    VERSION = 1
    CREATE = 2
    MOD = 3
    VALUE = 4


class CompareResult(IntEnum):
    EQUAL = 0
    GREATER = 1
    LESS = 2
    NOT_EQUAL = 3


class CompareTarget(IntEnum):
    VERSION = 0
    CREATE = 1
    MOD = 2
    VALUE = 3
    LEASE = 4


class _Command(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Base: immutable, encoded as an array that starts with the tag."""


class RangeQuery(_Command, frozen=True, tag=1):
    """Range. range_end b"": one key; ALL_FROM_KEY: every key >= key. revision <= 0: the newest. limit 0: none."""

    key: bytes
    range_end: bytes = b""
    limit: int = 0
    revision: int = 0
    sort_order: SortOrder = SortOrder.NONE
    sort_target: SortTarget = SortTarget.KEY
    keys_only: bool = False
    count_only: bool = False
    min_mod_revision: int = 0
    max_mod_revision: int = 0
    min_create_revision: int = 0
    max_create_revision: int = 0


class Put(_Command, frozen=True, tag=2):
    key: bytes
    value: bytes = b""
    lease: int = 0
    prev_kv: bool = False
    ignore_value: bool = False
    ignore_lease: bool = False


class DeleteRange(_Command, frozen=True, tag=3):
    key: bytes
    range_end: bytes = b""
    prev_kv: bool = False


class Compare(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One comparison of a Txn. operand: bytes for VALUE, an integer for the others."""

    target: CompareTarget
    result: CompareResult
    key: bytes
    operand: int | bytes
    range_end: bytes = b""


class Txn(_Command, frozen=True, tag=4):
    compares: tuple[Compare, ...] = ()
    success: "tuple[RangeQuery | Put | DeleteRange | Txn, ...]" = ()
    failure: "tuple[RangeQuery | Put | DeleteRange | Txn, ...]" = ()


class Compact(_Command, frozen=True, tag=5):
    revision: int


class PublishMember(_Command, frozen=True, tag=6):
    """A member makes its name and URLs known to all (etcd: "publish")."""

    node_id: int
    name: str
    peer_urls: tuple[str, ...]
    client_urls: tuple[str, ...]


class LeaseGrant(_Command, frozen=True, tag=7):
    """ttl_s: as the server of the request has raised it."""

    lease_id: int
    ttl_s: int


class LeaseRevoke(_Command, frozen=True, tag=8):
    lease_id: int


class LeaseRenew(_Command, frozen=True, tag=9):
    lease_id: int


class LeaseExpire(_Command, frozen=True, tag=10):
    """The leader of a term ends leases that it saw no renewal of since (lease id, number)."""

    term: int
    leases: tuple[tuple[int, int], ...]


class LeaseCheckpoint(_Command, frozen=True, tag=11):
    """The leader of a term makes known how many seconds are left: (lease id, number, seconds)."""

    term: int
    leases: tuple[tuple[int, int, int], ...]


class LeaseLead(_Command, frozen=True, tag=12):
    """From here on only the leader of this term may end leases."""

    term: int


class AlarmKind(IntEnum):
    """etcd's alarms, by its numbers."""

    NO_SPACE = 1
    CORRUPT = 2


class AlarmSet(_Command, frozen=True, tag=40):
    """Raise an alarm of a member, or end it."""

    kind: AlarmKind
    node_id: Annotated[int, msgspec.Meta(ge=0)]
    is_raised: bool


class HashCheck(_Command, frozen=True, tag=41):
    """What a member found as the hash of all versions at a revision: the others compare theirs with it."""

    node_id: int
    revision: int
    compacted_revision: int
    hash: int


Write: TypeAlias = Put | DeleteRange | Txn | Compact


class SessionOpenAs(_Command, frozen=True, tag=50):
    """In logs of earlier versions: its id was drawn by the server. Nobody proposes it any more."""

    session: int


class SessionWrite(_Command, frozen=True, tag=51):
    """A write of a session. number: of this write. first: the first number that its client still waits for."""

    session: int
    number: Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
    first: Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
    command: Write


class SessionClose(_Command, frozen=True, tag=52):
    session: int


class SessionOpen(_Command, frozen=True, tag=53):
    """Each one that is executed opens another session: a copy that comes late opens no earlier one again.

    lot: drawn, so that no session of another cluster has the same id.
    """

    lot: int


Operation: TypeAlias = RangeQuery | Put | DeleteRange | Txn
LeaseCommand: TypeAlias = (
    LeaseGrant | LeaseRevoke | LeaseRenew | LeaseExpire | LeaseCheckpoint | LeaseLead
)
SessionCommand: TypeAlias = SessionOpen | SessionOpenAs | SessionWrite | SessionClose
Command: TypeAlias = (
    Write | PublishMember | LeaseCommand | SessionCommand | AlarmSet | HashCheck | AuthCommand
)


class Authorized(_Command, frozen=True, tag=20):
    """A command while auth is enabled: who wants it (user "": nobody said), and the auth revision at which that was known."""

    user: str
    auth_revision: int
    command: Command


_encode: Final = msgspec.msgpack.Encoder().encode
decode: Final = msgspec.msgpack.Decoder(Command | Authorized).decode


def encode(command: Command | Authorized) -> bytes:
    """What stands in the log, in memory for long: copied, since what msgspec returns takes up to half more than its bytes."""
    return b"".join((_encode(command), b""))


def authorized(user: str, auth_revision: int, command: bytes) -> bytes:
    """A command that is encoded already, as Authorized."""
    return encode(Authorized(user, auth_revision, cast("Command", msgspec.Raw(command))))
