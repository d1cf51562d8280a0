"""What is remembered of the nodes."""

from raftwerk.raft.messages import AppendEntries, RequestVote
from raftwerk.sim.explore.automaton import Automaton
from raftwerk.sim.explore.bounds import Bounds
from raftwerk.sim.explore.node import Act, Action, Node


def test_equal_states_have_one_number_and_an_outcome_is_found_once() -> None:
    automaton = Automaton(Bounds())
    local = automaton.number(Node(1, Bounds()))
    assert automaton.number(Node(1, Bounds())) == local
    outcome = automaton.outcome(local, Action(Act.ELECTION))
    assert outcome.local != local
    assert automaton.outcome(local, Action(Act.ELECTION)) is outcome


def test_messages_are_told_apart_by_what_they_do_to_a_node() -> None:
    automaton = Automaton(Bounds(terms=2, is_disk_instant=True))
    local = automaton.number(Node(2, automaton.bounds))
    moving = automaton.message_number(1, 2, RequestVote(1, 1, 0, 0))
    assert automaton.message_number(1, 2, RequestVote(1, 1, 0, 0)) == moving
    idle = automaton.message_number(1, 2, AppendEntries(0, 1, 0, 0, [], 0))
    later = automaton.outcome(local, moving).local
    automaton.outcome(later, idle)
    record = automaton.locals[later]
    assert (record.moves >> idle & 1, record.known >> idle & 1) == (0, 1)
    assert automaton.locals[local].moves >> moving & 1
    assert automaton.inboxes[2] == 1 << moving | 1 << idle


def test_heartbeats_are_chatter() -> None:
    automaton = Automaton(Bounds(nodes=3, is_disk_instant=True))
    node = Node(1, automaton.bounds)
    node.act(Action(Act.ELECTION))
    assert automaton.chatter(automaton.number(node)) == []
