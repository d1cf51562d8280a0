"""What the server needs of a node (runtime.node.Node has it; tests have a small one)."""

from collections.abc import Callable
from typing import Protocol

from raftwerk.durations import Durations
from raftwerk.kv.machine import KvMachine
from raftwerk.replica.failure import Failure
from raftwerk.replica.lessor import Lessor
from raftwerk.runtime.members import MemberInfo
from raftwerk.runtime.metrics import Metrics
from raftwerk.runtime.settings import Settings


class StatusInfo(Protocol):
    """See runtime.members.NodeStatus."""

    @property
    def cluster_id(self) -> int: ...
    @property
    def node_id(self) -> int: ...
    @property
    def leader_id(self) -> int: ...
    @property
    def current_term(self) -> int: ...
    @property
    def snapshot_index(self) -> int: ...
    @property
    def last_index(self) -> int: ...
    @property
    def commit_index(self) -> int: ...
    @property
    def last_applied(self) -> int: ...
    @property
    def is_learner(self) -> bool: ...
    @property
    def store_bytes(self) -> int: ...
    @property
    def store_in_use_bytes(self) -> int: ...


class Node(Protocol):
    """A member of a cluster, as the services use it."""

    settings: Settings
    cluster_id: int
    node_id: int
    machine: KvMachine
    metrics: Metrics
    lessor: Lessor
    has_caught_up: bool

    def propose(self, command: bytes, done: Callable[[object], None]) -> None:
        """`done` gets the kv.results value or a Failure, once, later."""

    def read(self, done: Callable[[Failure | None], None]) -> None:
        """`done(None)`, later, when the machine holds everything committed before this call."""

    def soon(self, action: Callable[[], object]) -> None:
        """Call `action` later: at the end of the node's step that is under way, else in the next turn of the loop.

        So what is answered together can be sent together. What `action` raises goes to the loop's exception handler.
        """

    def give_up(self) -> None:
        """Go no further: who still waits is answered with a Failure."""

    def status(self) -> StatusInfo: ...

    @property
    def has_leader(self) -> bool: ...

    @property
    def current_term(self) -> int: ...

    @property
    def waiting_proposals(self) -> int: ...

    @property
    def failed_proposals_total(self) -> int: ...

    @property
    def is_disk_full(self) -> bool: ...

    def when_checkpointed(self, action: Callable[[], None]) -> None:
        """Run `action`, later, as soon as what is there now is in a checkpoint, or found no space for it."""

    def members(self) -> list[MemberInfo]: ...

    def peer_traffic(self) -> dict[int, tuple[int, int]]:
        """(bytes sent, bytes received) by peer."""

    def peer_round_trips(self) -> dict[int, Durations]:
        """What was measured, by peer."""

    def dropped_messages(self) -> dict[int, int]:
        """Messages that could not be sent, by peer."""
