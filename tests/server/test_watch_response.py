"""Responses put together from bytes are what protobuf would have written."""

from typing import Any

import pytest

from raftwerk.api.kv_pb2 import Event, KeyValue
from raftwerk.api.rpc_pb2 import ResponseHeader
from raftwerk.api.watch_pb2 import WatchResponse
from raftwerk.server.translate import Headers
from raftwerk.server.watch_response import beginning, control, fragments
from tests.server.member import Member

HEADER = ResponseHeader(cluster_id=5, member_id=2**63, revision=300, raft_term=7)
HEADER_BYTES = Headers(Member(5, 2**63, 7)).field(300)
EVENTS = [Event(kv=KeyValue(key=b"k", value=bytes([number]) * 100)) for number in range(5)]
FIELDS = [WatchResponse(events=[event]).SerializeToString() for event in EVENTS]


@pytest.mark.parametrize("watch_id", [0, 1, 300, -1])
@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"created": True},
        {"canceled": True},
        {"created": True, "canceled": True, "cancel_reason": "mvcc: ü"},
        {"canceled": True, "compact_revision": 1000},
    ],
    ids=["progress", "created", "canceled", "refused", "compacted"],
)
def test_control(watch_id: int, fields: dict[str, Any]) -> None:
    expected = WatchResponse(header=HEADER, watch_id=watch_id, **fields)
    assert control(HEADER_BYTES, watch_id, **fields) == expected.SerializeToString()


@pytest.mark.parametrize("watch_id", [0, 9])
def test_beginning_and_events(watch_id: int) -> None:
    data = beginning(HEADER_BYTES, watch_id) + b"".join(FIELDS)
    assert WatchResponse.FromString(data) == WatchResponse(
        header=HEADER, watch_id=watch_id, events=EVENTS
    )


@pytest.mark.parametrize(
    ("bytes_max", "counts"),
    [(10_000, [5]), (300, [2, 2, 1]), (200, [1, 1, 1, 1, 1]), (1, [1, 1, 1, 1, 1])],
)
def test_fragments(bytes_max: int, counts: list[int]) -> None:
    """All but the last say that more comes; none but a single event is too large."""
    parts = list(fragments(beginning(HEADER_BYTES, 4), FIELDS, bytes_max))
    responses = [WatchResponse.FromString(part) for part in parts]
    assert [len(one.events) for one in responses] == counts
    assert [one.fragment for one in responses] == [True] * (len(parts) - 1) + [False]
    assert [event for one in responses for event in one.events] == EVENTS
    assert all(one.header == HEADER and one.watch_id == 4 for one in responses)
    for part, one in zip(parts, responses, strict=True):
        assert part == one.SerializeToString()
        assert len(part) < bytes_max or len(one.events) == 1
