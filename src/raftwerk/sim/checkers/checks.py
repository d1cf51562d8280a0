"""All checkers of one simulation behind the few moments at which nodes report."""

from collections.abc import Callable, Sequence

from raftwerk.raft.effects import Persist
from raftwerk.raft.membership import Membership
from raftwerk.raft.messages import Message
from raftwerk.raft.roles import Leader
from raftwerk.raft.state import State
from raftwerk.raft.types import Index, NodeId
from raftwerk.replica.ports import StateMachine
from raftwerk.sim.checkers.answers import Answers
from raftwerk.sim.checkers.committed import Committed
from raftwerk.sim.checkers.durability import Durability
from raftwerk.sim.checkers.election_safety import ElectionSafety
from raftwerk.sim.checkers.log_matching import LogMatching
from raftwerk.sim.checkers.monotonic import Monotonic
from raftwerk.sim.checkers.state_machine_safety import OracleChecks, StateMachineSafety
from raftwerk.wal.log import Recovered

Digest = Callable[[StateMachine, StateMachine], tuple[object, object] | None]


class Checks:
    """Called by the nodes as things happen."""

    def __init__(
        self,
        membership: Membership,
        oracle: StateMachine,
        digest: Digest,
        oracle_checks: OracleChecks,
    ) -> None:
        self._membership = membership
        self._oracle_checks = oracle_checks
        self.durability = Durability()
        self.elections = ElectionSafety()
        self.matching = LogMatching()
        self.committed = Committed(membership, self.durability)
        self.monotonic = Monotonic()
        self.machines = StateMachineSafety(self.committed, oracle, digest, oracle_checks)
        self.answers = Answers(self.committed, self.machines, oracle_checks.may_repeat)

    def on_recovered(self, node_id: NodeId, recovered: Recovered) -> None:
        """The log was read from the disk."""
        self.durability.on_recovered(node_id, recovered)
        log = recovered.log
        prev_term = log.snapshot_term or None
        self.matching.on_entries(
            node_id, log.slice(log.snapshot_index + 1, log.last_index + 1), prev_term
        )

    def on_started(self, state: State, machine: StateMachine) -> None:
        """The core is there."""
        node_id = state.node_id
        self.durability.on_started(node_id, state)
        self.monotonic.on_started(node_id)
        self.committed.on_started(node_id)
        self.machines.check_state(node_id, machine)

    def on_persist(self, state: State, persist: Persist) -> None:
        self.durability.on_persist(state.node_id, persist)
        if persist.entries:
            prev_index = persist.entries[0].index - 1
            prev_term = state.log.term_at(prev_index) if state.log.has(prev_index) else None
            self.matching.on_entries(state.node_id, persist.entries, prev_term)

    def on_send(self, state: State, to: NodeId, message: Message) -> None:
        self.elections.on_send(state.node_id, to, message)
        self.durability.on_send(state, to, message)

    def on_commit(self, state: State) -> None:
        new = self.committed.on_commit(state)
        if new:
            self.answers.on_committed(new)
            self.machines.on_committed(new)

    def on_apply(
        self,
        state: State,
        last_applied: Index,
        commands: Sequence[bytes],
        index: Index,
        results: Sequence[object],
    ) -> None:
        self.on_commit(state)
        self.machines.on_apply(state.node_id, last_applied, commands, index, results)

    def on_durable(self, node_id: NodeId, machine: StateMachine) -> None:
        """A node made a checkpoint, or installed one."""
        self._oracle_checks.check_state(node_id, machine)

    def on_step(self, state: State) -> None:
        """After each step of a node."""
        if isinstance(state.role, Leader):
            if self.elections.on_leader(state.node_id, state.current_term, self._membership):
                self.committed.on_leader(state)
            if state.current_term == self.elections.newest_term:
                self.committed.on_step_of_leader(state, state.role)
        self.on_commit(state)
        self.monotonic.on_step(state)
