"""How a call can end without an answer: it did not happen, or nobody knows. Never the one in the guise of the other.

RaftwerkError
+-- CallError           code and text
|   +-- CallFailed      it certainly did not happen
|   |   +-- Compacted   a watch needs versions that are gone
|   +-- OutcomeUnknown  a write that may have happened
+-- LeaseLost           the lease is over, and what depended on it
"""

from typing import Final

from raftwerk.api import status
from raftwerk.errors import RaftwerkError

TROUBLES: Final = frozenset((status.UNAVAILABLE, status.DEADLINE_EXCEEDED))
"""Codes that say nothing about the request: another endpoint, or another attempt, may do better."""


class CallError(RaftwerkError):
    """A call came back without a result.

    code: a gRPC status; it says whose fault it is (3 INVALID_ARGUMENT: the caller's; 14 UNAVAILABLE: nobody's).
    text: the server's own words, or what kept the client from hearing any: of several endpoints, of each.
    """

    def __init__(self, code: int, text: str) -> None:
        self.code = code
        self.text = text
        super().__init__(text)


class CallFailed(CallError):
    """The server refused, or could not be reached, or a read got no answer: nothing was changed."""


class Compacted(CallFailed):
    """Of a watch: what happened before `revision` is forgotten. Read the present state, and watch from there."""

    def __init__(self, code: int, text: str, revision: int) -> None:
        self.revision = revision
        super().__init__(code, text)


class OutcomeUnknown(CallError):
    """A write that may have happened, or may yet happen: look before it is tried again."""


class LeaseLost(RaftwerkError):
    """A lease ended, or was not renewed in time: its keys are gone or will be, and others may have what it held."""


class NotTaken(TimeoutError):
    """The end of a request had not left in time: the server's windows did not let it out. Nothing was done."""
