"""What a user may read and write: the union of the ranges of all its roles, merged."""

from bisect import bisect_right
from collections.abc import Callable, Iterable
from typing import Final, NamedTuple

from raftwerk.kv.auth_commands import Permission, PermissionType
from raftwerk.kv.steps import Steps
from raftwerk.kv.versions import bounds

_READ: Final = (PermissionType.READ, PermissionType.READWRITE)
_WRITE: Final = (PermissionType.WRITE, PermissionType.READWRITE)


class KeyRanges:
    """A set of keys, as ranges that neither touch nor overlap."""

    def __init__(self, ranges: Iterable[tuple[bytes, bytes | None]]) -> None:
        """ranges: (start, stop), stop None: to the end of all keys."""
        merged: list[tuple[bytes, bytes | None]] = []
        for start, stop in sorted(ranges, key=lambda one: one[0]):
            if stop is not None and stop <= start:
                continue
            if merged and (merged[-1][1] is None or start <= merged[-1][1]):
                merged[-1] = (merged[-1][0], _later(merged[-1][1], stop))
            else:
                merged.append((start, stop))
        self._ranges = merged
        self._starts = [start for start, _ in merged]

    def covers(self, start: bytes, stop: bytes | None) -> bool:
        """Whether every key of a range is in it. A range without keys is covered where a key at its start would be."""
        place = bisect_right(self._starts, start) - 1
        if place < 0:
            return False
        end = self._ranges[place][1]
        return end is None or (start < end and stop is not None and stop <= end)

    def covers_all(self, first_key: Callable[[bytes], Steps[bytes | None]]) -> Steps[bool]:
        """Whether it has all keys of a sorted set. first_key: the first one of the set from some key on, None: there is none.

        Asks once for each range that has some of it, however large the set.
        """
        key = yield from first_key(b"")
        while key is not None:
            place = bisect_right(self._starts, key) - 1
            if place < 0:
                return False
            stop = self._ranges[place][1]
            if stop is None:
                break
            if key >= stop:
                return False
            key = yield from first_key(stop)
        return True


def _later(one: bytes | None, other: bytes | None) -> bytes | None:
    return None if one is None or other is None else max(one, other)


class Access(NamedTuple):
    """is_admin: has the role root, which may do everything."""

    is_admin: bool
    reads: KeyRanges
    writes: KeyRanges


def access_of(permissions: Iterable[Permission], *, is_admin: bool) -> Access:
    """The union of permissions."""
    all_of_them = list(permissions)
    reads, writes = (
        KeyRanges(bounds(one.key, one.range_end) for one in all_of_them if one.type in types)
        for types in (_READ, _WRITE)
    )
    return Access(is_admin, reads, writes)
