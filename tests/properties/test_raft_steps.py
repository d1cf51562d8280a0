"""Every role takes every kind of event and message without breaking an invariant.

What comes is anything that honest peers may have under way: stale, early, sent twice, or meant for somebody else. The node
checks raft/invariants.py after each step, and must be able to go on afterwards.
"""

from collections.abc import Callable
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raftwerk.raft.config import Config
from raftwerk.raft.events import (
    Checkpointed,
    DiskSpace,
    Event,
    LinkClosed,
    LinkOpened,
    Persisted,
    Propose,
    Read,
    Received,
    SnapshotInstalled,
    SnapshotRejected,
    TellCommitIndex,
    Tick,
)
from raftwerk.raft.membership import Membership
from raftwerk.raft.messages import (
    AppendEntries,
    AppendEntriesReply,
    ForwardCommands,
    ForwardCommandsReply,
    InstallSnapshot,
    InstallSnapshotReply,
    Message,
    PreVote,
    PreVoteReply,
    ReadIndex,
    ReadIndexReply,
    RequestVote,
    RequestVoteReply,
    TimeoutNow,
)
from raftwerk.raft.roles import Leader
from raftwerk.raft.types import Entry, Term
from tests.raft.builder import Node, command, node, only

SMALL = Config(
    message_entries_max=2,
    window_messages_max=2,
    uncommitted_entries_max=4,
    apply_entries_max=2,
    tail_entries=1,
    read_rounds_max=1,
)
ROLES = ["follower", "pre-candidate", "candidate", "leader"]
MEMBERS = Membership((1, 2, 3), learners=(4,)).encode()
KINDS = [*(kind for kind in get_args(Event) if kind is not Received), *get_args(Message)]

SMALL_NUMBERS = st.integers(0, 9)
REFUSALS = st.sampled_from(
    ["", "no leader", "not leader", "too many uncommitted entries", "disk full", "outcome unknown"]
)


def build(role: str, *, slow_disk: bool) -> Node:
    """A node of term 3, compacted up to 2, committed up to 4, with an entry more."""
    log = "2 2" if role == "candidate" else "2 2 3"
    return node(
        1, term=3, log=log, snapshot=(2, 1), commit=5 if role == "leader" else 4, role=role,
        learners=(4,), config=SMALL, slow_disk=slow_disk,
    )  # fmt: skip


class Surroundings:
    """What may come to one node: drawn to fit its state, as peers would send it."""

    def __init__(self, built: Node, data: st.DataObject) -> None:
        self.built = built
        self.state = built.state
        self.data = data
        self.request = 0
        self.led: set[Term] = set()

    def step(self, kind: type) -> None:
        """Let something of this kind come."""
        if isinstance(self.state.role, Leader):
            self.led.add(self.state.current_term)
        if kind in get_args(Message):
            message = MESSAGES[kind](self)
            sender = message.leader_id if isinstance(message, LEADERS) else self.draw_peer()
            self.built.step(Received(sender, message))
        else:
            event = EVENTS[kind](self)
            self.built.step(*([] if event is None else [event]))

    def draw(self, strategy: st.SearchStrategy[int]) -> int:
        return self.data.draw(strategy)

    def number(self) -> int:
        return self.draw(SMALL_NUMBERS)

    def flag(self) -> bool:
        return self.data.draw(st.booleans())

    def draw_peer(self) -> int:
        """Another voter, the learner, or a stranger."""
        return self.draw(st.sampled_from([2, 3, 4, 9]))

    def term(self) -> Term:
        return self.draw(
            st.integers(max(0, self.state.current_term - 2), self.state.current_term + 1)
        )

    def leaders_term(self) -> Term:
        """Of a leader that is not this node: a term has one."""
        term = self.term()
        return self.state.current_term + 1 if term in self.led or self.is_leading(term) else term

    def is_leading(self, term: Term) -> bool:
        return isinstance(self.state.role, Leader) and term == self.state.current_term

    def leaders_log(self, term: Term) -> list[Entry]:
        """It has what is committed here, and what is here of its own term, and perhaps more."""
        own = [entry.index for entry in self.built.entries if entry.term == term]
        kept = max(self.state.commit_index, *own, 0)
        log = [command(index, 1) for index in range(1, self.state.log.snapshot_index + 1)]
        if log:
            log[-1] = command(len(log), self.state.log.snapshot_term)
        log += [entry for entry in self.built.entries if entry.index <= kept]
        for _ in range(self.draw(st.integers(0, 3))):
            log.append(command(len(log) + 1, max(term, log[-1].term)))
        return log

    def asked(self, pending: dict[int, object]) -> int:
        """The number of a request that waits, or of none."""
        return self.draw(st.sampled_from([*pending, 7]))

    def next_request(self) -> int:
        self.request += 1
        return self.request


def append_entries(peers: Surroundings) -> AppendEntries:
    term = peers.leaders_term()
    log = peers.leaders_log(term)
    prev = peers.draw(st.integers(0, len(log)))
    entries = log[prev : prev + peers.draw(st.integers(0, 3))]
    prev_term = log[prev - 1].term if prev else 0
    commit = peers.draw(st.integers(0, len(log)))
    return AppendEntries(term, 2, prev, prev_term, entries, commit, peers.number())


def append_entries_reply(peers: Surroundings) -> AppendEntriesReply:
    role = peers.state.role
    read_round = min(peers.number(), role.read_round) if isinstance(role, Leader) else 0
    return AppendEntriesReply(
        peers.term(), peers.flag(), peers.number(), peers.number(), peers.number(), read_round
    )


def install_snapshot(peers: Surroundings) -> InstallSnapshot:
    term = peers.leaders_term()
    last = peers.data.draw(st.sampled_from(peers.leaders_log(term)))
    data = peers.data.draw(st.sampled_from([b"", b"x"]))
    offset = peers.draw(st.integers(0, 1))
    return InstallSnapshot(term, 2, last.index, last.term, MEMBERS, offset, data, done=not data)


def installed(peers: Surroundings) -> Event | None:
    incoming = peers.state.incoming
    if incoming is None or not incoming.is_complete:
        return None
    return SnapshotInstalled(incoming.last_included_index)


MESSAGES: dict[type, Callable[[Surroundings], Message]] = {
    PreVote: lambda p: PreVote(p.term(), p.term() + 1, 3, p.number(), p.number()),
    PreVoteReply: lambda p: PreVoteReply(p.term(), p.term() + 1, p.flag()),
    RequestVote: lambda p: RequestVote(p.term(), 3, p.number(), p.number(), p.flag()),
    RequestVoteReply: lambda p: RequestVoteReply(p.term(), p.flag()),
    AppendEntries: append_entries,
    AppendEntriesReply: append_entries_reply,
    InstallSnapshot: install_snapshot,
    InstallSnapshotReply: lambda p: InstallSnapshotReply(
        p.term(), p.number(), p.number(), p.flag()
    ),
    ForwardCommands: lambda p: ForwardCommands(p.term(), p.number(), [b"x"] * (p.number() % 3)),
    ForwardCommandsReply: lambda p: ForwardCommandsReply(
        p.term(), p.asked(dict(p.state.remote.forwards)), p.number(), p.data.draw(REFUSALS)
    ),
    ReadIndex: lambda p: ReadIndex(p.term(), p.number()),
    ReadIndexReply: lambda p: ReadIndexReply(
        p.term(), p.asked(dict(p.state.remote.reads)), p.number(), p.data.draw(REFUSALS)
    ),
    TimeoutNow: lambda p: TimeoutNow(p.leaders_term(), 2),
}
LEADERS = (AppendEntries, InstallSnapshot, TimeoutNow)

EVENTS: dict[type, Callable[[Surroundings], Event | None]] = {
    Tick: lambda p: Tick(p.draw(st.sampled_from([1, 100, 1000, 2000]))),
    Persisted: lambda p: Persisted(
        p.draw(st.integers(p.state.stable.persisted_ticket, max(0, p.state.stable.next_ticket - 1)))
    ),
    Propose: lambda p: Propose(p.next_request(), [b"x"] * (p.number() % 3)),
    Read: lambda p: Read(p.next_request()),
    LinkOpened: lambda p: LinkOpened(p.draw_peer()),
    LinkClosed: lambda p: LinkClosed(p.draw_peer()),
    Checkpointed: lambda p: Checkpointed(
        p.draw(st.integers(p.state.log.snapshot_index, p.state.last_applied))
    ),
    SnapshotInstalled: installed,
    SnapshotRejected: lambda p: SnapshotRejected(p.number()),
    DiskSpace: lambda p: DiskSpace(p.flag()),
    TellCommitIndex: lambda _: TellCommitIndex(),
}


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("role", ROLES)
@settings(max_examples=12, deadline=None)
@given(data=st.data())
def test_every_role_takes_every_kind(role: str, kind: type, data: st.DataObject) -> None:
    built = build(role, slow_disk=data.draw(st.booleans()))
    peers = Surroundings(built, data)
    peers.step(kind)
    for next_kind in data.draw(st.lists(st.sampled_from(KINDS), max_size=6)):
        peers.step(next_kind)
    check_goes_on(built)


def check_goes_on(built: Node) -> None:
    """The next leader finds a follower."""
    term, index = built.state.current_term + 1, built.state.commit_index
    heartbeat = AppendEntries(term, 3, index, built.state.log.term_at(index), [], 0)
    effects = built.receive(3, heartbeat)
    if built.slow_disk:
        effects = built.persist()
    reply = only(effects, AppendEntriesReply, to=3)
    assert (reply.term, reply.success) == (term, True)
    assert (built.role, built.state.leader_id) == ("Follower", 3)
