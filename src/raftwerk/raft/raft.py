"""The one mutator: a batch of events in, one batch of effects out.

    effects = raft.step([Tick(10), Received(2, AppendEntries(...)), Persisted(7)])

The shell drains its inbox, steps once, and carries out the effects; group commit falls out for free. Everything that
waits for other events of the same step (replication, the round of reads, the one Persist, what may be applied) is
decided once, at its end.
"""

from collections.abc import Iterable
from random import Random

from raftwerk.raft import (
    append_entries,
    commit,
    compaction,
    forward,
    install_snapshot,
    invariants,
    read_index,
    replicate,
    request_vote,
    stable,
    timers,
    transfer,
)
from raftwerk.raft.config import Config
from raftwerk.raft.effects import Effects
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
from raftwerk.raft.log import Log
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
from raftwerk.raft.roles import Follower, Leader
from raftwerk.raft.state import REQUEST_BITS, Remote, Stable, State
from raftwerk.raft.transitions import become_follower
from raftwerk.raft.types import NOBODY, EntryKind, Index, NodeId, Snapshot, Term


class Raft:
    """One node's consensus core."""

    def __init__(
        self,
        node_id: NodeId,
        config: Config,
        random: Random,
        *,
        membership: Membership,
        current_term: Term = 0,
        voted_for: NodeId = NOBODY,
        log: Log | None = None,
        last_applied: Index = 0,
        is_log_superseded: bool = False,
        checks_invariants: bool = False,
    ) -> None:
        """Start, or start again, from what is on stable storage.

        membership: the one in force at last_applied. log: all durable entries, from a snapshot_index not after
        last_applied. last_applied: of the state machine's durable state. is_log_superseded: the durable log ends before
        that state, or contradicts it (a crash just after a snapshot was installed), and is to be reset to `log`, which
        is empty. checks_invariants: check them all after each step (slow).
        """
        log = Log() if log is None else log
        assert log.snapshot_index <= last_applied <= log.last_index
        entries = log.slice(last_applied + 1, log.last_index + 1)
        self.state = State(
            node_id=node_id,
            config=config,
            random=random,
            current_term=current_term,
            voted_for=voted_for,
            log=log,
            commit_index=last_applied,
            last_applied=last_applied,
            memberships=[
                (last_applied, membership),
                *(
                    (entry.index, Membership.decode(entry.command))
                    for entry in entries
                    if entry.kind is EntryKind.MEMBERSHIP
                ),
            ],
            stable=Stable(durable_index=log.last_index, staged_index=log.last_index),
            remote=Remote(next_request_id=random.getrandbits(30) << REQUEST_BITS),
            checkpoint_index=last_applied,
        )
        if is_log_superseded:
            stable.on_reset(
                self.state, Snapshot(log.snapshot_index, log.snapshot_term, membership.encode())
            )
        # A node that starts knows of no leader; it asks for pre-votes early, which disturbs nobody
        pause_ms = timers.early_campaign_pause_ms(self.state, without=NOBODY)
        if len(self.state.membership.nodes) > 1:
            pause_ms += 2 * config.heartbeat_interval_ms
        self.state.role = Follower(pause_ms)
        self._checks_invariants = checks_invariants

    def step(self, events: Iterable[Event]) -> Effects:
        """Take in a batch of events, and say what is to be done."""
        state = self.state
        out = Effects()
        before = invariants.remember(state) if self._checks_invariants else None
        for event in events:
            self._take(event, out)
        if isinstance(state.role, Leader):
            commit.advance(state, state.role)
            read_index.begin_round(state, state.role, out)
            replicate.broadcast(state, state.role, out)
        else:
            read_index.ask_leader(state, out)
        install_snapshot.drop_overtaken(state, out)
        compaction.let_go(state, out)
        stable.flush(state, out)
        commit.take_ready(state, out)
        if before is not None:
            invariants.check_state(state)
            invariants.check_step(before, state)
        return out

    def _take(self, event: Event, out: Effects) -> None:
        state = self.state
        if isinstance(event, Received):
            self._receive(event.sender, event.message, out)
        elif isinstance(event, Persisted):
            stable.on_persisted(state, event.ticket, out)
            request_vote.count_own_vote(state, out)
        elif isinstance(event, Propose):
            forward.propose(state, event, out)
        elif isinstance(event, Read):
            read_index.read(state, event.request, out)
        elif isinstance(event, Tick):
            timers.tick(state, event.elapsed_ms, out)
        elif isinstance(event, Checkpointed):
            compaction.on_checkpointed(state, event.index)
        elif isinstance(event, LinkClosed):
            timers.link_closed(state, event.peer, out)
        elif isinstance(event, LinkOpened):
            timers.link_opened(state, event.peer, out)
        elif isinstance(event, SnapshotInstalled):
            install_snapshot.install(state, event.last_included_index, out)
        elif isinstance(event, SnapshotRejected):
            install_snapshot.reject(state, event.last_included_index, event.reason, out)
        elif isinstance(event, DiskSpace):
            state.has_room = event.has_room
        else:
            assert isinstance(event, TellCommitIndex)
            if isinstance(state.role, Leader):
                replicate.tell_commit_index(state, state.role)

    def _receive(self, sender: NodeId, message: Message, out: Effects) -> None:
        state = self.state
        # F2.ALL.2: if RPC request or response contains term T > current_term: set current_term = T, convert to follower.
        # T9.6.4: a pre-vote changes nothing, not even the term. T4.2.3b: a candidate does not unseat a leader that is heard.
        # T3.10.2: an election that the leader itself asked for is no disruption
        if message.term > state.current_term and not isinstance(message, PreVote):
            is_disruptive = (
                isinstance(message, RequestVote)
                and not message.is_transfer
                and request_vote.hears_leader(state)
            )
            if not is_disruptive:
                become_follower(state, message.term, NOBODY, out)
        # F2.FOL.1: respond to RPCs from candidates and leaders
        if isinstance(message, AppendEntries):
            append_entries.receive(state, sender, message, out)
        elif isinstance(message, AppendEntriesReply):
            append_entries.on_reply(state, sender, message, out)
        elif isinstance(message, ForwardCommands):
            forward.receive(state, sender, message)
        elif isinstance(message, ForwardCommandsReply):
            forward.on_reply(state, sender, message, out)
        elif isinstance(message, ReadIndex):
            read_index.receive(state, sender, message)
        elif isinstance(message, ReadIndexReply):
            read_index.on_reply(state, message, out)
        else:
            self._receive_rare(sender, message, out)

    def _receive_rare(self, sender: NodeId, message: Message, out: Effects) -> None:
        state = self.state
        if isinstance(message, PreVote):
            request_vote.receive_pre_vote(state, sender, message)
        elif isinstance(message, PreVoteReply):
            request_vote.on_pre_vote_reply(state, sender, message, out)
        elif isinstance(message, RequestVote):
            request_vote.receive(state, sender, message, out)
        elif isinstance(message, RequestVoteReply):
            request_vote.on_reply(state, sender, message, out)
        elif isinstance(message, InstallSnapshot):
            install_snapshot.receive(state, sender, message, out)
        elif isinstance(message, InstallSnapshotReply):
            install_snapshot.on_reply(state, sender, message, out)
        else:
            assert isinstance(message, TimeoutNow)
            transfer.receive(state, message, out)
