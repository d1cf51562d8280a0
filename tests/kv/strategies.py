"""Random commands of the key-value machine: few keys and small revisions, so that they meet."""

from hypothesis import strategies as st

from raftwerk.kv.commands import (
    Compact,
    Compare,
    CompareResult,
    CompareTarget,
    DeleteRange,
    LeaseCheckpoint,
    LeaseExpire,
    LeaseGrant,
    LeaseLead,
    LeaseRenew,
    LeaseRevoke,
    Operation,
    Put,
    RangeQuery,
    SortOrder,
    SortTarget,
    Txn,
)

KEYS = st.sampled_from([b"\0", b"a", b"a\0", b"aa", b"ab", b"b", b"c", b"\xff"])
VALUES = st.sampled_from([b"", b"v", b"w", b"\0x"])
REVISIONS = st.sampled_from([0, 0, 0, 0, -1, *range(1, 16)])
RANGE_ENDS = st.sampled_from([b"", b"", b"\0", b"a", b"b", b"\xff", b"\xff\xff"])
LEASE_IDS = (77, 78, -1)
RARE = st.sampled_from([False] * 7 + [True])
SPANS = st.one_of(
    st.tuples(KEYS, RANGE_ENDS),
    st.just((b"\0", b"\0")),  # everything
    KEYS.map(lambda key: (key, key[:-1] + bytes([min(key[-1] + 1, 255)]))),  # a prefix
)


@st.composite
def ranges(draw: st.DrawFn) -> RangeQuery:
    filters = [draw(REVISIONS) if draw(RARE) else 0 for _ in range(4)]
    return RangeQuery(
        *draw(SPANS),
        limit=draw(st.sampled_from([0, 0, 0, 1, 2, 3, -1])),
        revision=draw(REVISIONS),
        sort_order=draw(st.sampled_from(SortOrder)),
        sort_target=draw(st.sampled_from(SortTarget)),
        keys_only=draw(RARE),
        count_only=draw(RARE),
        min_mod_revision=filters[0],
        max_mod_revision=filters[1],
        min_create_revision=filters[2],
        max_create_revision=filters[3],
    )


@st.composite
def puts(draw: st.DrawFn) -> Put:
    ignores_value, ignores_lease = draw(RARE), draw(RARE)
    return Put(
        draw(KEYS),
        b"" if ignores_value else draw(VALUES),
        lease=0 if ignores_lease else draw(st.sampled_from([0, 0, 0, *LEASE_IDS])),
        prev_kv=draw(st.booleans()),
        ignore_value=ignores_value,
        ignore_lease=ignores_lease,
    )


@st.composite
def deletions(draw: st.DrawFn) -> DeleteRange:
    return DeleteRange(*draw(SPANS), prev_kv=draw(st.booleans()))


@st.composite
def compares(draw: st.DrawFn) -> Compare:
    target = draw(st.sampled_from(CompareTarget))
    operand = draw(VALUES if target is CompareTarget.VALUE else st.integers(0, 8))
    key, range_end = draw(SPANS)
    return Compare(target, draw(st.sampled_from(CompareResult)), key, operand, range_end)


def _txns(operations: st.SearchStrategy[Operation]) -> st.SearchStrategy[Txn]:
    return st.builds(
        Txn,
        st.lists(compares(), max_size=2).map(tuple),
        st.lists(operations, max_size=4).map(tuple),
        st.lists(operations, max_size=3).map(tuple),
    )


_TERMS = st.sampled_from([0, 0, 0, 1])
_IDS = st.sampled_from(LEASE_IDS)
_NUMBERS = st.integers(1, 4)
LEASE_COMMANDS = st.one_of(
    st.builds(LeaseGrant, _IDS, st.integers(1, 1000)),
    st.builds(LeaseGrant, _IDS, st.integers(1, 1000)),
    st.builds(LeaseRenew, _IDS),
    st.builds(LeaseRevoke, _IDS),
    st.builds(LeaseExpire, _TERMS, st.lists(st.tuples(_IDS, _NUMBERS)).map(tuple)),
    st.builds(LeaseCheckpoint, _TERMS, st.lists(st.tuples(_IDS, _NUMBERS, _NUMBERS)).map(tuple)),
    st.builds(LeaseLead, _TERMS),
)

PLAIN = st.one_of(ranges(), puts(), deletions())
TXNS = _txns(st.one_of(PLAIN, _txns(st.one_of(PLAIN, _txns(PLAIN)))))
COMMANDS = st.one_of(
    puts(),
    puts(),
    ranges(),
    ranges(),
    deletions(),
    TXNS,
    st.builds(Compact, st.integers(-1, 12)),
    LEASE_COMMANDS,
    LEASE_COMMANDS,
)
SEQUENCES = st.lists(COMMANDS, min_size=1, max_size=25)
