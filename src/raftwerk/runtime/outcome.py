"""How a request to the node can end, other than with its result (defined where it is decided, by the executor)."""

from raftwerk.replica.failure import Failure

__all__ = ["Failure"]
