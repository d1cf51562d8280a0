"""Sessions, leases, locks and watches at work, under other seeds; and that everything happens there."""

from raftwerk.sim.scenarios.catalogue import SCENARIOS
from raftwerk.sim.scenarios.scenario import perform
from raftwerk.sim.scenarios.stage import Stage


def test_under_another_seed() -> None:
    for name in ("DeposedLeaderEndsNoLease", "RenewalMeetsTheEnd"):
        assert perform(SCENARIOS[name], 2) is None


def test_clients_come_across_everything() -> None:
    scenario = SCENARIOS["ClientsAtWork"]
    stage = Stage(3, scenario.options)
    stage.begin()
    scenario.play(stage)
    counts = stage.cluster.coverage.counts
    for mark in (
        "session: answered again",
        "session: session expired",
        "lease: expired",
        "lease: revoked",
        "lock: held",
        "watch: events from history",
        "watch: compacted",
        "watch: parked",
        "watch: progress",
        "checkpoint: restored",
    ):
        assert counts[mark], mark
