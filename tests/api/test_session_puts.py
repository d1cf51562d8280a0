"""The messages of raftwerk.Sessions/Put: other clients may speak them, so that their bytes stay as they are."""

import msgspec
import pytest

from raftwerk.api.session_puts import (
    PUTS_MAX,
    Puts,
    decode_answers,
    decode_puts,
    encode,
)

REQUEST = Puts(7, 3, [(4, b"a"), (5, b"b")])


def test_the_bytes_of_a_request() -> None:
    assert encode(REQUEST).hex(" ", 1) == "93 07 03 92 92 04 c4 01 61 92 05 c4 01 62"
    assert decode_puts(encode(REQUEST)) == REQUEST


def test_the_bytes_of_answers() -> None:
    answers = [(5, 0, "", b"r"), (4, 3, "no", b"")]
    assert encode(answers).hex(" ", 1) == "92 94 05 00 a0 c4 01 72 94 04 03 a2 6e 6f c4 00"
    assert decode_answers(encode(answers)) == answers


@pytest.mark.parametrize(
    "request_",
    [
        (7, 3, []),
        (7, 3, [(4, b"a")] * (PUTS_MAX + 1)),
        (7, 3, [(-1, b"a")]),
        (7, 3, [(2**63, b"a")]),
        (-1, 3, [(4, b"a")]),
        (7, "3", [(4, b"a")]),
        (7, 3, [(4, "a")]),
        (7, 3, [(4,)]),
        (7, 3),
        {},
    ],
    ids=str,
)
def test_what_is_no_request_is_not_read(request_: object) -> None:
    data = encode(request_)
    with pytest.raises(msgspec.MsgspecError):
        decode_puts(data)
