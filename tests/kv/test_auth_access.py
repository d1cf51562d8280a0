"""What a user may read and write: the union of ranges."""

from bisect import bisect_left
from collections.abc import Generator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raftwerk.kv.auth_access import KeyRanges, access_of
from raftwerk.kv.auth_commands import Permission, PermissionType
from raftwerk.kv.steps import Steps, begun

Range = tuple[bytes, bytes | None]


@pytest.mark.parametrize(
    ("granted", "asked", "is_covered"),
    [
        pytest.param([], (b"a", b"b"), False, id="nothing"),
        pytest.param([(b"a", b"c")], (b"a", b"c"), True, id="the_range_itself"),
        pytest.param([(b"a", b"c")], (b"b", b"c"), True, id="a_part_of_it"),
        pytest.param([(b"b", b"c")], (b"a", b"c"), False, id="begins_before_it"),
        pytest.param([(b"a", b"c")], (b"a", b"d"), False, id="ends_behind_it"),
        pytest.param([(b"a", b"b"), (b"b", b"c")], (b"a", b"c"), True, id="two_that_touch"),
        pytest.param([(b"b", b"d"), (b"a", b"c")], (b"a", b"d"), True, id="two_that_overlap"),
        pytest.param([(b"a", b"b"), (b"b\0", b"c")], (b"a", b"c"), False, id="one_key_between"),
        pytest.param([(b"a", b"z"), (b"b", b"c")], (b"d", b"y"), True, id="one_inside_another"),
        pytest.param([(b"a", None)], (b"b", None), True, id="open_end"),
        pytest.param([(b"a", b"\xff")], (b"b", None), False, id="open_end_of_a_closed_range"),
        pytest.param([(b"a", b"b"), (b"b", None)], (b"a", None), True, id="open_end_in_two"),
        pytest.param([(b"c", b"a")], (b"b", b"c"), False, id="granted_backwards"),
        pytest.param([(b"b", b"d")], (b"c", b"a"), True, id="asked_backwards"),
        pytest.param([(b"b", b"d")], (b"d", b"d"), False, id="empty_behind_it"),
    ],
)
def test_range_is_covered_by_the_union(
    granted: list[Range], asked: Range, *, is_covered: bool
) -> None:
    assert KeyRanges(granted).covers(*asked) is is_covered


ALPHABET = [bytes([one]) for one in b"abcdefgh"]
KEYS = st.sampled_from(ALPHABET)
RANGES = st.tuples(KEYS, KEYS | st.none())


def keys_of(one: Range) -> set[bytes]:
    start, stop = one
    return {key for key in ALPHABET if start <= key and (stop is None or key < stop)}


@given(granted=st.lists(RANGES, max_size=5), asked=RANGES)
def test_covers_is_a_subset_of_keys(granted: list[Range], asked: Range) -> None:
    """Against sets: with eight keys, and one behind them all for ranges without an end."""
    wanted = keys_of(asked)
    if not wanted:
        return
    allowed: set[bytes] = set().union(*map(keys_of, granted))
    ends_well = asked[1] is not None or any(stop is None for _, stop in granted)
    assert KeyRanges(granted).covers(*asked) is (wanted <= allowed and ends_well)


@given(granted=st.lists(RANGES, max_size=5), attached=st.sets(KEYS))
def test_covers_all_is_a_subset_of_keys(granted: list[Range], attached: set[bytes]) -> None:
    keys = sorted(attached)

    def first_key(start: bytes) -> Steps[bytes | None]:
        yield
        return next(iter(keys[bisect_left(keys, start) :]), None)

    allowed: set[bytes] = set().union(*map(keys_of, granted))
    steps: bool | Steps[bool] = KeyRanges(granted).covers_all(first_key)
    while isinstance(steps, Generator):
        steps = begun(steps)
    assert steps is (attached <= allowed)


def test_only_ranges_with_keys_are_asked_for() -> None:
    """Each question may pass many rows, and a user may have many ranges."""
    asked: list[bytes] = []
    keys = [b"500", b"500x", b"700"]

    def first_key(start: bytes) -> Steps[bytes | None]:
        asked.append(start)
        yield
        return next(iter(keys[bisect_left(keys, start) :]), None)

    every = KeyRanges([(b"%03d" % n, b"%03d~" % n) for n in range(1000)])
    assert list(every.covers_all(first_key)) == [None] * 3
    assert asked == [b"", b"500~", b"700~"]


def test_access_tells_reads_from_writes() -> None:
    access = access_of(
        [
            Permission(PermissionType.READ, b"r"),
            Permission(PermissionType.WRITE, b"w"),
            Permission(PermissionType.READWRITE, b"x", b"\0"),
        ],
        is_admin=False,
    )
    assert [access.reads.covers(key, key + b"\0") for key in (b"r", b"w", b"x", b"z")] == [
        True,
        False,
        True,
        True,
    ]
    assert [access.writes.covers(key, key + b"\0") for key in (b"r", b"w", b"x", b"z")] == [
        False,
        True,
        True,
        True,
    ]
