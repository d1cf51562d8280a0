"""Each way a request can fail has its code and text; what may have happened is never told as if it had not."""

import pytest

from raftwerk.api import status
from raftwerk.kv.results import KvError
from raftwerk.replica.failure import Failure
from raftwerk.server.errors import status_of

MAY_HAVE_HAPPENED = {
    Failure.TIMED_OUT,
    Failure.TIMED_OUT_LEADER_FAILED,
    Failure.TIMED_OUT_CONNECTION_LOST,
}


@pytest.mark.parametrize(
    ("failure", "code", "text"),
    [
        (Failure.NO_LEADER, status.UNAVAILABLE, "etcdserver: no leader"),
        (Failure.OVERLOADED, status.RESOURCE_EXHAUSTED, "etcdserver: too many requests"),
        (Failure.NO_SPACE, status.RESOURCE_EXHAUSTED, "etcdserver: mvcc: database space exceeded"),
        (Failure.STOPPED, status.UNAVAILABLE, "etcdserver: server stopped"),
        (Failure.NOT_COMMITTED, status.UNAVAILABLE, "etcdserver: leader changed"),
        (Failure.TIMED_OUT, status.UNAVAILABLE, "etcdserver: request timed out"),
        (
            Failure.TIMED_OUT_LEADER_FAILED,
            status.UNAVAILABLE,
            "etcdserver: request timed out, possibly due to previous leader failure",
        ),
        (
            Failure.TIMED_OUT_CONNECTION_LOST,
            status.UNAVAILABLE,
            "etcdserver: request timed out, possibly due to connection lost",
        ),
        (KvError.KEY_NOT_FOUND, status.INVALID_ARGUMENT, "etcdserver: key not found"),
        (KvError.LEASE_NOT_FOUND, status.NOT_FOUND, "etcdserver: requested lease not found"),
        (KvError.LEASE_EXISTS, status.FAILED_PRECONDITION, "etcdserver: lease already exists"),
        (
            KvError.COMPACTED,
            status.OUT_OF_RANGE,
            "etcdserver: mvcc: required revision has been compacted",
        ),
        (
            KvError.FUTURE_REVISION,
            status.OUT_OF_RANGE,
            "etcdserver: mvcc: required revision is a future revision",
        ),
    ],
    ids=str,
)
def test_refusal_has_etcds_code_and_text(failure: Failure | KvError, code: int, text: str) -> None:
    assert status_of(failure) == (code, text)


@pytest.mark.parametrize("refusal", [*Failure, *KvError])
def test_every_refusal_has_a_status(refusal: Failure | KvError) -> None:
    assert status_of(refusal).code != status.OK
    assert status_of(refusal).text.startswith("etcdserver: ")


@pytest.mark.parametrize("failure", sorted(MAY_HAVE_HAPPENED))
def test_unknown_outcome_is_unavailable_by_time_out(failure: Failure) -> None:
    """Clients take UNAVAILABLE on a write for: it may have happened."""
    assert status_of(failure).code == status.UNAVAILABLE
    assert status_of(failure).text.startswith("etcdserver: request timed out")


@pytest.mark.parametrize("failure", sorted(set(Failure) - MAY_HAVE_HAPPENED))
def test_certain_failure_does_not_sound_like_a_time_out(failure: Failure) -> None:
    assert "timed out" not in status_of(failure).text
