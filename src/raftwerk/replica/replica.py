"""One node, but for its world: the core, its durable log, its state machine and its clients' requests.

The world calls `propose`, `read` and `post` as things happen, and `step` soon after `wake` was called. Everything runs
in one thread, never blocks but for the slices that ports.Background describes, and knows no time but Tick's; its clock only
tells how long it has applied, and written of a checkpoint.
"""

from collections.abc import Callable
from itertools import count
from typing import Final

from raftwerk.raft import status
from raftwerk.raft.effects import Effects, Notice
from raftwerk.raft.events import (
    Checkpointed,
    DiskSpace,
    Event,
    SnapshotInstalled,
    SnapshotRejected,
    TellCommitIndex,
    Tick,
)
from raftwerk.raft.messages import Message
from raftwerk.raft.raft import Raft
from raftwerk.raft.reconfigure import membership_at
from raftwerk.raft.roles import Leader
from raftwerk.raft.types import NOBODY, Entry, Index, NodeId, Term
from raftwerk.replica.applier import Applier
from raftwerk.replica.checkpoints import Checkpoints, phase_of
from raftwerk.replica.failure import Failure
from raftwerk.replica.ports import Background, Journal, Network, StateMachine
from raftwerk.replica.position import Position
from raftwerk.replica.proposals import Done, Proposals
from raftwerk.replica.reads import ReadDone, Reads
from raftwerk.replica.snapshots import SnapshotReceiver, SnapshotSender

WAITING_MAX: Final = 50_000
"""Proposals, and as many reads, that have no answer yet; more are refused."""
HELD_BYTES_MAX: Final = 256 * 1024 * 1024
"""Of proposals that are not in the log yet: no more is taken in before they are fewer."""
APPLIED_MAX: Final = 250
"""Entries that are applied, and answered, together: their results are held until then."""
PARTS_MAX: Final = 4
"""So many times in one step: as much as the core hands out in one."""
APPLY_S: Final = 0.003
"""After so long in one step no further part begins, unless the node does not keep up (record 19)."""
BACKLOG_MAX: Final = 5_000
"""Entries that wait while it keeps up. With more, a step applies as much as it is handed: they must not become ever more."""
STEP_S: Final = 0.005
"""After so long of applying and writing of a checkpoint in one step that one has only its least share left (record 25)."""


class Replica:
    """Carries out what the core decides. See ports.py for what it stands on."""

    def __init__(
        self,
        raft: Raft,
        journal: Journal,
        network: Network,
        checkpoint_background: Background,
        restore_background: Background,
        machine: StateMachine,
        *,
        wake: Callable[[], None],
        call_later: Callable[[int, Callable[[], None]], object],
        clock: Callable[[], float],
        on_notice: Callable[[Notice], None],
        request_timeout_ms: int,
    ) -> None:
        """wake: called when there is something to step for. request_timeout_ms: how long clients' requests may wait.

        call_later: takes milliseconds, and what to call then. clock: seconds since some moment.

        The two backgrounds are apart, so that the chunks of a restore never wait behind the commit of a checkpoint.
        """
        self.raft = raft
        self.machine = machine
        self._journal = journal
        self._network = network
        self._wake = wake
        self._call_later = call_later
        self._clock = clock
        self._is_commit_untold = False
        """As the last step left it."""
        self._is_telling_due = False
        self._on_notice = on_notice
        self._inbox: list[Event] = []
        self._refused: list[Callable[[Failure], None]] = []
        """Since the last step."""
        self._now_ms = 0
        self._numbers = count(1)
        self.proposals = Proposals(request_timeout_ms, raft.state.config.message_bytes_max)
        self.reads = Reads(request_timeout_ms)
        self._applier = Applier(machine, raft.state.last_applied, self.proposals.on_applied)
        self.checkpoints = Checkpoints(
            machine,
            checkpoint_background,
            self._on_checkpointed,
            clock,
            phase=phase_of(raft.state.node_id, raft.state.membership.nodes),
        )
        self._sender = SnapshotSender(raft.state.node_id, machine)
        self._receiver = SnapshotReceiver(
            machine,
            restore_background,
            self.checkpoints,
            lambda: raft.state.last_applied,
            self._on_restored,
        )

    @property
    def last_applied(self) -> Index:
        """By the state machine. The core counts what it gave out to be applied."""
        return self._applier.last_applied

    @property
    def has_leader(self) -> bool:
        return self.raft.state.leader_id != NOBODY

    @property
    def leading_term(self) -> Term:
        """The term in which this node leads; 0: it does not."""
        state = self.raft.state
        return state.current_term if isinstance(state.role, Leader) else 0

    def status(self) -> status.RaftStatus:
        return status.of(self.raft.state)

    def propose(self, command: bytes, done: Done) -> None:
        """Replicate a command; `done` gets the state machine's result, or a Failure. Exactly once, later."""
        proposals = self.proposals
        if (
            self._applier.is_behind
            or proposals.waiting_count >= WAITING_MAX
            or proposals.held_bytes >= HELD_BYTES_MAX
        ):
            self._refused.append(done)
        else:
            proposals.add(command, done, self._now_ms)
        self._wake()

    def read(self, done: ReadDone) -> None:
        """Call `done` when the state machine holds everything that was committed before this call, or can't."""
        if self.reads.waiting_count >= WAITING_MAX:
            self._refused.append(done)
        else:
            self.reads.add(done, self._now_ms)
        self._wake()

    def post(self, event: Event) -> None:
        """Something happened."""
        self._inbox.append(event)
        self._wake()

    def step(self) -> bool:
        """Take in what came, step the core once, and carry out its effects. Returns whether to call again at once."""
        self._refuse()
        events, self._inbox = self._inbox, []
        for event in events:
            if isinstance(event, Tick):
                self._now_ms += event.elapsed_ms
                self.proposals.expire(self._now_ms, has_leader=self.has_leader)
                self.reads.expire(self._now_ms, has_leader=self.has_leader)
        self._add_requests(events)
        effects = self.raft.step(events)
        self._carry_out(effects)
        began_s = self._clock()
        has_more = self._apply(began_s + APPLY_S) or effects.has_more
        if self.checkpoints.is_under_way or not self._applier.is_mid_command:
            has_more |= self.checkpoints.advance(self._now_ms, began_s + STEP_S)
        return has_more or bool(self._inbox)

    def _refuse(self) -> None:
        refused, self._refused = self._refused, []
        for done in refused:
            done(Failure.OVERLOADED)

    def _add_requests(self, events: list[Event]) -> None:
        """The clients' requests go last, after what the core learns from this batch; with no leader they wait."""
        has_room = self._journal.has_room and not self.checkpoints.is_disk_full
        if has_room != self.raft.state.has_room:
            events.append(DiskSpace(has_room))
        if self.proposals.has_queued and (self.has_leader or not has_room):
            events.extend(self.proposals.take_queued(self._next_request))
        if self.reads.has_queued and self.has_leader:
            events.extend(self.reads.take_queued(self._next_request))

    def _tell_commit(self) -> None:
        self._is_telling_due = False
        if self._is_commit_untold:  # no entries have told it meanwhile
            self.post(TellCommitIndex())

    def _next_request(self) -> int:
        return next(self._numbers)

    def _carry_out(self, effects: Effects) -> None:
        if effects.persist is not None:
            self._journal.persist(effects.persist)
        if effects.messages:
            self._send(effects.messages)
        for proposed in effects.proposed:
            self.proposals.on_proposed(proposed)
        for refused in effects.refused:
            if not self.proposals.on_refused(refused):
                self.reads.on_refused(refused)
        for ready in effects.reads:
            self.reads.on_ready(ready)
        for start in range(0, len(effects.committed), APPLIED_MAX):
            some = effects.committed[start : start + APPLIED_MAX]
            self._applier.add(some, self._position_after(some[-1]))
        for peer in effects.close_snapshots:
            self._sender.close(peer)
        for ask in effects.send_chunks:
            self._network.send(ask.to, [self._sender.chunk(ask)])
        for chunk in effects.received_chunks:
            self._receiver.receive(chunk)
        if effects.drops_received:
            self._receiver.abort()
        if effects.compact_to:
            self._journal.compact(effects.compact_to)
        for notice in effects.notices:
            self._on_notice(notice)
        self._is_commit_untold = effects.is_commit_untold
        if effects.is_commit_untold and not self._is_telling_due:
            self._is_telling_due = True
            self._call_later(self.raft.state.config.tell_commit_after_ms, self._tell_commit)

    def _send(self, messages: list[tuple[NodeId, Message]]) -> None:
        by_receiver: dict[NodeId, list[Message]] = {}
        for to, message in messages:
            by_receiver.setdefault(to, []).append(message)
        for to, batch in by_receiver.items():
            self._network.send(to, batch)

    def _position_after(self, last: Entry) -> bytes:
        membership = membership_at(self.raft.state, last.index)
        return Position(last.index, last.term, membership.encode()).encode()

    def _apply(self, until_s: float) -> bool:
        for _ in range(PARTS_MAX):
            has_more = self._applier.advance()
            if not has_more or self._applier.is_mid_command:
                break
            if self._clock() >= until_s and self._applier.waiting_count <= BACKLOG_MAX:
                break
        if not self._applier.is_mid_command:  # else the machine is at no index
            self.reads.release(self.last_applied)
        return has_more

    def _on_checkpointed(self, index: Index) -> None:
        self.post(Checkpointed(index))

    def _on_restored(self, event: SnapshotInstalled | SnapshotRejected) -> None:
        """First in line: the core must know of the new state before anything else happens to it."""
        if isinstance(event, SnapshotInstalled):
            self._applier.skip_to(event.last_included_index)
            self.proposals.on_snapshot(event.last_included_index)
        self._inbox.insert(0, event)
        self._wake()

    def stop(self) -> None:
        """Answer everybody, and release what is held."""
        self._refuse()
        self.proposals.fail_all()
        self.reads.fail_all()
        self._sender.close_all()
        self._receiver.abort()
        self.checkpoints.stop()
