"""Digests under renamings."""

import typing
from dataclasses import fields

import pytest

from raftwerk.raft import messages, roles, state
from raftwerk.raft.effects import Persist
from raftwerk.sim.explore import digest
from raftwerk.sim.explore.bounds import Bounds
from raftwerk.sim.explore.digest import Digests, freeze
from raftwerk.sim.explore.node import Act, Action, Node

STATE_TYPES = [
    state.State,
    state.Stable,
    state.Remote,
    state.RemoteRequest,
    roles.Follower,
    roles.PreCandidate,
    roles.Candidate,
    roles.Leader,
    roles.ReadBatch,
    Persist,
    *typing.get_args(messages.Message),
]


def candidate(node_id: int) -> Node:
    node = Node(node_id, Bounds())
    node.act(Action(Act.ELECTION))
    return node


def total(digests: Digests, nodes: list[Node]) -> int:
    lanes = [digests.of(lambda renaming, node=node: freeze(node, renaming)) for node in nodes]
    return digests.least(sum(lanes))[0]


def test_which_node_is_a_candidate_makes_no_difference() -> None:
    digests = Digests(3)
    one = total(digests, [candidate(1), Node(2, Bounds()), Node(3, Bounds())])
    other = total(digests, [Node(1, Bounds()), Node(2, Bounds()), candidate(3)])
    none = total(digests, [Node(1, Bounds()), Node(2, Bounds()), Node(3, Bounds())])
    assert one == other != none


def test_without_symmetry_it_does() -> None:
    digests = Digests(3, has_symmetry=False)
    one = total(digests, [candidate(1), Node(2, Bounds()), Node(3, Bounds())])
    other = total(digests, [Node(1, Bounds()), Node(2, Bounds()), candidate(3)])
    assert one != other


@pytest.mark.parametrize("kind", STATE_TYPES, ids=lambda kind: kind.__name__)
def test_every_field_that_names_nodes_is_renamed(kind: type) -> None:
    """A new field with a NodeId in it must be made known to the renaming, or symmetric states would differ, or worse."""
    source = (
        digest.NODE_FIELDS | digest.KEYED_BY_NODE | digest.PAIRS_OF_NODE | {"held", "forwarded"}
    )
    named = {
        field.name
        for field in fields(kind)  # type: ignore[arg-type]
        if field.name.endswith(("_id", "_for", "peer", "votes", "progress"))
        and field.name not in ("request_id", "next_request_id")
    }
    assert named <= source
