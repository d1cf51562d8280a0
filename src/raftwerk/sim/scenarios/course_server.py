"""The scenarios of the university course on one key-value server: versioned puts over a lossy network, and locks made of them.

A clerk is a generator: it yields what it wants of the server, and goes on with the answer. What the network loses is sent
again; so a put may have been carried out although its answer says that the version is another one: MAYBE.
"""

from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Final, TypeAlias

from raftwerk.kv.commands import (
    Command,
    Compact,
    Compare,
    CompareResult,
    CompareTarget,
    Put,
    RangeQuery,
    SessionOpen,
    SessionWrite,
    Txn,
    encode,
)
from raftwerk.kv.results import RangeResult, TxnResult
from raftwerk.kv.rows import decode_key_value
from raftwerk.kv.store import Table
from raftwerk.sim.kv_machine import SESSIONS_MAX, SimKvMachine
from raftwerk.sim.scenarios.stage import PATIENCE_MS, Stage

LOSS: Final = 0.1
"""Of requests, and of answers."""
DELAY_US_MAX: Final = 26_000
RETRY_US: Final = 100_000
BIG: Final = 100_000


@dataclass(frozen=True, slots=True)
class Write:
    """Put, if the key has this version. version 0: if there is no such key."""

    key: bytes
    value: bytes
    version: int


@dataclass(frozen=True, slots=True)
class Seen:
    """What there was, before a write of this kind. done: whether it was carried out; None: maybe."""

    value: bytes
    version: int
    done: bool | None = False


Clerk: TypeAlias = Generator[bytes | Write, Seen, None]
"""Yields a key to be read, or a write."""


class Line:
    """Between one clerk and the server."""

    def __init__(self, stage: Stage, clerk: Clerk, number: int, loss: float) -> None:
        self.is_done = False
        self._stage = stage
        self._clerk = clerk
        self._loss = loss
        self._random = stage.cluster.stream(f"clerk {number}")
        self._requests = 0

    def start(self) -> None:
        self._ask(next(self._clerk))

    def _ask(self, wish: bytes | Write) -> None:
        self._requests += 1
        self._send(wish, self._requests, 1)

    def _send(self, wish: bytes | Write, request: int, attempt: int) -> None:
        """Send it, and again after a while, until there is an answer."""
        if request != self._requests or self.is_done:
            return
        world, stage = self._stage.cluster.world, self._stage
        hear = partial(self._hear, wish, request, attempt)

        def arrive() -> None:
            stage.cluster.nodes[1].propose(
                encode(self._command(wish)), lambda result: self._pass(partial(hear, result))
            )

        self._pass(arrive)
        world.after(RETRY_US, lambda: self._send(wish, request, attempt + 1))

    def _pass(self, action: Callable[[], None]) -> None:
        """One way over the network, unless it is lost there."""
        if self._random.random() >= self._loss:
            self._stage.cluster.world.after(self._random.randrange(DELAY_US_MAX), action)

    def _command(self, wish: bytes | Write) -> Command:
        """No two are equal, by the limit of the query."""
        limit = self._stage.new_number()
        if isinstance(wish, bytes):
            return Txn(success=(RangeQuery(wish, limit=limit),))
        compare = Compare(CompareTarget.VERSION, CompareResult.EQUAL, wish.key, wish.version)
        query = RangeQuery(wish.key, limit=limit)
        return Txn((compare,), (query, Put(wish.key, wish.value)), (query,))

    def _hear(self, wish: bytes | Write, request: int, attempt: int, result: object) -> None:
        if request != self._requests or self.is_done or not isinstance(result, TxnResult):
            return
        (found, *_) = result.responses
        assert isinstance(found, RangeResult)
        key_value = decode_key_value(found.kvs[0]) if found.kvs else None
        done: bool | None = isinstance(wish, Write) and result.succeeded
        if not done and attempt > 1:
            done = None
        value, version = (key_value.value, key_value.version) if key_value else (b"", 0)
        try:
            self._ask(self._clerk.send(Seen(value, version, done)))
        except StopIteration:
            self.is_done = True


def work(stage: Stage, clerks: Iterable[Clerk], loss: float = 0.0) -> None:
    """Let clerks work until all are done."""
    stage.one_leader()
    lines = [Line(stage, clerk, number, loss) for number, clerk in enumerate(clerks, 1)]
    for line in lines:
        line.start()
    stage.cluster.wait(lambda: all(line.is_done for line in lines), 10 * PATIENCE_MS, "all clerks")


# Versioned puts


def reliable_put(stage: Stage) -> None:
    """A put with the right version is carried out, with another one it is not, and a key begins with version 0."""

    def clerk() -> Clerk:
        assert (yield Write(b"k", b"6.5840", 0)).done
        assert (yield b"k") == Seen(b"6.5840", 1)
        assert (yield Write(b"k", b"6.5840", 0)) == Seen(b"6.5840", 1, done=False)
        assert (yield Write(b"other", b"x", 1)) == Seen(b"", 0, done=False)
        assert (yield b"other") == Seen(b"", 0)

    work(stage, [clerk()])


def _putting(won: list[int], rounds: int) -> Clerk:
    """Put with the version that was read; writes down which versions it certainly replaced."""
    for _ in range(rounds):
        seen = yield b"k"
        if (yield Write(b"k", b"%d" % len(won), seen.version)).done:
            won.append(seen.version)


def put_concurrent(stage: Stage) -> None:
    """Ten clerks put with what each of them read: of each version, one put wins."""
    won: list[int] = []
    work(stage, [_putting(won, 10) for _ in range(10)])
    assert won == list(range(len(won)))
    work(stage, [_expects(len(won))])


def _expects(version: int) -> Clerk:
    assert (yield b"k").version == version


def unreliable_net(stage: Stage) -> None:
    """Requests and answers are lost: a put is carried out once at most, and an answer that was lost is told as "maybe"."""
    maybe = 0

    def clerk() -> Clerk:
        nonlocal maybe
        for version in range(60):
            done = (yield Write(b"k", b"%d" % version, version)).done
            assert done is not False
            maybe += done is None
            assert (yield b"k").version == version + 1

    work(stage, [clerk()], LOSS)
    assert maybe


# Memory


def _kept_bytes(stage: Stage) -> int:
    """What the server holds: of keys and values, of results for sessions, and of the log."""
    machine, log = stage.cluster.nodes[1].machine, stage.cluster.nodes[1].state.log
    assert isinstance(machine, SimKvMachine)
    entries = log.slice(log.snapshot_index + 1, log.last_index + 1)
    rows = [row for table in Table for row in machine.store.scan(table, b"", None)]
    return sum(len(key) + len(value) for key, value in rows) + sum(
        len(entry.command) for entry in entries
    )


def _do(stage: Stage, command: Command) -> None:
    answers: list[object] = []
    stage.cluster.nodes[1].propose(encode(command), answers.append)
    stage.cluster.wait(lambda: bool(answers), PATIENCE_MS, "an answer")


def mem_get(stage: Stage, clients: int = 10) -> None:
    """Large values are read again and again: reading leaves nothing behind."""
    stage.agree(nodes=1, size=BIG)
    stage.run_ms(2_500)
    before, last_index = _kept_bytes(stage), stage.last_index(1)
    answers: list[object] = []
    for _ in range(clients * 10):
        stage.cluster.nodes[1].read(answers.append)
    stage.cluster.wait(lambda: len(answers) == clients * 10, PATIENCE_MS, "all reads")
    assert (_kept_bytes(stage), stage.last_index(1)) == (before, last_index)


def mem_put(stage: Stage) -> None:
    """A large value is replaced again and again: the server holds few of them."""
    for number in range(1, 41):
        _do(stage, Put(b"k", (b"%d" % number).ljust(BIG)))
        if number % 5 == 0:
            machine = stage.cluster.nodes[1].machine
            assert isinstance(machine, SimKvMachine)
            _do(stage, Compact(machine.revision))
            stage.run_ms(2_500)
    assert _kept_bytes(stage) < 6 * BIG


def mem_append(stage: Stage) -> None:
    """A value grows with each of a session's writes, whose answers hold it: the session keeps what is not heard yet, no more."""
    _do(stage, SessionOpen(7))
    for number in range(1, 41):
        write = SessionWrite(7, number, number, Put(b"k", bytes(1_000 * number), prev_kv=True))
        _do(stage, write)
    machine = stage.cluster.nodes[1].machine
    assert isinstance(machine, SimKvMachine)
    _do(stage, Compact(machine.revision))
    stage.run_ms(5_000)
    assert _kept_bytes(stage) < 7 * 40_000


def mem_put_many_clients(stage: Stage) -> None:
    """Hundreds of clients come, write once, and are never seen again: the server forgets them."""
    for session in range(1, 301):
        _do(stage, SessionOpen(session))
        _do(stage, SessionWrite(session, 1, 1, Put(b"k", bytes(1_000), prev_kv=True)))
    machine = stage.cluster.nodes[1].machine
    assert isinstance(machine, SimKvMachine)
    assert len(machine.sessions) <= SESSIONS_MAX
    _do(stage, Compact(machine.revision))
    stage.run_ms(5_000)
    assert _kept_bytes(stage) < 10_000


# Locks


def locking(name: bytes, inside: set[bytes], rounds: int) -> Clerk:
    """Take the lock, be inside for a while, give it back."""
    for _ in range(rounds):
        while True:
            seen = yield b"lock"
            if not seen.value:
                seen = yield Write(b"lock", name, seen.version)
                if seen.done or (seen.done is None and (yield b"lock").value == name):
                    break
        assert not inside, f"{name!r} has the lock, and so has {inside}"
        inside.add(name)
        version = (yield b"lock").version
        inside.discard(name)
        done = (yield Write(b"lock", b"", version)).done
        assert done is not False, f"{name!r} had the lock, and it was taken away"


def lock(stage: Stage, *, clients: int, loss: float = 0.0) -> None:
    """A lock made of versioned puts: one holder at a time."""
    inside: set[bytes] = set()
    rounds = 10 if clients == 1 else 3
    work(stage, [locking(b"%d" % n, inside, rounds) for n in range(clients)], loss)
