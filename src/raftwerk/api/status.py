"""The refusals of the etcd v3 API: code and exact text. Clients match on the text, so it is the contract."""

from typing import Final, NamedTuple

# gRPC status codes (google.rpc.Code)
OK: Final = 0
CANCELLED: Final = 1
UNKNOWN: Final = 2
INVALID_ARGUMENT: Final = 3
DEADLINE_EXCEEDED: Final = 4
NOT_FOUND: Final = 5
PERMISSION_DENIED: Final = 7
RESOURCE_EXHAUSTED: Final = 8
FAILED_PRECONDITION: Final = 9
OUT_OF_RANGE: Final = 11
UNIMPLEMENTED: Final = 12
INTERNAL: Final = 13
UNAVAILABLE: Final = 14
DATA_LOSS: Final = 15
UNAUTHENTICATED: Final = 16


class Status(NamedTuple):
    """A refusal as it goes on the wire."""

    code: int
    text: str


EMPTY_KEY: Final = Status(INVALID_ARGUMENT, "etcdserver: key is not provided")
KEY_NOT_FOUND: Final = Status(INVALID_ARGUMENT, "etcdserver: key not found")
VALUE_PROVIDED: Final = Status(INVALID_ARGUMENT, "etcdserver: value is provided")
LEASE_PROVIDED: Final = Status(INVALID_ARGUMENT, "etcdserver: lease is provided")
TOO_MANY_OPS: Final = Status(INVALID_ARGUMENT, "etcdserver: too many operations in txn request")
DUPLICATE_KEY: Final = Status(INVALID_ARGUMENT, "etcdserver: duplicate key given in txn request")
INVALID_SORT_OPTION: Final = Status(INVALID_ARGUMENT, "etcdserver: invalid sort option")
UNKNOWN_COMPARE: Final = Status(
    INVALID_ARGUMENT, "etcdserver: unknown compare target or result in txn request"
)
"""Not one of etcd's: it takes an unknown result for true, and an unknown target for equal."""
REQUEST_TOO_LARGE: Final = Status(INVALID_ARGUMENT, "etcdserver: request is too large")
COMPACTED: Final = Status(OUT_OF_RANGE, "etcdserver: mvcc: required revision has been compacted")
FUTURE_REVISION: Final = Status(
    OUT_OF_RANGE, "etcdserver: mvcc: required revision is a future revision"
)
NO_SPACE: Final = Status(RESOURCE_EXHAUSTED, "etcdserver: mvcc: database space exceeded")
CORRUPT: Final = Status(DATA_LOSS, "etcdserver: corrupt cluster")
TOO_MANY_REQUESTS: Final = Status(RESOURCE_EXHAUSTED, "etcdserver: too many requests")
LEASE_NOT_FOUND: Final = Status(NOT_FOUND, "etcdserver: requested lease not found")
LEASE_EXISTS: Final = Status(FAILED_PRECONDITION, "etcdserver: lease already exists")
LEASE_TTL_TOO_LARGE: Final = Status(OUT_OF_RANGE, "etcdserver: too large lease TTL")
NOT_LEADER: Final = Status(FAILED_PRECONDITION, "etcdserver: not leader")
BAD_TRANSFEREE: Final = Status(FAILED_PRECONDITION, "etcdserver: bad leader transferee")
WRONG_DOWNGRADE_VERSION: Final = Status(
    INVALID_ARGUMENT, "etcdserver: wrong downgrade target version format"
)
INVALID_DOWNGRADE_VERSION: Final = Status(
    INVALID_ARGUMENT, "etcdserver: invalid downgrade target version"
)
NO_DOWNGRADE: Final = Status(FAILED_PRECONDITION, "etcdserver: no inflight downgrade job")
UNKNOWN_METHOD: Final = Status(UNKNOWN, "etcdserver: unknown method")
NO_LEADER: Final = Status(UNAVAILABLE, "etcdserver: no leader")
LEADER_CHANGED: Final = Status(UNAVAILABLE, "etcdserver: leader changed")
STOPPED: Final = Status(UNAVAILABLE, "etcdserver: server stopped")
TIMED_OUT: Final = Status(UNAVAILABLE, "etcdserver: request timed out")
TIMED_OUT_LEADER_FAILED: Final = Status(
    UNAVAILABLE, "etcdserver: request timed out, possibly due to previous leader failure"
)
TIMED_OUT_CONNECTION_LOST: Final = Status(
    UNAVAILABLE, "etcdserver: request timed out, possibly due to connection lost"
)
USER_EMPTY: Final = Status(INVALID_ARGUMENT, "etcdserver: user name is empty")
USER_EXISTS: Final = Status(FAILED_PRECONDITION, "etcdserver: user name already exists")
USER_NOT_FOUND: Final = Status(FAILED_PRECONDITION, "etcdserver: user name not found")
ROLE_EMPTY: Final = Status(INVALID_ARGUMENT, "etcdserver: role name is empty")
ROLE_EXISTS: Final = Status(FAILED_PRECONDITION, "etcdserver: role name already exists")
ROLE_NOT_FOUND: Final = Status(FAILED_PRECONDITION, "etcdserver: role name not found")
ROLE_NOT_GRANTED: Final = Status(FAILED_PRECONDITION, "etcdserver: role is not granted to the user")
PERMISSION_NOT_GRANTED: Final = Status(
    FAILED_PRECONDITION, "etcdserver: permission is not granted to the role"
)
ROOT_USER_NOT_FOUND: Final = Status(FAILED_PRECONDITION, "etcdserver: root user does not exist")
ROOT_ROLE_NOT_GRANTED: Final = Status(
    FAILED_PRECONDITION, "etcdserver: root user does not have root role"
)
INVALID_AUTH_MANAGEMENT: Final = Status(INVALID_ARGUMENT, "etcdserver: invalid auth management")
AUTH_NOT_ENABLED: Final = Status(FAILED_PRECONDITION, "etcdserver: authentication is not enabled")
AUTH_OLD_REVISION: Final = Status(INVALID_ARGUMENT, "etcdserver: revision of auth store is old")
NOT_PERMITTED: Final = Status(PERMISSION_DENIED, "etcdserver: permission denied")
PERMISSION_NOT_GIVEN: Final = Status(INVALID_ARGUMENT, "etcdserver: permission not given")
AUTH_FAILED: Final = Status(
    INVALID_ARGUMENT, "etcdserver: authentication failed, invalid user ID or password"
)
INVALID_TOKEN: Final = Status(UNAUTHENTICATED, "etcdserver: invalid auth token")
NO_PASSWORD_USER: Final = Status(
    UNKNOWN, "auth: authentication failed, password was given for no password user"
)
PASSWORD_TOO_LONG: Final = Status(UNKNOWN, "bcrypt: password length exceeds 72 bytes")
CANNOT_SIGN: Final = Status(UNKNOWN, "auth: token signing attempted with verify-only key")
DEADLINE: Final = Status(DEADLINE_EXCEEDED, "context deadline exceeded")
UNREADABLE: Final = Status(INTERNAL, "etcdserver: the request cannot be read")
NOT_SUPPORTED_YET: Final = Status(UNIMPLEMENTED, "etcdserver: not supported by raftwerk yet")
NO_ANSWER: Final = Status(INTERNAL, "raftwerk: no answer could be made; the member's log says why")
ANSWER_TOO_LARGE: Final = Status(
    RESOURCE_EXHAUSTED,
    "raftwerk: the answer is too large (more than 384 MiB): ask for less at a time, with a limit",
)
DONE_NO_ANSWER: Final = Status(
    UNAVAILABLE, "raftwerk: done, but no answer could be made; the member's log says why"
)
"""As after a time-out, a client cannot take it for something that did not happen."""
# raftwerk's own: of writes that carry a session
SESSION_EXPIRED: Final = Status(FAILED_PRECONDITION, "etcdserver: the session has expired")
OUTSIDE_WINDOW: Final = Status(
    FAILED_PRECONDITION, "etcdserver: the number is outside the window of its session"
)
RESULT_NOT_KEPT: Final = Status(
    FAILED_PRECONDITION,
    "etcdserver: the write was done before, its result was too large to be kept",
)
ANOTHER_WRITE: Final = Status(
    INVALID_ARGUMENT, "etcdserver: the number of the session was used for another write"
)
SESSION_UNREADABLE: Final = Status(
    INVALID_ARGUMENT, "etcdserver: raftwerk-session must be three numbers, like 7/5/3"
)
SESSION_PUTS_UNREADABLE: Final = Status(
    INVALID_ARGUMENT,
    "etcdserver: this is no request of raftwerk.Sessions/Put, or has more than 500 puts",
)
