"""Which keys a request means."""

from typing import Final

from raftwerk.client.arguments import check
from raftwerk.errors import UsageError

FROM_KEY: Final = b"\0"
"""As range_end: every key from the first one on."""


def prefix_end(prefix: bytes) -> bytes:
    """The range_end of all keys that begin with a prefix.

    >>> prefix_end(b"job/"), prefix_end(b"a\\xff"), prefix_end(b"")
    (b'job0', b'b', b'\\x00')
    """
    stripped = prefix.rstrip(b"\xff")
    return stripped[:-1] + bytes((stripped[-1] + 1,)) if stripped else FROM_KEY


def bounds(key: bytes, range_end: bytes, *, prefix: bool) -> tuple[bytes, bytes]:
    """(key, range_end) as a request has them; the empty key is in no range, so all keys are those from b"\\0" on.

    Raises UsageError for a prefix that is no bytes, or has a range_end.
    """
    if not prefix:
        return key, range_end
    if range_end:
        raise UsageError("a range is told by its range_end, or by prefix=True: not by both")
    check("key", "bytes", key, bytes)
    return key or FROM_KEY, prefix_end(key)
