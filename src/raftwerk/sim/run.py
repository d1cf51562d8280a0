"""One simulation from its seed: a safety phase in which anything may break, then a liveness phase in which nothing does.

In the safety phase every property is checked at every step. In the liveness phase the faults have stopped, for all nodes or
for a majority of them: then requests must go through, and all nodes must come to the same state, within a bound.
"""

import traceback
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TextIO

from raftwerk.kv.commands import Put, encode
from raftwerk.kv.results import PutResult
from raftwerk.raft.types import Index, NodeId
from raftwerk.sim import faults as fault_schedule
from raftwerk.sim import options as swarm
from raftwerk.sim.checkers import Violation, is_quorum, linearizability, require
from raftwerk.sim.clients.leases import TTLS_S
from raftwerk.sim.cluster import Cluster
from raftwerk.sim.faults import Fault
from raftwerk.sim.options import Options
from raftwerk.sim.trace import TraceLost
from raftwerk.sim.workload import Workload
from raftwerk.sim.world import World

STORY_LINES: Final = 40


@dataclass(frozen=True, slots=True)
class Failure:
    """What broke. invariant: its name; story: the last events; step: of the world.

    scenario: its name, "" for a run of the swarm. mutant: the defect that was put into the code for it, "" for none.
    """

    seed: int
    step: int
    invariant: str
    text: str
    story: list[str]
    scenario: str = ""
    mutant: str = ""

    @property
    def what(self) -> str:
        """In a line."""
        return f"seed {self.seed}, step {self.step}: {self.invariant}"

    @property
    def again(self) -> str:
        """What to type for the same once more, in a line."""
        scenario = f"--scenario {self.scenario} " if self.scenario else ""
        mutant = f"--mutant {self.mutant} " if self.mutant else ""
        return f"again: raftwerk sim {scenario}{mutant}--seed {self.seed} --trace trace.jsonl"

    def __str__(self) -> str:
        story = self.story[-STORY_LINES:]
        return "\n".join((self.what, self.text, "the last events:", *story, self.again))


@dataclass(frozen=True, slots=True)
class Report:
    """How a run went. hash: of its trace; coverage: marks and how often."""

    seed: int
    hash: str
    events: int
    simulated_ms: int
    operations: int
    coverage: Counter[str]
    failure: Failure | None


def plan(seed: int) -> tuple[Options, list[Fault]]:
    """The options and the faults of a seed."""
    world = World(seed)
    options = swarm.draw(world.stream("options"))
    return options, fault_schedule.schedule(world.stream("faults"), options)


def run(
    seed: int,
    *,
    options: Options | None = None,
    faults: Sequence[Fault] | None = None,
    file: TextIO | None = None,
) -> Report:
    """Run one seed. options, faults: others than it would draw. file: gets the trace."""
    drawn, scheduled = plan(seed)
    options = options or drawn
    simulation = Simulation(seed, options, scheduled if faults is None else faults, file)
    failure = simulation.try_all()
    return simulation.report(len(simulation.workload.history.operations), failure)


class Phases(ABC):
    """Both phases of one seed, whatever is replicated, and whoever the clients are."""

    def __init__(self, cluster: Cluster, faults: Sequence[Fault]) -> None:
        self.cluster = cluster
        self._faults = faults
        self._random = cluster.stream("liveness")

    @abstractmethod
    def start_clients(self) -> None:
        """They begin to call."""

    @abstractmethod
    def stop_clients(self) -> None:
        """They begin nothing new."""

    @abstractmethod
    def new_command(self, node_id: NodeId, attempt: int) -> bytes:
        """One that must go through when the faults are over; no two are equal."""

    @abstractmethod
    def is_result(self, answer: object) -> bool:
        """Whether such a command was answered as it should be."""

    @abstractmethod
    def finish(self, bound_ms: int) -> None:
        """All nodes are in one state: what else must come to its end, within the bound."""

    @abstractmethod
    def check_history(self) -> None:
        """All is over: judge what the clients saw."""

    def try_all(self) -> Failure | None:
        """Whatever goes wrong is a failure: a broken property, or an exception of the production code."""
        try:
            self._safety()
            self._liveness()
            self.check_history()
        except TraceLost:
            raise
        except Violation as violation:
            return self._failure(violation.invariant, violation.text)
        except Exception as error:  # noqa: BLE001  (a bug, wherever it is)
            return self._failure(
                f"{type(error).__name__}: {error}", "".join(traceback.format_exception(error)[-6:])
            )
        return None

    def report(self, operations: int, failure: Failure | None) -> Report:
        """operations: of all clients."""
        cluster = self.cluster
        return Report(
            cluster.world.seed,
            cluster.trace.hash,
            cluster.world.step,
            cluster.world.now_us // 1000,
            operations,
            cluster.coverage.counts,
            failure,
        )

    def _failure(self, invariant: str, text: str) -> Failure:
        cluster = self.cluster
        return Failure(
            cluster.world.seed, cluster.world.step, invariant, text, cluster.trace.story()
        )

    def _safety(self) -> None:
        cluster = self.cluster
        cluster.start_all()
        self.start_clients()
        fault_schedule.arrange(cluster, self._faults)
        cluster.run_ms(cluster.options.safety_ms)

    def _liveness(self) -> None:
        cluster, options = self.cluster, self.cluster.options
        self.stop_clients()
        # Faults that began late may end late
        cluster.run_ms(6_000)
        cluster.trace.record(0, "heal", {})
        cluster.heal()
        core = self._core()
        for node_id in cluster.nodes:
            if node_id not in core:
                cluster.crash(node_id)
            elif not cluster.nodes[node_id].is_up:
                cluster.start(node_id)
        bound_ms = 20 * options.config.election_timeout_ms + 4 * options.request_timeout_ms
        for node_id in core:
            self._make_progress(node_id, bound_ms)
        cluster.wait(lambda: self._has_converged(core), bound_ms, "all nodes in one state")
        for node_id in core:
            cluster.check_state(node_id)
        self.finish(bound_ms)

    def _core(self) -> list[NodeId]:
        """All nodes, or just enough of them."""
        membership = self.cluster.options.membership
        nodes = list(membership.nodes)
        if self._random.random() < 0.5:
            return nodes
        core = list(nodes)
        for node_id in self._random.sample(nodes, len(nodes)):
            rest = [other for other in core if other != node_id]
            if is_quorum(membership, set(rest)):
                core = rest
        return core

    def _make_progress(self, node_id: NodeId, bound_ms: int) -> None:
        """A write through this node goes through, within the bound.

        Unless it lacks entries that were committed before: it applies more of them within each bound then.
        """
        cluster = self.cluster
        answers: list[object] = []
        attempts = 0

        def propose() -> None:
            nonlocal attempts
            attempts += 1
            cluster.nodes[node_id].propose(self.new_command(node_id, attempts), on_answer)

        def on_answer(answer: object) -> None:
            if self.is_result(answer):
                answers.append(answer)
            else:
                cluster.world.after(50_000, propose)

        def last_applied() -> Index:
            replica = cluster.nodes[node_id].replica
            return 0 if replica is None else replica.last_applied

        propose()
        world, wanted, before = cluster.world, cluster.checks.committed.last_index, last_applied()
        while not world.run_until(world.now_us + bound_ms * 1000, lambda: bool(answers)):
            after = last_applied()
            require(
                before < wanted and before < after,
                "Liveness",
                f"no write went through node {node_id} in {bound_ms} ms without faults ({attempts} attempts)",
            )
            before = after

    def _has_converged(self, core: list[NodeId]) -> bool:
        wanted = self.cluster.checks.committed.last_index
        replicas = [self.cluster.nodes[node_id].replica for node_id in core]
        return all(
            replica is not None
            and replica.last_applied == wanted == replica.raft.state.log.last_index
            for replica in replicas
        )


class Simulation(Phases):
    """Of the key-value machine."""

    def __init__(
        self, seed: int, options: Options, faults: Sequence[Fault], file: TextIO | None
    ) -> None:
        super().__init__(Cluster(seed, options, file=file), faults)
        self.workload = Workload(self.cluster)

    def start_clients(self) -> None:
        self.workload.start()

    def stop_clients(self) -> None:
        self.workload.stop()

    def new_command(self, node_id: NodeId, attempt: int) -> bytes:
        return encode(Put(b"live/%d" % node_id, b"%d" % attempt))

    def is_result(self, answer: object) -> bool:
        return isinstance(answer, PutResult)

    def finish(self, bound_ms: int) -> None:
        cluster = self.cluster
        self.finish_watches(bound_ms)
        if cluster.options.workload.leases:
            longest_ms = 4 * 1000 * max(TTLS_S)
            cluster.wait(
                lambda: cluster.kv.leases.is_empty, bound_ms + longest_ms, "all leases have ended"
            )

    def finish_watches(self, bound_ms: int) -> None:
        """Each watch gets all that it lacks, more of it within each bound: it may be far behind."""
        world, watches = self.cluster.world, self.workload.watches
        for client in watches:
            client.finish()
        before = {client: client.places for client in watches}
        while not world.run_until(
            world.now_us + bound_ms * 1000, lambda: not any(client.lacks() for client in watches)
        ):
            after = {client: client.places for client in watches}
            for client in watches:
                lacks = client.lacks()
                require(not lacks or after[client] != before[client], "Watches", lacks)
            before = after

    def check_history(self) -> None:
        self.cluster.checks.answers.find(self.workload.history.operations)
        undecided = linearizability.check(self.workload.history)
        self.cluster.coverage.mark(
            "history: linearizable" if not undecided else "history: undecided"
        )
