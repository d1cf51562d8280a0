"""Proposals: the leader appends them to its log; a follower hands those of its clients to the leader, in batches.

The leader answers with their place in the log, and each node settles its own clients when it applies that place. A leader
takes in each hand-over once, even if the network repeats it. So a forwarded command is in the log at most once, and the
answer comes from the follower's own state machine.
"""

from collections.abc import Sequence

from raftwerk.raft import remote, stable
from raftwerk.raft.effects import Effects, Proposed, Refusal, Refused
from raftwerk.raft.events import Propose
from raftwerk.raft.messages import ForwardCommands, ForwardCommandsReply
from raftwerk.raft.roles import Leader
from raftwerk.raft.state import REQUEST_BITS, RemoteRequest, State
from raftwerk.raft.types import NOBODY, EntryKind, NodeId, new_entry


def propose(state: State, event: Propose, out: Effects) -> None:
    """A client's commands, at this node."""
    leader = state.role
    if not state.has_room:
        out.refused.append(Refused(event.request, Refusal.NO_SPACE))
    elif isinstance(leader, Leader):
        if is_overloaded(state, leader):
            out.refused.append(Refused(event.request, Refusal.OVERLOADED))
            return
        first_index = _append(state, leader, event.commands)
        out.proposed.append(
            Proposed(event.request, first_index, state.current_term, len(event.commands))
        )
    elif state.leader_id == NOBODY:
        out.refused.append(Refused(event.request, Refusal.NO_LEADER))
    elif len(state.remote.forwards) >= state.config.forwards_max:
        out.refused.append(Refused(event.request, Refusal.OVERLOADED))
    else:
        request_id = remote.take_request_id(state)
        state.remote.forwards[request_id] = RemoteRequest([event.request], len(event.commands))
        message = ForwardCommands(state.current_term, request_id, event.commands)
        stable.send(state, state.leader_id, message)


def receive(state: State, sender: NodeId, rpc: ForwardCommands) -> None:
    """The leader takes in a follower's commands, or says that nothing was done: once, however often they arrive."""
    leader = state.role
    if rpc.term < state.current_term:
        return  # given up with that term by whoever asked
    first_index = 0
    refusal = ""
    if not isinstance(leader, Leader):
        # A node that voted for itself may have led in this term, and taken in a copy of these
        may_have_led = state.voted_for == state.node_id
        refusal = (Refusal.OUTCOME_UNKNOWN if may_have_led else Refusal.NOT_LEADER).value
    elif not _is_new(leader, sender, rpc.request_id):
        return
    elif not state.has_room:
        refusal = Refusal.NO_SPACE.value
    elif is_overloaded(state, leader):
        refusal = Refusal.OVERLOADED.value
    else:
        first_index = _append(state, leader, rpc.commands)
        if sender in leader.progress:
            leader.progress[sender].awaited_index = first_index + len(rpc.commands) - 1
    reply = ForwardCommandsReply(state.current_term, rpc.request_id, first_index, refusal)
    stable.send(state, sender, reply)


def _is_new(leader: Leader, sender: NodeId, request_id: int) -> bool:
    """Whether the network does not repeat this request, or bring it late: what a newer one overtook is not taken either."""
    life = (sender, request_id >> REQUEST_BITS)
    is_new = request_id > leader.forwarded.get(life, -1)
    if is_new:
        leader.forwarded[life] = request_id
    return is_new


def on_reply(state: State, sender: NodeId, reply: ForwardCommandsReply, out: Effects) -> None:
    """The places of this follower's commands. `term` is that of the leader that appended them."""
    asked = state.remote.forwards.pop(reply.request_id, None)
    if asked is None:
        return  # given up already
    does_not_lead = reply.refusal in (Refusal.NOT_LEADER, Refusal.OUTCOME_UNKNOWN)
    if does_not_lead and sender == state.leader_id:
        remote.lose_leader(state, out)  # until somebody is heard to lead
    for request in asked.requests:
        if reply.refusal:
            out.refused.append(Refused(request, Refusal(reply.refusal)))
        else:
            out.proposed.append(Proposed(request, reply.first_index, reply.term, asked.count))


def is_overloaded(state: State, leader: Leader) -> bool:
    """Back-pressure: whether too much waits for commitment already."""
    uncommitted = state.log.last_index - state.commit_index
    return (
        uncommitted >= state.config.uncommitted_entries_max
        or leader.uncommitted_bytes >= state.config.uncommitted_bytes_max
    )


def _append(state: State, leader: Leader, commands: Sequence[bytes]) -> int:
    # F2.LEA.2: if command received from client: append entry to local log, respond after entry applied to state machine
    # (Proposed tells the shell which entry to wait for)
    first_index = state.log.last_index + 1
    term = state.current_term
    kind = EntryKind.COMMAND
    entries = [
        new_entry((index, term, kind, command))
        for index, command in enumerate(commands, first_index)
    ]
    state.log.append(entries)
    leader.uncommitted_bytes += sum([len(command) for command in commands])
    return first_index
