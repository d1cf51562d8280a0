"""The only place where inner refusals become the API's codes and texts."""

from typing import Final

from raftwerk.api import status
from raftwerk.api.status import Status
from raftwerk.kv.results import KvError
from raftwerk.replica.failure import Failure

_FAILURES: Final[dict[Failure, Status]] = {
    Failure.NO_LEADER: status.NO_LEADER,
    Failure.OVERLOADED: status.TOO_MANY_REQUESTS,
    Failure.NO_SPACE: status.NO_SPACE,
    Failure.STOPPED: status.STOPPED,
    Failure.NOT_COMMITTED: status.LEADER_CHANGED,
    Failure.TIMED_OUT: status.TIMED_OUT,
    Failure.TIMED_OUT_LEADER_FAILED: status.TIMED_OUT_LEADER_FAILED,
    Failure.TIMED_OUT_CONNECTION_LOST: status.TIMED_OUT_CONNECTION_LOST,
}

_KV_ERRORS: Final[dict[KvError, Status]] = {
    KvError.KEY_NOT_FOUND: status.KEY_NOT_FOUND,
    KvError.LEASE_NOT_FOUND: status.LEASE_NOT_FOUND,
    KvError.LEASE_EXISTS: status.LEASE_EXISTS,
    KvError.COMPACTED: status.COMPACTED,
    KvError.FUTURE_REVISION: status.FUTURE_REVISION,
    KvError.UNREADABLE: status.UNREADABLE,
    KvError.NO_SPACE: status.NO_SPACE,
    KvError.CORRUPT: status.CORRUPT,
    KvError.SESSION_EXPIRED: status.SESSION_EXPIRED,
    KvError.OUTSIDE_WINDOW: status.OUTSIDE_WINDOW,
    KvError.RESULT_NOT_KEPT: status.RESULT_NOT_KEPT,
    KvError.ANOTHER_WRITE: status.ANOTHER_WRITE,
    KvError.USER_EMPTY: status.USER_EMPTY,
    KvError.USER_EXISTS: status.USER_EXISTS,
    KvError.USER_NOT_FOUND: status.USER_NOT_FOUND,
    KvError.ROLE_EMPTY: status.ROLE_EMPTY,
    KvError.ROLE_EXISTS: status.ROLE_EXISTS,
    KvError.ROLE_NOT_FOUND: status.ROLE_NOT_FOUND,
    KvError.ROLE_NOT_GRANTED: status.ROLE_NOT_GRANTED,
    KvError.PERMISSION_NOT_GRANTED: status.PERMISSION_NOT_GRANTED,
    KvError.ROOT_USER_NOT_FOUND: status.ROOT_USER_NOT_FOUND,
    KvError.ROOT_ROLE_NOT_GRANTED: status.ROOT_ROLE_NOT_GRANTED,
    KvError.INVALID_AUTH_MANAGEMENT: status.INVALID_AUTH_MANAGEMENT,
    KvError.AUTH_NOT_ENABLED: status.AUTH_NOT_ENABLED,
    KvError.AUTH_OLD_REVISION: status.AUTH_OLD_REVISION,
    KvError.PERMISSION_DENIED: status.NOT_PERMITTED,
    KvError.INVALID_TOKEN: status.INVALID_TOKEN,
}


def status_of(refusal: Failure | KvError) -> Status:
    """The status to answer."""
    return _FAILURES[refusal] if isinstance(refusal, Failure) else _KV_ERRORS[refusal]
