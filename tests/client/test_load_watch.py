"""A load of watches, on a server of ours and on etcd: every watcher has every event, and what fails is told."""

import pytest

from raftwerk.cli.cluster import Member
from raftwerk.client import CallFailed
from raftwerk.client.load_requests import Operation
from raftwerk.client.load_types import Load
from raftwerk.client.load_watch import run
from raftwerk.errors import UsageError
from raftwerk.http2.headers import literal


@pytest.mark.parametrize(("keys", "watchers"), [(1, 30), (30, 1), (4, 3)])
def test_each_watcher_has_each_event(member: Member, keys: int, watchers: int) -> None:
    load = Load(Operation.WATCH, connections=3, clients=4, requests=50, keys=keys, value_bytes=10)
    result = run(load, watchers, [member.client_url])
    assert result.events == 50 * watchers
    assert (result.put.requests, result.put.errors) == (50, {})
    assert 0 < result.delay_p50_ms <= result.delay_p99_ms
    assert result.events_per_second > 0


def test_watch_that_is_refused_is_told(member: Member) -> None:
    load = Load(Operation.WATCH, 1, 1, requests=5, metadata=literal(b"grpc-encoding", b"unknown"))
    with pytest.raises(CallFailed):
        run(load, 1, [member.client_url])


def test_load_without_an_endpoint_is_none() -> None:
    with pytest.raises(UsageError, match="at least one endpoint"):
        run(Load(Operation.WATCH, requests=1), 1, [])
