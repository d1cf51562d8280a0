"""A whole cluster in the virtual world: nodes, network, checkers, and what can be done to them.

cluster = Cluster(seed=1)
cluster.start_all()
leader = cluster.wait_for_leader()
cluster.isolate(leader)
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from random import Random
from typing import Final, TextIO

from raftwerk.raft.messages import Message
from raftwerk.raft.types import NodeId
from raftwerk.replica.ports import StateMachine
from raftwerk.sim.checkers import Violation
from raftwerk.sim.checkers.checks import Checks, Digest
from raftwerk.sim.checkers.key_value import KvChecks
from raftwerk.sim.checkers.state_machine_safety import NoChecks, OracleChecks
from raftwerk.sim.coverage import Coverage
from raftwerk.sim.kv_machine import SimKvMachine
from raftwerk.sim.machines import Home, KvHome, kv_digest
from raftwerk.sim.network import Pair, SimNetwork
from raftwerk.sim.node import CLUSTER_ID, SimNode
from raftwerk.sim.options import Options
from raftwerk.sim.release import NEXT, shake_hands
from raftwerk.sim.trace import Trace
from raftwerk.sim.world import World
from raftwerk.storage.memory import MemoryStore
from raftwerk.wire.handshake import Refused

LINK_US_MAX: Final = 5_000
"""How soon a connection is made, or its end is noticed."""


def _no_checks(_world: World, _coverage: Coverage, _oracle: StateMachine) -> OracleChecks:
    return NoChecks()


@dataclass(frozen=True, slots=True)
class Kit:
    """What is replicated. home: makes the home of one node's machine; oracle: makes one more machine, without a home.

    digest: see StateMachineSafety. checks: makes more checkers, which follow the oracle.
    """

    home: Callable[[Options], Home]
    oracle: Callable[[], StateMachine]
    digest: Digest
    checks: Callable[[World, Coverage, StateMachine], OracleChecks] = _no_checks


def _kv_checks(world: World, coverage: Coverage, oracle: StateMachine) -> KvChecks:
    assert isinstance(oracle, SimKvMachine)
    return KvChecks(world, coverage, oracle)


KV: Final = Kit(
    lambda options: KvHome(options.sessions_unkept_max),
    lambda: SimKvMachine(MemoryStore()),
    kv_digest,
    _kv_checks,
)


class Cluster:
    """The nodes of options.membership, all down at first."""

    def __init__(
        self,
        seed: int,
        options: Options | None = None,
        *,
        kit: Kit = KV,
        file: TextIO | None = None,
    ) -> None:
        self.options = options = options or Options()
        self.world = World(seed)
        self.trace = Trace(self.world, file)
        self.coverage = Coverage()
        oracle = kit.oracle()
        self._oracle_checks = kit.checks(self.world, self.coverage, oracle)
        self.checks = Checks(options.membership, oracle, kit.digest, self._oracle_checks)
        self.network = SimNetwork(
            self.world, options.network, self.trace, self.coverage, self._deliver
        )
        self.network.releases.update(dict.fromkeys(options.upgraded, NEXT))
        self._random = self.world.stream("links")
        self.is_healed = False
        """Whether the faults are over."""
        self.nodes: dict[NodeId, SimNode] = {
            node_id: SimNode(
                node_id,
                options,
                self.world,
                self.network,
                kit.home(options),
                self.checks,
                self.trace,
                self.coverage,
                self._on_disk_failed,
                self._on_ambush,
            )
            for node_id in options.membership.nodes
        }

    def _deliver(self, sender: NodeId, to: NodeId, message: Message) -> None:
        self.nodes[to].receive(sender, message)

    @property
    def kv(self) -> KvChecks:
        """Of a cluster of key-value machines."""
        assert isinstance(self._oracle_checks, KvChecks)
        return self._oracle_checks

    # Time

    def run_ms(self, duration_ms: int) -> None:
        """Let time go by."""
        self.world.run_until(self.world.now_us + duration_ms * 1000)

    def wait(self, is_done: Callable[[], bool], within_ms: int, what: str) -> None:
        """Let time go by until is_done. Raises AssertionError if that takes longer than within_ms."""
        is_in_time = is_done() or self.world.run_until(
            self.world.now_us + within_ms * 1000, is_done
        )
        assert is_in_time, f"not within {within_ms} ms: {what}"

    # Nodes

    def up(self) -> list[SimNode]:
        return [node for node in self.nodes.values() if node.is_up]

    def leader(self) -> NodeId | None:
        """The leader of the newest term among those who believe to lead."""
        leaders = [node for node in self.up() if node.is_leader]
        if not leaders:
            return None
        return max(leaders, key=lambda node: node.state.current_term).node_id

    def start_all(self) -> None:
        for node_id, node in self.nodes.items():
            if not node.is_up:
                self.start(node_id)

    def start(self, node_id: NodeId) -> bool:
        """Returns whether it started; it is then connected to the others. What is damaged is restored from the backup."""
        node = self.nodes[node_id]
        is_started = node.start()
        if node.refusal is not None:
            if node.backup is None:
                raise Violation("Recovery", f"node {node_id} does not start: {node.refusal}")
            node.disk.files, node.backup = node.backup, None
            return self.start(node_id)
        if not is_started:
            return False
        self.network.lives[node_id] += 1
        node.backup = None
        for peer in self.nodes:
            if peer != node_id:
                self._open_link(node_id, peer)
        return True

    def crash(self, node_id: NodeId, *, with_power: bool = True) -> None:
        """with_power: the machine lives on, and its kernel closes the connections; else nobody hears anything."""
        node = self.nodes[node_id]
        if not node.is_up:
            return
        node.crash()
        if with_power:
            for peer in self.nodes:
                if peer != node_id:
                    self._after_a_moment(node_id, peer, self.nodes[peer].link_closed)

    def restart_later(self, node_id: NodeId, delay_ms: int) -> None:
        """Start it then, unless it is up."""

        def restart() -> None:
            if not self.nodes[node_id].is_up:
                self.start(node_id)

        self.world.after(delay_ms * 1000, restart)

    def _on_ambush(self, node_id: NodeId) -> None:
        """It did what somebody waited for: it crashes in a moment, and again when it starts."""

        def crash() -> None:
            self.crash(node_id)
            if not self.nodes[node_id].is_up:
                self.nodes[node_id].crash_while_starting()

        self.world.after(self._random.randrange(3_000), crash)
        self.restart_later(node_id, 50 + self._random.randrange(500))

    def _on_disk_failed(self, node_id: NodeId) -> None:
        for peer in self.nodes:
            if peer != node_id:
                self._after_a_moment(node_id, peer, self.nodes[peer].link_closed)
        self.restart_later(node_id, 200 + self._random.randrange(1_000))

    # Links

    def _open_link(self, node_id: NodeId, peer: NodeId) -> None:
        """Each side dials the other."""
        for one, other in ((node_id, peer), (peer, node_id)):
            if self._dial(one, other):
                self._after_a_moment(one, other, self.nodes[other].link_opened)

    def _dial(self, node_id: NodeId, peer: NodeId) -> bool:
        """Returns whether it is welcome."""
        network = self.network
        answer = shake_hands(
            CLUSTER_ID, (node_id, network.release_of(node_id)), (peer, network.release_of(peer))
        )
        if isinstance(answer, Refused):
            network.refused.add((node_id, peer))
            self.coverage.mark("handshake: refused")
            self.trace.record(node_id, "notice", {"event": "refused", "reason": answer.reason})
            return False
        network.refused.discard((node_id, peer))
        self.coverage.mark(f"handshake: version {answer.version}")
        return True

    def _after_a_moment(self, sender: NodeId, to: NodeId, notify: Callable[[NodeId], None]) -> None:
        def notice() -> None:
            if not self.network.is_cut(sender, to):
                notify(sender)

        self.world.after(self._random.randrange(1, LINK_US_MAX), notice)

    def reset_link(self, node_id: NodeId, peer: NodeId) -> None:
        """A connection breaks, and is made again."""
        for one, other in ((node_id, peer), (peer, node_id)):
            self._after_a_moment(one, other, self.nodes[other].link_closed)
        self.world.after(2 * LINK_US_MAX, lambda: self._open_link(node_id, peer))

    def pairs_of(self, group: Iterable[NodeId]) -> list[Pair]:
        """All links, both ways, between the group and the rest."""
        inside = set(group)
        pairs = [(one, other) for one in self.nodes for other in self.nodes]
        return [(one, other) for one, other in pairs if (one in inside) != (other in inside)]

    def isolate(self, *group: NodeId) -> list[Pair]:
        """Cut a group off from the rest."""
        pairs = self.pairs_of(group)
        self.network.cut(pairs)
        return pairs

    def rejoin(self, pairs: Iterable[Pair]) -> None:
        """Undo one isolate; connections stand again soon."""
        pairs = list(pairs)
        self.network.join(pairs)
        for one, other in pairs:
            if self._dial(one, other):
                self._after_a_moment(one, other, self.nodes[other].link_opened)

    def heal(self) -> None:
        """No more faults: links, disks and clocks are well, and nothing is lost."""
        self.is_healed = True
        self.network.heal()
        for node in self.nodes.values():
            node.disk.is_full = False
            node.disk.fails = False
            node.disk.refused_chunks = 0.0
            node.disk_times.slowdown = 1
            node.clock.drift_ppm = 0
            node.ambush = ""
        for one, other in [
            (one, other) for one in self.nodes for other in self.nodes if one < other
        ]:
            self._open_link(one, other)

    # Waiting for the usual things

    def wait_for_leader(self, within_ms: int = 5_000) -> NodeId:
        """A leader that a majority of the nodes that are up follow."""

        def is_led() -> bool:
            leader = self.leader()
            if leader is None:
                return False
            term = self.nodes[leader].state.current_term
            followers = [
                node
                for node in self.up()
                if node.state.leader_id == leader and node.state.current_term == term
            ]
            return 2 * len(followers) > len(self.nodes)

        self.wait(is_led, within_ms, "a leader")
        leader = self.leader()
        assert leader is not None
        return leader

    def check_state(self, node_id: NodeId) -> bool:
        """Compare the whole state of a node that is up with the oracle's. Returns whether that was possible."""
        return self.checks.machines.check_state(node_id, self.nodes[node_id].machine)

    def stream(self, name: str) -> Random:
        return self.world.stream(name)
