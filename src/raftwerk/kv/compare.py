"""The comparisons of a Txn."""

from operator import attrgetter
from typing import Final

from raftwerk.kv.commands import Compare, CompareResult, CompareTarget
from raftwerk.kv.rows import KeyRow
from raftwerk.kv.versions import Versions

_MISSING: Final = KeyRow(0, 0, 0, 0, 0)
_NUMBERS: Final = {
    CompareTarget.VERSION: attrgetter("version"),
    CompareTarget.CREATE: attrgetter("create_revision"),
    CompareTarget.MOD: attrgetter("mod_revision"),
    CompareTarget.LEASE: attrgetter("lease"),
}


def row_holds(versions: Versions, item: Compare, row: KeyRow | None) -> bool:
    """Whether a comparison is true of one version; None: there is no key."""
    target = item.target
    if target is CompareTarget.VALUE:
        return row is not None and _compare(item.result, versions.decoded(row).value, item.operand)
    return _compare(item.result, _NUMBERS[target](row or _MISSING), item.operand)


def _compare(result: CompareResult, left: int | bytes, right: int | bytes) -> bool:
    if result is CompareResult.EQUAL:
        return left == right
    if result is CompareResult.NOT_EQUAL:
        return left != right
    if isinstance(left, bytes):
        assert isinstance(right, bytes)
        return left > right if result is CompareResult.GREATER else left < right
    assert isinstance(right, int)
    return left > right if result is CompareResult.GREATER else left < right
