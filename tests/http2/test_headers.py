"""Header blocks (RFC 7541): our encoder, and the decoder that remembers blocks."""

import hpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from raftwerk.http2.errors import ConnectionFault, ErrorCode
from raftwerk.http2.headers import (
    CACHE_BLOCK_BYTES_MAX,
    CACHE_MAX,
    HeaderDecoder,
    Headers,
    changes_table,
    literal,
    literal_indexed_name,
    split,
)

MAX = 64 * 1024
names = st.sampled_from([b"x-a", b"x-b", b"cookie", b":path", b"te"])
values = st.binary(max_size=6).map(lambda value: value.hex().encode())
lists = st.lists(st.tuples(names, values), max_size=5)


def decode(decoder: HeaderDecoder[Headers], block: bytes) -> Headers:
    """As the sides do it."""
    found = decoder.cached(block)
    if found is None:
        found = decoder.decode(block)
        decoder.keep(block, found)
    return found


@given(st.lists(st.tuples(lists, st.booleans(), st.sampled_from([0, 0, 0, 64, 200, 4096]))))
def test_remembered_blocks_mean_what_they_would_mean_anew(
    turns: list[tuple[Headers, bool, int]],
) -> None:
    """Whatever the client's table does, resizing too, the answers are those of a decoder that remembers nothing."""
    encoder, decoder = hpack.Encoder(), HeaderDecoder[Headers](MAX)
    for headers, is_huffman, size in turns:
        if size:
            encoder.header_table_size = size
        block = encoder.encode(headers, huffman=is_huffman)
        assert decode(decoder, block) == headers


def test_block_is_decoded_once() -> None:
    decoder = HeaderDecoder[Headers](MAX)
    block = literal(b"a", b"b")
    found = decode(decoder, block)
    assert decoder.cached(block) is found


def test_block_that_changes_the_table_forgets_all() -> None:
    """The same bytes mean something else afterwards (section 2.3.3)."""
    decoder = HeaderDecoder[Headers](MAX)
    insert_one, insert_two, first_entry = b"\x40\x01a\x01b", b"\x40\x01c\x01d", b"\xbe"
    decode(decoder, insert_one)
    assert decode(decoder, first_entry) == [(b"a", b"b")]
    assert decoder.cached(first_entry) is not None
    decode(decoder, insert_two)
    assert decoder.cached(first_entry) is None
    assert decode(decoder, first_entry) == [(b"c", b"d")]


def test_few_and_short_blocks_are_remembered() -> None:
    decoder = HeaderDecoder[Headers](MAX)
    blocks = [literal(b"a", b"%d" % number) for number in range(3 * CACHE_MAX)]
    for block in blocks:
        decode(decoder, block)
    assert sum(decoder.cached(block) is not None for block in blocks) <= CACHE_MAX
    long = literal(b"a", bytes(CACHE_BLOCK_BYTES_MAX))
    decode(decoder, long)
    assert decoder.cached(long) is None


@pytest.mark.parametrize(
    ("block", "changes"),
    [
        (b"", False),
        (b"\x82\x86", False),
        (literal(b"a", b"b"), False),
        (literal_indexed_name(31, b"b"), False),
        (b"\x10\x01a\x01b", False),
        (b"\x40\x01a\x01b", True),
        (b"\x7e\x01b", True),
        (b"\x20", True),
        (b"\x3f\xe1\x1f", True),
        (b"\x82\x40\x01a\x01b", True),
        (b"\x00\x01a", True),
        (b"\x00\x7f\xff", True),
        (b"\x00\x01a\x05b", True),
        (b"\xff\x80\x80\x80\x80\x00", False),
        (b"\xff\x80\x80\x80\x80\x80\x00", True),
    ],
    ids=[
        "empty",
        "indexed",
        "literal",
        "literal, indexed name",
        "never indexed",
        "inserted",
        "inserted, indexed name",
        "size 0",
        "size 4096",
        "inserted after indexed",
        "no value",
        "number cut",
        "value cut",
        "number of five bytes",
        "number of more",
    ],
)
def test_changes_of_the_table_are_seen(block: bytes, changes: bool) -> None:
    """A broken block counts as one that does."""
    assert changes_table(block) is changes


def test_number_without_an_end_costs_nothing() -> None:
    """Its digits are not added up: that would take time with the square of the block."""
    block = b"\xff" * 60_000 + b"\x01"
    assert changes_table(block)
    with pytest.raises(ConnectionFault) as caught:
        HeaderDecoder[Headers](MAX).decode(block)
    assert caught.value.code == ErrorCode.COMPRESSION_ERROR


@pytest.mark.parametrize(
    "block",
    [
        b"\x80",
        b"\xff\x00",
        b"\x00\x05a",
        b"\x3f\xe2\x1f",
        b"\x00\x01a\x84\xff\xff\xff\xff",
        b"\x40",
    ],
    ids=["index 0", "index out of table", "cut", "table too large", "bad Huffman code", "nothing"],
)
def test_broken_block_ends_the_connection(block: bytes) -> None:
    """The table is not known any more (RFC 9113, section 4.3). The text says nothing of this process."""
    with pytest.raises(ConnectionFault) as caught:
        HeaderDecoder[Headers](MAX).decode(block)
    assert caught.value.code == ErrorCode.COMPRESSION_ERROR
    assert caught.value.text == "header block cannot be decoded"


def test_bomb_is_not_unpacked() -> None:
    """One entry of the table, named thousands of times."""
    decoder = HeaderDecoder[Headers](MAX)
    decoder.decode(b"\x40\x01a\x7f\x81\x0f" + b"v" * 2048)
    with pytest.raises(ConnectionFault) as caught:
        decoder.decode(b"\xbe" * 5_000)
    assert caught.value.code == ErrorCode.ENHANCE_YOUR_CALM


@given(st.binary(max_size=200), st.binary(max_size=300))
def test_literals_are_read_by_any_decoder(name: bytes, value: bytes) -> None:
    decoder = hpack.Decoder()
    assert decoder.decode(literal(name, value), raw=True) == [(name, value)]
    assert decoder.decode(literal_indexed_name(31, value), raw=True) == [(b"content-type", value)]
    assert not changes_table(literal(name, value) + literal_indexed_name(58, value))


@given(st.binary(max_size=60))
def test_any_bytes_are_decoded_or_refused(block: bytes) -> None:
    outcome = None
    try:
        decode(HeaderDecoder[Headers](MAX), block)
    except ConnectionFault as fault:
        outcome = fault.code
    assert outcome in (None, ErrorCode.COMPRESSION_ERROR, ErrorCode.ENHANCE_YOUR_CALM)


def outcome(block: bytes, *, is_split: bool) -> Headers | ErrorCode:
    """Of decoding it behind a block that has left something in the table."""
    decoder = HeaderDecoder[Headers](MAX)
    decoder.decode(b"\x40\x01a\x01b")
    head, metadata = split(block) if is_split else (block, [])
    try:
        return decoder.decode(head) + metadata
    except ConnectionFault as fault:
        return fault.code


fields = st.sampled_from(
    [
        b"\x82",  # indexed
        b"\xbe",
        literal_indexed_name(31, b"application/grpc"),
        literal(b"te", b"trailers"),
        literal(b"grpc-timeout", b"1S"),
        literal(b"raftwerk-session", b"7/5/3"),
        literal(b"long", b"v" * 300),
        b"\x10\x01n\x01v",  # never indexed
        b"\x40\x01i\x01v",  # indexed from now on
        b"\x00\x82\x1e\xff\x01v",  # a name in Huffman code
        b"\x00\x01h\x82\x1e\xff",  # a value in Huffman code
        b"\x20",  # the table becomes smaller
        b"\x00\x05cut",
    ]
)


@given(st.lists(fields, max_size=8).map(b"".join) | st.binary(max_size=60))
def test_block_in_two_parts_means_the_same(block: bytes) -> None:
    assert outcome(block, is_split=True) == outcome(block, is_split=False)


@given(*[st.lists(fields, max_size=6).map(b"".join)] * 3)
def test_block_is_split_alike_when_the_head_of_another_is_known(
    common: bytes, rest: bytes, others_rest: bytes
) -> None:
    known, _ = split(common + others_rest)
    assert split(common + rest, known) == split(common + rest)


@pytest.mark.parametrize(
    ("head", "metadata"),
    [
        (b"\x82", [(b"a", b"1"), (b"b", b"v" * 300)]),
        (b"\x82" + literal(b"a", b"1") + b"\x86", [(b"b", b"2")]),
        (b"", [(b"a", b"1")]),
        (b"\x5f\x01v\x3f\xe1\x1f\x10\x01n\x01v\x1f\x10\x01v", [(b"a", b"1")]),
        (b"\x82" + literal(b"a", b"1") + literal(b"grpc-timeout", b"1S"), []),
        (b"\x82" + literal(b"content-length", b"1"), [(b"a", b"")]),
        (literal(b":path", b"/"), [(b"a", b"1")]),
        (literal(b"a", bytes(2048)), []),
        (literal(b"a", b"1") + b"\x00\x01b\x02c", []),
    ],
)
def test_metadata_at_the_end_is_told_from_the_head(head: bytes, metadata: Headers) -> None:
    block = head + b"".join(literal(*field) for field in metadata)
    assert split(block) == (head, metadata)
