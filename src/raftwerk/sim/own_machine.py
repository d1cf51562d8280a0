"""A state machine of one's own in the simulator: `simulate` runs it through the faults of a seed.

Whoever brings one writes what is in OwnMachine, how a client makes a command, and, if they like, an oracle: what the answers
should have been. Around it stands everything that a real node has; what is durable passes through checkpoints and snapshots.
A machine that is built for production (replica.ports.StateMachine) goes into a sim.cluster.Kit, with a Home of its own.
"""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from random import Random
from typing import Final, TextIO

from raftwerk.raft.types import Entry, EntryKind, Index, NodeId
from raftwerk.replica.failure import Failure
from raftwerk.replica.ports import StateMachine
from raftwerk.sim.checkers import Violation, require
from raftwerk.sim.clients.caller import Caller
from raftwerk.sim.cluster import Cluster, Kit
from raftwerk.sim.faults import Fault
from raftwerk.sim.history import Operation
from raftwerk.sim.machines import Home
from raftwerk.sim.node import LOST
from raftwerk.sim.options import Options
from raftwerk.sim.own_arguments import check_arguments
from raftwerk.sim.own_elsewhere import apply_elsewhere
from raftwerk.sim.own_memory import NUMBER, InMemory, OwnMachine, apply_one, check_dump, parting
from raftwerk.sim.run import STORY_LINES, Phases, Report, plan
from raftwerk.sim.workload import NOT_DONE

READS: Final = 0.3
"""So many of what clients do only read."""

Oracle = Callable[[Sequence[bytes]], Sequence[object]]


class _Home(Home):
    """Keeps the durable state from one life to the next."""

    def __init__(self, make: Callable[[], OwnMachine]) -> None:
        self._make = make
        self._machine = InMemory(make)

    def open(self) -> InMemory:
        self._machine = InMemory(self._make, self._machine.durable)
        return self._machine


class _States:
    """Implements OracleChecks: every node's state is the one that the same commands gave at that index elsewhere.

    A hash for each index is kept. And a machine that was dumped and loaded goes on as one that was not, at every index,
    whatever the time and the global random numbers are.
    """

    def __init__(self, make: Callable[[], OwnMachine], oracle: InMemory) -> None:
        self._make = make
        self._oracle = oracle
        check_dump(oracle.own)
        self._dump = oracle.own.dump()
        self._states = [(_hash(self._dump), 0)]
        """At each index: the hash of the dump, and how many commands there were."""
        self.commands: list[bytes] = []
        self.results: list[object] = []

    def may_repeat(self, command: bytes) -> bool:
        return False

    def on_applied(self, entry: Entry, result: object) -> None:
        before, self._dump = self._dump, self._oracle.own.dump()
        if entry.kind is EntryKind.COMMAND:
            command = entry.command[NUMBER.size :]
            self._check_reborn(entry.index, command, before, result)
            self.commands.append(command)
            self.results.append(result)
        self._states.append((_hash(self._dump), len(self.commands)))

    def _check_reborn(self, index: Index, command: bytes, before: bytes, result: object) -> None:
        """Another node that comes from the dump of the state before goes on alike."""
        again, dump, end = self._elsewhere(before, command, 1)
        found = []
        if not again == result:  # noqa: SIM201  (only == is asked of results)
            found.append(f"gave {result!r}, and there {again!r} (compared with ==)")
        if dump != self._dump:
            found.append(f"left the dump {parting(self._dump, dump)} there")
        why = "apply is not deterministic, or dump and load leave out what it goes by"
        if end is not None and self._elsewhere(before, command, 2)[2] != end:
            found = found or ["came out alike, by chance"]
            why = "apply draws from the global `random`, whose numbers are others on each node"
        require(
            not found,
            "Equal state machines",
            f"at index {index}, {command!r} {' and '.join(found)}. There: in a machine that had loaded the dump of the state "
            f"before, with other global random numbers and an hour later by time.time. {why}",
        )

    def _elsewhere(
        self, before: bytes, command: bytes, stream: int
    ) -> tuple[object, bytes, object]:
        reborn = self._make()
        reborn.load(before)
        result, end = apply_elsewhere(reborn, command, stream)
        dump = reborn.dump()
        if dump != self._dump:
            check_dump(reborn)
        return result, dump, end

    def check_state(self, node_id: NodeId, machine: StateMachine) -> None:
        assert isinstance(machine, InMemory)
        dump = machine.own.dump()
        wanted, count = self._states[machine.index]
        if _hash(dump) == wanted:
            return
        check_dump(machine.own)
        once_more = self._make()
        for command in self.commands[:count]:
            apply_one(once_more, command)
        raise Violation(
            "Equal state machines",
            f"node {node_id} has another dump at index {machine.index}, after {count} commands, than the same commands gave "
            f"elsewhere; it has, and they give once more, {parting(dump, once_more.dump())}",
        )


def _hash(dump: bytes) -> bytes:
    return hashlib.blake2b(dump, digest_size=16).digest()


class _Client(Caller):
    """One command or read after the other."""

    def __init__(
        self, cluster: Cluster, states: _States, number: int, command: Callable[[Random], bytes]
    ) -> None:
        super().__init__(cluster, f"client {number}")
        self._states = states
        self._number = number
        self._command = command
        self.operations: list[Operation] = []

    def next(self) -> None:
        is_read = self.random.random() < READS
        operation = Operation(self._number, self.some_node(), "own", 0, self.cluster.world.now_us)
        self.operations.append(operation)
        if not is_read:
            number = NUMBER.pack(self._number, len(self.operations))
            operation.command = number + self._command(self.random)
        self.cluster.checks.answers.on_call(operation)
        if is_read:
            self._read(operation)
        else:
            self.send(operation.command, lambda result: self._hear(operation, result))

    def _read(self, operation: Operation) -> None:
        node = self.cluster.nodes[operation.node]

        def on_answer(failure: object) -> None:
            if failure is None:
                machine = node.machine
                assert isinstance(machine, InMemory)
                self._states.check_state(operation.node, machine)
                self.cluster.checks.answers.on_read(operation, machine.index, None, None)
            self._go_on()

        if node.is_up:
            node.read(on_answer)
        else:
            self._go_on()

    def _hear(self, operation: Operation, result: object) -> None:
        answers = self.cluster.checks.answers
        if _is_result(result):
            answers.on_done(operation, result)
        elif result in NOT_DONE:
            answers.on_not_done(operation)
        self._go_on()

    def _go_on(self) -> None:
        mean_us = self.cluster.options.workload.pause_mean_us
        self.pause(int(self.random.expovariate(1 / mean_us)), self.next)


def _is_result(answer: object) -> bool:
    return not isinstance(answer, Failure) and answer != LOST


class OwnSimulation(Phases):
    """Both phases of one seed with a state machine of one's own."""

    def __init__(
        self,
        seed: int,
        machine: Callable[[], OwnMachine],
        command: Callable[[Random], bytes],
        oracle: Oracle | None,
        options: Options,
        faults: Sequence[Fault],
        file: TextIO | None,
    ) -> None:
        beside = InMemory(machine)
        self._states = states = _States(machine, beside)
        # No digest: the states are compared at equal indexes
        kit = Kit(lambda _: _Home(machine), lambda: beside, lambda *_: None, lambda *_: states)
        super().__init__(Cluster(seed, options, kit=kit, file=file), faults)
        self._oracle = oracle

        def checked(random: Random) -> bytes:
            drawn = command(random)
            text = f"it returns the next command as bytes; it returned {drawn!r:.80}"
            require(isinstance(drawn, bytes), "Workload", text)
            return drawn

        self._command = checked
        numbers = range(1, options.workload.clients + 1)
        self.clients = [_Client(self.cluster, states, number, checked) for number in numbers]

    def start_clients(self) -> None:
        for client in self.clients:
            client.start()

    def stop_clients(self) -> None:
        for client in self.clients:
            client.stop()

    def new_command(self, node_id: NodeId, attempt: int) -> bytes:
        return NUMBER.pack(0, attempt << 8 | node_id) + self._command(self._random)

    def is_result(self, answer: object) -> bool:
        return _is_result(answer)

    def finish(self, bound_ms: int) -> None:
        """Nothing else goes on."""

    def check_history(self) -> None:
        if self._oracle is None:
            return
        commands, results = self._states.commands, self._states.results
        told = self._oracle(tuple(commands))
        text = (
            f"it gets all commands and returns a result for each of them, it returned {told!r:.80}"
        )
        require(isinstance(told, Iterable), "Oracle", text)
        expected = list(told)
        text = f"it must say a result for each of {len(commands)} commands, it says {len(expected)}"
        require(len(expected) == len(commands), "Oracle", text)
        rows = zip(commands, results, expected, strict=True)
        for place, (command, result, wanted) in enumerate(rows, 1):
            text = f"command {place} of {len(commands)}, {command!r}, gave {result!r}, the oracle says {wanted!r}"
            require(result == wanted, "Oracle", text)


def simulate(
    seed: int,
    machine: Callable[[], OwnMachine],
    command: Callable[[Random], bytes],
    oracle: Oracle | None = None,
    *,
    options: Options | None = None,
    faults: Sequence[Fault] | None = None,
    file: TextIO | None = None,
) -> Report:
    """Run one seed of the swarm with a state machine of one's own. Raises Violation, with the last events, if a property breaks.

    machine: makes a new one. command: draws what a client asks for next. oracle: gets all commands in the order in which they
    were executed, and returns what their results should have been. options, faults: others than the seed draws. file: gets the
    trace. Raises UsageError for other arguments than these.
    """
    check_arguments(seed, machine, command, oracle, options, faults, file)
    drawn, scheduled = plan(seed)
    simulation = OwnSimulation(
        seed,
        machine,
        command,
        oracle,
        options or drawn,
        scheduled if faults is None else faults,
        file,
    )
    failure = simulation.try_all()
    if failure is not None:
        story = "\n".join(failure.story[-STORY_LINES:])
        text = f"{failure.text}\nseed {seed}, step {failure.step}; the last events:\n{story}"
        raise Violation(failure.invariant, text)
    operations = sum(len(client.operations) for client in simulation.clients)
    return simulation.report(operations, None)
