"""Section 5.5: crashes of followers and candidates; RPCs that arrive twice do no harm."""

import pytest

from raftwerk.raft.messages import AppendEntriesReply
from tests.raft.builder import append_entries, node, only
from tests.raft.cluster import Cluster


def test_entries_that_are_there_already_are_ignored() -> None:
    """P5.5.1: the same request again gets the same answer and changes nothing."""
    follower = node(1, term=3, log="1 1", leader=2)
    rpc = append_entries(3, 2, prev=(2, 1), new="3 3")
    first = only(follower.receive(2, rpc), AppendEntriesReply, to=2)
    effects = follower.receive(2, rpc)
    assert only(effects, AppendEntriesReply, to=2) == first
    assert effects.persist is None
    assert follower.log == "1 1 3 3"


@pytest.mark.parametrize(
    ("prev", "new"),
    [
        pytest.param((1, 1), "1 3", id="shorter than the log"),
        pytest.param((2, 1), "", id="a heartbeat"),
        pytest.param((0, 0), "1", id="from the beginning"),
    ],
)
def test_message_that_was_overtaken_deletes_nothing(prev: tuple[int, int], new: str) -> None:
    """P5.5.1: entries after those of the message stay, for nothing contradicts them."""
    follower = node(1, term=3, log="1 1 3 3 3", leader=2)
    follower.receive(2, append_entries(3, 2, prev, new))
    assert follower.log == "1 1 3 3 3"


def test_entries_under_the_snapshot_are_ignored() -> None:
    """P5.5.1: what is compacted is committed; only what follows is looked at."""
    follower = node(1, term=3, log="2", snapshot=(4, 2), leader=2)
    reply = only(
        follower.receive(2, append_entries(3, 2, prev=(2, 1), new="2 2 2 3")),
        AppendEntriesReply,
        to=2,
    )
    assert (reply.success, reply.match_index) == (True, 6)
    assert follower.log == "2 3"


def test_follower_that_crashed_is_sent_what_it_missed() -> None:
    """P5.5.1: the leader goes on until the follower answers."""
    cluster = Cluster(3)
    cluster.elect(1)
    cluster.deliver()
    cluster.crash(3)
    cluster.propose(1, b"a")
    cluster.deliver()
    cluster.restart(3)
    cluster.run(300)
    assert cluster.commands(3) == [b"a"]


def test_entry_that_the_crash_took_back_is_sent_again() -> None:
    """P5.5.1: it had not been vouched for, so it was not counted either."""
    cluster = Cluster(3)
    cluster.elect(1)
    cluster.deliver()
    cluster.slow_disks = {3}
    cluster.propose(1, b"a")
    cluster.deliver()
    cluster.crash(3)
    cluster.slow_disks = set()
    cluster.restart(3)
    assert cluster.nodes[3].log == "1"
    cluster.run(300)
    assert cluster.commands(3) == [b"a"]
