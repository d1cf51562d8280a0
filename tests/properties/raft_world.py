"""A cluster of cores under random faults, with the properties of Figure 3 and the clients' promises checked at each step.

Everything is drawn from one seed. Faults first (loss, duplication, reordering, partitions, crashes that lose what the
disk had not finished, slow disks, snapshots that take long or fail); then peace, in which the cluster must make progress.
"""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from raftwerk.raft.config import Config
from raftwerk.raft.effects import Effects, Refusal, SendChunk
from raftwerk.raft.events import (
    DiskSpace,
    LinkClosed,
    LinkOpened,
    Propose,
    Read,
    SnapshotRejected,
    TellCommitIndex,
)
from raftwerk.raft.messages import (
    AppendEntriesReply,
    InstallSnapshot,
    InstallSnapshotReply,
    Message,
    RequestVote,
    RequestVoteReply,
)
from raftwerk.raft.roles import Leader
from raftwerk.raft.types import Entry, Index, NodeId, Term
from tests.raft.cluster import Cluster

SMALL = Config(
    heartbeat_interval_ms=30,
    election_timeout_ms=200,
    message_entries_max=3,
    window_messages_max=4,
    uncommitted_entries_max=12,
    apply_entries_max=3,
    tail_entries=4,
    read_rounds_max=2,
    tell_commit_after_ms=1,
)
"""Every limit is met within a few steps."""

SWARM = (0.2, 1, 1, 3)
"""Each run makes some things frequent and others rare, for what is rare everywhere is never met with another rarity."""
ALWAYS = ("deliver", "deliver all", "tick")

SNAPSHOT_BYTES = 3
DONE_NOTHING = (Refusal.NO_LEADER, Refusal.NOT_LEADER, Refusal.OVERLOADED, Refusal.NO_SPACE)


@dataclass
class Asked:
    """A client's request: a command, or a read that must see `floor`."""

    command: bytes = b""
    floor: Index = 0


class World(Cluster):
    """The cluster, its clients, and what was promised to them."""

    def __init__(self, seed: int, voters: int, learners: int = 0) -> None:
        self.random = Random(seed)
        self.actions = [act for _, act in ACTIONS.values()]
        self.weights = [
            weight if name in ALWAYS else weight * self.random.choice(SWARM)
            for name, (weight, _) in ACTIONS.items()
        ]
        self.asked: dict[tuple[NodeId, int], Asked] = {}
        self.places: dict[tuple[Index, Term], bytes] = {}
        """What the leader of a term said it would put where."""
        self.denied: set[bytes] = set()
        self.decided: dict[Index, tuple[Entry, Term]] = {}
        """Committed entries, with the term in which that was first seen."""
        self.votes: dict[tuple[Term, NodeId], NodeId] = {}
        self.commit_indexes: dict[NodeId, Index] = {}
        self.leader_logs: dict[NodeId, tuple[Term, list[Entry]]] = {}
        self.installing: dict[NodeId, InstallSnapshot] = {}
        self.compactions: dict[NodeId, Index] = {}
        self.steps = 0
        learner_ids = range(voters + 1, voters + 1 + learners)
        super().__init__(voters, learners=learner_ids, config=SMALL)

    # --- clients

    def ask_propose(self, node_id: NodeId) -> None:
        self._request += 1
        command = b"%d" % self._request
        self.asked[node_id, self._request] = Asked(command)
        self.step(node_id, Propose(self._request, [command]))

    def ask_read(self, node_id: NodeId) -> None:
        self._request += 1
        self.asked[node_id, self._request] = Asked(floor=max(self.decided, default=0))
        self.step(node_id, Read(self._request))

    def _settle(self, node_id: NodeId, effects: Effects) -> None:
        """Each request is answered once; what the answers say is so."""
        for proposed in effects.proposed:
            asked = self.asked.pop((node_id, proposed.request))
            place = (proposed.first_index, proposed.term)
            assert self.places.setdefault(place, asked.command) == asked.command
        for refused in effects.refused:
            asked = self.asked.pop((node_id, refused.request))
            if asked.command and refused.refusal in DONE_NOTHING:
                self.denied.add(asked.command)
        for ready in effects.reads:
            asked = self.asked.pop((node_id, ready.request))
            assert ready.read_index >= asked.floor, "a read misses what was committed before it"

    # --- faults

    def crash(self, node_id: NodeId) -> None:
        super().crash(node_id)
        self.installing.pop(node_id, None)
        self.leader_logs.pop(node_id, None)
        self._compact(node_id)
        self.asked = {key: asked for key, asked in self.asked.items() if key[0] != node_id}
        for other in tuple(self.nodes):
            if self.random.random() < 0.5:
                self.step(other, LinkClosed(node_id))

    def restart(self, node_id: NodeId) -> None:
        super().restart(node_id)
        self.commit_indexes[node_id] = self.nodes[node_id].state.commit_index

    def reopen(self, node_id: NodeId) -> None:
        self.restart(node_id)
        for other in tuple(self.nodes):
            if other != node_id:
                self.step(other, LinkOpened(node_id))

    def finish_install(self, node_id: NodeId, *, fails: bool = False) -> None:
        """The state machine is done with the snapshot; or could not read it, or was overtaken."""
        chunk = self.installing.pop(node_id, None)
        if chunk is None:
            return
        if fails or len(self.applied[node_id]) >= chunk.last_included_index:
            self.step(node_id, SnapshotRejected(chunk.last_included_index))
        else:
            super()._install(node_id, chunk)

    def _install(self, node_id: NodeId, chunk: InstallSnapshot) -> None:
        self.installing[node_id] = chunk

    def _send_chunk(self, sender: NodeId, ask: SendChunk) -> None:
        """A byte at a time, then the end; a fresh stream if the one meant is not the present one."""
        machine, membership = self.disks[sender].machine, self.disks[sender].membership
        index, term = len(machine), machine[-1].term
        offset = ask.offset if ask.last_included_index == index else 0
        data = b"." if offset < SNAPSHOT_BYTES else b""
        chunk = InstallSnapshot(
            ask.term, sender, index, term, membership.encode(), offset, data, done=not data
        )
        self._send(sender, ask.to, chunk)

    # --- what is checked

    def _carry_out(self, node_id: NodeId, effects: Effects) -> None:
        self.steps += 1
        compact_to, effects.compact_to = effects.compact_to, 0  # the disk does it in its order
        self.compactions[node_id] = max(self.compactions.get(node_id, 0), compact_to)
        self._settle(node_id, effects)
        self._check_commit(node_id)
        self._check_log_matching(node_id)
        self._check_leader(node_id)
        super()._carry_out(node_id, effects)
        if not self.disks[node_id].pending:
            self._compact(node_id)

    def _compact(self, node_id: NodeId) -> None:
        disk = self.disks[node_id]
        last_index = disk.snapshot_index + len(disk.log)
        disk.compact_to(min(self.compactions.pop(node_id, 0), last_index, len(disk.machine)))

    def _check_commit(self, node_id: NodeId) -> None:
        """State Machine Safety, already when entries are committed; and commit_index never falls."""
        state = self.nodes[node_id].state
        known = self.commit_indexes[node_id]
        assert state.commit_index >= known
        self.commit_indexes[node_id] = state.commit_index
        start = max(known, state.log.snapshot_index) + 1
        for entry in state.log.slice(start, max(start, state.commit_index + 1)):
            decided, _ = self.decided.setdefault(entry.index, (entry, state.current_term))
            assert decided == entry, "State Machine Safety"
            expected = self.places.get((entry.index, entry.term), entry.command)
            assert entry.command == expected, "the place was promised to another command"

    def _check_log_matching(self, node_id: NodeId) -> None:
        """If two logs have an entry with the same index and term, they are identical up to it."""
        mine = self.nodes[node_id].state.log
        for other_id, other in self.nodes.items():
            its = other.state.log
            start = max(mine.snapshot_index, its.snapshot_index) + 1
            stop = min(mine.last_index, its.last_index) + 1
            if other_id == node_id or start >= stop:
                continue
            pairs = list(zip(mine.slice(start, stop), its.slice(start, stop), strict=True))
            same = [one.term == two.term for one, two in pairs]
            matching = len(same) - same[::-1].index(True) if True in same else 0
            assert all(one == two for one, two in pairs[:matching]), "Log Matching"

    def _check_leader(self, node_id: NodeId) -> None:
        """Leader Append-Only, and Leader Completeness when it is elected."""
        state = self.nodes[node_id].state
        if not isinstance(state.role, Leader):
            self.leader_logs.pop(node_id, None)
            return
        log = self.nodes[node_id].entries
        waiting = sum(len(entry.command) for entry in log if entry.index > state.commit_index)
        assert state.role.uncommitted_bytes == waiting
        term, before = self.leader_logs.get(node_id, (0, []))
        if term != state.current_term:
            for index, (entry, decided_term) in self.decided.items():
                if decided_term < state.current_term and index > state.log.snapshot_index:
                    assert state.log.matches(index, entry.term), f"Leader Completeness: {index}"
        elif before and log:
            kept = [entry for entry in before if entry.index >= log[0].index]
            assert log[: len(kept)] == kept, "Leader Append-Only"
        self.leader_logs[node_id] = (state.current_term, log)

    def _send(self, sender: NodeId, to: NodeId, message: Message) -> None:
        """The durability gate: what leaves is true of the disk."""
        disk = self.disks[sender]
        assert disk.current_term >= message.term, "a term left before it was durable"
        durable_index = max(disk.snapshot_index + len(disk.log), len(disk.machine))
        if isinstance(message, RequestVote):
            assert (disk.current_term, disk.voted_for) == (message.term, sender)
            assert self.votes.setdefault((message.term, sender), sender) == sender
        elif isinstance(message, RequestVoteReply) and message.vote_granted:
            assert (disk.current_term, disk.voted_for) == (message.term, to)
            assert self.votes.setdefault((message.term, sender), to) == to, "two votes in a term"
        elif isinstance(message, AppendEntriesReply) and message.success:
            assert message.match_index <= durable_index, "not durable"
        elif isinstance(message, InstallSnapshotReply) and message.installed:
            assert message.last_included_index <= durable_index, "not durable"
        super()._send(sender, to, message)

    # --- one random thing

    def act(self) -> None:
        """Let something happen."""
        (act,) = self.random.choices(self.actions, self.weights)
        act(self)

    def someone(self) -> NodeId | None:
        return self.random.choice(list(self.nodes)) if self.nodes else None

    def some_link(self) -> tuple[NodeId, NodeId] | None:
        links = self.waiting()
        return self.random.choice(links) if links else None

    # --- peace

    def make_peace(self) -> None:
        """All faults end."""
        self.heal()
        for node_id in self.disks:
            if node_id not in self.nodes:
                self.reopen(node_id)
        self.slow_disks.clear()
        for node_id in self.disks:
            self.persist(node_id)
            self.step(node_id, DiskSpace(has_room=True))

    def live(self, duration_ms: int) -> None:
        """Time goes by without faults."""
        for _ in range(duration_ms // 20):
            self.tick(20)
            self.deliver()
            for node_id in tuple(self.installing):
                self.finish_install(node_id)


def _deliver(world: World) -> None:
    link = world.some_link()
    if link is not None:
        world.deliver_one(*link)


def _deliver_all(world: World) -> None:
    for link in world.waiting():
        for _ in range(len(world.links[link])):
            world.deliver_one(*link)


def _tick(world: World) -> None:
    world.tick(world.random.choice([10, 30, 60]))


def _tick_one(world: World) -> None:
    node_id = world.someone()
    if node_id is not None:
        world.tick(world.random.choice([50, 200, 400]), node_id)


def _at_someone(act: Callable[[World, NodeId], object]) -> Callable[[World], None]:
    def acts(world: World) -> None:
        node_id = world.someone()
        if node_id is not None:
            act(world, node_id)

    return acts


def _lose(world: World) -> None:
    link = world.some_link()
    if link is not None:
        world.links[link].popleft()


def _duplicate(world: World) -> None:
    link = world.some_link()
    if link is not None:
        world.links[link].append(world.random.choice(world.links[link]))


def _reorder(world: World) -> None:
    link = world.some_link()
    if link is not None:
        world.random.shuffle(world.links[link])


def _restart(world: World) -> None:
    down = [node_id for node_id in world.disks if node_id not in world.nodes]
    if down:
        world.reopen(world.random.choice(down))


def _partition(world: World) -> None:
    nodes = list(world.disks)
    world.random.shuffle(nodes)
    cut = world.random.randrange(1, len(nodes))
    world.partition(nodes[:cut], nodes[cut:])


def _change_disk(world: World, node_id: NodeId) -> None:
    world.slow_disks ^= {node_id}
    if node_id not in world.slow_disks:
        world.persist(node_id)


def _fill_disk(world: World, node_id: NodeId) -> None:
    world.step(node_id, DiskSpace(has_room=world.random.random() < 0.6))


ACTIONS: dict[str, tuple[int, Callable[[World], None]]] = {
    "deliver": (400, _deliver),
    "deliver all": (150, _deliver_all),
    "tick": (150, _tick),
    "tick one": (8, _tick_one),
    "propose": (80, _at_someone(World.ask_propose)),
    "read": (60, _at_someone(World.ask_read)),
    "tell": (60, _at_someone(lambda world, node_id: world.step(node_id, TellCommitIndex()))),
    "persist": (200, _at_someone(lambda world, node_id: world.persist(node_id, 1))),
    "slow disk": (12, _at_someone(_change_disk)),
    "full disk": (8, _at_someone(_fill_disk)),
    "lose": (15, _lose),
    "duplicate": (25, _duplicate),
    "reorder": (25, _reorder),
    "crash": (5, _at_someone(World.crash)),
    "restart": (40, _restart),
    "partition": (6, _partition),
    "heal": (20, World.heal),
    "take over": (4, _at_someone(World.campaign)),
    "checkpoint": (30, _at_someone(World.checkpoint)),
    "installed": (12, _at_someone(World.finish_install)),
    "not installed": (
        3,
        _at_someone(lambda world, node_id: world.finish_install(node_id, fails=True)),
    ),
}
"""What may happen: weight, and how."""
