"""The clients: each does one thing after the other, through any node, and writes down what it saw.

Every command is unique, so that it can be found in the log. Keys are in groups; a group is read as a whole.
"""

from collections.abc import Sequence
from random import Random
from typing import Final

from raftwerk.kv.commands import (
    Compact,
    Compare,
    CompareResult,
    CompareTarget,
    DeleteRange,
    Put,
    RangeQuery,
    Txn,
    encode,
)
from raftwerk.kv.machine import KvMachine
from raftwerk.kv.results import KvError, PutResult, RangeResult, TxnResult
from raftwerk.kv.rows import decode_key_value
from raftwerk.raft.types import NodeId
from raftwerk.replica.failure import Failure
from raftwerk.sim.checkers import Violation
from raftwerk.sim.clients.admins import AdminClient
from raftwerk.sim.clients.caller import REQUEST_US_MAX, Caller
from raftwerk.sim.clients.leases import LeaseClient
from raftwerk.sim.clients.sessions import SessionChannel
from raftwerk.sim.clients.watches import WatchClient
from raftwerk.sim.cluster import Cluster
from raftwerk.sim.history import History, Operation, Outcome, Values
from raftwerk.sim.node import LOST

NOT_DONE: Final = frozenset(
    {Failure.NO_LEADER, Failure.OVERLOADED, Failure.NO_SPACE, Failure.NOT_COMMITTED}
)
"""After these the command never takes effect."""


def key_of(group: int, place: int) -> bytes:
    return b"g%d/%d" % (group, place)


class Workload:
    """All clients of one cluster."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.options = cluster.options.workload
        self.history = History(self.options.keys_in_group)
        self.is_stopping = False
        self.compacted_revision = 0
        self._clients = [Client(self, number) for number in range(1, self.options.clients + 1)]
        options = self.options
        self.watches = [WatchClient(cluster, number + 1) for number in range(options.watches)]
        self._others: list[Caller] = [
            *(LeaseClient(cluster, number + 1) for number in range(options.leases)),
            *(AdminClient(cluster, number + 1) for number in range(options.admins)),
        ]

    def start(self) -> None:
        for client in self._clients:
            client.start()
        for other in (*self._others, *self.watches):
            other.start()

    def stop(self) -> None:
        """Begin nothing new; who watches goes on."""
        self.is_stopping = True
        for other in self._others:
            other.stop()

    @property
    def is_idle(self) -> bool:
        return not any(client.is_waiting for client in self._clients)

    # The form of keys and values

    def pad(self, value: bytes) -> bytes:
        """As it is stored: of the size that the options want."""
        return value.ljust(self.options.value_bytes)

    def query(self, group: int, revision: int = 0) -> RangeQuery:
        """All keys of a group."""
        return RangeQuery(b"g%d/" % group, b"g%d0" % group, revision=revision)

    def values(self, group: int, kvs: Sequence[bytes]) -> Values:
        """The state of a group from the answer to its query."""
        found = {kv.key: kv.value.strip() for kv in map(decode_key_value, kvs)}
        places = range(self.options.keys_in_group)
        return tuple([found.get(key_of(group, place)) for place in places])


class Client:
    """One thing at a time."""

    def __init__(self, workload: Workload, number: int) -> None:
        self.is_waiting = False
        self._has_failed = False
        """The last operation; the next one has more time."""
        self._workload = workload
        self._cluster = workload.cluster
        self._number = number
        self._random: Random = self._cluster.stream(f"client {number}")
        self._count = 0
        self._node_id: NodeId = 0
        self._last_seen: dict[int, Values] = {}
        has_session = number <= workload.options.sessions
        self._session = SessionChannel(self._cluster, number) if has_session else None

    def start(self) -> None:
        options, world = self._workload.options, self._cluster.world
        mean_us = options.pause_mean_us * (5 if self._has_failed else 1)
        pause_us = int(self._random.expovariate(1 / mean_us))
        if options.burst_us:
            pause_us += -(world.now_us + pause_us) % options.burst_us
        world.after(pause_us, self._next)

    def _next(self) -> None:
        if self._workload.is_stopping:
            return
        random = self._random
        nodes, burst_us = list(self._cluster.nodes), self._workload.options.burst_us
        if burst_us:
            self._node_id = nodes[self._cluster.world.now_us // burst_us % len(nodes)]
        elif not self._node_id or random.random() < 0.2:
            self._node_id = random.choice(nodes)
        if not self._cluster.nodes[self._node_id].is_up:
            self._node_id = 0
            self.start()
            return
        if self._session is not None and not self._session.is_open:
            self._session.open(self.start)
            return
        names = ("get", "put", "delete", "cas", "txn", "serializable", "compact")
        weights = [getattr(self._workload.options, name) for name in names]
        (name,) = random.choices(names, weights)
        group = random.randrange(self._workload.options.groups)
        if name == "serializable":
            self._read_serializable(group)
        elif name == "compact":
            self._compact()
        else:
            self._call(self._operation(name, group))

    def _new_value(self) -> bytes:
        self._count += 1
        return b"%d-%d" % (self._number, self._count)

    # Making operations

    def _operation(self, name: str, group: int) -> Operation:
        operation = Operation(self._number, self._node_id, name, group, self._cluster.world.now_us)
        random, places = self._random, self._workload.options.keys_in_group
        place = random.randrange(places)
        if name == "put":
            operation.writes = {place: self._new_value()}
            key, value = key_of(group, place), self._pad(operation.writes[place])
            operation.command = encode(Put(key, value, prev_kv=random.random() < 0.5))
        elif name == "delete":
            operation.writes = {place: None}
            deletion = DeleteRange(key_of(group, place), prev_kv=True)
            stamp = Put(b"stamp/%d" % self._number, self._new_value())
            operation.command = encode(Txn(success=(deletion, stamp)))
        elif name == "cas":
            self._make_cas(operation, place)
        elif name == "txn":
            chosen = range(places) if random.random() < 0.7 else [place]
            operation.writes = {key: self._new_value() for key in chosen}
            puts = [Put(key_of(group, key), self._pad(v)) for key, v in operation.writes.items()]
            operation.command = encode(Txn(success=(self._workload.query(group), *puts)))
        return operation

    def _make_cas(self, operation: Operation, place: int) -> None:
        """Set a key if it still has the value that was seen last."""
        key = key_of(operation.group, place)
        seen = self._last_seen.get(operation.group)
        expected = seen[place] if seen is not None else None
        operation.guard = (place, expected)
        operation.writes = {place: self._new_value()}
        if expected is None:
            compare = Compare(CompareTarget.VERSION, CompareResult.EQUAL, key, 0)
        else:
            compare = Compare(CompareTarget.VALUE, CompareResult.EQUAL, key, self._pad(expected))
        put = Put(key, self._pad(operation.writes[place]))
        query = self._workload.query(operation.group)
        operation.command = encode(Txn((compare,), (put,), (query,)))

    def _pad(self, value: bytes | None) -> bytes:
        assert value is not None
        return self._workload.pad(value)

    # Calling

    def _call(self, operation: Operation) -> None:
        if self._session is not None and not operation.is_read:
            operation.command = self._session.wrap(operation.command)
        self._workload.history.operations.append(operation)
        self._cluster.checks.answers.on_call(operation)
        self._cluster.trace.record(
            0, "call", {"client": self._number, "node": self._node_id, "name": operation.name}
        )
        self.is_waiting = True
        if self._session is not None and not operation.is_read:
            self._session.call(operation.command, lambda result: self._hear(operation, result))
            return
        life = self._cluster.nodes[self._node_id].lives

        def arrive() -> None:
            node = self._cluster.nodes[operation.node]
            if not node.is_up or node.lives != life:
                self._return(operation, Failure.NO_LEADER)
            elif operation.is_read:
                node.read(lambda failure: self._on_read(operation, failure))
            else:
                node.propose(operation.command, lambda result: self._return(operation, result))

        self._cluster.world.after(self._random.randrange(REQUEST_US_MAX), arrive)

    def _on_read(self, operation: Operation, failure: object) -> None:
        """The node's state may be read now."""
        if failure is not None:
            self._return(operation, failure)
            return
        node = self._cluster.nodes[operation.node]
        result = self._range(node.node_id, operation.group)
        assert node.replica is not None
        last_applied = node.replica.last_applied
        expected = self._expected(operation.group, result)
        self._cluster.checks.answers.on_read(operation, last_applied, _content(result), expected)
        self._return(operation, result)

    def _range(self, node_id: NodeId, group: int) -> RangeResult:
        machine = self._cluster.nodes[node_id].machine
        assert isinstance(machine, KvMachine)
        result = machine.range(self._workload.query(group))
        assert isinstance(result, RangeResult)
        return result

    def _expected(self, group: int, result: RangeResult) -> object:
        """What the oracle answers at the same revision; the same result again if that is compacted."""
        oracle = self._cluster.checks.machines.oracle
        assert isinstance(oracle, KvMachine)
        answer = oracle.range(self._workload.query(group, result.revision))
        if answer is KvError.COMPACTED:
            return _content(result)
        return _content(answer)

    def _return(self, operation: Operation, result: object) -> None:
        """The answer is on its way to the client."""

        def arrive() -> None:
            self._hear(operation, result)

        self._cluster.world.after(self._random.randrange(REQUEST_US_MAX), arrive)

    def _hear(self, operation: Operation, result: object) -> None:
        self._settle(operation, result)
        self.is_waiting = False
        self.start()

    def _settle(self, operation: Operation, result: object) -> None:
        cluster = self._cluster
        is_failure = isinstance(result, Failure) or result == LOST
        self._has_failed = is_failure
        text = str(result) if is_failure else "ok"
        name = {"leader changed": "leader changed", "disk full": "disk full"}.get(text, text)
        cluster.coverage.mark(f"answer: {name}")
        cluster.trace.record(0, "return", {"client": self._number, "answer": text})
        if is_failure:
            self._node_id = 0
            if result in NOT_DONE:
                operation.outcome = Outcome.NOT_DONE
                if not operation.is_read:
                    cluster.checks.answers.on_not_done(operation)
            return
        operation.return_us = cluster.world.now_us
        operation.outcome = Outcome.OK
        if not operation.is_read:
            cluster.checks.answers.on_done(operation, result)
        self._see(operation, result)
        if operation.seen is not None:
            self._last_seen[operation.group] = operation.seen

    def _see(self, operation: Operation, result: object) -> None:
        """Write down what the answer tells of the values."""
        workload, group = self._workload, operation.group
        if isinstance(result, RangeResult):
            operation.seen = workload.values(group, result.kvs)
        elif isinstance(result, PutResult):
            if result.prev_kv is not None:
                (place,) = operation.writes
                operation.previous = {place: decode_key_value(result.prev_kv).value.strip()}
        elif isinstance(result, TxnResult):
            if operation.guard is not None:
                operation.succeeded = result.succeeded
            first = result.responses[0]
            if operation.name == "delete":
                (place,) = operation.writes
                kvs: Sequence[bytes] = getattr(first, "prev_kvs")  # noqa: B009
                operation.previous = {place: workload.values(group, kvs)[place]}
            elif isinstance(first, RangeResult):
                values = workload.values(group, first.kvs)
                if operation.name == "txn":
                    operation.previous = {place: values[place] for place in operation.writes}
                else:
                    operation.seen = values
        elif operation.name != "compact":
            raise Violation("Answers", f"{operation.name} was answered with {result}")

    # What is no operation of the history

    def _read_serializable(self, group: int) -> None:
        """Any state that ever was will do, but it must have been one."""
        node_id = self._node_id
        result = self._range(node_id, group)
        expected = self._expected(group, result)
        if _content(result) != expected:
            raise Violation(
                "Reads equal the replayed state",
                f"node {node_id} at revision {result.revision}: {_content(result)}, the log gives {expected}",
            )
        self._last_seen[group] = self._workload.values(group, result.kvs)
        self.start()

    def _compact(self) -> None:
        """Compact up to what was there some time ago; each revision once, so that the command is unique."""
        oracle = self._cluster.checks.machines.oracle
        assert isinstance(oracle, KvMachine)
        revision = self._random.randint(1, max(1, oracle.revision))
        if revision <= self._workload.compacted_revision:
            self.start()
            return
        self._workload.compacted_revision = revision
        operation = Operation(
            self._number, self._node_id, "compact", -1, self._cluster.world.now_us
        )
        operation.command = encode(Compact(revision))
        self._call(operation)


def _content(result: object) -> object:
    """Of a range: all but the header's revision, which tells when it was asked."""
    return (list(result.kvs), result.count) if isinstance(result, RangeResult) else result
