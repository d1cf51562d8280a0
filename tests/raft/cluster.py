"""A small cluster of cores in memory, where nothing happens by itself: the test delivers, drops, persists and crashes.

    cluster = Cluster(3)
    cluster.elect(1)
    cluster.propose(1, b"x")
    cluster.deliver()

Messages wait in one queue per link, in order. Disks answer at once, except those in `slow_disks`: they keep what was
not persisted apart, and lose it in a crash. After every step the properties of Figure 3 are checked that can be seen
from outside.
"""

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random

from raftwerk.raft.config import Config
from raftwerk.raft.effects import Effects, Persist, SendChunk
from raftwerk.raft.events import (
    Checkpointed,
    Event,
    Persisted,
    Propose,
    Read,
    Received,
    SnapshotInstalled,
    Tick,
)
from raftwerk.raft.log import Log
from raftwerk.raft.membership import Membership
from raftwerk.raft.messages import AppendEntries, InstallSnapshot, Message, TimeoutNow
from raftwerk.raft.raft import Raft
from raftwerk.raft.roles import Leader
from raftwerk.raft.types import NOBODY, Entry, Index, NodeId, Snapshot, Term
from tests.raft.builder import CONFIG, Node, entries

Link = tuple[NodeId, NodeId]
"""(sender, receiver)."""


@dataclass
class Disk:
    """What a crash leaves: the durable log and hard state, and the state machine at its last checkpoint."""

    membership: Membership
    current_term: Term = 0
    voted_for: NodeId = NOBODY
    snapshot_index: Index = 0
    snapshot_term: Term = 0
    log: list[Entry] = field(default_factory=list)
    machine: list[Entry] = field(default_factory=list)
    """The entries that the durable state machine has executed: entry k has index k + 1."""
    pending: list[Persist] = field(default_factory=list)
    """Given to the disk, not durable."""

    def persist_next(self) -> int:
        """Make the oldest pending Persist durable; return its ticket."""
        persist = self.pending.pop(0)
        self.current_term, self.voted_for = persist.current_term, persist.voted_for
        if persist.truncate_from:
            del self.log[persist.truncate_from - self.snapshot_index - 1 :]
        if persist.reset_to is not None:
            self.snapshot_index, self.snapshot_term, _ = persist.reset_to
            self.log = []
        self.log.extend(persist.entries)
        return persist.ticket

    def compact_to(self, index: Index) -> None:
        if index > self.snapshot_index:
            position = index - self.snapshot_index
            self.snapshot_term = self.log[position - 1].term
            del self.log[:position]
            self.snapshot_index = index

    def start(self, node_id: NodeId, config: Config, seed: int) -> Raft:
        """The core as it comes up after a crash."""
        last_applied = max(len(self.machine), self.snapshot_index)
        log = Log(self.snapshot_index, self.snapshot_term, self.log)
        is_superseded = last_applied > log.last_index or (
            last_applied > 0 and not log.matches(last_applied, self.machine[-1].term)
        )
        if is_superseded:  # a crash just after a snapshot was installed
            log = Log(last_applied, self.machine[-1].term)
            self.snapshot_index, self.snapshot_term = last_applied, log.snapshot_term
            self.log = []
        return Raft(
            node_id,
            config,
            Random(seed),
            membership=self.membership,
            current_term=self.current_term,
            voted_for=self.voted_for,
            log=log,
            last_applied=last_applied,
            is_log_superseded=is_superseded,
            checks_invariants=True,
        )


class Cluster:
    """Nodes 1..n, their disks, and the links between them. `logs` and `terms` say with what durable state they start."""

    def __init__(
        self,
        voters: int | Iterable[NodeId],
        *,
        logs: Mapping[NodeId, str] | None = None,
        terms: Mapping[NodeId, Term] | None = None,
        learners: Iterable[NodeId] = (),
        config: Config = CONFIG,
    ) -> None:
        voting = tuple(range(1, voters + 1)) if isinstance(voters, int) else tuple(voters)
        self.membership = Membership(voting, learners=tuple(learners))
        self.config = config
        self.links: dict[Link, deque[Message]] = {}
        self.cut: set[Link] = set()
        self.slow_disks: set[NodeId] = set()
        self.disks: dict[NodeId, Disk] = {}
        self.nodes: dict[NodeId, Node] = {}
        """Those that run."""
        self.applied: dict[NodeId, list[Entry]] = {}
        self.history: dict[NodeId, list[Effects]] = {}
        """What each node decided, step by step."""
        self.leaders: dict[Term, NodeId] = {}
        self.committed: dict[Index, Entry] = {}
        self._lives = 0
        self._request = 0
        for node_id in self.membership.nodes:
            log = entries((logs or {}).get(node_id, ""))
            last_term = log[-1].term if log else 0
            term = (terms or {}).get(node_id, last_term)
            self.disks[node_id] = Disk(self.membership, term, log=log)
            self.restart(node_id)

    # --- faults

    def crash(self, node_id: NodeId) -> None:
        """The process dies: memory, messages under way to it, and what its disk had not finished are lost."""
        del self.nodes[node_id]
        self.disks[node_id].pending.clear()
        for (_, receiver), queue in self.links.items():
            if receiver == node_id:
                queue.clear()

    def restart(self, node_id: NodeId) -> None:
        self._lives += 1
        raft = self.disks[node_id].start(node_id, self.config, seed=self._lives)
        self.nodes[node_id] = Node(raft, slow_disk=True)
        self.applied[node_id] = list(self.disks[node_id].machine)
        self.history[node_id] = []

    def partition(self, *groups: Iterable[NodeId]) -> None:
        """Only nodes of the same group hear each other. Messages on the links that are cut are lost."""
        sets = [set(group) for group in groups]
        self.cut = {
            (one, other)
            for one in self.disks
            for other in self.disks
            if one != other and not any({one, other} <= group for group in sets)
        }
        for link in self.cut:
            self.links.get(link, deque()).clear()

    def heal(self) -> None:
        self.cut = set()

    def drop(self, sender: NodeId | None = None, to: NodeId | None = None) -> int:
        """Lose what is under way (from `sender`, to `to`); return how many messages."""
        count = 0
        for link, queue in self.links.items():
            if sender in (None, link[0]) and to in (None, link[1]):
                count += len(queue)
                queue.clear()
        return count

    # --- what happens

    def step(self, node_id: NodeId, *events: Event) -> Effects:
        """Step one node, and its disk too if that is prompt. Messages wait on their links."""
        node = self.nodes[node_id]
        effects = node.step(*events)
        self._carry_out(node_id, effects)
        if node_id not in self.slow_disks:
            self.persist(node_id)
        return effects

    def persist(self, node_id: NodeId, count: int | None = None) -> None:
        """The disk finishes its oldest `count` writes, or all, and what follows from them."""
        pending = self.disks[node_id].pending
        while pending and count != 0:
            ticket = self.disks[node_id].persist_next()
            self._carry_out(node_id, self.nodes[node_id].step(Persisted(ticket)))
            count = None if count is None else count - 1

    def waiting(self) -> list[Link]:
        """The links with something to deliver, in order."""
        return sorted(link for link, queue in self.links.items() if queue)

    def deliver_one(self, sender: NodeId, to: NodeId) -> Message:
        """Deliver the oldest message on a link (to a node that is down: lose it)."""
        message = self.links[sender, to].popleft()
        if to in self.nodes:
            self.step(to, Received(sender, message))
        return message

    def deliver(self, *nodes: NodeId, rounds: int = 1000) -> int:
        """Deliver all that is under way between these nodes (none named: all), and what follows. Returns rounds needed.

        In one round each link delivers what waited on it at the beginning.
        """
        for done in range(rounds):
            links = [link for link in self.waiting() if not nodes or set(link) <= set(nodes)]
            if not links:
                return done
            for link in links:
                for _ in range(len(self.links[link])):
                    self.deliver_one(*link)
        assert rounds < 1000, "the cluster does not come to rest"
        return rounds

    def tick(self, elapsed_ms: int, *nodes: NodeId) -> None:
        """Time goes by (for these nodes only; none named: for all)."""
        for node_id in nodes or tuple(self.nodes):
            if node_id in self.nodes:
                self.step(node_id, Tick(elapsed_ms))

    def run(self, duration_ms: int, tick_ms: int = 20) -> None:
        """Let time go by and messages arrive."""
        for _ in range(duration_ms // tick_ms):
            self.tick(tick_ms)
            self.deliver()

    def campaign(self, node_id: NodeId) -> None:
        """Start an election now, without a pre-vote and whoever leads: as after a transfer of leadership."""
        term = self.nodes[node_id].state.current_term
        self.step(node_id, Received(node_id, TimeoutNow(term, node_id)))

    def elect(self, node_id: NodeId, *voters: NodeId) -> None:
        """Let the node win an election with these voters' votes (none named: everybody's), and nothing else arrive.

        The first messages of its leadership wait on the links.
        """
        self.campaign(node_id)
        for voter in voters or tuple(self.nodes):
            if voter != node_id:
                self._exchange(node_id, voter)
        assert self.is_leader(node_id), f"{node_id} was not elected"

    def _exchange(self, candidate: NodeId, voter: NodeId) -> None:
        for link in ((candidate, voter), (voter, candidate)):
            queue = self.links.get(link, deque())
            while queue and not isinstance(queue[0], AppendEntries):
                self.deliver_one(*link)

    def propose(self, node_id: NodeId, *commands: bytes) -> Effects:
        self._request += 1
        return self.step(node_id, Propose(self._request, commands))

    def read(self, node_id: NodeId) -> int:
        """Ask for a read index; return the request number that the answer carries."""
        self._request += 1
        self.step(node_id, Read(self._request))
        return self._request

    def checkpoint(self, node_id: NodeId) -> None:
        """The state machine makes what it has applied durable, and the log is compacted as far as the tail allows."""
        self.disks[node_id].machine = list(self.applied[node_id])
        self.disks[node_id].membership = self.nodes[node_id].state.membership
        self.step(node_id, Checkpointed(len(self.applied[node_id])))

    # --- what can be seen

    def is_leader(self, node_id: NodeId) -> bool:
        node = self.nodes.get(node_id)
        return node is not None and isinstance(node.state.role, Leader)

    def logs(self) -> dict[NodeId, str]:
        return {node_id: node.log for node_id, node in sorted(self.nodes.items())}

    def commands(self, node_id: NodeId) -> list[bytes]:
        """The commands that the node has executed."""
        return [entry.command for entry in self.applied[node_id] if entry.command]

    def seen(self, node_id: NodeId, pick: Callable[[Effects], Sequence[object]]) -> list[object]:
        """What one list of the effects held in this life of the node: seen(1, lambda effects: effects.reads)."""
        return [item for effects in self.history[node_id] for item in pick(effects)]

    # --- carrying out

    def _carry_out(self, node_id: NodeId, effects: Effects) -> None:
        self.history[node_id].append(effects)
        disk = self.disks[node_id]
        if effects.persist is not None:
            disk.pending.append(effects.persist)
        for to, message in effects.messages:
            self._send(node_id, to, message)
        for entry in effects.committed:
            assert entry.index == len(self.applied[node_id]) + 1
            self.applied[node_id].append(entry)
        if effects.compact_to:
            disk.compact_to(min(effects.compact_to, disk.snapshot_index + len(disk.log)))
        for ask in effects.send_chunks:
            self._send_chunk(node_id, ask)
        self._check(node_id, effects)
        for chunk in effects.received_chunks:
            if chunk.done:
                self._install(node_id, chunk)

    def _send(self, sender: NodeId, to: NodeId, message: Message) -> None:
        if (sender, to) not in self.cut and to in self.disks:
            self.links.setdefault((sender, to), deque()).append(message)

    def _send_chunk(self, sender: NodeId, ask: SendChunk) -> None:
        """One byte of data, then the end. The receiver's shell finds the contents at the sender's disk."""
        machine, membership = self.disks[sender].machine, self.disks[sender].membership
        data = b"" if ask.offset else b"."
        index, term = (len(machine), machine[-1].term) if machine else (0, 0)
        meta = Snapshot(index, term, membership.encode())
        self._send(
            sender,
            ask.to,
            InstallSnapshot(ask.term, sender, *meta, ask.offset, data, done=not data),
        )

    def _install(self, node_id: NodeId, chunk: InstallSnapshot) -> None:
        index = chunk.last_included_index
        machine = [self.committed[position] for position in range(1, index + 1)]
        self.applied[node_id] = machine
        self.disks[node_id].machine = list(machine)
        self.disks[node_id].membership = Membership.decode(chunk.membership)
        self.step(node_id, SnapshotInstalled(index))

    def _check(self, node_id: NodeId, effects: Effects) -> None:
        """Election Safety, State Machine Safety and Leader Completeness (Figure 3)."""
        state = self.nodes[node_id].state
        for entry in effects.committed:
            assert self.committed.setdefault(entry.index, entry) == entry, "State Machine Safety"
        if not isinstance(state.role, Leader):
            return
        if self.leaders.setdefault(state.current_term, node_id) != node_id:
            raise AssertionError(f"Election Safety: two leaders in term {state.current_term}")
        if state.current_term == max(self.leaders):
            self._check_completeness(state.log)

    def _check_completeness(self, log: Log) -> None:
        for index, entry in self.committed.items():
            if index > log.snapshot_index:
                assert log.matches(index, entry.term), f"Leader Completeness: {index} is missing"
