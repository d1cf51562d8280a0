"""The cluster: what can be done to it."""

import pytest

from raftwerk.sim.checkers import Violation
from raftwerk.sim.cluster import Cluster
from raftwerk.sim.release import NEXT
from raftwerk.sim.scenarios.releases import FAR

VERSIONS = {"handshake: version 1", "handshake: version 2"}


def cluster() -> Cluster:
    made = Cluster(1)
    made.start_all()
    made.wait_for_leader()
    return made


def test_a_leader_is_followed_by_a_majority() -> None:
    made = cluster()
    leader = made.leader()
    assert leader is not None
    assert made.nodes[leader].is_leader


def test_an_isolated_leader_is_replaced_and_follows_when_it_is_back() -> None:
    made = cluster()
    old = made.wait_for_leader()
    pairs = made.isolate(old)
    made.wait(lambda: made.leader() not in (old, None), 5_000, "another leader")
    made.rejoin(pairs)
    made.run_ms(1_000)
    assert not made.nodes[old].is_leader


def test_what_does_not_happen_in_time_is_an_error() -> None:
    with pytest.raises(AssertionError, match="not within 5 ms: never"):
        cluster().wait(lambda: False, 5, "never")


def test_damage_without_a_backup_is_a_violation_and_with_one_is_repaired() -> None:
    made = cluster()
    made.run_ms(500)
    made.crash(1)
    copy = made.nodes[1].disk.copy_files()
    name = made.nodes[1].disk.names()[0]
    made.nodes[1].disk.files[name][20] ^= 1
    with pytest.raises(Violation, match="damaged"):
        made.start(1)
    made.nodes[1].backup = copy
    assert made.start(1)


def test_states_are_compared_with_the_oracle() -> None:
    made = cluster()
    assert made.check_state(1)


def test_a_link_speaks_the_newest_version_that_both_know() -> None:
    made = cluster()
    made.crash(1)
    made.network.releases[1] = NEXT
    made.start(1)
    assert set(made.coverage.counts) & VERSIONS == {"handshake: version 1"}
    made.crash(2)
    made.network.releases[2] = NEXT
    made.start(2)
    assert set(made.coverage.counts) & VERSIONS == VERSIONS


def test_a_node_without_a_common_version_is_heard_by_nobody() -> None:
    made = cluster()
    made.crash(1)
    made.network.releases[1] = FAR
    made.start(1)
    assert made.network.refused == {(1, 2), (2, 1), (1, 3), (3, 1)}
    term = made.nodes[1].state.current_term
    made.run_ms(3_000)
    assert made.nodes[1].state.leader_id == 0
    assert made.nodes[1].state.current_term == term


def test_a_log_of_a_later_format_is_refused_and_restored() -> None:
    made = cluster()
    made.crash(1)
    made.nodes[1].backup = made.nodes[1].disk.copy_files()
    made.nodes[1].disk.begin_later_format()
    before = made.nodes[1].disk.copy_files()
    assert not made.nodes[1].start()
    assert "log format 2 is not known here" in str(made.nodes[1].refusal)
    assert made.nodes[1].disk.copy_files() == before, "nothing was changed"
    assert made.start(1)
