"""What is told of a call that failed at several endpoints."""

import pytest

from raftwerk.api import status
from raftwerk.client import CallFailed, OutcomeUnknown
from raftwerk.client.fate import SPARE_S, Fate, Kind
from raftwerk.http2.client import NOT_LOOKED_AT, Answer
from raftwerk.runtime.addresses import Address

ONE, OTHER = Address("one", 1), Address("other", 2)


def unavailable(text: str) -> Answer:
    return Answer(status.UNAVAILABLE, text)


def test_every_endpoint_is_named_with_its_own_last_trouble() -> None:
    fate = Fate(Kind.READ, 9.0, 1.0, 1)
    fate.meet(ONE, unavailable("connection lost"))
    fate.meet(OTHER, unavailable("other:2 cannot be reached: nothing listens there"))
    fate.meet(ONE, unavailable("etcdserver: no leader"))
    fate.meet(OTHER, unavailable("other:2 cannot be reached: nothing listens there"))
    error = fate.error()
    assert (type(error), error.code) == (CallFailed, status.UNAVAILABLE)
    assert error.text == (
        "one:1: etcdserver: no leader; other:2 cannot be reached: nothing listens there"
    )


def test_one_endpoint_is_not_named() -> None:
    fate = Fate(Kind.READ, 9.0, 1.0, 0)
    fate.meet(ONE, unavailable("connection lost"))
    assert fate.error().text == "connection lost"


def test_a_refusal_stands_alone() -> None:
    """It is about the request, not about an endpoint."""
    fate = Fate(Kind.WRITE, 9.0, 1.0, 1)
    fate.meet(ONE, unavailable("one:1 cannot be reached"))
    fate.begin_attempt()
    fate.meet(OTHER, Answer(*status.EMPTY_KEY))
    assert fate.error().text == status.EMPTY_KEY.text


def test_a_write_in_doubt_names_every_endpoint_too() -> None:
    fate = Fate(Kind.WRITE, 9.0, 1.0, 1)
    fate.begin_attempt()
    fate.meet(ONE, unavailable("one:1 cannot be reached: no answer"))
    fate.begin_attempt()
    fate.is_sent = True
    fate.meet(OTHER, unavailable("connection lost"))
    error = fate.error()
    assert isinstance(error, OutcomeUnknown)
    assert error.text == "one:1 cannot be reached: no answer; other:2: connection lost"


@pytest.mark.parametrize(
    ("kind", "others", "until_s"),
    [
        (Kind.READ, 0, 9.0),
        (Kind.WRITE, 0, 9.0 - SPARE_S),
        (Kind.REPEATABLE, 0, 9.0 - SPARE_S),
        (Kind.WRITE, 1, 9.0 - SPARE_S),
    ],
)
def test_a_write_waits_for_a_connection_only_as_long_as_it_would_be_sent(
    kind: Kind, others: int, until_s: float
) -> None:
    fate = Fate(kind, 9.0, 1.0, others)
    assert fate.dial_until_s(8.5) == until_s
    assert fate.dial_until_s(7.0) == (8.0 if others else until_s)


def test_a_write_that_was_turned_away_without_a_look_has_not_happened() -> None:
    """For want of room for one call more, or by a server that goes away."""
    fate = Fate(Kind.WRITE, 9.0, 1.0, 0)
    fate.begin_attempt()
    fate.is_sent = True
    fate.meet(ONE, unavailable(NOT_LOOKED_AT))
    assert type(fate.error()) is CallFailed


@pytest.mark.parametrize(
    "refusal", [status.PASSWORD_TOO_LONG, status.NO_PASSWORD_USER, status.TOO_MANY_REQUESTS]
)
def test_a_write_that_was_refused_with_a_code_that_says_nothing_has_not_happened(
    refusal: status.Status,
) -> None:
    fate = Fate(Kind.WRITE, 9.0, 1.0, 0)
    fate.begin_attempt()
    fate.is_sent = True
    fate.meet(ONE, Answer(status.UNKNOWN, refusal.text))
    assert type(fate.error()) is CallFailed
