"""Things that seldom meet: what chance needs thousands of seeds for, arranged."""

from dataclasses import replace

from raftwerk.raft.messages import (
    AppendEntries,
    AppendEntriesReply,
    ForwardCommands,
    InstallSnapshot,
    ReadIndexReply,
    RequestVoteReply,
)
from raftwerk.raft.types import Entry, EntryKind, NodeId
from raftwerk.replica.failure import Failure
from raftwerk.sim.scenarios.stage import PATIENCE_MS, Proposal, Stage


def late_entries_meet_a_snapshot(stage: Stage) -> None:
    """Entries arrive, late, between the chunks of a snapshot that ends before them: they are kept (Figure 13, rule 6)."""
    stage.agree(nodes=3)
    leader = stage.one_leader()
    victim = stage.others(leader)[0]
    state = stage.cluster.nodes[victim].state
    stage.disconnect(victim)
    for _ in range(20):
        stage.agree(nodes=2)
    stage.run_ms(2_500)
    for _ in range(4):
        stage.agree(nodes=2)
    last_index = state.log.last_index
    late = AppendEntries(
        term=stage.term(leader),
        leader_id=leader,
        prev_log_index=last_index,
        prev_log_term=state.log.last_term,
        entries=stage.cluster.checks.committed.entries[last_index:],
        leader_commit=state.commit_index,
    )
    marks = stage.cluster.coverage.counts
    stage.connect(victim)
    stage.cluster.wait(lambda: marks["notice: receiving snapshot"] > 0, PATIENCE_MS, "a snapshot")
    stage.cluster.nodes[victim].disk_times.slowdown = 50
    stage.cluster.nodes[victim].receive(leader, late)
    stage.run_ms(2_000)
    assert stage.last_index(victim) >= late.entries[-1].index
    stage.agree(nodes=3)


def crash_meets_an_install(stage: Stage) -> None:
    """A node installs a snapshot over a log that says otherwise, and loses its power before that log is reset."""
    stage.agree(nodes=3)
    old = stage.one_leader()
    stage.disconnect(old)
    for _ in range(60):
        stage.propose(old)
    for _ in range(40):
        stage.agree(nodes=2)
    stage.run_ms(2_500)
    node = stage.cluster.nodes[old]
    node.disk_times.slowdown = 50
    node.ambush = "install"
    stage.connect(old)
    stage.cluster.wait(lambda: not node.is_up, PATIENCE_MS, "the crash")
    stage.cluster.wait(lambda: node.is_up, PATIENCE_MS, "the restart")
    node.disk_times.slowdown = 1
    stage.agree(nodes=3)


def nothing_meets_a_new_commit_index(stage: Stage) -> None:
    """No entries come after a command that would tell that it is committed: it is told long before a heartbeat."""
    stage.agree(nodes=3)
    proposal = stage.propose(stage.one_leader())
    stage.cluster.wait(lambda: proposal.is_done, 200, "it is committed")
    index = stage.committed
    stage.cluster.wait(lambda: len(stage.applied_by(index)) == 3, 100, "it is applied everywhere")


def _hand_over(stage: Stage, asker: NodeId, leader: NodeId) -> tuple[Proposal, ForwardCommands]:
    """A follower hands a command to the leader, which takes it in. Returns the proposal, and a copy of the request."""
    nodes = stage.cluster.nodes
    last_index = stage.last_index(leader)
    proposal = stage.propose(asker)
    stage.cluster.wait(lambda: stage.last_index(leader) > last_index, 100, "it is taken in")
    ((request_id, _),) = nodes[asker].state.remote.forwards.items()
    taken = nodes[leader].state.log.slice(last_index + 1, last_index + 2)
    return proposal, ForwardCommands(stage.term(leader), request_id, [taken[0].command])


def a_copy_meets_a_former_leader(stage: Stage) -> None:
    """A leader took in a command and stepped down; a copy of the request arrives: it must not say that nothing was done."""
    stage.agree(nodes=3)
    leader = stage.one_leader()
    asker, third = stage.others(leader)
    network, nodes = stage.cluster.network, stage.cluster.nodes
    stage.disconnect(third)
    network.cut([(leader, asker)])
    stage.run_ms(250)
    proposal, copy = _hand_over(stage, asker, leader)
    stage.cluster.wait(lambda: not nodes[leader].is_leader, 1_000, "the leader steps down")
    network.join([(leader, asker)])
    nodes[leader].receive(asker, copy)
    stage.run_ms(3_000)
    assert len(proposal.answers) == 1


def a_copy_meets_a_later_leadership(stage: Stage) -> None:
    """A command is committed; a copy of the request arrives when the same node leads again: it is not taken in once more."""
    stage.agree(nodes=3)
    leader = stage.one_leader()
    asker = stage.others(leader)[0]
    proposal, copy = _hand_over(stage, asker, leader)
    stage.cluster.wait(lambda: proposal.is_done, PATIENCE_MS, "it is done")
    stage.make_leader(asker)
    stage.agree(nodes=3)
    stage.make_leader(leader)
    stage.cluster.nodes[leader].receive(asker, copy)
    stage.agree(nodes=3)


def a_former_leader_is_heard_late(stage: Stage) -> None:
    """Entries and a chunk arrive from a leader of an older term: both are refused (Figures 2 and 13, rule 1)."""
    stage.agree(nodes=3)
    old = stage.one_leader()
    stage.disconnect(old)
    stage.agree(nodes=2)
    follower = stage.cluster.nodes[stage.others(stage.one_leader(), old)[0]]
    state, term = follower.state, stage.term(old)
    before = state.leader_id, state.current_term, state.log.last_index
    entry = Entry(state.log.last_index, term, EntryKind.COMMAND, b"")
    follower.receive(old, AppendEntries(term, old, entry.index - 1, term, [entry], 0))
    stage.run_ms(20)
    membership = state.membership.encode()
    follower.receive(old, InstallSnapshot(term, old, 10_000, term, membership, 0, b"", False))
    stage.run_ms(20)
    assert (state.leader_id, state.current_term, state.log.last_index) == before
    assert state.incoming is None


def a_place_given_out_again(stage: Stage) -> None:
    """A newer leader gives out an older one's places; a third may yet commit what stood there (Figure 8): it is unknown."""
    stage.agree(nodes=5)
    old = stage.one_leader()
    asker, new, *rest = stage.others(old)
    network = stage.cluster.network
    network.cut([(old, node_id) for node_id in (new, *rest)])
    first = stage.last_index(asker)
    waiting = [stage.propose(asker) for _ in range(3)]
    stage.cluster.wait(lambda: stage.last_index(asker) == first + 3, 200, "they have their places")
    stage.disconnect(old)
    stage.make_leader(new)
    network.cut([(new, node_id) for node_id in rest])
    again = stage.propose(asker)
    stage.cluster.wait(lambda: bool(waiting[-1].answers), 1_000, "an answer")
    assert not again.is_done
    assert all(Failure.NOT_COMMITTED not in proposal.answers for proposal in waiting)


def a_read_meets_an_older_answer(stage: Stage) -> None:
    """The answer to a follower's read comes once more when it asks again: it says nothing about the later read."""
    stage.agree(nodes=3)
    leader = stage.one_leader()
    asker = stage.others(leader)[0]
    node = stage.cluster.nodes[asker]
    answers: list[object] = []
    node.read(answers.append)
    stage.cluster.wait(lambda: bool(node.state.remote.reads), 100, "it is asked")
    ((request_id, _),) = node.state.remote.reads.items()
    copy = ReadIndexReply(stage.term(leader), request_id, stage.commit_index(leader))
    stage.cluster.wait(lambda: bool(answers), 1_000, "an answer")
    stage.cluster.network.cut([(leader, asker)])
    stage.propose(leader)
    committed = stage.committed
    stage.cluster.wait(lambda: stage.committed > committed, 200, "a newer command is committed")
    node.read(answers.append)
    stage.cluster.wait(lambda: bool(node.state.remote.reads), 100, "it is asked again")
    node.receive(leader, copy)
    stage.run_ms(20)
    assert answers == [None], "the later read was answered with what was committed before it began"


def a_heartbeat_meets_a_longer_log(stage: Stage) -> None:
    """A follower's log goes on where the leader's ends: a heartbeat says that they match up to there, and no further."""
    stage.prepare(1, "1 1 2 2 2 2", current_term=2)
    for node_id in (2, 3):
        stage.prepare(node_id, "1 1 2", current_term=2)
    network, nodes = stage.cluster.network, stage.cluster.nodes
    network.cut([(2, 1), (3, 1)])
    stage.begin()
    stage.make_leader(2)
    network.cut([(2, 3)])
    heartbeat = AppendEntries(3, 2, prev_log_index=3, prev_log_term=2, entries=[], leader_commit=0)
    nodes[1].receive(2, heartbeat)
    stage.run_ms(50)
    assert stage.matches(2, 1) == 3
    network.join([(2, 3)])
    stage.cluster.wait(lambda: stage.commit_index(2) == 4, PATIENCE_MS, "node 3 has the entry")
    nodes[1].receive(2, replace(heartbeat, leader_commit=4))
    stage.run_ms(50)
    assert stage.commit_index(1) == 3
    network.join([(2, 1), (3, 1)])
    stage.agree(nodes=3)
    assert stage.terms(1).startswith("1 1 2 3")


def a_read_meets_a_new_leader(stage: Stage) -> None:
    """The new leader does not know yet what the old one committed: a read waits for its first own commit (thesis 6.4)."""
    stage.agree(nodes=3)
    old = stage.one_leader()
    new, third = stage.others(old)
    nodes, committed = stage.cluster.nodes, stage.committed
    stage.propose(old)
    stage.cluster.wait(lambda: stage.committed > committed, PATIENCE_MS, "one more is committed")
    stage.disconnect(old)
    stage.make_leader(new)
    assert stage.commit_index(new) < stage.committed
    nodes[new].disk_times.slowdown = nodes[third].disk_times.slowdown = 100
    answers = stage.read(new)
    stage.cluster.wait(lambda: bool(answers), PATIENCE_MS, "an answer")
    assert answers == [None]


def a_candidacy_meets_an_older_write(stage: Stage) -> None:
    """The only voter campaigns while earlier writes are under way: it leads when its own vote is durable, not before."""
    stage.agree(nodes=2)
    node = stage.cluster.nodes[1]
    node.disk_times.slowdown = 200
    stage.propose(1)
    stage.run_ms(1)
    node.receive(
        2, AppendEntriesReply(stage.term(1) + 1, False, 0)
    )  # a learner whose term is ahead
    stage.run_ms(1)
    stage.elect(1)
    stage.run_ms(1)
    assert not node.is_leader
    stage.cluster.wait(lambda: node.is_leader, PATIENCE_MS, "it leads again")
    assert stage.cluster.checks.durability.log_of(1).voted_for == 1
    node.disk_times.slowdown = 1
    stage.agree(nodes=2)


def a_vote_meets_a_later_candidacy(stage: Stage) -> None:
    """A vote arrives when its candidate campaigns in a later term already: it does not count any more (section 5.2)."""
    stage.agree(nodes=3)
    leader = stage.one_leader()
    candidate, voter = stage.others(leader)
    network, nodes = stage.cluster.network, stage.cluster.nodes
    pairs = [(voter, candidate), (leader, candidate), (candidate, leader)]
    network.cut(pairs)
    stage.elect(candidate)
    term = stage.term(leader) + 1
    log = stage.cluster.checks.durability.log_of(voter)
    stage.cluster.wait(lambda: log.current_term == term, PATIENCE_MS, "the vote")
    assert log.voted_for == candidate
    network.cut([(candidate, voter)])
    stage.elect(candidate)
    nodes[candidate].receive(voter, RequestVoteReply(term, True))
    stage.run_ms(50)
    assert stage.term(candidate) == term + 1
    assert not nodes[candidate].is_leader
    network.join([*pairs, (candidate, voter)])
    stage.agree(nodes=3)


def a_reply_meets_a_later_leadership(stage: Stage) -> None:
    """A follower's reply comes when its leader leads again, in a later term: what it matched then was replaced since."""
    stage.agree(nodes=5)
    old = stage.one_leader()
    partner, *others = stage.others(old)
    stage.cluster.network.cut([(old, node_id) for node_id in others])
    for _ in range(3):
        stage.propose(old)
    last_index = stage.last_index(old)
    stage.cluster.wait(lambda: stage.matches(old, partner) == last_index + 3, 200, "they match")
    late = AppendEntriesReply(stage.term(old), True, last_index + 3)
    stage.disconnect(old, partner)
    stage.agree(nodes=3)
    stage.cluster.network.join([(old, node_id) for node_id in others])
    stage.connect(old, partner)
    stage.agree(nodes=5)
    stage.make_leader(old)
    stage.disconnect(old)
    stage.cluster.nodes[old].receive(partner, late)
    stage.run_ms(20)
    assert stage.matches(old, partner) == 0


def a_held_reply_meets_a_newer_term(stage: Stage) -> None:
    """A reply waits for a slow disk when a newer term begins: it is dropped, for it would say what is no longer so."""
    stage.agree(nodes=3)
    leader = stage.one_leader()
    slow, other = stage.others(leader)
    node = stage.cluster.nodes[slow]
    node.disk_times.slowdown = 100
    last_index = stage.last_index(leader) + 1
    stage.propose(leader)
    stage.cluster.wait(
        lambda: stage.last_index(slow) == stage.last_index(other) == last_index, 100, "all have it"
    )
    assert node.state.stable.held
    stage.make_leader(other)
    stage.cluster.wait(lambda: stage.term(slow) == stage.term(other), 100, "the newer term")
    assert node.state.stable.persisted_ticket < node.state.stable.hard_state_ticket
    node.disk_times.slowdown = 1
    stage.agree(nodes=3)


def an_answer_is_lost_with_the_leader(stage: Stage) -> None:
    """A command is committed, and its leader dies before who asked hears of it: that it failed is never said."""
    stage.agree(nodes=3)
    leader = stage.one_leader()
    asker = stage.others(leader)[0]
    stage.cluster.network.cut([(leader, asker)])
    committed = stage.committed
    proposal = stage.propose(asker)
    stage.cluster.wait(lambda: stage.committed > committed, 200, "it is committed")
    stage.crash(leader)
    stage.cluster.network.join([(leader, asker)])
    stage.agree(nodes=2)
    assert proposal.is_done or proposal.answers == [Failure.TIMED_OUT_LEADER_FAILED]


def a_read_meets_a_slow_disk(stage: Stage) -> None:
    """A follower is read from, and knows up to where, before it has applied so much: the read waits (thesis 6.4)."""
    stage.agree(nodes=3)
    leader = stage.one_leader()
    follower = stage.others(leader)[0]
    stage.cluster.nodes[follower].disk_times.slowdown = 50
    committed = stage.committed
    stage.propose(leader)
    stage.cluster.wait(lambda: stage.committed > committed, PATIENCE_MS, "one more is committed")
    answers = stage.read(follower)
    stage.cluster.wait(lambda: bool(answers), PATIENCE_MS, "an answer")
    assert answers == [None]
