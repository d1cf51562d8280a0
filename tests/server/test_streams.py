"""What a stream's client sends before anybody takes it, and a client that may send one message only."""

import pytest

from raftwerk.api import status
from raftwerk.http2.server import Call, StreamMethod
from raftwerk.server.streams import HELD_BYTES_MAX, MESSAGE_BYTES, hold_messages, take_one
from tests.server.fakes import FakeLoop, PendingCall, Rig

ONE, HELD = "/test/One", "/test/Held"


class StreamRig(Rig):
    """ONE says what it was asked. HELD has its messages held until `hand_on` is called."""

    def __init__(self) -> None:
        super().__init__(
            FakeLoop(), {ONE: StreamMethod(self._open_one), HELD: StreamMethod(self._open_held)}
        )

    def _open_one(self, call: Call) -> None:
        take_one(call, lambda data: call.send(b"asked " + data))

    def _open_held(self, call: Call) -> None:
        hand_on = hold_messages(call)

        def begin() -> None:
            call.on_message = lambda data: call.send(b"got " + data)
            call.on_half_close = call.finish
            hand_on()

        self.hand_on = begin

    def say(self, path: str, *messages: bytes, is_last: bool = False) -> PendingCall:
        pending = self.open(path)
        for message in messages:
            pending.client_call.send(message)
        if is_last:
            pending.client_call.half_close()
        self.pump()
        return pending


@pytest.fixture
def rig() -> StreamRig:
    return StreamRig()


def test_one_request_is_taken(rig: StreamRig) -> None:
    pending = rig.say(ONE, b"a", b"b", is_last=True)
    assert pending.messages == [b"asked a"]
    assert pending.outcome is None


def test_no_request_is_answered_as_in_etcd(rig: StreamRig) -> None:
    pending = rig.say(ONE, is_last=True)
    assert pending.outcome is not None
    assert pending.outcome[:2] == (status.UNKNOWN, "EOF")


@pytest.mark.parametrize("is_last", [True, False])
def test_held_messages_are_handed_on_in_order(rig: StreamRig, *, is_last: bool) -> None:
    pending = rig.say(HELD, b"a", b"b", is_last=is_last)
    assert pending.messages == []
    rig.hand_on()
    rig.pump()
    assert pending.messages == [b"got a", b"got b"]
    assert (pending.outcome is not None) == is_last


@pytest.mark.parametrize("size", [0, 1000], ids=["empty", "long"])
def test_who_sends_too_much_before_it_is_known_is_refused(rig: StreamRig, size: int) -> None:
    """Messages without content count too."""
    count = HELD_BYTES_MAX // (size + MESSAGE_BYTES)
    pending = rig.say(HELD, *[bytes(size)] * count)
    assert pending.outcome is None
    pending.client_call.send(bytes(size))
    rig.pump()
    assert pending.outcome is not None
    assert pending.outcome[:2] == status.TOO_MANY_REQUESTS
    rig.hand_on()
    rig.pump()
    assert pending.messages == []
