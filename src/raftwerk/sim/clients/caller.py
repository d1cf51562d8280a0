"""A client that sends one command after the other through any node, and hears the answer or that the connection is lost."""

from collections.abc import Callable
from random import Random
from typing import Final

from raftwerk.raft.types import NodeId
from raftwerk.replica.failure import Failure
from raftwerk.sim.cluster import Cluster

REQUEST_US_MAX: Final = 2_000
"""Between a client and its node, each way."""


class Caller:
    """What such clients have in common."""

    def __init__(self, cluster: Cluster, name: str) -> None:
        self.cluster = cluster
        self.name = name
        self.random: Random = cluster.stream(name)
        self.is_stopping = False

    def start(self) -> None:
        """Begin soon."""
        self.pause(self.random.randrange(200_000), self.next)

    def next(self) -> None:
        """Do something."""

    def stop(self) -> None:
        """Begin nothing new."""
        self.is_stopping = True

    def pause(self, delay_us: int, then: Callable[[], None]) -> None:
        def go_on() -> None:
            if not self.is_stopping:
                then()

        self.cluster.world.after(delay_us, go_on)

    def some_node(self) -> NodeId:
        """One that is up, if it finds one soon."""
        nodes = list(self.cluster.nodes)
        up = [node_id for node_id in nodes if self.cluster.nodes[node_id].is_up]
        return self.random.choice(up or nodes)

    def send(self, command: bytes, answered: Callable[[object], None]) -> None:
        """answered: gets a result, a Failure, or LOST."""
        node = self.cluster.nodes[self.some_node()]
        life, world = node.lives, self.cluster.world

        def arrive() -> None:
            if not node.is_up or node.lives != life:
                leave(Failure.NO_LEADER)
            else:
                node.propose(command, leave)

        def leave(result: object) -> None:
            world.after(self.random.randrange(REQUEST_US_MAX), lambda: answered(result))

        world.after(self.random.randrange(REQUEST_US_MAX), arrive)
