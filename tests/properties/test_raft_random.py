"""Clusters of three and five cores under random faults (raft_world.py says what is checked at every step)."""

import pytest

from tests.properties.raft_world import World

CLUSTERS = [(3, 0), (5, 0), (3, 1), (2, 0), (1, 1)]
"""(voters, learners)"""

RUNS = [(seed, *CLUSTERS[seed % len(CLUSTERS)]) for seed in range(40)]


@pytest.mark.parametrize(
    ("seed", "voters", "learners"), RUNS, ids=[f"{s}-{v}-voters-{n}-learners" for s, v, n in RUNS]
)
def test_faults_break_no_promise_and_peace_brings_progress(
    seed: int, voters: int, learners: int
) -> None:
    world = World(seed, voters, learners)
    for _ in range(2500):
        world.act()
    check_progress(world)


def check_progress(world: World) -> None:
    """A leader emerges; everybody's commands are executed everywhere; nobody waits for an answer."""
    world.make_peace()
    world.live(3000)
    assert sum(world.is_leader(node_id) for node_id in world.nodes) == 1
    for node_id in tuple(world.nodes):
        world.ask_propose(node_id)
        world.ask_read(node_id)
    last = [b"%d" % request for (_, request), asked in world.asked.items() if asked.command]
    world.live(1000)
    assert world.asked == {}
    machines = list(world.applied.values())
    assert all(machine == machines[0] for machine in machines)
    commands = [entry.command for entry in machines[0] if entry.command]
    assert set(last) <= set(commands)
    assert len(set(commands)) == len(commands), "a command was executed twice"
    assert not world.denied & set(commands), "a refused command was executed"


def test_same_seed_is_the_same_run() -> None:
    """Or no failure could be looked at twice."""
    histories = []
    for _ in range(2):
        world = World(7, 3)
        for _ in range(300):
            world.act()
        histories.append(world.history)
    assert histories[0] == histories[1]
