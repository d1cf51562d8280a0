"""The trace."""

import io
import json

from raftwerk.sim.trace import KEPT, Trace
from raftwerk.sim.world import World


def test_hash_covers_time_node_kind_and_facts() -> None:
    hashes = set()
    for node, kind, facts in (
        (1, "send", {"to": 2}),
        (2, "send", {"to": 2}),
        (1, "send", {"to": 3}),
    ):
        trace = Trace(World(1))
        trace.record(node, kind, facts)
        hashes.add(trace.hash)
    later = World(1)
    later.run_until(5)
    trace = Trace(later)
    trace.record(1, "send", {"to": 2})
    assert len(hashes | {trace.hash}) == 4


def test_file_gets_one_object_a_line() -> None:
    file = io.StringIO()
    Trace(World(1), file).record(3, "apply", {"index": 4})
    assert json.loads(file.getvalue()) == {"time_us": 0, "node": 3, "event": "apply", "index": 4}


def test_story_keeps_the_last_events() -> None:
    trace = Trace(World(1))
    for index in range(KEPT + 5):
        trace.record(0, "fault", {"number": index})
    assert len(trace.story()) == KEPT
    assert trace.story()[-1].endswith(f"fault    number={KEPT + 4}")
