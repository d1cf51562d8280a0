"""Requests that the server's windows do not let out: nothing was asked then, for sure."""

import pytest

from raftwerk.http2 import frames, grpc
from raftwerk.http2.errors import ErrorCode
from raftwerk.http2.frames import goaway, rst_stream, window_update
from tests.http2.talk import (
    ECHO,
    ClientUnderTest,
    answer_headers,
    data_frame,
    headers_frame,
    trailers,
)

LONG = bytes(frames.DEFAULT_WINDOW)
"""With its prefix it is five bytes more than the windows let out."""


@pytest.mark.parametrize(("more_bytes", "was_asked"), [(0, False), (4, False), (5, True)])
@pytest.mark.parametrize(
    "data",
    [
        None,
        trailers(grpc.UNAVAILABLE),
        rst_stream(1, ErrorCode.CANCEL),
        rst_stream(1, ErrorCode.REFUSED_STREAM),
        headers_frame(1, [(b":status", b"503")], end=True),
        answer_headers() + data_frame(1, b"\x01\0\0\0\0"),
        goaway(0, ErrorCode.NO_ERROR),
        window_update(0, 0),
    ],
    ids=["lost", "answer", "reset", "refused", "HTTP", "garbage", "goes away", "fault"],
)
def test_request_whose_last_byte_has_not_left_was_not_asked(
    data: bytes | None, more_bytes: int, was_asked: bool
) -> None:
    """However the call ends."""
    client = ClientUnderTest()
    client.engine.call(ECHO, LONG, client.answers.append)
    if more_bytes:
        client.hear(window_update(0, 10), window_update(1, more_bytes))
    if data is None:
        client.engine.lost()
    else:
        client.hear(answer_headers() if data == trailers(grpc.UNAVAILABLE) else b"", data)
    (answer,) = client.answers
    assert answer.status != grpc.OK
    assert answer.was_asked is was_asked


def test_what_never_was_let_out_does_not_leave_after_the_call() -> None:
    client = ClientUnderTest()
    call = client.engine.call(ECHO, LONG, client.answers.append)
    client.output()
    call.cancel()
    left = client.hear(window_update(0, 1000))
    assert [one.kind for one in left] == [frames.RST_STREAM]
    assert not call.has_left
