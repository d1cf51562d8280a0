"""The refusals: clients match on code and text, so both are the contract."""

import grpc
import pytest

from raftwerk.api import status
from raftwerk.api.status import Status

# Code (its number in google.rpc.Code) and text as etcd 3.5 gives them
TEXTS = {
    "EMPTY_KEY": (3, "etcdserver: key is not provided"),
    "KEY_NOT_FOUND": (3, "etcdserver: key not found"),
    "VALUE_PROVIDED": (3, "etcdserver: value is provided"),
    "LEASE_PROVIDED": (3, "etcdserver: lease is provided"),
    "TOO_MANY_OPS": (3, "etcdserver: too many operations in txn request"),
    "DUPLICATE_KEY": (3, "etcdserver: duplicate key given in txn request"),
    "INVALID_SORT_OPTION": (3, "etcdserver: invalid sort option"),
    "REQUEST_TOO_LARGE": (3, "etcdserver: request is too large"),
    "COMPACTED": (11, "etcdserver: mvcc: required revision has been compacted"),
    "FUTURE_REVISION": (11, "etcdserver: mvcc: required revision is a future revision"),
    "NO_SPACE": (8, "etcdserver: mvcc: database space exceeded"),
    "TOO_MANY_REQUESTS": (8, "etcdserver: too many requests"),
    "LEASE_NOT_FOUND": (5, "etcdserver: requested lease not found"),
    "LEASE_EXISTS": (9, "etcdserver: lease already exists"),
    "LEASE_TTL_TOO_LARGE": (11, "etcdserver: too large lease TTL"),
    "NO_LEADER": (14, "etcdserver: no leader"),
    "LEADER_CHANGED": (14, "etcdserver: leader changed"),
    "STOPPED": (14, "etcdserver: server stopped"),
    "TIMED_OUT": (14, "etcdserver: request timed out"),
    "TIMED_OUT_LEADER_FAILED": (
        14,
        "etcdserver: request timed out, possibly due to previous leader failure",
    ),
    "TIMED_OUT_CONNECTION_LOST": (
        14,
        "etcdserver: request timed out, possibly due to connection lost",
    ),
    "DEADLINE": (4, "context deadline exceeded"),
}


@pytest.mark.parametrize("name", TEXTS)
def test_refusal_has_the_code_and_text_of_etcd(name: str) -> None:
    assert getattr(status, name) == TEXTS[name]


def refusals() -> dict[str, Status]:
    return {name: value for name, value in vars(status).items() if isinstance(value, Status)}


def test_texts_tell_refusals_apart() -> None:
    texts = [refusal.text for refusal in refusals().values()]
    assert len(set(texts)) == len(texts)


@pytest.mark.parametrize("name", sorted(refusals()))
def test_codes_are_those_of_grpc(name: str) -> None:
    code = refusals()[name].code
    assert code in {member.value[0] for member in grpc.StatusCode} - {status.OK}
