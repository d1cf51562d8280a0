"""Where the log stands, as the state machine keeps it with its data: index, term, and the membership there.

Encoded as two big-endian 64-bit integers and the encoded Membership; b"" is the beginning of time.
"""

import struct
from typing import Final, NamedTuple

from raftwerk.raft.types import Index, Term

_HEADER: Final = struct.Struct(">QQ")


class Position(NamedTuple):
    """The last entry that the state contains, and who was a member then."""

    last_index: Index
    last_term: Term
    membership: bytes

    def encode(self) -> bytes:
        return _HEADER.pack(self.last_index, self.last_term) + self.membership

    @staticmethod
    def decode(data: bytes) -> "Position":
        """The inverse of encode. Raises struct.error for shorter bytes."""
        last_index, last_term = _HEADER.unpack_from(data)
        return Position(last_index, last_term, data[_HEADER.size :])
