"""Releases of the software in one cluster: members are upgraded one by one, and one comes that nobody understands."""

from typing import Final

from raftwerk.raft.types import NodeId
from raftwerk.sim.release import NEXT, PRESENT, Release
from raftwerk.sim.scenarios.stage import Stage
from raftwerk.wire.handshake import Versions

FAR: Final = Release(Versions(NEXT.spoken.newest + 1, NEXT.spoken.newest + 1), has_news=True)
"""It speaks nothing that the present release, or the next one, speaks."""


def _start_with(stage: Stage, node_id: NodeId, release: Release) -> None:
    stage.crash(node_id)
    stage.cluster.network.releases[node_id] = release
    stage.restart(node_id)


def rolling_upgrade(stage: Stage) -> None:
    """One node after the other gets the next release, and then the one before again: they agree all the time."""
    for release in (NEXT, PRESENT):
        for node_id in stage.nodes:
            _start_with(stage, node_id, release)
            stage.agree(nodes=3)
    marks = stage.cluster.coverage.counts
    assert marks[f"handshake: version {NEXT.spoken.newest}"] > 0
    assert marks["handshake: refused"] == 0


def an_upgrade_too_far(stage: Stage) -> None:
    """A node gets a release that shares no version with the others: it is refused, and disturbs nobody; then it is set right."""
    stage.agree(nodes=3)
    leader = stage.one_leader()
    victim = stage.others(leader)[0]
    _start_with(stage, victim, FAR)
    stage.agree(nodes=2)
    stage.run_timeouts(10)
    index = stage.agree(nodes=2)
    assert stage.one_leader() == leader
    assert victim not in stage.applied_by(index)
    assert stage.cluster.coverage.counts["handshake: refused"] > 0
    _start_with(stage, victim, PRESENT)
    stage.agree(nodes=3)
