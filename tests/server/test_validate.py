"""What is refused before anything is proposed, in etcd's order and words."""

import pytest

from raftwerk.api import status
from raftwerk.api.rpc_pb2 import (
    DeleteRangeRequest,
    PutRequest,
    RangeRequest,
)
from raftwerk.api.status import Status
from raftwerk.server.validate import check_delete_range, check_put, check_range


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (RangeRequest(key=b"a"), None),
        (RangeRequest(), status.EMPTY_KEY),
        (RangeRequest(range_end=b"\0"), status.EMPTY_KEY),
        (RangeRequest(sort_order=3), status.EMPTY_KEY),
        (RangeRequest(key=b"a", sort_order=2, sort_target=4), None),
        (RangeRequest(key=b"a", sort_order=3), status.INVALID_SORT_OPTION),
        (RangeRequest(key=b"a", sort_order=-1), status.INVALID_SORT_OPTION),
        (RangeRequest(key=b"a", sort_target=5), status.INVALID_SORT_OPTION),
        (RangeRequest(key=b"a", limit=-1, revision=-1), None),
    ],
)
def test_range_is_checked(request_: RangeRequest, expected: Status | None) -> None:
    assert check_range(request_) == expected


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (PutRequest(key=b"a"), None),
        (PutRequest(value=b"v"), status.EMPTY_KEY),
        (PutRequest(value=b"v", ignore_value=True), status.EMPTY_KEY),
        (PutRequest(key=b"a", value=b"v", ignore_value=True), status.VALUE_PROVIDED),
        (PutRequest(key=b"a", ignore_value=True), None),
        (PutRequest(key=b"a", lease=1, ignore_lease=True), status.LEASE_PROVIDED),
        (PutRequest(key=b"a", lease=1), None),
        (PutRequest(key=b"a", value=b"v", ignore_lease=True), None),
        (
            PutRequest(key=b"a", value=b"v", lease=1, ignore_value=True, ignore_lease=True),
            status.VALUE_PROVIDED,
        ),
    ],
)
def test_put_is_checked(request_: PutRequest, expected: Status | None) -> None:
    assert check_put(request_) == expected


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (DeleteRangeRequest(key=b"a", range_end=b"\0"), None),
        (DeleteRangeRequest(range_end=b"\0"), status.EMPTY_KEY),
    ],
)
def test_delete_range_is_checked(request_: DeleteRangeRequest, expected: Status | None) -> None:
    assert check_delete_range(request_) == expected
