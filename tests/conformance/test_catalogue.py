"""The cases have names by which they are found, and fields that the messages have."""

from collections import Counter

import pytest

from raftwerk.conformance.catalogue import AREAS
from raftwerk.conformance.methods import METHODS
from raftwerk.conformance.names import Names
from raftwerk.conformance.plain import message_of
from raftwerk.conformance.steps import Also, Request, Step

NAMES = Names(b"p/", 1, 256)
CASES = [case for area in AREAS.values() for case in area]


def test_names_are_unique() -> None:
    count = Counter(case.name for case in CASES)
    assert max(count.values()) == 1


@pytest.mark.parametrize("area", AREAS)
def test_name_begins_with_the_area(area: str) -> None:
    assert {case.name.partition("/")[0] for case in AREAS[area]} == {area}


def bare(step: Step) -> Step:
    return step.step if isinstance(step, Also) else step


def test_every_service_is_asked() -> None:
    asked = {
        step.method.partition(".")[0]
        for case in CASES
        for step in map(bare, case.steps)
        if isinstance(step, Request) and step.data is None
    }
    assert asked == {name.partition(".")[0] for name in METHODS}


def test_requests_can_be_made() -> None:
    for case in CASES:
        for step in map(bare, case.steps):
            if isinstance(step, Request) and step.data is None:
                message = message_of(METHODS[step.method].request, step.fields, NAMES)
                assert message.SerializeToString() is not None, case.name
