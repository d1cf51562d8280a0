"""Log compaction (section 7): what a checkpoint holds may go, but for a tail."""

from dataclasses import replace
from itertools import pairwise

import pytest

from raftwerk.raft.compaction import PARTS, TIMES_MAX
from raftwerk.raft.config import Config
from raftwerk.raft.effects import Effects
from raftwerk.raft.events import Checkpointed
from raftwerk.raft.membership import Membership
from raftwerk.raft.messages import AppendEntries, AppendEntriesReply, InstallSnapshotReply
from raftwerk.raft.progress import Mode
from raftwerk.raft.reconfigure import membership_at
from raftwerk.raft.types import Index
from tests.raft.builder import Node, entries, membership_entry, node

MEMBERS = Membership((1, 2, 3))


def follower(config: Config, commit: Index = 8) -> Node:
    """Eight entries of three bytes each, applied up to `commit`; no checkpoint yet."""
    built = node(1, term=2, log="1 1 1 1 2 2 2 2", leader=2, config=config)
    built.receive(2, AppendEntries(2, 2, 8, 2, [], commit))
    return built


@pytest.mark.parametrize(
    ("config", "checkpoint", "compacted"),
    [
        (Config(tail_entries=0), 8, 8),
        (Config(tail_entries=0), 5, 5),
        (Config(tail_entries=3), 8, 5),
        (Config(tail_entries=3), 4, 4),
        (Config(tail_entries=8), 8, 0),
        (Config(tail_entries=100), 8, 0),
        (Config(tail_bytes_max=24), 8, 0),
        (Config(tail_bytes_max=12), 8, 4),
        (Config(tail_bytes_max=11), 8, 5),
        (Config(tail_bytes_max=0), 8, 8),
        (Config(tail_bytes_max=0), 3, 3),
        (Config(tail_entries=3, tail_bytes_max=6), 8, 6),
        (Config(tail_entries=1, tail_bytes_max=12), 8, 7),
    ],
    ids=["no-tail", "up-to-the-checkpoint", "tail", "tail-ahead-of-the-checkpoint", "all-is-tail",
        "short-log", "bytes-fit", "bytes-to-the-limit", "bytes-over-the-limit", "no-bytes",
        "bytes-up-to-the-checkpoint", "bytes-bind", "entries-bind"],
)  # fmt: skip
def test_tail_is_kept(config: Config, checkpoint: Index, compacted: Index) -> None:
    built = follower(config)
    effects = built.step(Checkpointed(checkpoint))
    assert effects.compact_to == compacted
    assert built.state.log.snapshot_index == compacted
    assert built.state.checkpoint_index == checkpoint


def test_compacted_log_still_matches_at_its_edge() -> None:
    built = follower(Config(tail_entries=0), commit=6)
    built.step(Checkpointed(6))
    assert (built.log, built.state.log.matches(6, 2)) == ("2 2", True)


def test_second_checkpoint_compacts_further() -> None:
    built = follower(Config(tail_bytes_max=3))
    assert built.step(Checkpointed(4)).compact_to == 4
    assert built.step(Checkpointed(8)).compact_to == 7


def let_go(count: int, built: Node) -> list[int]:
    """How many entries go in each step, after a checkpoint of all of `count`."""
    built.receive(2, AppendEntries(1, 2, count, 1, [], count))
    while built.state.last_applied < count:
        built.step()
    gone = [0, built.step(Checkpointed(count)).compact_to]
    assert built.state.checkpoint_index == count, "that is known at once"
    while index := built.step().compact_to:
        gone.append(index)
    return [later - earlier for earlier, later in pairwise(gone)]


@pytest.mark.parametrize(
    ("count", "first"),
    [(9, 4), (4 * PARTS, 4), (6 * PARTS, 6), (99 * PARTS, 4 * TIMES_MAX)],
    ids=["few", "just-few", "a-share", "no-more"],
)
def test_many_entries_go_in_several_steps(count: int, first: int) -> None:
    """Of very many more at once, or they would become ever more while very much is applied."""
    log = entries(" ".join(["1"] * (count + 10)))
    config = Config(tail_entries=10, let_go_max=4)
    built = node(1, term=1, log=log, leader=2, config=config)
    gone = let_go(count + 10, built)
    assert gone[0] == first
    assert set(gone[-4:-1]) == {4}
    assert built.state.log.snapshot_index == count == sum(gone)


def test_older_checkpoint_changes_nothing() -> None:
    built = follower(Config(tail_entries=0))
    built.step(Checkpointed(6))
    assert built.step(Checkpointed(4)) == Effects()
    assert built.state.checkpoint_index == 6


def test_checkpoint_of_what_was_not_applied_is_a_bug() -> None:
    with pytest.raises(AssertionError):
        follower(Config(), commit=4).step(Checkpointed(5))


def test_configuration_in_force_at_the_edge_is_kept() -> None:
    grown, last = Membership((1, 2, 3, 4)), Membership((1, 2, 3, 4, 5))
    log = [
        *entries("1 1"),
        membership_entry(3, 1, grown),
        *entries("1", 4),
        membership_entry(5, 1, last),
    ]
    built = node(1, term=1, log=log, leader=2, config=Config(tail_entries=0))
    built.receive(2, AppendEntries(1, 2, 5, 1, [], 5))
    assert built.state.memberships == [(0, MEMBERS), (3, grown), (5, last)]
    built.step(Checkpointed(4))
    assert built.state.memberships == [(3, grown), (5, last)]
    assert membership_at(built.state, 4) == grown


# --- on a leader


def straggling(next_asked: Index) -> Node:
    """A leader that sends node 3 a snapshot, which ends at `next_asked` (0: no answer yet)."""
    built = node(1, term=2, log="1 1 1 1 2 2 2 2", role="leader", acks={2: 8}, commit=8,
        config=Config(tail_entries=0))  # fmt: skip
    built.step(Checkpointed(4))
    built.receive(3, AppendEntriesReply(2, False, 0, 1))
    if next_asked:
        built.receive(3, InstallSnapshotReply(2, next_asked, 10, False))
    assert built.leader.progress[3].mode is Mode.SNAPSHOT
    return built


@pytest.mark.parametrize(("asked", "compacted"), [(5, 5), (0, 8)], ids=["under-way", "not-begun"])
def test_entries_after_a_snapshot_under_way_are_kept(asked: Index, compacted: Index) -> None:
    """Or the follower would need the next one at once."""
    assert straggling(asked).step(Checkpointed(8)).compact_to == compacted


def test_silent_follower_is_not_waited_for() -> None:
    built = straggling(5)
    built.tick(999)
    built.ack(2, 8)
    built.tick(1)
    assert built.step(Checkpointed(8)).compact_to == 8


def test_installed_snapshot_lets_the_log_go() -> None:
    built = straggling(5)
    built.step(Checkpointed(7))
    built.receive(3, InstallSnapshotReply(2, 5, 0, True))
    assert built.step(Checkpointed(8)).compact_to == 8


@pytest.mark.parametrize("when", ["silent", "unanswered"])
def test_snapshot_that_is_heard_of_later_stops_what_goes(when: str) -> None:
    """The leader learns of it after the checkpoint, while the log goes step by step."""
    built = straggling(0)
    built.state.config = replace(built.state.config, let_go_max=1)
    if when == "silent":
        built.receive(3, InstallSnapshotReply(2, 5, 10, False))
        built.tick(999)
        built.ack(2, 8)
        built.tick(1)
    built.step(Checkpointed(8))
    assert (built.state.compact_index, built.state.log.snapshot_index) == (8, 5)
    built.receive(3, InstallSnapshotReply(2, 5, 10, False))
    for _ in range(5):
        built.step()
    assert built.state.log.snapshot_index == 5
    built.receive(3, InstallSnapshotReply(2, 5, 0, True))
    for _ in range(5):
        built.step()
    assert built.state.log.snapshot_index == 8


def test_target_falls_when_a_snapshot_begins() -> None:
    built = straggling(0)
    built.state.config = replace(built.state.config, let_go_max=1)
    built.step(Checkpointed(8))
    built.receive(3, InstallSnapshotReply(2, 6, 10, False))
    built.step(Checkpointed(8))
    assert built.state.compact_index == 6
