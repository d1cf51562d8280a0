"""Rows: the bytes on disk, protobuf's encoding of key-values, and how far links jump."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from raftwerk.api import kv_pb2
from raftwerk.kv.rows import (
    DELETE,
    FIRST_TREE,
    KEY_ROW,
    NO_LINK,
    OLDER_FROM,
    OLDER_TO,
    PUT,
    REVISION,
    KeyRow,
    KeyValue,
    RevisionRow,
    decode_key_value,
    encode_key_value,
    encode_revision_row,
    grown,
    read_varint,
    varint,
)

NUMBERS = st.one_of(
    st.integers(0, 300), st.integers(0, 2**63 - 1), st.integers(-(2**63), 2**63 - 1)
)
TEXTS = st.one_of(st.binary(max_size=10), st.binary(min_size=120, max_size=200))
BOUNDED = settings(max_examples=200, deadline=None, database=None, derandomize=True)


@given(TEXTS, NUMBERS, NUMBERS, NUMBERS, TEXTS, NUMBERS)
@example(b"k", 2, 3, 4, b"", 0)
@example(b"k", 2, 3, 4, b"v", 0)
@BOUNDED
def test_key_value_is_what_protobuf_writes(
    key: bytes, create: int, mod: int, version: int, value: bytes, lease: int
) -> None:
    data = encode_key_value(key, create, mod, version, value, lease)
    message = kv_pb2.KeyValue(
        key=key,
        create_revision=create,
        mod_revision=mod,
        version=version,
        value=value,
        lease=lease,
    )
    assert data == message.SerializeToString(deterministic=True)
    assert decode_key_value(data) == KeyValue(key, create, mod, version, value, lease)
    prev, jump = REVISION.pack(7, 1), REVISION.pack(5, 0)
    row = encode_revision_row(PUT, prev, jump, key, create, mod, version, value, lease)
    assert RevisionRow.decode(row) == RevisionRow(False, prev, jump, data)


@pytest.mark.parametrize(
    "number",
    [0, 1, 0x7F, 0x80, 0x3FFF, 0x4000, 0x1FFFFF, 0x200000, 0xFFFFFFF, 0x10000000, 2**63 - 1, -1],
)
def test_varint_is_read_back(number: int) -> None:
    data = varint(number)
    assert read_varint(b"x" + data + b"x", 1) == (number % 2**64, 1 + len(data))


def test_bytes_of_a_key_row() -> None:
    assert KEY_ROW.pack(*KeyRow(258, 3, 257, 2, 7)).hex() == (
        "000000000000010200000003000000000000010100000000000000020000000000000007"
    )
    assert KeyRow.decode(KEY_ROW.pack(258, 3, 257, 2, 7) + b"trees") == KeyRow(258, 3, 257, 2, 7)


@pytest.mark.parametrize("kind", [PUT, DELETE], ids=["put", "delete"])
def test_bytes_of_a_revision_row(kind: bytes) -> None:
    prev, jump = REVISION.pack(9, 1), REVISION.pack(4, 0)
    row = RevisionRow.decode(kind + prev + jump + b"key-value")
    assert row == RevisionRow(kind == DELETE, prev, jump, b"key-value")


@given(st.lists(st.tuples(st.integers(0, 2**63 - 1), st.integers(0, 2**32 - 1)), min_size=2))
@BOUNDED
def test_links_order_as_revisions_do(revisions: list[tuple[int, int]]) -> None:
    assert sorted(REVISION.pack(*item) for item in revisions) == [
        REVISION.pack(*item) for item in sorted(revisions)
    ]
    assert min(REVISION.pack(*item) for item in revisions) >= NO_LINK


VERSIONS = 3000


def history() -> tuple[list[int], list[bytes]]:
    """(where the jump of each version leads, the trees after it), for versions 1, 2, 3, ... of a key."""
    jumps, rows = [0, 0], [b""]
    trees = FIRST_TREE
    for version in range(1, VERSIONS):
        if version > 1:
            trees, prev, jump = grown(rows[-1])
            assert prev == REVISION.pack(version - 1, 0)
            assert jump == (trees[OLDER_FROM:OLDER_TO] or NO_LINK)
            jumps.append(REVISION.unpack(jump)[0])
        rows.append(KEY_ROW.pack(version, 0, 1, version, 0) + trees)
    return jumps, rows


def test_every_version_is_reached_in_a_logarithmic_number_of_steps() -> None:
    jumps, _ = history()
    newest = VERSIONS - 1
    most = 0
    for wanted in range(1, newest):
        at, steps = newest, 0
        while at > wanted:
            at = jumps[at] if jumps[at] > wanted else at - 1
            steps += 1
        assert at == wanted
        most = max(most, steps)
    assert most <= 3 * VERSIONS.bit_length()


def test_key_row_grows_with_the_logarithm_of_the_versions() -> None:
    _, rows = history()
    assert max(map(len, rows)) <= KEY_ROW.size + 1 + 13 * VERSIONS.bit_length()
