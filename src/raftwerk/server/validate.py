"""The checks that need no state: what is refused before anything is proposed, in etcd's order and words."""

from typing import Final

from raftwerk.api import rpc_pb2, status
from raftwerk.api.status import Status

_SORT_ORDERS: Final = frozenset(rpc_pb2.RangeRequest.SortOrder.values())
_SORT_TARGETS: Final = frozenset(rpc_pb2.RangeRequest.SortTarget.values())


def check_range(request: rpc_pb2.RangeRequest) -> Status | None:
    if not request.key:
        return status.EMPTY_KEY
    if request.sort_order not in _SORT_ORDERS or request.sort_target not in _SORT_TARGETS:
        return status.INVALID_SORT_OPTION
    return None


def check_put(request: rpc_pb2.PutRequest) -> Status | None:
    if not request.key:
        return status.EMPTY_KEY
    if request.ignore_value and request.value:
        return status.VALUE_PROVIDED
    if request.ignore_lease and request.lease:
        return status.LEASE_PROVIDED
    return None


def check_delete_range(request: rpc_pb2.DeleteRangeRequest) -> Status | None:
    return None if request.key else status.EMPTY_KEY
