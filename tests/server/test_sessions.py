"""raftwerk.Sessions, and writes whose metadata puts them into a session."""

import pytest
from google.protobuf.message import Message
from google.protobuf.wrappers_pb2 import Int64Value

from raftwerk.api import status
from raftwerk.api.rpc_pb2 import (
    CompactionRequest,
    DeleteRangeRequest,
    PutRequest,
    PutResponse,
    RequestOp,
    TxnRequest,
)
from raftwerk.replica.failure import Failure
from raftwerk.server.sessions import CLOSE, OPEN, SESSION
from tests.server.kv_rig import COMPACT, DELETE, PUT, TXN, KvRig

ANY = b""


def open_session(rig: KvRig) -> int:
    return Int64Value.FromString(rig.call(OPEN, ANY).message).value


def metadata(session: int, number: int = 1, first: int = 1) -> dict[bytes, bytes]:
    return {SESSION: b"%d/%d/%d" % (session, number, first)}


@pytest.fixture
def rig() -> KvRig:
    return KvRig()


def test_every_session_is_another(rig: KvRig) -> None:
    assert open_session(rig) != open_session(rig)


def test_a_write_that_comes_again_is_done_once(rig: KvRig) -> None:
    headers = metadata(open_session(rig))
    answers = [rig.call(PUT, PutRequest(key=b"a"), headers=headers).message for _ in range(2)]
    assert answers[0] == answers[1]
    assert PutResponse.FromString(answers[0]).header.revision == rig.node.machine.revision == 2


@pytest.mark.parametrize(
    ("path", "request_"),
    [
        (DELETE, DeleteRangeRequest(key=b"a")),
        (TXN, TxnRequest(success=[RequestOp(request_put=PutRequest(key=b"a"))])),
        (COMPACT, CompactionRequest(revision=2)),
    ],
    ids=["delete", "txn", "compact"],
)
def test_another_write_with_the_same_number_is_refused(
    rig: KvRig, path: str, request_: Message
) -> None:
    headers = metadata(open_session(rig))
    rig.call(PUT, PutRequest(key=b"a"), headers=headers)
    outcome = rig.call(path, request_, headers=headers)
    assert (outcome.status, outcome.text) == status.ANOTHER_WRITE
    assert rig.node.machine.revision == 2


def test_a_write_with_another_number_is_another_write(rig: KvRig) -> None:
    session = open_session(rig)
    rig.call(PUT, PutRequest(key=b"a"), headers=metadata(session, 1))
    rig.call(PUT, PutRequest(key=b"a"), headers=metadata(session, 2))
    assert rig.node.machine.revision == 3


@pytest.mark.parametrize("path", [OPEN, CLOSE])
def test_what_the_node_does_not_do_is_refused(rig: KvRig, path: str) -> None:
    rig.node.failure = Failure.NO_LEADER
    assert rig.call(path, ANY)[:2] == status.NO_LEADER


def test_a_write_of_a_closed_session_is_refused(rig: KvRig) -> None:
    session = open_session(rig)
    rig.call(CLOSE, Int64Value(value=session))
    outcome = rig.call(PUT, PutRequest(key=b"a"), headers=metadata(session))
    assert (outcome.status, outcome.text) == status.SESSION_EXPIRED


@pytest.mark.parametrize("place", [0, 1, 2])
@pytest.mark.parametrize("value", [b"", b"-1", b"x", b"9223372036854775808", b"1" * 5000])
def test_metadata_that_is_no_number_is_refused(rig: KvRig, place: int, value: bytes) -> None:
    numbers = [b"%d" % open_session(rig), b"1", b"1"]
    numbers[place] = value
    outcome = rig.call(PUT, PutRequest(key=b"a"), headers={SESSION: b"/".join(numbers)})
    assert (outcome.status, outcome.text) == status.SESSION_UNREADABLE
    assert rig.node.machine.revision == 1


@pytest.mark.parametrize("value", [b"", b"1", b"1/2", b"1/2/3/4", b"1//2", b"1/2/3/", b"1 2 3"])
def test_metadata_without_three_numbers_is_refused(rig: KvRig, value: bytes) -> None:
    outcome = rig.call(PUT, PutRequest(key=b"a"), headers={SESSION: value})
    assert (outcome.status, outcome.text) == status.SESSION_UNREADABLE
