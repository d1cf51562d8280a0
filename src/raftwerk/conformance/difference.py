"""The first difference between two answers, in words."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from raftwerk.conformance.steps import Also, Await, Call, Http, Request, Step

NOTHING: Final = "nothing"
SHOWN_MAX: Final = 160
"""Characters of a value."""


def difference(expected: Any, got: Any, where: str = "") -> str | None:
    """None when they are equal."""
    if isinstance(expected, Mapping) and isinstance(got, Mapping):
        for name in [*expected, *(one for one in got if one not in expected)]:
            place = f"{where}.{name}" if where else name
            found = difference(expected.get(name, NOTHING), got.get(name, NOTHING), place)
            if found is not None:
                return found
        return None
    if isinstance(expected, list) and isinstance(got, list):
        for number, (one, other) in enumerate(zip(expected, got, strict=False)):
            found = difference(one, other, f"{where}[{number}]")
            if found is not None:
                return found
        if len(expected) != len(got):
            return f"{where}: {len(expected)} expected, {len(got)} came"
        return None
    if expected == got:
        return None
    return f"{where}: {_shown(expected)} expected, {_shown(got)} came"


def _shown(value: Any) -> str:
    text = NOTHING if value == NOTHING else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= SHOWN_MAX else f"{text[:SHOWN_MAX]}..."


def difference_of_answers(
    steps: Sequence[Step], expected: Sequence[Any], got: Sequence[Any]
) -> str | None:
    """With the step that it belongs to."""
    answered = [step for step in steps if is_answered(step)]
    for number, (step, one, other) in enumerate(zip(answered, expected, got, strict=False), 1):
        found = difference(one, other)
        if found is not None and not (isinstance(step, Also) and step.answer == other):
            return f"answer {number}, {what(step)}: {found}"
    if len(expected) != len(got):
        return f"{len(expected)} answers expected, {len(got)} came"
    return None


def is_answered(step: Step) -> bool:
    """Whether its answer is part of the case."""
    if isinstance(step, Also):
        return True
    if isinstance(step, Call):
        return not step.is_setup and step.until is None
    return type(step).__name__ in ("Await", "Hear", "Fence", "End", "Http")


def what(step: Step) -> str:
    """A step in words."""
    if isinstance(step, Also):
        return what(step.step)
    if isinstance(step, Request):
        return f"{step.method} {_shown(dict(step.fields))}"
    if isinstance(step, Http):
        return f"{step.method} {step.path} {step.body[:SHOWN_MAX]}".strip()
    if isinstance(step, Await):
        return f"the answer to {step.name}"
    return f"{type(step).__name__} on the {step.name}"
