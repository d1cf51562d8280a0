"""A counter-example is kept, told and carried out again."""

import io
import json

import pytest

from raftwerk.errors import UsageError
from raftwerk.raft.messages import AppendEntries
from raftwerk.raft.types import Entry, EntryKind
from raftwerk.sim.explore.bounds import Bounds
from raftwerk.sim.explore.replay import Kept, describe, keep, read, tell, write
from raftwerk.sim.explore.search import Search
from raftwerk.sim.mutants.catalogue import BY_NAME
from raftwerk.sim.mutants.mutant import applied

MUTANT = "vote-not-persisted"


def found() -> Kept:
    with applied(BY_NAME[MUTANT]):
        example = Search(Bounds(terms=1, proposals=0)).run().counter_example
    assert example is not None
    return keep(example, MUTANT)


def test_what_was_kept_breaks_the_same_again_with_the_mutant_and_nothing_without() -> None:
    kept = found()
    file = io.StringIO()
    write(kept, file)
    file.seek(0)
    again = read(file)
    assert again == kept
    trace = io.StringIO()
    with applied(BY_NAME[MUTANT]):
        lines = list(tell(again, trace))
    assert lines[-1].strip() == f"{kept.invariant}: {kept.text}"
    assert "node 1 reaches its election timeout" in lines[0]
    assert "role candidate; current_term 1" in lines[1]
    events = [json.loads(line) for line in trace.getvalue().splitlines()]
    told = {event["event"] for event in events}
    assert {"start", "send", "deliver", "durable", "became leader"} <= told
    assert list(tell(again))[-1].strip() == "Every property holds."


def test_a_message_that_was_never_sent() -> None:
    kept = found()
    steps = [step._replace(message="nonsense") for step in kept.steps]
    with pytest.raises(UsageError, match="has not sent node 2 nonsense"):
        list(tell(Kept(kept.bounds, "", "", "", steps)))


@pytest.mark.parametrize("text", ["", "{}", '{"bounds": {"nodes": "x"}}', "[1]"])
def test_another_file(text: str) -> None:
    with pytest.raises(UsageError, match="not a counter-example"):
        read(io.StringIO(text))


def test_messages_in_few_words() -> None:
    message = AppendEntries(2, 1, 0, 0, [Entry(1, 2, EntryKind.NO_OP, b"")], 0)
    assert describe(message) == "AppendEntries(term 2, leader_id 1, entries [2])"
