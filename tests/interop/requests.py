"""Requests that are sent to both clusters, by grpcio: those that etcdctl cannot make. `first` is the revision before them."""

from raftwerk.api.rpc_pb2 import (
    CompactionRequest,
    Compare,
    DeleteRangeRequest,
    PutRequest,
    RangeRequest,
    RequestOp,
    TxnRequest,
)

Request = RangeRequest | PutRequest | DeleteRangeRequest | TxnRequest | CompactionRequest
LIMIT = 1_572_864
"""Of a request."""


def put(key: bytes, value: bytes = b"v") -> RequestOp:
    return RequestOp(request_put=PutRequest(key=key, value=value))


def get(key: bytes, **options: object) -> RequestOp:
    return RequestOp(request_range=RangeRequest(key=key, **options))


def delete(key: bytes, range_end: bytes = b"") -> RequestOp:
    return RequestOp(request_delete_range=DeleteRangeRequest(key=key, range_end=range_end))


def nested(
    *success: RequestOp, compare: tuple[Compare, ...] = (), failure: tuple[RequestOp, ...] = ()
) -> RequestOp:
    return RequestOp(request_txn=TxnRequest(compare=compare, success=success, failure=failure))


def txn(
    *success: RequestOp, compare: tuple[Compare, ...] = (), failure: tuple[RequestOp, ...] = ()
) -> TxnRequest:
    return TxnRequest(compare=compare, success=success, failure=failure)


def everything(**options: object) -> RangeRequest:
    return RangeRequest(key=b"\0", range_end=b"\0", **options)


FALSE = Compare(target=Compare.VERSION, result=Compare.EQUAL, key=b"a", version=99)
DEEP = nested(put(b"deep"))
for _ in range(20):
    DEEP = nested(DEEP)


def compares() -> dict[str, Request]:
    """One for each target and result, of keys and of ranges."""
    operands = {
        "VERSION": "version",
        "CREATE": "create_revision",
        "MOD": "mod_revision",
        "VALUE": "value",
        "LEASE": "lease",
    }
    cases: dict[str, Request] = {}
    for target, operand in operands.items():
        for result in ("EQUAL", "GREATER", "LESS", "NOT_EQUAL"):
            for name, key, range_end in (
                ("a", b"a", b""),
                ("none", b"x", b""),
                ("range", b"a", b"c"),
                ("no_range", b"x", b"z"),
            ):
                value = b"1" if target == "VALUE" else int(target == "VERSION")
                compare = Compare(
                    target=Compare.CompareTarget.Value(target),
                    result=Compare.CompareResult.Value(result),
                    key=key,
                    range_end=range_end,
                    **{operand: value},
                )
                cases[f"compare_{target}_{result}_{name}".lower()] = txn(compare=(compare,))
    return cases


def ranges(first: int) -> dict[str, Request]:
    """Range with every option, over all keys."""
    return {
        "range_everything": everything(),
        "range_limit_negative": everything(limit=-1),
        "range_limit_of_all": everything(limit=5),
        "range_empty_key": RangeRequest(),
        "range_end_before_key": RangeRequest(key=b"c", range_end=b"a"),
        "range_end_is_key": RangeRequest(key=b"c", range_end=b"c"),
        "range_keys_only": everything(keys_only=True),
        "range_count_only": everything(count_only=True, limit=2),
        "range_min_mod": everything(min_mod_revision=first + 3),
        "range_max_mod": everything(max_mod_revision=first + 3),
        "range_min_create": everything(min_create_revision=first + 3),
        "range_max_create": everything(max_create_revision=first + 3, limit=1),
        "range_filter_count_only": everything(min_mod_revision=first + 3, count_only=True),
        "range_filter_negative": everything(min_mod_revision=-1, max_mod_revision=-1),
        "range_filter_and_limit": everything(min_mod_revision=first + 3, limit=1),
        "range_old": everything(revision=first + 4),
        "range_old_limit": everything(revision=first + 4, limit=1),
        "range_before_all": everything(revision=first),
        "range_negative_revision": everything(revision=-5),
        "range_future": everything(revision=first + 1000),
        "range_sort_descend_limit": everything(sort_order=2, limit=2),
        "range_sort_version_none": everything(sort_target=1),
        "range_sort_value_descend": everything(sort_target=4, sort_order=2),
        "range_serializable": everything(serializable=True),
    }


def writes(first: int) -> dict[str, Request]:
    """Puts, deletions and compactions, of what is there and of what is not."""
    return {
        "put_prev_kv_lease": PutRequest(key=b"a", value=b"x", prev_kv=True, ignore_lease=True),
        "put_ignore_value": PutRequest(key=b"a", ignore_value=True, prev_kv=True),
        "put_ignore_both": PutRequest(key=b"a", ignore_value=True, ignore_lease=True),
        "put_ignore_lease_with_lease": PutRequest(key=b"a", lease=3, ignore_lease=True),
        "put_no_key_and_ignore": PutRequest(value=b"x", ignore_value=True),
        "put_negative_lease": PutRequest(key=b"a", lease=-1),
        "put_unknown_lease_of_no_key": PutRequest(key=b"x", lease=5, ignore_value=True),
        "put_long_key": PutRequest(key=b"k" * 2000, value=b"x", prev_kv=True),
        "put_largest": PutRequest(key=b"a", value=b"x" * (LIMIT - 100)),
        "put_too_large": PutRequest(key=b"a", value=b"x" * (LIMIT + 1)),
        "put_over_grpc_limit": PutRequest(key=b"a", value=b"x" * (LIMIT + 512 * 1024)),
        "delete_nothing": DeleteRangeRequest(key=b"x", prev_kv=True),
        "delete_all": DeleteRangeRequest(key=b"\0", range_end=b"\0", prev_kv=True),
        "delete_end_before_key": DeleteRangeRequest(key=b"c", range_end=b"a"),
        "delete_empty_key": DeleteRangeRequest(range_end=b"\0"),
        "compact_future": CompactionRequest(revision=first + 1000),
        "compact_negative": CompactionRequest(revision=-1),
    }


def txns(first: int) -> dict[str, Request]:
    """Transactions: branches, reads among writes, keys that are written twice."""
    return {
        "txn_empty": txn(),
        "txn_empty_operation": txn(RequestOp()),
        "txn_empty_compare_key": txn(compare=(Compare(),)),
        "txn_empty_key_in_other_branch": txn(put(b"a"), failure=(put(b""),)),
        "txn_duplicate_in_other_branch": txn(put(b"x"), failure=(put(b"b"), put(b"b"))),
        "txn_same_key_in_both_branches": txn(put(b"a"), failure=(put(b"a"),)),
        "txn_reads_see_writes": txn(
            get(b"a"), put(b"a", b"2"), get(b"a"), delete(b"b"), get(b"a", range_end=b"z")
        ),
        "txn_read_at_revision": txn(put(b"a", b"2"), get(b"a", revision=first + 1)),
        "txn_read_future": txn(put(b"a", b"2"), get(b"a", revision=first + 1000)),
        "txn_read_own_revision": txn(put(b"a", b"2"), get(b"a", revision=first + 7)),
        "txn_failure_branch": txn(put(b"a"), compare=(FALSE,), failure=(delete(b"b"), get(b"b"))),
        "txn_delete_overlaps_delete": txn(delete(b"a", b"c"), delete(b"b")),
        "txn_delete_after_put_sibling": txn(nested(put(b"x")), nested(delete(b"x"))),
        "txn_put_then_put_in_failure_of_nested": txn(put(b"x"), nested(failure=(put(b"x"),))),
        "txn_delete_from_key_and_put": txn(delete(b"a", b"\0"), put(b"b")),
        "txn_delete_backward_and_put": txn(delete(b"c", b"a"), put(b"b")),
    }


def nested_txns() -> dict[str, Request]:
    """Transactions in transactions."""
    return {
        "txn_nested": txn(put(b"x"), nested(get(b"x"), put(b"y"), delete(b"a")), get(b"y")),
        "txn_nested_failure": txn(
            put(b"x"), nested(put(b"y"), compare=(FALSE,), failure=(put(b"z"),))
        ),
        "txn_nested_compare_before_writes": txn(
            put(b"x"),
            nested(
                put(b"y"),
                compare=(Compare(key=b"x", target=Compare.VERSION, version=1),),
                failure=(put(b"z"),),
            ),
        ),
        "txn_nested_read_only": txn(nested(get(b"a"), nested(get(b"b")))),
        "txn_nested_empty": txn(nested()),
        "txn_nested_deep": txn(DEEP),
        "txn_nested_duplicate": txn(put(b"x"), nested(put(b"x"))),
        "txn_nested_duplicate_sibling": txn(nested(put(b"x")), nested(put(b"x"))),
        "txn_nested_delete_of_put": txn(put(b"x"), nested(delete(b"w", b"z"))),
        "txn_nested_put_of_delete": txn(delete(b"w", b"z"), nested(put(b"x"))),
        "txn_nested_exclusive_branches": txn(nested(put(b"x"), failure=(put(b"x"),))),
        "txn_nested_exclusive_delete": txn(nested(put(b"x"), failure=(delete(b"x"),))),
        "txn_nested_put_after_delete_sibling": txn(nested(delete(b"a", b"c")), nested(put(b"b"))),
        "txn_nested_put_beside_delete_sibling": txn(nested(delete(b"a", b"c")), nested(put(b"c"))),
        "txn_nested_deletes_joined": txn(
            nested(delete(b"a", b"c")), nested(delete(b"c", b"e")), nested(put(b"d"))
        ),
    }


def limits_of_txns() -> dict[str, Request]:
    """How many operations there may be, how large they may be, and operands that do not fit."""
    return {
        "txn_129_operations": txn(*(get(b"a") for _ in range(129))),
        "txn_129_compares": txn(compare=(FALSE,) * 129),
        "txn_128_operations": txn(*(put(b"k%d" % number) for number in range(128))),
        "txn_129_over_levels": txn(
            *(get(b"a") for _ in range(100)), nested(*(get(b"b") for _ in range(28)))
        ),
        "txn_128_over_levels": txn(
            *(get(b"a") for _ in range(100)), nested(*(get(b"b") for _ in range(27)))
        ),
        "txn_put_and_serializable_read": txn(put(b"x"), get(b"x", serializable=True)),
        "txn_ignore_value_with_value": txn(
            RequestOp(request_put=PutRequest(key=b"a", value=b"v", ignore_value=True))
        ),
        "txn_lease_in_branch_not_taken": txn(
            RequestOp(request_put=PutRequest(key=b"a", lease=7)),
            compare=(FALSE,),
            failure=(put(b"x"),),
        ),
        "txn_put_of_empty_value": txn(put(b"a", b"")),
        "txn_too_large": txn(*(put(b"k%d" % number, b"x" * 20_000) for number in range(100))),
        "txn_compare_without_operand": txn(compare=(Compare(key=b"a", target=Compare.VALUE),)),
        "txn_compare_with_other_operand": txn(
            compare=(Compare(key=b"a", target=Compare.VERSION, value=b"1"),)
        ),
    }


def requests(first: int) -> dict[str, Request]:
    """By name. The keys are those of GrpcClient.seed; they are put anew for each request."""
    return {
        **compares(),
        **ranges(first),
        **writes(first),
        **txns(first),
        **nested_txns(),
        **limits_of_txns(),
    }


EVERYTHING = everything()
