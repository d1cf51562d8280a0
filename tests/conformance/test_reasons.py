"""What raftwerk answers otherwise is in the document, with the reason, and is seen in a case."""

import pytest

from raftwerk.conformance import reasons
from raftwerk.conformance.catalogue import AREAS
from raftwerk.conformance.steps import Also
from tests.documents import text_of

REASONS = {name: text for name, text in vars(reasons).items() if name.isupper()}
GIVEN = {
    step.reason
    for area in AREAS.values()
    for case in area
    for step in case.steps
    if isinstance(step, Also)
}


@pytest.mark.parametrize("name", REASONS)
def test_reason_is_documented(name: str) -> None:
    words = " ".join(text_of("conformance.md").split())
    assert REASONS[name] in words


@pytest.mark.parametrize("name", REASONS)
def test_reason_is_seen_in_a_case(name: str) -> None:
    assert REASONS[name] in GIVEN


def test_every_case_gives_a_known_reason() -> None:
    assert set(REASONS.values()) >= GIVEN
