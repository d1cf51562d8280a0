"""One stream's own rules."""

import pytest

from raftwerk.http2 import grpc
from raftwerk.http2.errors import ErrorCode, StreamFault
from raftwerk.http2.stream import Stream
from tests.http2.talk import idle_call


def stream(content_length: int | None = None) -> Stream:
    one = idle_call(1, 100)
    one.body_bytes_left = content_length
    return one


@pytest.mark.parametrize("sizes", [[10], [4, 6], [0, 10, 0], [10, 0]])
def test_body_of_the_told_length_is_taken(sizes: list[int]) -> None:
    one = stream(10)
    for size in sizes[:-1]:
        one.take_body(size, is_last=False)
    one.take_body(sizes[-1], is_last=True)
    assert one.body_bytes_left == 0


@pytest.mark.parametrize(("size", "is_last"), [(11, False), (11, True), (9, True), (0, True)])
def test_body_of_another_length_is_malformed(size: int, is_last: bool) -> None:
    """RFC 9113, section 8.1.1."""
    with pytest.raises(StreamFault) as caught:
        stream(10).take_body(size, is_last=is_last)
    assert caught.value.code == ErrorCode.PROTOCOL_ERROR


def test_body_of_no_told_length_is_as_long_as_it_likes() -> None:
    one = stream()
    one.take_body(1_000, is_last=True)
    assert one.body_bytes_left is None


def test_unfinished_is_what_the_reader_holds() -> None:
    one = stream()
    one.reader.feed(grpc.frame_message(b"whole") + b"\0\0")
    assert one.unfinished_bytes() == 2
