"""States of one node, written as the paper prints them, and reached through the constructor and real steps.

    follower = node(1, term=3, log="1 1 2 3", commit=2, leader=2)
    effects = follower.receive(2, AppendEntries(...))
    reply = only(effects, AppendEntriesReply, to=2)

A log is a string of terms: "1 1 2 3" is four entries, the last of term 3. The disk answers at once unless the node is
built with slow_disk=True: then persist() answers.
"""

from collections.abc import Sequence
from dataclasses import fields
from random import Random
from typing import TypeVar

from raftwerk.raft.config import Config
from raftwerk.raft.effects import Effects
from raftwerk.raft.events import Checkpointed, Event, Persisted, Propose, Read, Received, Tick
from raftwerk.raft.log import Log
from raftwerk.raft.membership import Membership
from raftwerk.raft.messages import (
    AppendEntries,
    AppendEntriesReply,
    Message,
    PreVoteReply,
    RequestVoteReply,
)
from raftwerk.raft.raft import Raft
from raftwerk.raft.roles import Candidate, Leader, PreCandidate
from raftwerk.raft.types import NOBODY, Entry, EntryKind, Index, NodeId, Term

M = TypeVar("M")

CONFIG = Config()


def entries(terms: str, first: Index = 1) -> list[Entry]:
    """Entries of these terms, from index `first` on; each command says where it stands: b"4@3" is index 4, term 3."""
    return [command(index, int(term)) for index, term in enumerate(terms.split(), first)]


def command(index: Index, term: Term) -> Entry:
    return Entry(index, term, EntryKind.COMMAND, b"%d@%d" % (index, term))


def membership_entry(index: Index, term: Term, membership: Membership) -> Entry:
    return Entry(index, term, EntryKind.MEMBERSHIP, membership.encode())


def append_entries(
    term: Term,
    leader: NodeId,
    prev: tuple[Index, Term] = (0, 0),
    new: str = "",
    commit: Index = 0,
    read_round: int = 0,
) -> AppendEntries:
    """What the leader of `term` sends: entries of the terms `new` after prev, which is (index, term)."""
    return AppendEntries(term, leader, *prev, entries(new, prev[0] + 1), commit, read_round)


def sent(effects: Effects, kind: type[M], to: NodeId | None = None) -> list[M]:
    """The messages of this kind that leave (to this node)."""
    return [
        message
        for receiver, message in effects.messages
        if isinstance(message, kind) and to in (None, receiver)
    ]


def only(effects: Effects, kind: type[M], to: NodeId | None = None) -> M:
    """The one message of this kind that leaves (to this node)."""
    messages = sent(effects, kind, to)
    assert len(messages) == 1, f"{len(messages)} x {kind.__name__} to {to}: {effects.messages}"
    return messages[0]


def receivers(effects: Effects, kind: type[M]) -> list[NodeId]:
    """Who is sent a message of this kind, sorted, each once."""
    return sorted({to for to, message in effects.messages if isinstance(message, kind)})


class Node:
    """A Raft core and a disk that answers at once, or when it is told to."""

    def __init__(self, raft: Raft, *, slow_disk: bool = False) -> None:
        self.raft = raft
        self.state = raft.state
        self.slow_disk = slow_disk
        self.ticket = 0
        """Of the newest Persist."""

    @property
    def node_id(self) -> NodeId:
        return self.state.node_id

    @property
    def role(self) -> str:
        """Follower, PreCandidate, Candidate or Leader."""
        return type(self.state.role).__name__

    @property
    def leader(self) -> Leader:
        """The leader's state; the node must lead."""
        assert isinstance(self.state.role, Leader)
        return self.state.role

    @property
    def log(self) -> str:
        """The terms of the entries in memory, as in builder.entries."""
        return " ".join(str(entry.term) for entry in self.entries)

    @property
    def entries(self) -> list[Entry]:
        log = self.state.log
        return log.slice(log.snapshot_index + 1, log.last_index + 1)

    def step(self, *events: Event) -> Effects:
        """Step once; and if the disk is prompt, go on until nothing waits for it. All effects as one."""
        effects = self._step_once(events)
        while not self.slow_disk and self.ticket > self.state.stable.persisted_ticket:
            merge(effects, self._step_once([Persisted(self.ticket)]))
        return effects

    def _step_once(self, events: Sequence[Event]) -> Effects:
        effects = self.raft.step(events)
        if effects.persist is not None:
            self.ticket = effects.persist.ticket
        return effects

    def persist(self) -> Effects:
        """The slow disk finishes all that it was given."""
        return self._step_once([Persisted(self.ticket)])

    def receive(self, sender: NodeId, *messages: Message) -> Effects:
        return self.step(*(Received(sender, message) for message in messages))

    def tick(self, elapsed_ms: int) -> Effects:
        return self.step(Tick(elapsed_ms))

    def time_out(self) -> Effects:
        """Let the longest possible election timeout pass."""
        return self.tick(2 * self.state.config.election_timeout_ms)

    def propose(self, *commands: bytes, request: int = 1) -> Effects:
        return self.step(Propose(request, commands))

    def read(self, request: int = 1) -> Effects:
        return self.step(Read(request))

    def checkpoint(self, index: Index) -> Effects:
        """The state machine's state up to `index` is durable."""
        return self.step(Checkpointed(index))

    def ack(self, sender: NodeId, match_index: Index, read_round: int = 0) -> Effects:
        """A follower's success reply in the current term."""
        term = self.state.current_term
        return self.receive(
            sender, AppendEntriesReply(term, True, match_index, read_round=read_round)
        )


def merge(effects: Effects, more: Effects) -> None:
    """Add the effects of a later step: lists grow, the first Persist stays, numbers are of the last that says one."""
    for field in fields(Effects):
        value = getattr(more, field.name)
        if isinstance(value, list):
            getattr(effects, field.name).extend(value)
    effects.persist = effects.persist or more.persist
    effects.compact_to = more.compact_to or effects.compact_to
    effects.drops_received = effects.drops_received or more.drops_received
    effects.is_commit_untold = more.is_commit_untold
    effects.has_more = more.has_more


def node(
    node_id: NodeId = 1,
    *,
    term: Term = 0,
    log: str | Sequence[Entry] = "",
    commit: Index = 0,
    role: str = "follower",
    leader: NodeId = NOBODY,
    voted_for: NodeId = NOBODY,
    voters: Sequence[NodeId] = (1, 2, 3),
    outgoing: Sequence[NodeId] = (),
    learners: Sequence[NodeId] = (),
    snapshot: tuple[Index, Term] = (0, 0),
    acks: dict[NodeId, Index] | None = None,
    config: Config = CONFIG,
    seed: int = 1,
    slow_disk: bool = False,
) -> Node:
    """A node in this state; everything in it is durable.

    log: the entries after `snapshot` (index, term). commit: those up to it are applied too. leader: whom a follower
    follows. role: "follower", "pre-candidate", "candidate" or "leader" of `term`. The first entry of a leader's own term
    is its no-op, which it appends when `log` has none. acks: what the followers of a leader have acknowledged (and what
    is committed by that).
    """
    all_entries = list(entries(log, snapshot[0] + 1) if isinstance(log, str) else log)
    is_elected = role in ("candidate", "leader")
    old = [entry for entry in all_entries if entry.term < term] if is_elected else all_entries
    built = Node(
        Raft(
            node_id,
            config,
            Random(seed),
            membership=Membership(tuple(voters), tuple(outgoing), tuple(learners)),
            current_term=term - 1 if is_elected else term,
            voted_for=voted_for,
            log=Log(*snapshot, old),
            last_applied=min(max(commit, snapshot[0]), snapshot[0] + len(old)),
            checks_invariants=True,
        )
    )
    if leader:
        built.receive(leader, append_entries(term, leader, snapshot))
    if role != "follower":
        _campaign(built)
    if role in ("candidate", "leader"):
        _collect_pre_votes(built)
    if role == "leader":
        _lead(built, all_entries[len(old) + 1 :], commit, acks or {})
    assert built.role.lower() == role.replace("-", ""), f"{built.role}, not {role}"
    assert built.state.current_term == term
    assert built.state.commit_index >= max(commit, snapshot[0])
    built.slow_disk = slow_disk
    return built


def _campaign(built: Node) -> None:
    built.time_out()


def _collect_pre_votes(built: Node) -> None:
    next_term = built.state.current_term + 1
    for peer in _voting_peers(built):
        if isinstance(built.state.role, PreCandidate):
            built.receive(peer, PreVoteReply(next_term - 1, next_term, True))


def _lead(built: Node, proposed: Sequence[Entry], commit: Index, acks: dict[NodeId, Index]) -> None:
    for peer in _voting_peers(built):
        if isinstance(built.state.role, Candidate):
            built.receive(peer, RequestVoteReply(built.state.current_term, True))
    if proposed:
        built.propose(*(entry.command for entry in proposed))
    for peer, match_index in acks.items():
        built.ack(peer, match_index)
    for peer in _voting_peers(built):
        if built.state.commit_index < commit:
            built.ack(peer, commit)


def _voting_peers(built: Node) -> list[NodeId]:
    membership = built.state.membership
    peers = [peer for peer in membership.nodes if peer != built.node_id]
    return [peer for peer in peers if membership.is_voter(peer)]
