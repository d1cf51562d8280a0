"""A conversation on one Watch stream, over grpcio, kept for comparison."""

import queue
import threading
from typing import Any, Self

import grpc

from raftwerk.api.rpc_pb2 import CompactionRequest, DeleteRangeRequest, PutRequest, TxnRequest
from raftwerk.api.watch_pb2 import (
    WatchCancelRequest,
    WatchCreateRequest,
    WatchProgressRequest,
    WatchRequest,
    WatchResponse,
)
from tests.interop.grpc_client import GrpcClient

PATIENCE_S = 20.0
FENCE = 1000
"""Watch id of the fence."""
FENCE_KEY = b"fence"


def _is_of_fence(response: WatchResponse) -> bool:
    return any(event.kv.key == FENCE_KEY for event in response.events)


class Talk:
    """heard: the responses of each `expect`, those of different watchers in the order of their ids."""

    def __init__(self, client: GrpcClient, first: int = 0, **metadata: str) -> None:
        """first: the revision that the store is at."""
        self.first = first
        self.heard: list[list[WatchResponse]] = []
        self.outcome: tuple[grpc.StatusCode, str] | None = None
        self._client = client
        self._requests: queue.SimpleQueue[WatchRequest | None] = queue.SimpleQueue()
        self._responses: list[WatchResponse] = []
        self._changed = threading.Condition()
        stub = client.channel.stream_stream(
            "/etcdserverpb.Watch/Watch",
            request_serializer=lambda request: request.SerializeToString(),
            response_deserializer=WatchResponse.FromString,
        )
        self.call = stub(iter(self._requests.get, None), metadata=tuple(metadata.items()))
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._requests.put(None)
        self.call.cancel()
        self._reader.join()

    def _read(self) -> None:
        try:
            for response in self.call:
                with self._changed:
                    self._responses.append(response)
                    self._changed.notify_all()
        except grpc.RpcError as error:
            with self._changed:
                self.outcome = error.code(), error.details() or ""
                self._changed.notify_all()

    # What the client says

    def create(self, key: bytes, **fields: Any) -> None:
        """start: counted from `first`."""
        if "start" in fields:
            fields["start_revision"] = self.first + fields.pop("start")
        self._requests.put(WatchRequest(create_request=WatchCreateRequest(key=key, **fields)))

    def cancel(self, watch_id: int) -> None:
        self._requests.put(WatchRequest(cancel_request=WatchCancelRequest(watch_id=watch_id)))

    def ask_progress(self) -> None:
        self._requests.put(WatchRequest(progress_request=WatchProgressRequest()))

    def say(self, request: WatchRequest) -> None:
        self._requests.put(request)

    def half_close(self) -> None:
        self._requests.put(None)

    # What happens meanwhile

    def put(self, *keys: bytes, value: bytes = b"v") -> None:
        for key in keys:
            self._client.put(PutRequest(key=key, value=value), timeout=10)

    def delete(self, key: bytes, range_end: bytes = b"") -> None:
        self._client.delete_range(DeleteRangeRequest(key=key, range_end=range_end), timeout=10)

    def txn(self, request: TxnRequest) -> None:
        self._client.txn(request, timeout=10)

    def compact(self, offset: int) -> None:
        self._client.compact(CompactionRequest(revision=self.first + offset), timeout=10)

    # What is heard

    def expect(self, count: int) -> list[WatchResponse]:
        """Wait for so many more responses, and keep them."""
        with self._changed:
            assert self._changed.wait_for(
                lambda: len(self._responses) >= count or self.outcome, PATIENCE_S
            ), f"{len(self._responses)} responses of {count}: {self._responses}"
            assert len(self._responses) >= count, f"the stream ended: {self.outcome}"
            heard, self._responses = self._responses[:count], self._responses[count:]
        for response in heard:
            for field in ("cluster_id", "member_id", "raft_term"):
                assert getattr(response.header, field), f"the header has no {field}"
                response.header.ClearField(field)
        self.heard.append(sorted(heard, key=lambda response: response.watch_id))
        return heard

    def fence(self) -> None:
        """Whatever comes before a last event that the conversation did not speak of is kept too."""
        self.create(FENCE_KEY, watch_id=FENCE)
        self._expect_from_fence()
        self.put(FENCE_KEY)
        self._expect_from_fence()
        # Others that watch the fence's key hear of it before or after the fence itself
        self.heard = [heard for heard in self.heard if not any(map(_is_of_fence, heard))]

    def _expect_from_fence(self) -> None:
        while self.expect(1)[0].watch_id != FENCE:
            pass

    def expect_end(self) -> tuple[grpc.StatusCode, str]:
        """Code and text with which the stream ends."""
        with self._changed:
            assert self._changed.wait_for(lambda: self.outcome is not None, PATIENCE_S)
            assert self.outcome is not None
            return self.outcome
