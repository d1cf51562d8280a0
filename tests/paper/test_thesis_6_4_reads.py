"""Thesis 6.4: linearizable reads without the log."""

from raftwerk.raft.config import Config
from raftwerk.raft.effects import ReadReady, Refusal, Refused
from raftwerk.raft.messages import AppendEntries, ReadIndex, ReadIndexReply
from tests.raft.builder import CONFIG, Node, node, only, sent
from tests.raft.cluster import Cluster


def leading(voters: tuple[int, ...] = (1, 2, 3)) -> Node:
    """A leader with everything committed, also of its own term."""
    acks = dict.fromkeys(voters[1:], 2)
    return node(1, term=2, log="1 2", commit=2, role="leader", voters=voters, acks=acks)


def test_new_leader_reads_after_its_first_commit() -> None:
    """T6.4.1: before that, it may not know of everything that is committed."""
    leader = node(1, term=2, log="1 1 2", role="leader")
    assert not leader.read(request=7).messages
    assert not leader.ack(2, 2).reads
    effects = leader.ack(2, 3)
    assert {rpc.read_round for rpc in sent(effects, AppendEntries, to=3)} >= {1}
    assert leader.ack(2, 3, read_round=1).reads == [ReadReady(7, 3)]


def test_read_index_is_the_commit_index_of_the_moment() -> None:
    """T6.4.2: taken when the round begins, not when it ends."""
    leader = leading()
    leader.read(request=7)
    leader.propose(b"x")
    leader.ack(3, 3)
    assert leader.state.commit_index == 3
    assert leader.ack(2, 2, read_round=1).reads == [ReadReady(7, 2)]


def test_read_needs_a_round_of_heartbeats() -> None:
    """T6.4.3: one to everybody, which carries the number of the round."""
    effects = leading().read()
    assert not effects.reads
    for peer in (2, 3):
        assert only(effects, AppendEntries, to=peer).read_round == 1


def test_read_needs_a_majority_of_answers() -> None:
    """T6.4.3: in a cluster of five, two besides the leader."""
    leader = leading((1, 2, 3, 4, 5))
    leader.read(request=7)
    assert not leader.ack(2, 2, read_round=1).reads
    assert not leader.ack(2, 2, read_round=1).reads
    assert leader.ack(5, 2, read_round=1).reads == [ReadReady(7, 2)]


def test_answer_to_an_older_round_confirms_nothing_new() -> None:
    """T6.4.3: a heartbeat that was sent before the read arrived proves nothing about it."""
    leader = leading()
    leader.read(request=7)
    leader.read(request=8)
    assert leader.ack(2, 2, read_round=1).reads == [ReadReady(7, 2)]
    assert leader.ack(3, 2, read_round=2).reads == [ReadReady(8, 2)]


def test_answer_that_refuses_the_log_still_confirms_the_leadership() -> None:
    """T6.4.3: a follower that lacks entries knows who leads nevertheless."""
    cluster = Cluster(3, logs={1: "1 1 1", 2: "", 3: "1 1 1"})
    cluster.elect(1, 3)
    cluster.deliver(1, 3)
    cluster.crash(3)
    cluster.drop()
    request = cluster.read(1)
    cluster.deliver_one(1, 2)
    cluster.deliver_one(2, 1)
    assert cluster.nodes[2].log == ""
    assert cluster.seen(1, lambda effects: effects.reads) == [ReadReady(request, 4)]


def test_single_node_confirms_itself() -> None:
    """T6.4.3: alone, it is the majority."""
    leader = node(1, term=1, log="1", commit=1, role="leader", voters=(1,))
    assert leader.read(request=7).reads == [ReadReady(7, 1)]


def test_reads_that_come_together_share_a_round() -> None:
    """T6.4.3: the cost of a round does not grow with the number of reads."""
    leader = node(1, term=2, log="2", commit=1, role="leader", config=Config(read_rounds_max=1))
    for request in (7, 8, 9):
        leader.read(request)
    assert leader.ack(2, 1, read_round=1).reads == [ReadReady(7, 1)]
    assert leader.ack(2, 1, read_round=2).reads == [ReadReady(8, 1), ReadReady(9, 1)]


def test_read_waits_for_the_state_machine() -> None:
    """T6.4.4: the index may be ahead of what is applied here; the answer says how far the machine must be."""
    leader = node(1, term=2, log="2", commit=1, role="leader", slow_disk=True)
    leader.propose(b"x")
    leader.ack(2, 2)
    leader.ack(3, 2)
    assert (leader.state.commit_index, leader.state.last_applied) == (2, 1)
    leader.read(request=7)
    assert leader.ack(2, 2, read_round=1).reads == [ReadReady(7, 2)]


def test_follower_asks_the_leader() -> None:
    """T6.4.5: one question for all reads that wait, one answer for all."""
    follower = node(3, term=2, log="1 2", commit=2, leader=1)
    rpc = only(follower.read(request=7), ReadIndex, to=1)
    effects = follower.receive(1, ReadIndexReply(2, rpc.request_id, 2))
    assert effects.reads == [ReadReady(7, 2)]


def test_leader_confirms_itself_before_it_answers_a_follower() -> None:
    """T6.4.5: a follower's read needs the same round."""
    leader = leading()
    effects = leader.receive(3, ReadIndex(2, request_id=40))
    assert not sent(effects, ReadIndexReply)
    effects = leader.ack(2, 2, read_round=1)
    assert only(effects, ReadIndexReply, to=3) == ReadIndexReply(2, 40, 2)


def test_node_that_does_not_lead_answers_no_follower() -> None:
    """T6.4.5: it says so."""
    effects = node(1, term=2, leader=2).receive(3, ReadIndex(2, request_id=40))
    reply = only(effects, ReadIndexReply, to=3)
    assert reply == ReadIndexReply(2, 40, 0, Refusal.NOT_LEADER.value)


def test_read_at_a_follower_sees_what_was_committed_before() -> None:
    """T6.4.5: end to end, at a follower that had not heard of the commitment."""
    cluster = Cluster(3)
    cluster.elect(1)
    cluster.deliver()
    cluster.propose(1, b"x")
    cluster.deliver(1, 2)
    cluster.drop(to=3)
    request = cluster.read(3)
    cluster.deliver()
    assert cluster.seen(3, lambda effects: effects.reads) == [ReadReady(request, 2)]
    cluster.run(200)
    assert cluster.commands(3) == [b"x"]


def test_follower_without_an_answer_gives_up() -> None:
    """T6.4.5: the question or its answer was lost; the client may ask again."""
    follower = node(3, term=2, log="2", commit=1, leader=1)
    follower.read(request=7)
    effects = follower.tick(CONFIG.election_timeout_ms)
    assert effects.refused == [Refused(7, Refusal.NOT_LEADER)]
