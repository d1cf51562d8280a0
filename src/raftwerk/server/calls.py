"""What every handler does with a call: read its request, refuse it, let it wait for the node."""

import asyncio
from collections.abc import Callable
from functools import partial
from types import TracebackType
from typing import TypeVar

import structlog
from google.protobuf.message import DecodeError, Message

from raftwerk.api import status
from raftwerk.api.status import Status
from raftwerk.errors import CorruptData
from raftwerk.http2.server import Call
from raftwerk.kv.auth_rules import Identity
from raftwerk.kv.commands import authorized
from raftwerk.kv.results import KvError
from raftwerk.replica.failure import Failure
from raftwerk.server.auth_guard import Guard, Read
from raftwerk.server.errors import status_of
from raftwerk.server.port import Node

M = TypeVar("M", bound=Message)
Answer = Callable[[Call, object], None]
"""Answers a call with the machine's result, or with a Failure."""
log = structlog.get_logger()


def fail(call: Call, refusal: Status) -> None:
    """Answer with a refusal."""
    call.finish(refusal.code, refusal.text)


def fail_with(call: Call, result: object) -> None:
    """Answer with what the node or the machine refused; result: a Failure or a KvError."""
    assert isinstance(result, Failure | KvError), f"unexpected result {result!r}"
    fail(call, status_of(result))


def wants_leader(call: Call) -> bool:
    """The client would rather be refused than wait for one."""
    return (b"hasleader", b"true") in call.headers


def parse(call: Call, message_type: type[M], data: bytes) -> M | None:
    """The request, or None after the call has been refused."""
    try:
        return message_type.FromString(data)
    except DecodeError as error:
        call.finish(status.INTERNAL, f"grpc: error unmarshalling request: {error}")
        return None


def parse_streamed(call: Call, message_type: type[M], data: bytes) -> M | None:
    """The same for a message of a stream, of which gRPC in Go speaks in other words."""
    try:
        return message_type.FromString(data)
    except DecodeError as error:
        text = f"grpc: failed to unmarshal the received message {error}"
        call.finish(status.INTERNAL, text)
        return None


def _ends_with(call: Call, error: Exception, no_answer: Status) -> bool:
    """Tell a call that what answers it has raised an error. Returns whether nobody else need know of it.

    As a rule it is that call's trouble alone: the state is as it was before. Unless that is what is wrong, as an AssertionError
    says, or CorruptData, of which the store has told: then the node ends.
    """
    if isinstance(error, AssertionError | CorruptData):
        fail(call, status.STOPPED)
    else:
        log.error("a call could not be answered", path=call.request.path, exc_info=error)
        fail(call, no_answer)
    return not isinstance(error, AssertionError)


class Answering:
    """A block that answers a call: see `_ends_with`."""

    __slots__ = ("_call", "_no_answer")

    def __init__(self, call: Call, no_answer: Status = status.NO_ANSWER) -> None:
        """no_answer: what the call is told then."""
        self._call = call
        self._no_answer = no_answer

    def __enter__(self) -> None:
        """Nothing to prepare."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool:
        return isinstance(error, Exception) and _ends_with(self._call, error, self._no_answer)


class Waiting:
    """Calls that wait for the node: no longer than the client wants, and for a leader only if it wants that."""

    def __init__(self, node: Node, loop: asyncio.AbstractEventLoop) -> None:
        self._node = node
        self._loop = loop
        self._guard = Guard(node, loop)

    def propose(self, call: Call, command: bytes, answer: Answer) -> None:
        """Replicate a command; `answer` gets the call, and its result or a Failure, unless the call is refused at once.

        While auth is enabled it goes with the name of who calls: the machine will say whether that one may.
        """
        if not self._may_wait(call):
            return
        settle = self._in_time(call, _Proposed(call, answer))
        if self._guard.is_on:
            self._guard.identify(call, partial(self._propose_as, command, settle), otherwise=settle)
        else:
            self._node.propose(command, settle)

    def _propose_as(self, command: bytes, settle: Callable[[object], None], by: Identity) -> None:
        self._node.propose(authorized(*by, command), settle)

    def read(self, call: Call, answer: Callable[[], None]) -> None:
        """Call `answer` after the linearizable barrier; refuse the call if there is none.

        What it reads judges whether the caller may (see `refusal`).
        """
        if self._may_wait(call):
            self._node.read(self._in_time(call, partial(_read, call, answer)))

    def read_here(self, call: Call, answer: Callable[[], None]) -> None:
        """The same without a barrier: this member's state will do, when it is no older than what it had before its start."""
        if not self._node.has_caught_up:
            self.read(call, answer)
        elif self._guard.is_on:
            self._guard.identify(call, partial(_read_here, call, answer))
        else:
            _read_here(call, answer)

    def refusal(self, call: Call, what: Read) -> KvError | None:
        """Why the caller may not read that. A read that waited for its turn asks when it reads: rights may be gone by then."""
        return self._guard.refusal_now(call, what)

    def _may_wait(self, call: Call) -> bool:
        if not self._node.has_leader and wants_leader(call):
            fail(call, status.NO_LEADER)
            return False
        return True

    def _in_time(self, call: Call, done: Callable[[object], None]) -> Callable[[object], None]:
        """`done`, with the client's deadline for as long as it has not been called."""
        timeout_s = call.request.timeout_s
        if timeout_s is None:
            return done
        deadline = self._loop.call_later(timeout_s, fail, call, status.DEADLINE)
        return partial(_settle, deadline, done)


# What a call waits with. Nothing of it holds what holds it: compiled, a function within a function can be a cycle, and one of
# those for each call is much garbage (tests/server/test_call_garbage.py).


class _Proposed:
    """For its command. As Answering, but one object for each write: a partial function and a block cost several."""

    __slots__ = ("_answer", "_call")

    def __init__(self, call: Call, answer: Answer) -> None:
        self._call = call
        self._answer = answer

    def __call__(self, result: object) -> None:
        try:
            self._answer(self._call, result)
        except Exception as error:
            if not _ends_with(self._call, error, status.DONE_NO_ANSWER):
                raise


def _read(call: Call, answer: Callable[[], None], failure: object) -> None:
    if failure is None:
        _read_here(call, answer)
    else:
        fail_with(call, failure)


def _read_here(call: Call, answer: Callable[[], None], _: object = None) -> None:
    with Answering(call):
        answer()


def _settle(deadline: asyncio.TimerHandle, done: Callable[[object], None], result: object) -> None:
    deadline.cancel()
    done(result)
