"""The player, on a server that answers as a test wants."""

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from raftwerk.api import lease_pb2, rpc_pb2, watch_pb2
from raftwerk.conformance.names import Names
from raftwerk.conformance.player import CannotPlay, Player
from raftwerk.conformance.steps import (
    Await,
    Begin,
    Call,
    End,
    Fence,
    GiveUp,
    Hear,
    Http,
    HttpAnswer,
    Metadata,
    Open,
    Say,
    Step,
    call,
    setup,
)
from raftwerk.http2.client import Answer

NAMES = Names(b"p/", 1000, 0x1234567890ABCD00)
HEADER = rpc_pb2.ResponseHeader(cluster_id=1, member_id=2, revision=1001, raft_term=3)
PUT = rpc_pb2.PutResponse(header=HEADER).SerializeToString()
NO_KEY = Answer(3, "etcdserver: key is not provided")


class ScriptedStream:
    def __init__(self, responses: list[bytes | Answer]) -> None:
        self._responses = responses
        self.requests: list[bytes] = []
        self.is_closed = False

    def send(self, message: bytes) -> None:
        self.requests.append(message)

    def half_close(self) -> None:
        self.requests.append(b"")

    async def receive(self) -> bytes | Answer:
        return self._responses.pop(0)

    def close(self) -> None:
        self.is_closed = True


class ScriptedEndpoint:
    """answers: by path, in order; the last one again and again. Implements ports.Endpoint."""

    address = "script"

    def __init__(self, answers: Mapping[str, list[Answer]], *responses: bytes | Answer) -> None:
        self._answers = answers
        self.opened = ScriptedStream(list(responses))
        self.metadata: list[Metadata] = []
        self.gate = asyncio.Event()

    async def call(self, path: str, message: bytes, metadata: Metadata) -> Answer:
        self.metadata.append(metadata)
        await asyncio.sleep(0)  # as one that has to wait
        if path.endswith("Lock"):
            await self.gate.wait()
        answers = self._answers[path.rpartition("/")[2]]
        return answers.pop(0) if len(answers) > 1 else answers[0]

    async def stream(self, path: str, metadata: Metadata) -> ScriptedStream:
        return self.opened

    async def http(self, method: str, path: str, body: bytes) -> HttpAnswer:
        return HttpAnswer(400, "application/json", '{"code":3,"message":"no"}')

    async def close(self) -> None:
        pass


def play(endpoint: ScriptedEndpoint, *steps: Step) -> list[dict[str, Any]]:
    return asyncio.run(Player(endpoint, NAMES).play(steps))


def put(*answers: Answer) -> ScriptedEndpoint:
    return ScriptedEndpoint({"Put": list(answers)})


def response(**fields: Any) -> bytes:
    return watch_pb2.WatchResponse(header=HEADER, **fields).SerializeToString()


def event(watch_id: int, *keys: bytes) -> bytes:
    told = response(watch_id=watch_id)
    message = watch_pb2.WatchResponse.FromString(told)
    for key in keys:
        message.events.add().kv.key = b"p/" + key
    return message.SerializeToString()


def test_answers_and_refusals_are_told() -> None:
    told = play(put(Answer(0, "", PUT), NO_KEY), call("KV.Put", key="a"), call("KV.Put"))
    assert told == [
        {"reply": {"header": {"revision": "R+1", "ids": "set"}}},
        {"code": "INVALID_ARGUMENT", "text": "etcdserver: key is not provided"},
    ]


def test_set_up_is_not_told_and_must_succeed() -> None:
    assert play(put(Answer(0, "", PUT)), setup("KV.Put", key="a")) == []
    with pytest.raises(CannotPlay, match=r"step 1, KV.Put .*: it failed: etcdserver: key is not"):
        play(put(NO_KEY), setup("KV.Put"))


def test_call_is_made_until_the_field_has_the_value() -> None:
    counts = [rpc_pb2.RangeResponse(count=number) for number in (1, 2, 3)]
    endpoint = ScriptedEndpoint(
        {"Range": [Answer(0, "", one.SerializeToString()) for one in counts]}
    )
    step = Call(method="KV.Range", until=("count", 3))
    assert play(endpoint, step) == []
    assert len(endpoint.metadata) == 3


def test_token_that_was_kept_is_sent() -> None:
    token = b"\x12\x05abc.1"
    endpoint = ScriptedEndpoint(
        {"Authenticate": [Answer(0, "", token)], "Put": [Answer(0, "", PUT)]}
    )
    play(
        endpoint,
        Call(method="Auth.Authenticate", keep="u"),
        Call(method="KV.Put", token="u", metadata=(("hasleader", "true"),)),
        Call(method="KV.Put", token="other"),
    )
    assert endpoint.metadata == [
        (),
        (("hasleader", "true"), ("token", "abc.1")),
        (("token", "none"),),
    ]


def test_leases_that_were_granted_are_remembered() -> None:
    granted = lease_pb2.LeaseGrantResponse(ID=77).SerializeToString()
    player = Player(ScriptedEndpoint({"LeaseGrant": [Answer(0, "", granted)]}), NAMES)
    asyncio.run(player.play((call("Lease.LeaseGrant", TTL=5),)))
    assert player.granted == [77]


def test_call_waits_and_is_answered_or_given_up() -> None:
    async def both() -> None:
        endpoint = ScriptedEndpoint({"Lock": [Answer(0, "", b"")], "Put": [Answer(0, "", PUT)]})
        begin = Begin(method="Lock.Lock", name="lock")
        put = call("KV.Put")
        assert len(await Player(endpoint, NAMES).play((begin, put, GiveUp("lock")))) == 1
        endpoint.gate.set()
        assert await Player(endpoint, NAMES).play((begin, Await("lock"))) == [{"reply": {}}]
        with pytest.raises(CannotPlay, match="lock was answered already"):
            await Player(endpoint, NAMES).play((begin, put, put, GiveUp("lock")))

    asyncio.run(both())


def test_responses_come_in_the_order_of_watchers() -> None:
    endpoint = ScriptedEndpoint({}, response(watch_id=2), response(watch_id=1), Answer(1, "bye"))
    told = play(endpoint, Open(method="Watch.Watch"), Say({}), Hear(2), End())
    assert [one["watch_id"] for one in told[0]["heard"]] == [1, 2]
    assert told[1] == {"ended": {"code": "CANCELLED", "text": "bye"}}
    assert endpoint.opened.is_closed


def test_stream_that_ends_too_early_or_goes_on_is_noticed() -> None:
    endpoint = ScriptedEndpoint({}, Answer(14, "gone"))
    with pytest.raises(
        CannotPlay, match="step 2, Hear on the stream: the stream ended: UNAVAILABLE"
    ):
        play(endpoint, Open(method="Watch.Watch"), Hear(1))
    endpoint = ScriptedEndpoint({}, response(watch_id=4))
    told = play(endpoint, Open(method="Watch.Watch"), End())
    assert told[0]["ended"]["still"]["watch_id"] == 4


def test_fence_tells_what_comes_before_it() -> None:
    endpoint = ScriptedEndpoint(
        {"Put": [Answer(0, "", PUT)]},
        event(1, b"a"),
        response(watch_id=1001, created=True),
        event(3, b"fence"),
        event(2, b"b"),
        event(4, b"b", b"fence"),
        event(1001, b"fence"),
    )
    told = play(endpoint, Open(method="Watch.Watch"), Fence())
    assert [one["watch_id"] for one in told[0]["heard"]] == [1, 2, 4]
    assert [one["kv"]["key"] for one in told[0]["heard"][2]["events"]] == ["b"]


def test_fence_with_history_waits_until_watchers_have_caught_up() -> None:
    """Its first event is of the past, as theirs are; the second is not."""
    endpoint = ScriptedEndpoint(
        {"Put": [Answer(0, "", PUT)]},
        response(watch_id=1001, created=True),
        event(1001, b"fence"),
        event(1, b"a"),
        event(1001, b"fence"),
    )
    told = play(endpoint, Open(method="Watch.Watch"), Fence(with_history=True))
    assert [one["watch_id"] for one in told[0]["heard"]] == [1]
    request = watch_pb2.WatchRequest.FromString(endpoint.opened.requests[0])
    assert request.create_request.start_revision == 1001


def test_page_is_told_as_far_as_it_counts() -> None:
    endpoint = ScriptedEndpoint({})
    whole = {"status": 400, "type": "application/json", "body": {"code": 3, "message": "no"}}
    assert play(endpoint, Http("GET", "/x")) == [whole]
    assert play(endpoint, Http("GET", "/x", told=("status", "code"))) == [
        {"status": 400, "code": 3}
    ]
