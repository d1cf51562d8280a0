"""What is refused before anything is proposed, in etcd's order and words."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raftwerk.api import status
from raftwerk.api.rpc_pb2 import (
    Compare,
    DeleteRangeRequest,
    PutRequest,
    RangeRequest,
    RequestOp,
    TxnRequest,
)
from raftwerk.api.status import Status
from raftwerk.server.validate import check_delete_range, check_put, check_range, check_txn

OPS_MAX = 128


def put(key: bytes) -> RequestOp:
    return RequestOp(request_put=PutRequest(key=key))


def get(key: bytes) -> RequestOp:
    return RequestOp(request_range=RangeRequest(key=key))


def delete(key: bytes, range_end: bytes = b"") -> RequestOp:
    return RequestOp(request_delete_range=DeleteRangeRequest(key=key, range_end=range_end))


def nested(success: Sequence[RequestOp] = (), failure: Sequence[RequestOp] = ()) -> RequestOp:
    return RequestOp(request_txn=TxnRequest(success=success, failure=failure))


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


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (TxnRequest(), None),
        (TxnRequest(success=[RequestOp()]), status.KEY_NOT_FOUND),
        (TxnRequest(compare=[Compare()]), status.EMPTY_KEY),
        (TxnRequest(success=[get(b"")]), status.EMPTY_KEY),
        (TxnRequest(failure=[put(b"")]), status.EMPTY_KEY),
        (TxnRequest(failure=[delete(b"")]), status.EMPTY_KEY),
        (TxnRequest(success=[nested([put(b"")])]), status.EMPTY_KEY),
        (TxnRequest(success=[get(b"a")] * 128), None),
        (TxnRequest(success=[get(b"a")] * 129), status.TOO_MANY_OPS),
        (TxnRequest(failure=[get(b"a")] * 129), status.TOO_MANY_OPS),
        (TxnRequest(compare=[Compare(key=b"a")] * 129), status.TOO_MANY_OPS),
        (TxnRequest(compare=[Compare()] * 129), status.TOO_MANY_OPS),
        (TxnRequest(success=[nested([get(b"a")] * 127)]), None),
        (TxnRequest(success=[nested([get(b"a")] * 128)]), status.TOO_MANY_OPS),
        (TxnRequest(success=[get(b"a")] * 127 + [nested()]), None),
        (TxnRequest(success=[put(b"a"), put(b"a"), get(b"")]), status.EMPTY_KEY),
    ],
)
def test_shape_of_a_txn_is_checked(request_: TxnRequest, expected: Status | None) -> None:
    assert check_txn(request_, OPS_MAX) == expected


A, B, C = b"a", b"b", b"c"
ACCEPTED = {
    "different_keys": [put(A), put(B)],
    "delete_beside_put": [delete(A, C), put(C)],
    "delete_twice": [delete(A, C), delete(B)],
    "both_branches": [nested([put(A)], [put(A)])],
    "put_or_delete": [nested([put(A)], [delete(A)])],
    "sibling_deletes_later": [nested([put(A)]), nested([delete(A)])],
    "backward_delete": [delete(C, A), put(B)],
    "delete_from_key_is_empty_here": [delete(A, b"\0"), put(B)],
    "read_of_what_is_put": [put(A), get(A)],
}
REFUSED = {
    "same_key": [put(A), put(A)],
    "delete_then_put": [delete(A, C), put(B)],
    "put_then_delete": [put(B), delete(A, C)],
    "put_at_the_start_of_a_delete": [delete(A, C), put(A)],
    "nested_put": [put(A), nested([put(A)])],
    "nested_put_in_failure": [put(A), nested([], [put(A)])],
    "nested_put_of_deleted": [delete(A), nested([put(A)])],
    "put_of_nested_deleted": [put(A), nested([delete(A)])],
    "sibling_puts": [nested([put(A)]), nested([put(A)])],
    "sibling_puts_what_was_deleted": [nested([delete(A)]), nested([], [put(A)])],
    "twice_within_nested": [nested([put(A), put(A)])],
    "joined_deletes": [delete(A, B), delete(B, C), put(B)],
    "deep": [put(A), nested([nested([nested([put(A)])])])],
}


@pytest.mark.parametrize("name", ACCEPTED)
def test_keys_written_once_are_accepted(name: str) -> None:
    assert check_txn(TxnRequest(success=ACCEPTED[name]), OPS_MAX) is None


@pytest.mark.parametrize("branch", ["success", "failure"])
@pytest.mark.parametrize("name", REFUSED)
def test_key_written_twice_is_refused(name: str, branch: str) -> None:
    request = TxnRequest(**{branch: REFUSED[name]})
    assert check_txn(request, OPS_MAX) == status.DUPLICATE_KEY


def test_top_branches_may_write_the_same_keys() -> None:
    assert check_txn(TxnRequest(success=[put(A)], failure=[put(A), delete(B)]), OPS_MAX) is None


SMALL_KEYS = st.sampled_from([b"a", b"b", b"c", b"d", b"e"])


@given(deletes=st.lists(st.tuples(SMALL_KEYS, SMALL_KEYS), max_size=6), key=SMALL_KEYS)
def test_put_collides_with_any_delete_that_covers_it(
    deletes: list[tuple[bytes, bytes]], key: bytes
) -> None:
    """However the deleted ranges touch, overlap and hold each other."""
    request = TxnRequest(success=[put(key), *(delete(start, stop) for start, stop in deletes)])
    is_covered = any(start <= key < stop for start, stop in deletes)
    assert check_txn(request, OPS_MAX) == (status.DUPLICATE_KEY if is_covered else None)


@given(deletes=st.lists(st.tuples(SMALL_KEYS, SMALL_KEYS), max_size=6), key=SMALL_KEYS)
def test_nested_deletes_are_taken_together(deletes: list[tuple[bytes, bytes]], key: bytes) -> None:
    request = TxnRequest(
        success=[*(nested([], [delete(start, stop)]) for start, stop in deletes), put(key)]
    )
    is_covered = any(start <= key < stop for start, stop in deletes)
    assert check_txn(request, OPS_MAX) == (status.DUPLICATE_KEY if is_covered else None)
