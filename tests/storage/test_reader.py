"""A stream of rows is read forward, and its last bytes again."""

import pytest

from raftwerk.storage.reader import StreamReader
from raftwerk.storage.stream import PAUSE, encode_stream

ROWS = [(1, b"key%04d" % number, b"v" * 50) for number in range(2000)]
STREAM = b"".join(encode_stream(iter(ROWS)))


class Opened:
    def __init__(self) -> None:
        self.closed = 0
        self.reader = StreamReader(iter(ROWS), b"position", self.close)

    def close(self) -> None:
        self.closed += 1


@pytest.mark.parametrize("size", [1, 999, 100_000, 10**7])
def test_chunks_make_the_stream(size: int) -> None:
    reader, read = Opened().reader, b""
    while (chunk := reader.read(len(read), size)) and len(read) < 5000 * size:
        assert len(chunk) <= size
        read += chunk
    assert read == STREAM[: len(read)]
    assert len(read) in (len(STREAM), 5000 * size)


def test_last_bytes_can_be_read_again() -> None:
    reader = Opened().reader
    assert reader.read(0, 1000) == reader.read(0, 1000) == STREAM[:1000]
    assert reader.read(0, 10) == STREAM[:10]
    assert reader.read(0, 2000) == STREAM[:1000]
    assert reader.read(500, 1000) == STREAM[500:1500], "and part of them"
    assert reader.read(500, 1000) == STREAM[500:1500]
    assert reader.read(1500, 1000) == STREAM[1500:2500]


def test_bytes_before_a_pause_are_the_same_when_they_are_read_again() -> None:
    """Who has sent them would else expect to be asked for what follows more than that."""
    rows = [(1, b"a", b"1"), None, (1, b"b", b"2"), None, (1, b"c", b"3")]
    reader = StreamReader(iter(rows), b"", lambda: None)
    offset = 0
    chunks = []
    while chunk := reader.read(offset, 1000):
        assert reader.read(offset, 1000) == chunk
        offset += len(chunk)
        chunks.append(chunk)
    assert len(chunks) == 3
    assert b"".join(chunks) == b"".join(encode_stream(iter(rows)))


@pytest.mark.parametrize("offset", [0, 999, 200_000], ids=["gone", "just gone", "not reached"])
def test_other_offsets_are_refused(offset: int) -> None:
    reader = Opened().reader
    reader.read(0, 1000)
    reader.read(1000, 1000)
    with pytest.raises(ValueError, match="gone or not reached yet"):
        reader.read(offset, 1000)


def test_end_is_empty_and_stays_so() -> None:
    reader = Opened().reader
    assert len(reader.read(0, 10**7)) == len(STREAM)
    assert reader.read(len(STREAM), 10) == b""
    assert reader.read(len(STREAM), 10) == b""


def test_close_releases_and_ends_the_stream() -> None:
    opened = Opened()
    opened.reader.close()
    assert opened.closed == 1
    assert opened.reader.read(0, 10) == b""


def test_read_ends_at_a_pause_and_goes_on_with_the_next() -> None:
    rows = iter([None, (1, b"a", b"1"), None, (1, b"b", b"2")])
    reader = StreamReader(rows, b"", lambda: None)
    chunks = []
    while chunk := reader.read(sum(map(len, chunks)), 1000):
        chunks.append(chunk)
    assert len(chunks) == 3
    assert chunks[0].endswith(PAUSE)
    assert chunks[1] == PAUSE
    assert next(rows, "all are read") == "all are read"
