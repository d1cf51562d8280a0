"""The durability gate: "updated on stable storage before responding to RPCs" (Figure 2), in two levels.

(a) No message of term T leaves before (current_term, voted_for) of T is durable.
(b) A message that vouches for entries (a success reply, an installed snapshot) also waits for those entries; the
    self-vote and the leader's own match_index read `is_vote_durable` and `durable_index` here.

Only AppendEntries may overtake the leader's own entries: it vouches for nothing of the leader's.

All changes of one step go into one Persist with one ticket. The shell answers tickets in order; each Persisted raises
persisted_ticket and lets the messages go that waited for it. Messages of an older term that still wait are dropped:
silence is always safe.
"""

from collections import deque

from raftwerk.raft.effects import Effects, Persist
from raftwerk.raft.messages import Message
from raftwerk.raft.state import Stable, State
from raftwerk.raft.types import Index, NodeId, Snapshot


def send(state: State, to: NodeId, message: Message, *, vouches_for: Index = 0) -> None:
    """Send when it is allowed: level (a), and level (b) if the message vouches for entries up to an index."""
    assert message.term == state.current_term
    state.stable.queued.append((vouches_for, to, message))


def on_hard_state_changed(state: State, *, is_new_term: bool) -> None:
    """current_term or voted_for was set."""
    stable = state.stable
    stable.is_hard_state_changed = True
    if is_new_term:
        stable.held.clear()
        stable.queued.clear()


def on_truncated(state: State, index: Index) -> None:
    """The entries at `index` and after it were deleted: a Persist in flight no longer vouches for them."""
    stable = state.stable
    if index <= stable.staged_index:
        stable.truncate_from = min(stable.truncate_from or index, index)
        stable.staged_index = index - 1
    stable.durable_index = min(stable.durable_index, index - 1)
    stable.in_flight = deque((ticket, min(last, index - 1)) for ticket, last in stable.in_flight)


def on_reset(state: State, snapshot: Snapshot) -> None:
    """The log was replaced by a snapshot, which the state machine already holds durably."""
    stable = state.stable
    stable.reset_to = snapshot
    stable.truncate_from = 0
    stable.staged_index = snapshot.last_included_index
    stable.durable_index = snapshot.last_included_index
    stable.in_flight.clear()


def on_persisted(state: State, ticket: int, out: Effects) -> None:
    """Stable storage caught up to `ticket`: raise durable_index, and let go what waited."""
    stable = state.stable
    assert stable.persisted_ticket <= ticket < stable.next_ticket
    stable.persisted_ticket = ticket
    while stable.in_flight and stable.in_flight[0][0] <= ticket:
        stable.durable_index = max(stable.durable_index, stable.in_flight.popleft()[1])
    assert stable.durable_index <= state.log.last_index
    if stable.held:
        waiting = stable.held
        stable.held = [held for held in waiting if held[0] > ticket]
        out.messages.extend((to, message) for needed, to, message in waiting if needed <= ticket)


def flush(state: State, out: Effects) -> None:
    """At the end of a step: one Persist for all its changes; then send, or hold, its messages."""
    stable = state.stable
    _stage(state, out)
    for vouched_index, to, message in stable.queued:
        # F2.STA.1a: current_term and voted_for are updated on stable storage before responding to RPCs
        needed = stable.hard_state_ticket
        # F2.STA.1b: the entries that a response vouches for are on stable storage before it leaves
        if vouched_index > stable.durable_index:
            needed = max(needed, _ticket_that_covers(stable, vouched_index))
        if needed <= stable.persisted_ticket:
            out.messages.append((to, message))
        else:
            stable.held.append((needed, to, message))
    stable.queued.clear()


def _stage(state: State, out: Effects) -> None:
    stable, log = state.stable, state.log
    entries = log.slice(stable.staged_index + 1, log.last_index + 1)
    if not (entries or stable.is_hard_state_changed or stable.truncate_from or stable.reset_to):
        return
    ticket = stable.next_ticket
    out.persist = Persist(
        ticket=ticket,
        current_term=state.current_term,
        voted_for=state.voted_for,
        truncate_from=stable.truncate_from,
        reset_to=stable.reset_to,
        entries=entries,
    )
    stable.next_ticket = ticket + 1
    if stable.is_hard_state_changed:
        stable.hard_state_ticket = ticket
    if entries:
        stable.in_flight.append((ticket, log.last_index))
    stable.staged_index = log.last_index
    stable.is_hard_state_changed = False
    stable.truncate_from = 0
    stable.reset_to = None


def _ticket_that_covers(stable: Stable, index: Index) -> int:
    for ticket, last_index in stable.in_flight:
        if last_index >= index:
            return ticket
    raise AssertionError(f"entries up to {index} are neither durable nor on their way to the disk")


def on_compacted(state: State, index: Index) -> None:
    """The state machine holds everything up to `index` durably: so much of the log counts as durable."""
    stable = state.stable
    stable.durable_index = max(stable.durable_index, index)
