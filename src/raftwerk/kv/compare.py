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


def operand_of(versions: Versions, item: Compare, row: KeyRow | None) -> int | bytes | None:
    """What of one version is compared; row None: there is no key. None: nothing, and the comparison is not true."""
    if item.target is CompareTarget.VALUE:
        return None if row is None else versions.decoded(row).value
    number: int = _NUMBERS[item.target](row or _MISSING)
    return number


def holds(item: Compare, operand: int | bytes | None) -> bool:
    """Whether a comparison is true of that."""
    return operand is not None and _compare(item.result, operand, item.operand)


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
