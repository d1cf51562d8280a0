"""Election Safety (Figure 3): at most one leader can be elected in a given term. And what it rests on: one vote a term."""

from raftwerk.raft.membership import Membership
from raftwerk.raft.messages import Message, RequestVote, RequestVoteReply
from raftwerk.raft.types import NodeId, Term
from raftwerk.sim.checkers import Violation, is_quorum


class ElectionSafety:
    """Who leads, and who voted for whom, in each term: over crashes and restarts."""

    def __init__(self) -> None:
        self.leaders: dict[Term, NodeId] = {}
        self.newest_term: Term = 0
        """Of all that ever had a leader."""
        self._votes: dict[tuple[NodeId, Term], NodeId] = {}

    def on_leader(self, node_id: NodeId, term: Term, membership: Membership) -> bool:
        """A node leads. Returns whether this leadership is new."""
        is_new = term not in self.leaders
        if is_new:
            voters = {
                voter for voter in membership.nodes if self._votes.get((voter, term)) == node_id
            }
            if not is_quorum(membership, voters | {node_id}):
                raise Violation(
                    "Elected by a majority",
                    f"node {node_id} leads in term {term} with the votes of {sorted(voters)}",
                )
        leader = self.leaders.setdefault(term, node_id)
        self.newest_term = max(self.newest_term, term)
        if leader != node_id:
            raise Violation(
                "Election Safety", f"nodes {leader} and {node_id} both lead in term {term}"
            )
        return is_new

    def on_send(self, node_id: NodeId, to: NodeId, message: Message) -> None:
        """A vote leaves."""
        if isinstance(message, RequestVoteReply) and message.vote_granted:
            self._vote(node_id, message.term, to)
        elif isinstance(message, RequestVote):
            self._vote(node_id, message.term, node_id)

    def _vote(self, node_id: NodeId, term: Term, candidate: NodeId) -> None:
        first = self._votes.setdefault((node_id, term), candidate)
        if first != candidate:
            raise Violation(
                "One vote a term",
                f"node {node_id} voted for {first} and for {candidate} in term {term}",
            )
