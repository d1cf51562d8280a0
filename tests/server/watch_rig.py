"""The watch service behind a connection in memory, and streams of a client on its other end."""

from typing import Any

from raftwerk.api import watch_pb2
from raftwerk.api.watch_pb2 import WatchRequest, WatchResponse
from raftwerk.http2.client import ClientCall
from raftwerk.http2.headers import literal
from raftwerk.kv.commands import Command, encode
from raftwerk.runtime.settings import Settings
from raftwerk.server.slices import Slices
from raftwerk.server.watch_service import WatchService
from tests.server.fakes import FakeLoop, FakeNode, Outcome, Rig

PATH = "/etcdserverpb.Watch/Watch"


class Stream:
    """A stream of the client. responses: without the ids of the header. outcome: None while it is open."""

    def __init__(self, rig: "WatchRig") -> None:
        self._rig = rig
        self.raw: list[bytes] = []
        self.outcome: Outcome | None = None
        self.call: ClientCall

    def done(self, answer: Any) -> None:
        self.outcome = Outcome(answer.status, answer.text, answer.message)

    def create(self, key: bytes, **fields: Any) -> None:
        request = watch_pb2.WatchCreateRequest(key=key, **fields)
        self.send(WatchRequest(create_request=request))

    def cancel(self, watch_id: int) -> None:
        self.send(WatchRequest(cancel_request=watch_pb2.WatchCancelRequest(watch_id=watch_id)))

    def ask_progress(self) -> None:
        self.send(WatchRequest(progress_request=watch_pb2.WatchProgressRequest()))

    def send(self, request: WatchRequest | bytes) -> None:
        data = request if isinstance(request, bytes) else request.SerializeToString()
        self.call.send(data)
        self._rig.pump()

    def take(self) -> list[WatchResponse]:
        """What came since the last time."""
        raw = self.raw[:]
        self.raw.clear()
        responses = [WatchResponse.FromString(data) for data in raw]
        for response, data in zip(responses, raw, strict=True):
            assert response.SerializeToString() == data, "not as protobuf would have written it"
            for field in ("cluster_id", "member_id", "raft_term"):
                assert getattr(response.header, field), f"the header has no {field}"
                response.header.ClearField(field)
        return responses

    def revisions(self) -> list[int]:
        """Of the events that came since the last time."""
        return [event.kv.mod_revision for response in self.take() for event in response.events]


class WatchRig(Rig):
    """is_reading: whether the client takes what the server sends."""

    def __init__(self, **settings: Any) -> None:
        loop = FakeLoop()
        self.node = FakeNode(loop, Settings(**settings))
        self.service = WatchService(self.node, loop, Slices(loop))
        super().__init__(loop, self.service.methods())
        self.is_reading = True

    @property
    def hub(self) -> Any:
        return self.service.hub

    def pump(self) -> None:
        """As the shell does it: written output lets calls go on."""
        while self._client.has_output or (self._server.has_output and self.is_reading):
            self._server.receive(self._client.take_output())
            if self.is_reading:
                self._client.receive(self._server.take_output())
                self._server.on_written()

    def block(self) -> None:
        """The socket takes nothing more."""
        self.is_reading = False
        self._server.is_blocked = True

    def unblock(self) -> None:
        self.is_reading = True
        self._server.is_blocked = False
        self._server.on_written()
        self.settle()

    def settle(self) -> None:
        """Until nothing moves."""
        self.pump()
        while self.loop.turn():
            self.pump()

    def stream(self, **headers: str) -> Stream:
        stream = Stream(self)
        metadata = b"".join(
            literal(name.encode(), value.encode()) for name, value in headers.items()
        )
        stream.call = self._client.open(PATH, stream.done, stream.raw.append, metadata=metadata)
        self.pump()
        return stream

    def apply(self, *commands: Command) -> None:
        """Each by itself."""
        for command in commands:
            self.node.apply(encode(command))
            self.settle()

    @property
    def server_backlog_bytes(self) -> int:
        """Of the server's calls, not taken by the client."""
        return sum(call.queued_bytes for call in self._server.streams.values())


def response(revision: int, watch_id: int = 0, **fields: object) -> WatchResponse:
    message = WatchResponse(watch_id=watch_id, **fields)
    message.header.SetInParent()
    message.header.revision = revision
    return message
