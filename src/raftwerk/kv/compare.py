"""The comparisons of a Txn."""

from raftwerk.kv.commands import Compare, CompareResult, CompareTarget
from raftwerk.kv.rows import KeyRow
from raftwerk.kv.versions import Versions, bounds

_MISSING = KeyRow(0, 0, 0, 0, 0)


def holds(versions: Versions, item: Compare) -> bool:
    """Whether a comparison is true of the present state: for a range, of every key in it.

    A missing key compares as one whose numbers are all zero; its value compares to nothing, so that is always false.
    """
    if item.range_end:
        start, stop = bounds(item.key, item.range_end)
        rows = [row for _, row in versions.scan(start, stop)]
    else:
        row = versions.newest(item.key)
        rows = [] if row is None else [row]
    if not rows:
        return item.target is not CompareTarget.VALUE and _holds(versions, item, _MISSING)
    return all(_holds(versions, item, row) for row in rows)


def _holds(versions: Versions, item: Compare, row: KeyRow) -> bool:
    target = item.target
    if target is CompareTarget.VALUE:
        return _compare(item.result, versions.decoded(row).value, item.operand)
    number = {
        CompareTarget.VERSION: row.version,
        CompareTarget.CREATE: row.create_revision,
        CompareTarget.MOD: row.mod_revision,
        CompareTarget.LEASE: row.lease,
    }[target]
    return _compare(item.result, number, item.operand)


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
