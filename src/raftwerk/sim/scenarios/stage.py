"""The stage: a cluster, and the verbs in which scenarios are written.

leader = stage.one_leader()
stage.disconnect(leader)
stage.agree(nodes=2)
"""

from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Final, TextIO

from raftwerk.kv.commands import Put, encode
from raftwerk.kv.results import PutResult
from raftwerk.raft import reconfigure
from raftwerk.raft.effects import Effects, Persist
from raftwerk.raft.events import Tick
from raftwerk.raft.membership import Membership
from raftwerk.raft.messages import TimeoutNow
from raftwerk.raft.roles import Leader
from raftwerk.raft.types import Entry, EntryKind, Index, NodeId
from raftwerk.replica.position import Position
from raftwerk.sim.checkers import require
from raftwerk.sim.cluster import Cluster
from raftwerk.sim.node import CLUSTER_ID
from raftwerk.sim.options import Options
from raftwerk.wal.log import Wal

PATIENCE_MS: Final = 10_000
"""Nothing that should happen takes longer."""
SNAPSHOT_CHUNK_BYTES: Final = 1_000_000


class Proposal:
    """One command, and its answers: none yet, or one."""

    def __init__(self) -> None:
        self.answers: list[object] = []

    @property
    def is_done(self) -> bool:
        return any(isinstance(answer, PutResult) for answer in self.answers)


class Stage:
    """A cluster whose nodes are up, if the scenario did not prepare them otherwise."""

    def __init__(self, seed: int, options: Options, file: TextIO | None = None) -> None:
        self.cluster = Cluster(seed, options, file=file)
        self.random: Random = self.cluster.stream("scenario")
        self._away: set[NodeId] = set()
        self._commands = 0

    @property
    def nodes(self) -> list[NodeId]:
        return list(self.cluster.nodes)

    def begin(self) -> None:
        self.cluster.start_all()

    def run_ms(self, duration_ms: int) -> None:
        self.cluster.run_ms(duration_ms)

    def run_timeouts(self, count: int) -> None:
        """Let some election timeouts go by."""
        self.run_ms(count * self.cluster.options.config.election_timeout_ms)

    # What is seen

    def leaders(self) -> dict[int, list[NodeId]]:
        """Who believes to lead, by term, among the connected."""
        found: dict[int, list[NodeId]] = {}
        for node in self.cluster.up():
            if node.is_leader and node.node_id not in self._away:
                found.setdefault(node.state.current_term, []).append(node.node_id)
        return found

    def one_leader(self) -> NodeId:
        """Wait for a leader among the connected; no term has two."""

        def is_led() -> bool:
            return bool(self.leaders()) and self._is_followed(self._newest())

        self.cluster.wait(is_led, PATIENCE_MS, "a leader")
        assert all(len(nodes) == 1 for nodes in self.leaders().values())
        return self._newest()

    def _newest(self) -> NodeId:
        return max(self.leaders().items())[1][0]

    def _is_followed(self, leader: NodeId) -> bool:
        term = self.term(leader)
        followers = [
            node
            for node in self.cluster.up()
            if node.node_id not in self._away
            and (node.state.leader_id, node.state.current_term) == (leader, term)
        ]
        return 2 * len(followers) > len(self.nodes)

    def no_leader(self) -> None:
        """Without a majority nobody leads for long."""
        self.run_timeouts(4)
        assert not self.leaders(), f"somebody leads: {self.leaders()}"

    def term(self, node_id: NodeId) -> int:
        return self.cluster.nodes[node_id].state.current_term

    def commit_index(self, node_id: NodeId) -> Index:
        return self.cluster.nodes[node_id].state.commit_index

    def last_index(self, node_id: NodeId) -> Index:
        return self.cluster.nodes[node_id].state.log.last_index

    def matches(self, leader: NodeId, follower: NodeId) -> Index:
        """match_index[follower] of a leader."""
        role = self.cluster.nodes[leader].state.role
        assert isinstance(role, Leader)
        return role.progress[follower].match_index

    def terms(self, node_id: NodeId) -> str:
        """The log of a node as the paper draws it: the terms of its entries."""
        log = self.cluster.nodes[node_id].state.log
        entries = log.slice(log.snapshot_index + 1, log.last_index + 1)
        return " ".join(str(entry.term) for entry in entries)

    def membership(self, node_id: NodeId) -> Membership:
        """The configuration that a node uses."""
        return self.cluster.nodes[node_id].state.membership

    @property
    def committed(self) -> Index:
        return self.cluster.checks.committed.last_index

    def applied_by(self, index: Index) -> list[NodeId]:
        return [node.node_id for node in self.cluster.up() if node.state.last_applied >= index]

    # What clients do

    def snapshot(self, node_id: NodeId) -> tuple[Position, bytes]:
        """The stream of the last checkpoint, and where that stands."""
        reader = self.cluster.nodes[node_id].machine.open_snapshot()
        stream = b""
        while chunk := reader.read(len(stream), SNAPSHOT_CHUNK_BYTES):
            stream += chunk
        reader.close()
        return Position.decode(reader.position), stream

    def new_number(self) -> int:
        """Another one with each call: it makes a command unlike all others."""
        self._commands += 1
        return self._commands

    def propose(self, node_id: NodeId, size: int = 0) -> Proposal:
        """Hand a new command to a node. size: of its value."""
        number, proposal = self.new_number(), Proposal()
        command = encode(Put(b"key/%d" % (number % 20), (b"%d" % number).ljust(size)))
        self.cluster.nodes[node_id].propose(command, proposal.answers.append)
        return proposal

    def read(self, node_id: NodeId) -> list[object]:
        """Read at a node; its answers: none yet, or one. It sees all that is committed by now."""
        committed, node = self.committed, self.cluster.nodes[node_id]
        answers: list[object] = []

        def on_answer(answer: object) -> None:
            answers.append(answer)
            if answer is None:
                assert node.replica is not None
                last_applied = node.replica.last_applied
                require(
                    last_applied >= committed,
                    "Linearizable reads",
                    f"node {node_id} read the state of {last_applied}, {committed} had been committed before",
                )

        node.read(on_answer)
        return answers

    def agree(self, nodes: int, size: int = 0) -> Index:
        """A new command is committed, and applied by so many nodes, within the patience. Returns up to where."""
        start_us = self.cluster.world.now_us
        proposal = self.propose(self.one_leader(), size)
        while not proposal.is_done:
            self.run_ms(10)
            if proposal.answers and not proposal.is_done:
                proposal = self.propose(self.one_leader(), size)
            assert self.cluster.world.now_us - start_us < PATIENCE_MS * 1000, "no agreement"
        index = self.committed
        self.cluster.wait(
            lambda: len(self.applied_by(index)) >= nodes,
            PATIENCE_MS,
            f"{nodes} nodes apply {index}",
        )
        return index

    def append(self, leader: NodeId, kind: EntryKind, command: bytes) -> None:
        """An entry of any kind goes into a leader's log, as a command would."""
        node = self.cluster.nodes[leader]
        state = node.state
        entry = Entry(state.log.last_index + 1, state.current_term, kind, command)
        state.log.append([entry])
        assert isinstance(state.role, Leader)
        state.role.uncommitted_bytes += len(command)
        reconfigure.adopt(state, [entry], Effects())
        node.post(Tick(1))

    # What happens to nodes

    def disconnect(self, *nodes: NodeId) -> None:
        """Cut each of them off from everybody."""
        for node_id in nodes:
            if node_id not in self._away:
                self._away.add(node_id)
                self.cluster.isolate(node_id)

    def connect(self, *nodes: NodeId) -> None:
        for node_id in nodes:
            if node_id in self._away:
                self._away.discard(node_id)
                self.cluster.rejoin(self.cluster.pairs_of([node_id]))

    def crash(self, *nodes: NodeId) -> None:
        for node_id in nodes:
            self.cluster.crash(node_id)

    def restart(self, *nodes: NodeId) -> None:
        """Crash them, if they are up, and start them again."""
        self.crash(*nodes)
        for node_id in nodes:
            self.cluster.start(node_id)

    def others(self, *nodes: NodeId) -> list[NodeId]:
        return [node_id for node_id in self.nodes if node_id not in nodes]

    def elect(self, node_id: NodeId) -> None:
        """Let this node start an election at once, as if the leader had handed over (thesis 3.10)."""
        term = self.term(node_id)
        sender = self.others(node_id)[0]
        self.cluster.nodes[node_id].receive(sender, TimeoutNow(term, sender))

    def make_leader(self, node_id: NodeId) -> None:
        """Let this node be elected at once."""
        self.elect(node_id)
        self.cluster.wait(
            lambda: self.cluster.nodes[node_id].is_leader, PATIENCE_MS, f"node {node_id} leads"
        )

    def prepare(self, node_id: NodeId, terms: str, current_term: int) -> None:
        """Before it starts: write a log with entries of these terms to the node's disk."""
        node, segment_bytes = self.cluster.nodes[node_id], self.cluster.options.segment_bytes
        wal, _ = Wal.open(node.disk, Path("/"), CLUSTER_ID, node_id, segment_bytes=segment_bytes)
        entries = [
            Entry(index, term, EntryKind.COMMAND, _command(index, term))
            for index, term in enumerate(map(int, terms.split()), 1)
        ]
        persist = Persist(1, current_term, 0, entries=entries)
        wal.stage([persist]).run()
        wal.close()
        self.cluster.checks.durability.log_of(node_id).take(persist)

    # The end

    def finish(self, nodes: Sequence[NodeId] | None = None) -> None:
        """Everything is mended: all nodes come to one state."""
        self.cluster.heal()
        self._away.clear()
        for node_id in nodes or self.nodes:
            if not self.cluster.nodes[node_id].is_up:
                self.cluster.start(node_id)
        everybody = [self.cluster.nodes[node_id] for node_id in nodes or self.nodes]
        self.agree(nodes=len(everybody))
        for node in everybody:
            self.cluster.check_state(node.node_id)


def _command(index: Index, term: int) -> bytes:
    return encode(Put(b"key/%d" % index, b"%d.%d" % (index, term)))
