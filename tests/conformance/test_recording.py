"""The recorded answers: complete, readable, and as the recorder writes them."""

import pytest

from raftwerk.conformance import recording
from raftwerk.conformance.catalogue import AREAS
from raftwerk.conformance.difference import is_answered


@pytest.mark.parametrize("area", AREAS)
def test_each_case_has_an_answer_to_each_step(area: str) -> None:
    """And there are no answers without a case."""
    recorded = recording.load(area)
    expected = {
        case.name.partition("/")[2]: sum(map(is_answered, case.steps)) for case in AREAS[area]
    }
    assert {name: len(answers) for name, answers in recorded.items()} == expected


@pytest.mark.parametrize("area", AREAS)
def test_file_is_as_the_recorder_writes_it(area: str) -> None:
    file = recording.folder() / f"{area}.json"
    assert file.read_text(encoding="utf-8") == recording.text_of(recording.load(area))
