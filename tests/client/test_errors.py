"""The ways in which a call ends without a result."""

import pytest

from raftwerk.client.errors import CallError, CallFailed, OutcomeUnknown
from raftwerk.errors import RaftwerkError


@pytest.mark.parametrize("kind", [CallFailed, OutcomeUnknown])
def test_call_error_carries_the_code_and_the_servers_words(kind: type[CallError]) -> None:
    error = kind(14, "etcdserver: no leader")
    assert (error.code, error.text, str(error)) == (14, "etcdserver: no leader", error.text)
    assert isinstance(error, RaftwerkError)


def test_the_two_ways_cannot_be_confused() -> None:
    assert not issubclass(OutcomeUnknown, CallFailed)
    assert not issubclass(CallFailed, OutcomeUnknown)
