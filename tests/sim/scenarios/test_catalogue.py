"""Every scenario by name."""

import pytest

from raftwerk.errors import UsageError
from raftwerk.sim.scenarios.catalogue import SCENARIOS, find
from raftwerk.sim.scenarios.scenario import perform

COURSE = """
InitialElection ReElection ManyElections
BasicAgree RPCBytes FollowerFailure LeaderFailure FailAgree FailNoAgree ConcurrentStarts Rejoin Backup Count
Persist1 Persist2 Persist3 Figure8 UnreliableAgree Figure8Unreliable ReliableChurn UnreliableChurn
SnapshotBasic SnapshotInstall SnapshotInstallUnreliable SnapshotInstallCrash SnapshotInstallUnCrash SnapshotAllCrash
SnapshotInit
KvsrvReliablePut KvsrvPutConcurrentReliable KvsrvMemPutManyClientsReliable KvsrvUnreliableNet
KvsrvBasic KvsrvConcurrent KvsrvUnreliable KvsrvUnreliableOneKey
KvsrvMemGet KvsrvMemPut KvsrvMemAppend KvsrvMemGetManyClients
LockOneClientReliable LockManyClientsReliable LockOneClientUnreliable LockManyClientsUnreliable
RsmBasic RsmConcurrent RsmLeaderFailure RsmLeaderPartition RsmRestartReplay RsmShutdown RsmRestartSubmit RsmSnapshot
Basic Speed Concurrent Unreliable UnreliableOneKey OnePartition ManyPartitionsOneClient ManyPartitionsManyClients
PersistOneClient PersistConcurrent PersistConcurrentUnreliable PersistPartition PersistPartitionUnreliable
PersistPartitionUnreliableLinearizable
SnapshotRPC SnapshotSize SnapshotSpeed SnapshotRecover SnapshotRecoverManyClients SnapshotUnreliable
SnapshotUnreliableRecover SnapshotUnreliableRecoverConcurrentPartition
SnapshotUnreliableRecoverConcurrentPartitionLinearizable
"""
"""The course's own names; with a prefix where it uses one name for several laboratories."""
PAPER = """
Figure6 Figure7 Figure8c Figure8e Figure9 Figure10 Figure12 SplitVotes Downtime
SnapshotOverAnotherLog LateEntriesMeetASnapshot CommandOnce DeposedLeader
"""
"""Figure 13: a snapshot over another log, and entries that stay; section 8: the last two."""


def test_every_scenario_of_the_course_and_of_the_paper_is_there() -> None:
    missing = [name for name in (COURSE + PAPER).split() if name not in SCENARIOS]
    assert missing == []


@pytest.mark.parametrize("name", SCENARIOS)
def test_scenario(name: str) -> None:
    failure = perform(SCENARIOS[name])
    assert failure is None, str(failure)


@pytest.mark.parametrize("name", SCENARIOS)
def test_scenario_says_what_it_is_about(name: str) -> None:
    text = SCENARIOS[name].text
    assert len(text) > 20
    assert [each.name for each in SCENARIOS.values() if each.text == text] == [name]


def test_unknown_name_is_refused_with_those_that_are_near() -> None:
    with pytest.raises(UsageError, match="InitialElection"):
        find("InitialErection")
