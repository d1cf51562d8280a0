"""What the key-value machine answers. Key-values are already in their wire form: serialized mvccpb.KeyValue.

Every result carries `revision`: that of the store when the command was executed (for the response header). Expected
refusals are KvError values: every member comes to the same one, so they are results and not exceptions.

Sessions keep results on disk: tags and field orders there are for ever, as those of commands.
"""

from collections.abc import Sequence
from enum import StrEnum
from typing import TypeAlias

import msgspec


class KvError(StrEnum):
    """Refusals. The values name them in logs; the exact texts of the API are in raftwerk.api."""

    KEY_NOT_FOUND = "key not found"
    LEASE_NOT_FOUND = "lease not found"
    LEASE_EXISTS = "lease already exists"
    COMPACTED = "revision compacted"
    FUTURE_REVISION = "future revision"
    UNREADABLE = "command not understood"
    NO_SPACE = "alarm: no space"
    CORRUPT = "alarm: corrupt"
    SESSION_EXPIRED = "session expired"
    OUTSIDE_WINDOW = "number outside the window of its session"
    RESULT_NOT_KEPT = "done before, result not kept"
    ANOTHER_WRITE = "number was used for another write"
    USER_EMPTY = "user name is empty"
    USER_EXISTS = "user name already exists"
    USER_NOT_FOUND = "user name not found"
    ROLE_EMPTY = "role name is empty"
    ROLE_EXISTS = "role name already exists"
    ROLE_NOT_FOUND = "role name not found"
    ROLE_NOT_GRANTED = "role is not granted to the user"
    PERMISSION_NOT_GRANTED = "permission is not granted to the role"
    ROOT_USER_NOT_FOUND = "root user does not exist"
    ROOT_ROLE_NOT_GRANTED = "root user does not have root role"
    INVALID_AUTH_MANAGEMENT = "invalid auth management"
    AUTH_NOT_ENABLED = "authentication is not enabled"
    AUTH_OLD_REVISION = "revision of auth store is old"
    PERMISSION_DENIED = "permission denied"
    INVALID_TOKEN = "invalid auth token"


class RangeResult(msgspec.Struct, frozen=True, gc=False, array_like=True, tag=1):
    """kvs: serialized KeyValues in the order asked for. count: all keys in the range, whatever limit and filters."""

    revision: int
    kvs: Sequence[bytes]
    more: bool
    count: int


class PutResult(msgspec.Struct, frozen=True, gc=False, array_like=True, tag=2):
    revision: int
    prev_kv: bytes | None


class DeleteRangeResult(msgspec.Struct, frozen=True, gc=False, array_like=True, tag=3):
    revision: int
    deleted: int
    prev_kvs: Sequence[bytes]


class TxnResult(msgspec.Struct, frozen=True, gc=False, array_like=True, tag=4):
    """responses: one for each operation of the branch that was taken."""

    revision: int
    succeeded: bool
    responses: "Sequence[RangeResult | PutResult | DeleteRangeResult | TxnResult]"


class CompactResult(msgspec.Struct, frozen=True, gc=False, array_like=True, tag=5):
    revision: int


class PublishResult(msgspec.Struct, frozen=True, gc=False):
    revision: int


class LeaseResult(msgspec.Struct, frozen=True, gc=False):
    """Of every lease command; lease_id and ttl_s where they say something."""

    revision: int
    lease_id: int = 0
    ttl_s: int = 0


class AlarmResult(msgspec.Struct, frozen=True, gc=False):
    """is_known: the alarm is raised, or was until now."""

    revision: int
    is_known: bool


class HashCheckResult(msgspec.Struct, frozen=True, gc=False):
    revision: int


class SessionResult(msgspec.Struct, frozen=True, gc=False):
    """Of opening and closing a session."""

    revision: int
    session: int


class AuthResult(msgspec.Struct, frozen=True, gc=False):
    """Of every auth command."""

    revision: int


Result: TypeAlias = (
    RangeResult
    | PutResult
    | DeleteRangeResult
    | TxnResult
    | CompactResult
    | PublishResult
    | LeaseResult
    | SessionResult
    | AlarmResult
    | HashCheckResult
    | AuthResult
    | KvError
)
