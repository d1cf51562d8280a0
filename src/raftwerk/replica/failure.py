"""How a request to the node can end, other than with its result."""

from enum import StrEnum


class Failure(StrEnum):
    """Why there is no result. Only the first group says that nothing happened."""

    NO_LEADER = "no leader"
    OVERLOADED = "too many requests"
    NO_SPACE = "disk full"
    STOPPED = "server stopped"
    NOT_COMMITTED = "leader changed"
    """Another leader's entry took the place, or stands before it: the command certainly did not happen and never will."""

    TIMED_OUT = "timed out"
    """The outcome is unknown."""
    TIMED_OUT_LEADER_FAILED = "timed out, leader failed"
    """The outcome is unknown; the leader was lost while the request waited."""
    TIMED_OUT_CONNECTION_LOST = "timed out, connection lost"
    """The outcome is unknown; this node was cut off from the majority while the request waited."""
