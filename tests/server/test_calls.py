"""Waiting for the node: no longer than the client wants, and for a leader only if it wants that."""

from collections.abc import Callable

import pytest

from raftwerk.api import status
from raftwerk.api.rpc_pb2 import PutRequest
from raftwerk.api.status import Status
from raftwerk.errors import CorruptData
from raftwerk.http2.server import Call, UnaryMethod
from raftwerk.replica.failure import Failure
from raftwerk.server.calls import Waiting, parse
from tests.server.fakes import FakeLoop, FakeNode, Rig

PATH = "/test.Service/Call"
TIMEOUT_1_S = {b"grpc-timeout": b"1S"}
HAS_LEADER = {b"hasleader": b"true"}

Handler = Callable[[Waiting, Call], None]


def propose(waiting: Waiting, call: Call) -> None:
    waiting.propose(call, b"", lambda call, _: call.reply(b"done"))


def read(waiting: Waiting, call: Call) -> None:
    waiting.read(call, lambda: call.reply(b"done"))


@pytest.fixture
def loop() -> FakeLoop:
    return FakeLoop()


@pytest.fixture
def node(loop: FakeLoop) -> FakeNode:
    return FakeNode(loop)


@pytest.fixture(params=[propose, read])
def rig(request: pytest.FixtureRequest, loop: FakeLoop, node: FakeNode) -> Rig:
    """One method, which waits for a proposal or for a read."""
    waiting = Waiting(node, loop)
    handle: Handler = request.param
    return Rig(loop, {PATH: UnaryMethod(lambda call, data: handle(waiting, call))})


def test_call_is_answered_when_the_node_is_done(rig: Rig) -> None:
    assert rig.call(PATH, b"").message == b"done"


def test_call_that_waits_too_long_exceeds_its_deadline(rig: Rig, node: FakeNode) -> None:
    node.is_stuck = True
    call = rig.start(PATH, b"", headers=TIMEOUT_1_S)
    rig.advance(0.99)
    assert call.outcome is None
    rig.advance(0.02)
    assert call.outcome is not None
    assert call.outcome[:2] == (status.DEADLINE_EXCEEDED, "context deadline exceeded")


def test_answer_after_the_deadline_is_dropped(rig: Rig, node: FakeNode) -> None:
    node.is_stuck = True
    call = rig.start(PATH, b"", headers=TIMEOUT_1_S)
    rig.advance(2)
    node.release()
    rig.advance(0)
    assert call.outcome is not None
    assert call.outcome.status == status.DEADLINE_EXCEEDED
    assert rig.open_calls == 0


def test_deadline_ends_with_its_call(rig: Rig, loop: FakeLoop) -> None:
    """A timer for each of the last seconds' calls would be thousands."""
    assert rig.call(PATH, b"", headers=TIMEOUT_1_S).status == status.OK
    assert loop.timers == 0


def test_call_without_deadline_needs_no_timer(rig: Rig, node: FakeNode, loop: FakeLoop) -> None:
    node.is_stuck = True
    rig.start(PATH, b"")
    assert loop.timers == 0


def test_call_that_wants_a_leader_fails_at_once_without(rig: Rig, node: FakeNode) -> None:
    node.has_leader = False
    node.is_stuck = True
    assert rig.call(PATH, b"", headers=HAS_LEADER) == (*status.NO_LEADER, b"")


def test_call_that_wants_a_leader_goes_on_with_one(rig: Rig) -> None:
    assert rig.call(PATH, b"", headers=HAS_LEADER).message == b"done"


@pytest.mark.parametrize("headers", [{}, {b"hasleader": b"false"}], ids=["silent", "does_not"])
def test_call_that_does_not_mind_waits_for_a_leader(
    rig: Rig, node: FakeNode, headers: dict[bytes, bytes]
) -> None:
    node.has_leader = False
    node.is_stuck = True
    call = rig.start(PATH, b"", headers=headers)
    assert call.outcome is None
    node.release()
    rig.pump()
    assert call.outcome is not None
    assert call.outcome.message == b"done"


@pytest.mark.parametrize("failure", Failure)
def test_failed_read_is_refused(failure: Failure) -> None:
    loop = FakeLoop()
    node = FakeNode(loop)
    node.failure = failure
    waiting = Waiting(node, loop)
    rig = Rig(loop, {PATH: UnaryMethod(lambda call, data: read(waiting, call))})
    outcome = rig.call(PATH, b"")
    assert outcome.status in (status.UNAVAILABLE, status.RESOURCE_EXHAUSTED)
    assert outcome.text.startswith("etcdserver: ")


def test_unreadable_request_is_refused() -> None:
    parsed = []
    method = UnaryMethod(lambda call, data: parsed.append(parse(call, PutRequest, data)))
    outcome = Rig(FakeLoop(), {PATH: method}).call(PATH, b"\xff\xff")
    assert parsed == [None]
    assert outcome.status == status.INTERNAL
    assert outcome.text.startswith("grpc: error unmarshalling request: ")


def raising(error: Exception) -> Callable[..., None]:
    def raise_it(*_: object) -> None:
        raise error

    return raise_it


BUG = ValueError("a bug of the handler")
DAMAGE = CorruptData("data.mdb", None, "a wrong checksum")
WAYS: dict[str, tuple[Callable[[Waiting, Call, Exception], None], Status]] = {
    "write": (
        lambda one, call, error: one.propose(call, b"", raising(error)),
        status.DONE_NO_ANSWER,
    ),
    "read": (lambda one, call, error: one.read(call, raising(error)), status.NO_ANSWER),
    "read_here": (
        lambda one, call, error: one.read_here(call, raising(error)),
        status.NO_ANSWER,
    ),
}


@pytest.mark.parametrize("way", WAYS)
def test_call_that_cannot_be_answered_is_its_caller_s_trouble_alone(
    loop: FakeLoop, node: FakeNode, way: str
) -> None:
    """Not that of the node, in whose step it is answered. Who wrote is not told that nothing happened."""
    handle, no_answer = WAYS[way]
    waiting = Waiting(node, loop)
    errors = iter((BUG, DAMAGE))
    rig = Rig(loop, {PATH: UnaryMethod(lambda call, data: handle(waiting, call, next(errors)))})
    assert rig.call(PATH, b"")[:2] == no_answer
    assert rig.call(PATH, b"")[:2] == status.STOPPED


@pytest.mark.parametrize("way", ["write", "read"])
def test_wrong_state_is_the_node_s_trouble_too(loop: FakeLoop, node: FakeNode, way: str) -> None:
    handle, _ = WAYS[way]
    waiting = Waiting(node, loop)
    error = AssertionError("impossible")
    rig = Rig(loop, {PATH: UnaryMethod(lambda call, data: handle(waiting, call, error))})
    call = rig.start(PATH, b"")
    with pytest.raises(AssertionError, match="impossible"):
        loop.settle()
    rig.pump()
    assert call.outcome is not None
    assert call.outcome[:2] == status.STOPPED
