"""What can happen to the core."""

from dataclasses import MISSING, FrozenInstanceError, fields
from typing import get_args

import pytest

from raftwerk.raft import events
from raftwerk.raft.events import Event

KINDS = get_args(Event)


def test_union_holds_every_event_of_the_module() -> None:
    defined = [
        kind for kind in vars(events).values() if getattr(kind, "__module__", "") == events.__name__
    ]
    assert {kind for kind in defined if isinstance(kind, type)} == set(KINDS)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_events_are_values(kind: type) -> None:
    arguments = [False for field in fields(kind) if field.default is MISSING]
    event = kind(*arguments)
    for field in fields(kind):
        with pytest.raises(FrozenInstanceError):
            setattr(event, field.name, 1)
    assert event == kind(*arguments)
