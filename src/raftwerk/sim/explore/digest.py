"""Digests of states that do not depend on which node is which: the symmetry reduction.

No rule of Raft looks at the number of a node, so a state and the same state with its nodes renamed have the same future, and
the properties that are checked do not name nodes either. `Digests` gives everything a digest under each renaming; the
digest of a whole state under one renaming is the sum of its parts' digests, and that of the state is the least of them.
(Sums of independent random numbers of 64 bits are as good as one such number.)

All renamings are kept side by side in one integer, so that a sum is one addition.
"""

from collections import deque
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from functools import cache
from hashlib import blake2b
from itertools import permutations
from typing import Final, TypeAlias

from raftwerk.raft.config import Config
from raftwerk.raft.log import Log
from raftwerk.raft.membership import Membership
from raftwerk.raft.types import NOBODY, Entry, EntryKind, NodeId
from raftwerk.sim.explore.node import Disk, LifeRandom, Node

Renaming: TypeAlias = Mapping[NodeId, NodeId]
Lanes: TypeAlias = int
"""A digest for each renaming, LANE_BITS apart."""

DIGEST_BYTES: Final = 8
LANE_BYTES: Final = 10
"""Room for the carry of 2**16 summands."""

NODE_FIELDS: Final = {"node_id", "voted_for", "leader_id", "candidate_id"}
KEYED_BY_NODE: Final = {"votes", "progress"}
PAIRS_OF_NODE: Final = {"remote_requests", "waiting_remote_reads"}
LEFT_OUT: Final = (Config, LifeRandom, Membership)
"""Types of what is the same in all states."""


def freeze(value: object, renaming: Renaming) -> object:
    """A value that is equal for equal states, with the nodes renamed."""
    if value is None or isinstance(value, int | str | bytes):
        return value
    if isinstance(value, Entry):
        command = value.command
        if value.kind is EntryKind.COMMAND:  # begins with who proposed it
            command = bytes([renaming[command[0]]]) + command[1:]
        return (value.index, value.term, int(value.kind), command)
    if isinstance(value, list | deque | tuple):
        return tuple([freeze(item, renaming) for item in value])
    if isinstance(value, dict):
        return tuple(sorted((key, freeze(item, renaming)) for key, item in value.items()))
    if isinstance(value, Enum):
        return value.name
    if isinstance(value, Log):
        return freeze(value.slice(value.snapshot_index + 1, value.last_index + 1), renaming)
    if isinstance(value, Node):
        return (
            value.life,
            freeze(value.disk, renaming),
            freeze(value.pending, renaming),
            freeze(value.state, renaming),
        )
    if isinstance(value, Disk):
        durable = value.durable
        return (
            durable.current_term,
            renaming[durable.voted_for],
            freeze(value.entries, renaming),
        )
    kind: type = type(value)
    return (
        kind.__name__,
        *[_freeze_field(name, getattr(value, name), renaming) for name in _names(kind)],
    )


@cache
def _names(kind: Hashable) -> tuple[str, ...]:
    assert isinstance(kind, type)
    assert is_dataclass(kind), kind
    return tuple(field.name for field in fields(kind))


def _freeze_field(name: str, value: object, renaming: Renaming) -> object:
    if isinstance(value, LEFT_OUT) or name == "memberships":
        return None
    if name in NODE_FIELDS:
        assert isinstance(value, int)
        return renaming[value]
    if name in KEYED_BY_NODE:
        assert isinstance(value, dict)
        return tuple(
            sorted([(renaming[key], freeze(item, renaming)) for key, item in value.items()])
        )
    if name in PAIRS_OF_NODE:
        assert isinstance(value, list)
        return tuple([(renaming[node_id], rest) for node_id, rest in value])
    if name == "forwarded":
        assert isinstance(value, dict)
        return tuple(
            sorted([((renaming[node_id], life), last) for (node_id, life), last in value.items()])
        )
    if name == "held":
        # In what order they are let go makes no difference to a network that reorders
        assert isinstance(value, list)
        held = [(ticket, renaming[to], freeze(message, renaming)) for ticket, to, message in value]
        return tuple(sorted(held, key=repr))
    return freeze(value, renaming)


class Digests:
    """Of states of `nodes` nodes. Without symmetry the only renaming is none."""

    def __init__(self, nodes: int, *, has_symmetry: bool = True) -> None:
        node_ids = range(1, nodes + 1)
        orders: Iterable[tuple[NodeId, ...]] = permutations(node_ids)
        if not has_symmetry:
            orders = [tuple(node_ids)]
        self.renamings: list[Renaming] = [
            {NOBODY: NOBODY, **dict(zip(node_ids, order, strict=True))} for order in orders
        ]
        self._size = LANE_BYTES * len(self.renamings)

    def of(self, frozen: Callable[[Renaming], object]) -> Lanes:
        """frozen: gives the thing in a form that has a repr of its own, with the nodes renamed."""
        return int.from_bytes(
            b"".join(
                [
                    blake2b(repr(frozen(renaming)).encode(), digest_size=DIGEST_BYTES)
                    .digest()
                    .ljust(LANE_BYTES, b"\0")
                    for renaming in self.renamings
                ]
            ),
            "little",
        )

    def of_same(self, thing: object) -> Lanes:
        """The digest of what names no node: the same under each renaming."""
        return self.of(lambda _: thing)

    def least(self, lanes: Lanes) -> tuple[int, list[int]]:
        """The digest of a state from the sum of its parts', and the places of the renamings that give it."""
        each = self.each(lanes)
        least = min(each)
        return least, [place for place, digest in enumerate(each) if digest == least]

    def each(self, lanes: Lanes) -> list[int]:
        """The digest under each renaming."""
        data = lanes.to_bytes(self._size, "little")
        return [
            int.from_bytes(data[start : start + LANE_BYTES], "little")
            for start in range(0, self._size, LANE_BYTES)
        ]
