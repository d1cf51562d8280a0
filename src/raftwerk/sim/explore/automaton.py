"""The nodes as automata: what each action does to each state of a node, found out once by the real core, then remembered.

States of nodes and messages get numbers. A state of the whole model is then a few small integers, and most of its successors
are found without running the core: a node's state recurs in thousands of states of the whole.
"""

import pickle
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import blake2b
from typing import Final

from raftwerk.raft.messages import Message, RequestVote, RequestVoteReply
from raftwerk.raft.roles import Leader
from raftwerk.raft.types import NodeId
from raftwerk.sim.checkers import Violation
from raftwerk.sim.checkers.durability import Removal
from raftwerk.sim.explore.bounds import Bounds
from raftwerk.sim.explore.digest import Digests, Lanes, freeze
from raftwerk.sim.explore.node import Act, Action, Node

VIEWS: Final = 20_000
"""Nodes that are kept unpacked."""


@dataclass(frozen=True, slots=True)
class Sent:
    """A message that is on its way for ever: the network loses, repeats and reorders as it likes."""

    sender: NodeId
    to: NodeId
    message: Message
    canonical: list[int]
    """Under each renaming the bit of the message that it becomes, in a numbering of their own."""


@dataclass(slots=True)
class Outcome:
    """Of one action in one state of a node: its new state, and the messages it sends, a bit for each."""

    local: int
    sent: int
    violation: Violation | AssertionError | None = None
    removed: tuple[Removal, ...] = ()
    """Entries that its disk lost on purpose."""
    is_election: bool = False
    """It voted, or won."""
    is_notable: bool = False
    """One of these two."""


@dataclass(slots=True)
class Local:
    """One state of one node."""

    node_id: NodeId
    data: bytes
    lanes: Lanes
    choices: list[Action]
    takes_clients: bool
    is_leader: bool
    commit_index: int
    outcomes: dict[int | Action, Outcome] = field(default_factory=dict)
    """By number of the message delivered, or by action."""
    known: int = 0
    """Messages whose outcome here is known, a bit for each."""
    moves: int = 0
    """Those of them that change the node."""
    replies: list[tuple[int, int]] = field(default_factory=list)
    """Of messages that do not change the node, but make it send something: (its bit, what it sends)."""
    chatter: list[tuple[Action, int]] | None = None
    """See Automaton.chatter; None: not known yet."""


class Automaton:
    """Numbers of states of nodes (`locals`) and of messages (`messages`), both in the order in which they were met."""

    def __init__(self, bounds: Bounds, *, has_symmetry: bool = True) -> None:
        self.bounds = bounds
        self.digests = Digests(bounds.nodes, has_symmetry=has_symmetry)
        self.locals: list[Local] = []
        self.messages: list[Sent] = []
        self.inboxes: dict[NodeId, int] = dict.fromkeys(bounds.membership.voters, 0)
        """All messages to a node that were ever met, a bit for each."""
        self.votes = 0
        """All RequestVote messages and their replies."""
        self._local_of: dict[bytes, int] = {}
        self._canonical_of: dict[int, int] = {}
        self._message_of: dict[tuple[NodeId, NodeId, str], int] = {}
        self.view = lru_cache(VIEWS)(self.node)

    def node(self, local: int) -> Node:
        """A node in this state, to be changed by whoever asked."""
        node = pickle.loads(self.locals[local].data)
        assert isinstance(node, Node)
        return node

    def number(self, node: Node) -> int:
        """The number of a node's state."""
        identity = self.digests.renamings[0]
        text = repr(freeze(node, identity))
        key = blake2b(text.encode(), digest_size=16).digest()
        local = self._local_of.get(key)
        if local is None:
            local = self._local_of[key] = len(self.locals)
            state = node.state
            self.locals.append(
                Local(
                    node.node_id,
                    pickle.dumps(node, pickle.HIGHEST_PROTOCOL),
                    self.digests.of(lambda renaming: freeze(node, renaming)),
                    [Action(act) for act in node.choices()],
                    node.takes_clients,
                    isinstance(state.role, Leader),
                    state.commit_index,
                )
            )
        return local

    def message_number(self, sender: NodeId, to: NodeId, message: Message) -> int:
        key = (sender, to, repr(message))
        number = self._message_of.get(key)
        if number is None:
            number = self._message_of[key] = len(self.messages)
            lanes = self.digests.of(
                lambda renaming: (renaming[sender], renaming[to], freeze(message, renaming))
            )
            canonical = [
                1 << self._canonical_of.setdefault(digest, len(self._canonical_of))
                for digest in self.digests.each(lanes)
            ]
            self.messages.append(Sent(sender, to, message, canonical))
            self.inboxes[to] |= 1 << number
            if isinstance(message, RequestVote | RequestVoteReply):
                self.votes |= 1 << number
        return number

    def outcome(self, local: int, step: int | Action) -> Outcome:
        """Of a message (by its number) that reaches a node, or of something else that happens to it."""
        record = self.locals[local]
        outcome = record.outcomes.get(step)
        if outcome is None:
            if isinstance(step, Action):
                outcome = self._run(local, step)
            else:
                sent = self.messages[step]
                outcome = self._run(local, Action(Act.DELIVER, 0, sent.sender, sent.message))
                record.known |= 1 << step
                if outcome.local != local:
                    record.moves |= 1 << step
                elif outcome.sent:
                    record.replies.append((1 << step, outcome.sent))
            record.outcomes[step] = outcome
        return outcome

    def chatter(self, local: int) -> list[tuple[Action, int]]:
        """Actions that do not change this node, but make it send something, and what."""
        record = self.locals[local]
        if record.chatter is None:
            found = [(action, self.outcome(local, action)) for action in record.choices]
            record.chatter = [
                (action, outcome.sent)
                for action, outcome in found
                if outcome.local == local and outcome.sent
            ]
        return record.chatter

    def _run(self, local: int, action: Action) -> Outcome:
        node = self.node(local)
        try:
            done = node.act(action)
        except (Violation, AssertionError) as error:
            return Outcome(local, 0, error)
        sent = 0
        for to, message in done.sent:
            sent |= 1 << self.message_number(node.node_id, to, message)
        after = self.number(node)
        is_won = self.locals[after].is_leader and not self.locals[local].is_leader
        is_election = is_won or bool(sent & self.votes)
        return Outcome(
            after, sent, None, tuple(done.removed), is_election, is_election or bool(done.removed)
        )
