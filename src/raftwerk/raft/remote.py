"""What this follower asked of the leader, commands handed over and reads: given up with the leader, or after some time."""

from raftwerk.raft.effects import Effects, Refusal, Refused
from raftwerk.raft.state import RemoteRequest, State
from raftwerk.raft.types import NOBODY


def take_request_id(state: State) -> int:
    """A number that no other request of this life of the node has."""
    request_id = state.remote.next_request_id
    state.remote.next_request_id += 1
    return request_id


def lose_leader(state: State, out: Effects) -> None:
    """What was asked of the leader known so far gets no answer; nobody is known to lead."""
    forwards = state.remote.forwards
    for asked in forwards.values():
        _refuse(asked, Refusal.OUTCOME_UNKNOWN, out)  # it may or may not have appended them
    forwards.clear()
    refuse_reads(state, out)
    state.leader_id = NOBODY


def refuse_reads(state: State, out: Effects) -> None:
    """Nobody answers them."""
    remote = state.remote
    for asked in remote.reads.values():
        _refuse(asked, Refusal.NOT_LEADER, out)
    out.refused.extend(Refused(request, Refusal.NOT_LEADER) for request in remote.waiting_reads)
    remote.reads.clear()
    remote.waiting_reads.clear()


def tick(state: State, elapsed_ms: int, out: Effects) -> None:
    """Give up on what was not answered for an election timeout: the message or its answer was lost."""
    remote = state.remote
    _expire(state, remote.forwards, Refusal.OUTCOME_UNKNOWN, elapsed_ms, out)
    _expire(state, remote.reads, Refusal.NOT_LEADER, elapsed_ms, out)


def _expire(
    state: State,
    requests: dict[int, RemoteRequest],
    refusal: Refusal,
    elapsed_ms: int,
    out: Effects,
) -> None:
    for request_id, asked in list(requests.items()):
        asked.age_ms += elapsed_ms
        if asked.age_ms >= state.config.election_timeout_ms:
            del requests[request_id]
            _refuse(asked, refusal, out)


def _refuse(asked: RemoteRequest, refusal: Refusal, out: Effects) -> None:
    out.refused.extend(Refused(request, refusal) for request in asked.requests)
