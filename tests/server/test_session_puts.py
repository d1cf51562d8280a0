"""raftwerk.Sessions/Put: each put is done and answered as by itself."""

from collections.abc import Sequence
from typing import NamedTuple

import pytest
from google.protobuf.wrappers_pb2 import Int64Value

from raftwerk.api import status
from raftwerk.api.rpc_pb2 import PutRequest, PutResponse
from raftwerk.api.session_puts import PATH, Puts, decode_answers, encode
from raftwerk.http2.server import Call, StreamMethod, UnaryMethod
from raftwerk.replica.failure import Failure
from raftwerk.runtime.afterwards import Afterwards
from raftwerk.server.session_puts import MESSAGE_BYTES, SessionPuts
from raftwerk.server.sessions import OPEN, SESSION
from tests.garbage import garbage
from tests.server.fakes import FakeLoop, PendingCall, Rig
from tests.server.kv_rig import PUT, KvRig

NO_KEY = b""
A = PutRequest(key=b"a", value=b"1").SerializeToString()
B = PutRequest(key=b"b", value=b"2").SerializeToString()


@pytest.fixture
def rig() -> KvRig:
    return KvRig()


@pytest.fixture
def session(rig: KvRig) -> int:
    return Int64Value.FromString(rig.call(OPEN, b"").message).value


class Told(NamedTuple):
    """An answer."""

    number: int
    status: int
    text: str
    response: bytes


def answered(call: PendingCall) -> list[Told]:
    return [Told(*answer) for message in call.messages for answer in decode_answers(message)]


def put_all(rig: KvRig, session: int, *requests: bytes, first: int = 1) -> PendingCall:
    """Numbers from `first` on."""
    puts = Puts(session, first, list(enumerate(requests, first)))
    call = rig.start(PATH, encode(puts))
    rig.loop.settle()
    rig.pump()
    return call


def revisions(answers: Sequence[Told]) -> list[int]:
    return [PutResponse.FromString(answer.response).header.revision for answer in answers]


def test_puts_are_done_in_their_order(rig: KvRig, session: int) -> None:
    call = put_all(rig, session, A, B, A)
    answers = answered(call)
    assert [answer.number for answer in answers] == [1, 2, 3]
    assert revisions(answers) == [2, 3, 4]
    assert call.outcome is not None
    assert call.outcome.status == status.OK


def test_one_that_is_refused_is_refused_alone(rig: KvRig, session: int) -> None:
    answers = {answer.number: answer for answer in answered(put_all(rig, session, A, NO_KEY, B))}
    assert (answers[2].status, answers[2].text) == status.EMPTY_KEY
    assert revisions([answers[1], answers[3]]) == [2, 3]


def test_a_put_that_comes_again_by_itself_is_done_once(rig: KvRig, session: int) -> None:
    answers = answered(put_all(rig, session, A, B))
    again = rig.call(PUT, B, headers={SESSION: b"%d/2/1" % session})
    assert again.message == answers[1].response
    assert answered(put_all(rig, session, A, B)) == answers
    assert rig.node.machine.revision == 3


def test_first_says_which_answers_are_not_waited_for(rig: KvRig, session: int) -> None:
    put_all(rig, session, A, B)
    put_all(rig, session, A, first=3)
    late = rig.call(PUT, A, headers={SESSION: b"%d/2/1" % session})
    assert (late.status, late.text) == status.OUTSIDE_WINDOW


NESTED = b"\x94\x01\x01\x91\x92\x01\xc4\x00" + b"\x91" * 2_000
"""More after the puts than there may be, and too deep to be passed over."""


@pytest.mark.parametrize("data", [b"", b"\xc1", encode(Puts(1, 1, [])), A, NESTED], ids=repr)
def test_what_is_no_request_is_refused(rig: KvRig, data: bytes) -> None:
    outcome = rig.call(PATH, data)
    assert (outcome.status, outcome.text) == status.SESSION_PUTS_UNREADABLE
    assert rig.node.machine.revision == 1


def test_puts_of_no_session_are_refused_one_by_one(rig: KvRig) -> None:
    answers = answered(put_all(rig, 5, A, B))
    assert [(answer.status, answer.text) for answer in answers] == [status.SESSION_EXPIRED] * 2


def test_what_is_answered_in_one_turn_is_one_message(rig: KvRig, session: int) -> None:
    assert len(put_all(rig, session, *[A] * 100).messages) == 1


def test_the_node_says_when_answers_are_told(rig: KvRig, session: int) -> None:
    rig.node.is_stuck = True
    put_all(rig, session, A, B)
    rig.node.release_one()
    assert rig.node.soon_count == 1


def test_answers_that_are_there_do_not_wait_for_others(rig: KvRig, session: int) -> None:
    rig.node.is_stuck = True
    call = put_all(rig, session, A, NO_KEY)
    assert [answer.number for answer in answered(call)] == [2]
    assert call.outcome is None
    rig.node.release()
    rig.pump()
    assert [answer.number for answer in answered(call)] == [2, 1]
    assert call.outcome is not None


def test_answers_of_several_turns_are_told_in_each(rig: KvRig, session: int) -> None:
    rig.node.is_stuck = True
    call = put_all(rig, session, A, B, A, NO_KEY)
    for count in (2, 3):
        rig.node.release_one()
        rig.loop.settle()
        rig.pump()
        assert len(call.messages) == len(answered(call)) == count
    assert call.outcome is None


def test_answers_of_a_step_are_told_at_its_end() -> None:
    seen: list[Call] = []
    afterwards = Afterwards(loop := FakeLoop())
    puts = SessionPuts(UnaryMethod(lambda call, _: seen.append(call)), afterwards.soon)
    rig = Rig(loop, {PATH: StreamMethod(puts.open)})
    call = rig.start(PATH, encode(Puts(1, 1, [(1, A), (2, B), (3, A)])))
    with afterwards:
        seen[0].reply(b"one")
        seen[2].reply(b"three")
    rig.pump()
    assert [answer.response for answer in answered(call)] == [b"one", b"three"]


def test_large_answers_are_messages_by_themselves(rig: KvRig, session: int) -> None:
    large = PutRequest(key=b"a", value=bytes(MESSAGE_BYTES), prev_kv=True).SerializeToString()
    call = put_all(rig, session, large, large, B, B)
    assert [len(decode_answers(message)) for message in call.messages] == [2, 2]
    assert revisions(answered(call)) == [2, 3, 4, 5]


def test_each_put_has_the_headers_of_its_call() -> None:
    """They tell who it is."""
    seen: list[Call] = []
    puts = SessionPuts(
        UnaryMethod(lambda call, _: seen.append(call)), (loop := FakeLoop()).call_soon
    )
    rig = Rig(loop, {PATH: StreamMethod(puts.open)})
    rig.start(PATH, encode(Puts(1, 1, [(1, A), (2, B)])), headers={b"token": b"secret"})
    assert [(b"token", b"secret") in call.headers for call in seen] == [True, True]
    assert {call.request.path for call in seen} == {PUT}
    with pytest.raises(AssertionError, match="a put has one answer"):
        seen[0].send(b"another")


def test_what_the_node_refuses_is_told_of_each(rig: KvRig, session: int) -> None:
    rig.node.failure = Failure.TIMED_OUT
    texts = {answer.text for answer in answered(put_all(rig, session, A, B))}
    assert texts == {"etcdserver: request timed out"}


def test_each_counts_as_a_put(rig: KvRig, session: int) -> None:
    tally = rig.methods[PUT].tally
    put_all(rig, session, A, NO_KEY, B)
    assert (tally.started, tally.succeeded, tally.failed) == (3, 2, {status.INVALID_ARGUMENT: 1})


def test_a_deadline_is_that_of_each(rig: KvRig, session: int) -> None:
    rig.node.is_stuck = True
    puts = encode(Puts(session, 1, [(1, A), (2, B)]))
    call = rig.start(PATH, puts, headers={b"grpc-timeout": b"1S"})
    rig.advance(1.0)
    assert [(answer.status, answer.text) for answer in answered(call)] == [status.DEADLINE] * 2


def test_a_call_that_is_cancelled_ends_its_puts(rig: KvRig, session: int) -> None:
    rig.node.is_stuck = True
    call = put_all(rig, session, A, B)
    assert call.client_call is not None
    call.client_call.cancel()
    rig.pump()
    rig.node.release()
    rig.loop.settle()
    rig.pump()
    tally = rig.methods[PUT].tally
    assert (tally.started, tally.failed) == (2, {status.CANCELLED: 2})
    assert rig.open_calls == 0
    assert rig.node.machine.revision == 3  # they were under way


@pytest.mark.parametrize("requests", [[A, B], [A, NO_KEY], [NO_KEY]], ids=repr)
def test_a_call_leaves_no_garbage(rig: KvRig, session: int, requests: list[bytes]) -> None:
    put_all(rig, session, *requests)
    with garbage() as left:
        put_all(rig, session, *requests)
    assert not left


def test_a_call_that_is_cancelled_leaves_no_garbage(rig: KvRig, session: int) -> None:
    def cancelled() -> None:
        rig.node.is_stuck = True
        call = put_all(rig, session, A, B)
        assert call.client_call is not None
        call.client_call.cancel()
        rig.pump()
        rig.node.release()

    cancelled()
    with garbage() as left:
        cancelled()
    assert not left
