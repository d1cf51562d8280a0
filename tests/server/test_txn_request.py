"""A transaction's request becomes its command, or is refused before anything is proposed, in etcd's order and words."""

from collections.abc import Sequence

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from raftwerk.api import status
from raftwerk.api.rpc_pb2 import Compare as CompareRequest
from raftwerk.api.rpc_pb2 import (
    DeleteRangeRequest,
    PutRequest,
    RangeRequest,
    RequestOp,
    TxnRequest,
)
from raftwerk.api.status import Status
from raftwerk.kv import commands
from raftwerk.kv.commands import (
    Compare,
    CompareResult,
    CompareTarget,
    DeleteRange,
    Put,
    RangeQuery,
    Txn,
)
from raftwerk.server import txn_request

OPS_MAX = 128


def put(key: bytes) -> RequestOp:
    return RequestOp(request_put=PutRequest(key=key))


def get(key: bytes) -> RequestOp:
    return RequestOp(request_range=RangeRequest(key=key))


def delete(key: bytes, range_end: bytes = b"") -> RequestOp:
    return RequestOp(request_delete_range=DeleteRangeRequest(key=key, range_end=range_end))


def nested(success: Sequence[RequestOp] = (), failure: Sequence[RequestOp] = ()) -> RequestOp:
    return RequestOp(request_txn=TxnRequest(success=success, failure=failure))


def command_of(request: TxnRequest) -> Txn:
    command = txn_request.txn_command(request, OPS_MAX)
    assert isinstance(command, Txn)
    return command


def refusal(request: TxnRequest) -> Status | None:
    command = txn_request.txn_command(request, OPS_MAX)
    return command if isinstance(command, Status) else None


@pytest.mark.parametrize(
    ("compare", "expected"),
    [
        (
            CompareRequest(key=b"k", target=0, result=0, version=3),
            Compare(CompareTarget.VERSION, CompareResult.EQUAL, b"k", 3),
        ),
        (
            CompareRequest(key=b"k", target=1, result=1, create_revision=4),
            Compare(CompareTarget.CREATE, CompareResult.GREATER, b"k", 4),
        ),
        (
            CompareRequest(key=b"k", target=2, result=2, mod_revision=5),
            Compare(CompareTarget.MOD, CompareResult.LESS, b"k", 5),
        ),
        (
            CompareRequest(key=b"k", target=3, result=3, value=b"v", range_end=b"z"),
            Compare(CompareTarget.VALUE, CompareResult.NOT_EQUAL, b"k", b"v", b"z"),
        ),
        (
            CompareRequest(key=b"k", target=4, result=0, lease=6),
            Compare(CompareTarget.LEASE, CompareResult.EQUAL, b"k", 6),
        ),
        (
            CompareRequest(key=b"k", target=3, result=0, version=3),
            Compare(CompareTarget.VALUE, CompareResult.EQUAL, b"k", b""),
        ),
    ],
    ids=["version", "create", "mod", "value", "lease", "operand_of_another_target"],
)
def test_comparison_takes_the_operand_of_its_target(
    compare: CompareRequest, expected: Compare
) -> None:
    assert command_of(TxnRequest(compare=[compare])).compares == (expected,)


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (TxnRequest(), None),
        (TxnRequest(success=[RequestOp()]), status.KEY_NOT_FOUND),
        (TxnRequest(compare=[CompareRequest()]), status.EMPTY_KEY),
        (TxnRequest(success=[get(b"")]), status.EMPTY_KEY),
        (TxnRequest(failure=[put(b"")]), status.EMPTY_KEY),
        (TxnRequest(failure=[delete(b"")]), status.EMPTY_KEY),
        (TxnRequest(success=[nested([put(b"")])]), status.EMPTY_KEY),
        (TxnRequest(success=[get(b"a")] * 128), None),
        (TxnRequest(success=[get(b"a")] * 129), status.TOO_MANY_OPS),
        (TxnRequest(failure=[get(b"a")] * 129), status.TOO_MANY_OPS),
        (TxnRequest(compare=[CompareRequest(key=b"a")] * 129), status.TOO_MANY_OPS),
        (TxnRequest(compare=[CompareRequest()] * 129), status.TOO_MANY_OPS),
        (
            TxnRequest(success=[RequestOp(request_range=RangeRequest(key=b"a", sort_order=3))]),
            status.INVALID_SORT_OPTION,
        ),
        (
            TxnRequest(
                success=[RequestOp(request_put=PutRequest(key=b"a", value=b"v", ignore_value=True))]
            ),
            status.VALUE_PROVIDED,
        ),
        (TxnRequest(success=[nested([get(b"a")] * 127)]), None),
        (TxnRequest(success=[nested([get(b"a")] * 128)]), status.TOO_MANY_OPS),
        (TxnRequest(success=[get(b"a")] * 127 + [nested()]), None),
        (TxnRequest(success=[put(b"a"), put(b"a"), get(b"")]), status.EMPTY_KEY),
    ],
)
def test_shape_of_a_txn_is_checked(request_: TxnRequest, expected: Status | None) -> None:
    assert refusal(request_) == expected


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
    assert refusal(TxnRequest(success=ACCEPTED[name])) is None


@pytest.mark.parametrize("branch", ["success", "failure"])
@pytest.mark.parametrize("name", REFUSED)
def test_key_written_twice_is_refused(name: str, branch: str) -> None:
    request = TxnRequest(**{branch: REFUSED[name]})
    assert refusal(request) == status.DUPLICATE_KEY


def test_top_branches_may_write_the_same_keys() -> None:
    assert refusal(TxnRequest(success=[put(A)], failure=[put(A), delete(B)])) is None


SMALL_KEYS = st.sampled_from([b"a", b"b", b"c", b"d", b"e"])


@given(deletes=st.lists(st.tuples(SMALL_KEYS, SMALL_KEYS), max_size=6), key=SMALL_KEYS)
def test_put_collides_with_any_delete_that_covers_it(
    deletes: list[tuple[bytes, bytes]], key: bytes
) -> None:
    """However the deleted ranges touch, overlap and hold each other."""
    request = TxnRequest(success=[put(key), *(delete(start, stop) for start, stop in deletes)])
    is_covered = any(start <= key < stop for start, stop in deletes)
    assert refusal(request) == (status.DUPLICATE_KEY if is_covered else None)


@given(deletes=st.lists(st.tuples(SMALL_KEYS, SMALL_KEYS), max_size=6), key=SMALL_KEYS)
def test_nested_deletes_are_taken_together(deletes: list[tuple[bytes, bytes]], key: bytes) -> None:
    request = TxnRequest(
        success=[*(nested([], [delete(start, stop)]) for start, stop in deletes), put(key)]
    )
    is_covered = any(start <= key < stop for start, stop in deletes)
    assert refusal(request) == (status.DUPLICATE_KEY if is_covered else None)


KEYS = st.binary(min_size=1, max_size=4)


def operations(depth: int) -> st.SearchStrategy[RequestOp]:
    kinds = [
        st.builds(get, KEYS),
        st.builds(put, KEYS),
        st.builds(delete, KEYS, st.binary(max_size=4)),
    ]
    if depth:
        lists = st.lists(operations(depth - 1), max_size=2)
        kinds.append(st.builds(nested, lists, lists))
    return st.one_of(kinds)


@given(success=st.lists(operations(2), max_size=3), failure=st.lists(operations(1), max_size=2))
def test_txn_survives_the_log(success: list[RequestOp], failure: list[RequestOp]) -> None:
    """Kinds, order and nesting are those of the request, after encoding and decoding too."""
    request = TxnRequest(success=success, failure=failure)
    command = txn_request.txn_command(request, OPS_MAX)
    assume(isinstance(command, Txn))
    assert isinstance(command, Txn)
    assert commands.decode(commands.encode(command)) == command
    assert shape(command) == shape_of_request(request)


def shape(txn: Txn) -> object:
    def of(operation: object) -> object:
        return shape(operation) if isinstance(operation, Txn) else (type(operation), operation.key)

    return [of(operation) for operation in txn.success], [of(item) for item in txn.failure]


def shape_of_request(request: TxnRequest) -> object:
    types = {"request_range": RangeQuery, "request_put": Put, "request_delete_range": DeleteRange}

    def of(operation: RequestOp) -> object:
        kind = operation.WhichOneof("request")
        if kind == "request_txn":
            return shape_of_request(operation.request_txn)
        return types[kind], getattr(operation, kind).key

    return [of(operation) for operation in request.success], [of(item) for item in request.failure]


RANGE = get(A)
LOCAL = RequestOp(request_range=RangeRequest(key=b"a", serializable=True))
WRITE = put(A)
DELETE = delete(A)


@pytest.mark.parametrize(
    ("ops", "is_read_only"),
    [
        ([], True),
        ([RANGE, LOCAL], True),
        ([RANGE, WRITE], False),
        ([DELETE], False),
        ([nested([RANGE])], True),
        ([nested([RANGE, nested([WRITE])])], False),
    ],
    ids=["empty", "ranges", "put", "delete", "nested_range", "nested_put"],
)
@pytest.mark.parametrize("branch", ["success", "failure"])
def test_only_ranges_make_a_txn_read_only(
    branch: str, ops: list[RequestOp], is_read_only: bool
) -> None:
    assert txn_request.is_read_only(command_of(TxnRequest(**{branch: ops}))) is is_read_only


@pytest.mark.parametrize(
    ("success", "failure", "is_serializable"),
    [
        ([LOCAL], [LOCAL], True),
        ([LOCAL], [], True),
        ([LOCAL, RANGE], [], False),
        ([LOCAL], [RANGE], False),
        ([nested([LOCAL])], [], True),
        ([nested([RANGE])], [], False),
        ([], [], False),
        ([nested()], [], False),
    ],
    ids=["all", "one_branch", "one_not", "other_branch", "nested", "nested_not", "none", "empty"],
)
def test_txn_is_serializable_if_all_its_reads_are(
    success: list[RequestOp], failure: list[RequestOp], is_serializable: bool
) -> None:
    """One of comparisons alone is not: its answer is a statement on the present."""
    request = TxnRequest(success=success, failure=failure)
    assert txn_request.is_serializable(request) is is_serializable


@pytest.mark.parametrize(
    ("compare", "is_known"),
    [
        (CompareRequest(key=b"a", target=4, result=3), True),
        (CompareRequest(key=b"a", target=5), False),
        (CompareRequest(key=b"a", result=4), False),
        (CompareRequest(key=b"a", target=-1), False),
    ],
)
@pytest.mark.parametrize("depth", [0, 2])
def test_unknown_comparison_is_found_at_any_depth(
    depth: int, compare: CompareRequest, is_known: bool
) -> None:
    request = TxnRequest(compare=[compare])
    for _ in range(depth):
        request = TxnRequest(failure=[RequestOp(request_txn=request)])
    assert refusal(request) == (None if is_known else status.UNKNOWN_COMPARE)


@pytest.mark.parametrize(
    ("compares", "success", "refused"),
    [
        ([CompareRequest()], [], status.EMPTY_KEY),
        ([], [put(b"")], status.EMPTY_KEY),
        ([], [RequestOp()], status.KEY_NOT_FOUND),
        ([], [put(b"a"), put(b"a")], status.DUPLICATE_KEY),
        ([], [nested([get(b"a")] * 128)], status.TOO_MANY_OPS),
    ],
    ids=["later comparison", "operation", "empty operation", "duplicate", "too many"],
)
@pytest.mark.parametrize("is_nested", [False, True])
def test_what_etcd_refuses_is_said_before_what_only_we_do(
    is_nested: bool, compares: list[CompareRequest], success: list[RequestOp], refused: Status
) -> None:
    """etcd 3.5 refuses no comparison for its kind, and so comes to whatever else is wrong, before or after it."""
    unknown = CompareRequest(key=b"a", target=9)
    request = TxnRequest(compare=[unknown, *compares], success=success)
    if is_nested:
        inner = RequestOp(request_txn=TxnRequest(compare=[unknown]))
        request = TxnRequest(compare=compares, success=[inner, *success])
    assert refusal(request) == refused


@pytest.mark.parametrize(
    ("ops", "has_put"),
    [([RANGE, DELETE], False), ([RANGE, WRITE], True), ([nested([RANGE]), nested([WRITE])], True)],
    ids=["none", "put", "nested_put"],
)
@pytest.mark.parametrize("branch", ["success", "failure"])
def test_only_a_put_needs_room(branch: str, ops: list[RequestOp], has_put: bool) -> None:
    assert txn_request.has_put(command_of(TxnRequest(**{branch: ops}))) is has_put


SPAN = RequestOp(request_range=RangeRequest(key=A, range_end=C))


@pytest.mark.parametrize(
    ("request_", "has_range"),
    [
        (TxnRequest(success=[RANGE], failure=[nested([RANGE])]), False),
        (TxnRequest(failure=[RANGE, SPAN]), True),
        (TxnRequest(success=[nested([SPAN])]), True),
        (TxnRequest(compare=[CompareRequest(key=A)]), False),
        (TxnRequest(compare=[CompareRequest(key=A, range_end=C)]), True),
    ],
    ids=["keys", "range", "nested_range", "comparison", "comparison_of_a_range"],
)
def test_range_may_be_of_many_keys(request_: TxnRequest, has_range: bool) -> None:
    assert txn_request.has_range(command_of(request_)) is has_range
