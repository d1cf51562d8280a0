"""etcdserverpb.KV: Range, Put, DeleteRange, Txn, Compact.

Writes are proposed; linearizable reads wait for the barrier; serializable ones are answered at once. Every answer is
given in a callback: no task, future or timer belongs to a request, but for a deadline that the client asked for.
"""

import asyncio
from collections.abc import Callable
from typing import Final, TypeVar

from google.protobuf.message import DecodeError, Message

from raftwerk.api import rpc_pb2, status
from raftwerk.api.status import Status
from raftwerk.http2.server import Call, Method, UnaryMethod
from raftwerk.kv.commands import Compact, encode
from raftwerk.kv.read import RangeScan
from raftwerk.kv.results import (
    CompactResult,
    DeleteRangeResult,
    KvError,
    PutResult,
    RangeResult,
    TxnResult,
)
from raftwerk.replica.failure import Failure
from raftwerk.server import translate, validate
from raftwerk.server.errors import status_of
from raftwerk.server.port import Node

SLICE_ROWS: Final = 200
"""Rows of a range that are read in one turn of the loop: about two milliseconds."""
POLL_S: Final = 0.01

M = TypeVar("M", bound=Message)


def fail(call: Call, refusal: Status) -> None:
    """Answer with a refusal."""
    call.finish(refusal.code, refusal.text)


def parse(call: Call, message_type: type[M], data: bytes) -> M | None:
    """The request, or None after the call has been refused."""
    try:
        return message_type.FromString(data)
    except DecodeError as error:
        call.finish(status.INTERNAL, f"grpc: error unmarshalling request: {error}")
        return None


class KvService:
    """The handlers, by name."""

    def __init__(
        self, node: Node, loop: asyncio.AbstractEventLoop, is_over_quota: Callable[[], bool]
    ) -> None:
        self._node = node
        self._machine = node.machine
        self._loop = loop
        self._is_over_quota = is_over_quota
        self._settings = node.settings
        self._headers = translate.Headers(node.cluster_id, node.node_id)

    def methods(self) -> dict[str, Method]:
        return {
            "/etcdserverpb.KV/Range": UnaryMethod(self.range),
            "/etcdserverpb.KV/Put": UnaryMethod(self.put),
            "/etcdserverpb.KV/DeleteRange": UnaryMethod(self.delete_range),
            "/etcdserverpb.KV/Txn": UnaryMethod(self.txn),
            "/etcdserverpb.KV/Compact": UnaryMethod(self.compact),
        }

    def header(self, revision: int) -> bytes:
        return self._headers.field(revision, self._node.current_term)

    # Writes

    def put(self, call: Call, data: bytes) -> None:
        request = parse(call, rpc_pb2.PutRequest, data)
        if request is None:
            return
        refusal = validate.check_put(request)
        if refusal is None and self._is_over_quota():
            refusal = status.NO_SPACE
        if refusal is not None:
            fail(call, refusal)
            return

        def done(result: object) -> None:
            if isinstance(result, PutResult):
                call.reply(translate.put_response(self.header(result.revision), result))
            else:
                self._fail(call, result)

        self._propose(call, encode(translate.put_command(request)), done)

    def delete_range(self, call: Call, data: bytes) -> None:
        request = parse(call, rpc_pb2.DeleteRangeRequest, data)
        if request is None:
            return
        refusal = validate.check_delete_range(request)
        if refusal is not None:
            fail(call, refusal)
            return

        def done(result: object) -> None:
            if isinstance(result, DeleteRangeResult):
                call.reply(translate.delete_response(self.header(result.revision), result))
            else:
                self._fail(call, result)

        self._propose(call, encode(translate.delete_command(request)), done)

    def txn(self, call: Call, data: bytes) -> None:
        request = parse(call, rpc_pb2.TxnRequest, data)
        if request is None:
            return
        refusal = validate.check_txn(request, self._settings.max_txn_ops)
        if refusal is None and not translate.has_known_enums(request):
            refusal = status.UNREADABLE
        is_read_only = refusal is None and translate.is_read_only(request)
        if refusal is None and not is_read_only and self._is_over_quota() and _has_put(request):
            refusal = status.NO_SPACE
        if refusal is not None:
            fail(call, refusal)
            return
        command = translate.txn_command(request)

        def done(result: object) -> None:
            if isinstance(result, TxnResult):
                call.reply(translate.txn_response(self.header(result.revision), result))
            else:
                self._fail(call, result)

        if not is_read_only:
            self._propose(call, encode(command), done)
        elif translate.is_serializable(request):
            done(self._machine.txn_read_only(command))
        else:
            self._read(call, lambda: done(self._machine.txn_read_only(command)))

    def compact(self, call: Call, data: bytes) -> None:
        request = parse(call, rpc_pb2.CompactionRequest, data)
        if request is None:
            return

        def done(result: object) -> None:
            if not isinstance(result, CompactResult):
                self._fail(call, result)
            elif request.physical:
                self._answer_when_removed(call, request.revision, result)
            else:
                call.reply(self.header(result.revision))

        self._propose(call, encode(Compact(request.revision)), done)

    def _answer_when_removed(self, call: Call, revision: int, result: CompactResult) -> None:
        if self._machine.removed_revision >= revision:
            call.reply(self.header(result.revision))
        elif not call.is_over:
            self._loop.call_later(POLL_S, self._answer_when_removed, call, revision, result)

    def _propose(self, call: Call, command: bytes, done: Callable[[object], None]) -> None:
        if len(command) > self._settings.max_request_bytes:
            fail(call, status.REQUEST_TOO_LARGE)
        elif self._may_wait(call):
            self._node.propose(command, done)

    # Reads

    def range(self, call: Call, data: bytes) -> None:
        request = parse(call, rpc_pb2.RangeRequest, data)
        if request is None:
            return
        refusal = validate.check_range(request)
        if refusal is not None:
            fail(call, refusal)
        elif request.serializable:
            self._answer_range(call, request)
        else:
            self._read(call, lambda: self._answer_range(call, request))

    def _read(self, call: Call, answer: Callable[[], None]) -> None:
        """Answer after the linearizable barrier."""

        def done(failure: Failure | None) -> None:
            if failure is None:
                answer()
            else:
                self._fail(call, failure)

        if self._may_wait(call):
            self._node.read(done)

    def _answer_range(self, call: Call, request: rpc_pb2.RangeRequest) -> None:
        scan = self._machine.range_sliced(translate.range_query(request))
        if isinstance(scan, KvError):
            self._fail(call, scan)
        else:
            self._step_range(call, scan)

    def _step_range(self, call: Call, scan: RangeScan) -> None:
        if call.is_over:
            scan.close()
            return
        result = scan.step(SLICE_ROWS)
        if result is None:
            self._loop.call_soon(self._step_range, call, scan)
        else:
            self._reply_range(call, result)

    def _reply_range(self, call: Call, result: RangeResult) -> None:
        call.reply(translate.range_response(self.header(result.revision), result))

    # Both

    def _may_wait(self, call: Call) -> bool:
        """Heed what the client said of waiting: a deadline, and whether it wants to wait for a leader."""
        request = call.request
        if request.timeout_s is not None:
            deadline = status.DEADLINE
            self._loop.call_later(request.timeout_s, call.finish, deadline.code, deadline.text)
        if not self._node.has_leader and (b"hasleader", b"true") in request.headers:
            fail(call, status.NO_LEADER)
            return False
        return True

    @staticmethod
    def _fail(call: Call, result: object) -> None:
        assert isinstance(result, Failure | KvError), f"unexpected result {result!r}"
        fail(call, status_of(result))


def _has_put(request: rpc_pb2.TxnRequest) -> bool:
    return any(
        operation.HasField("request_put")
        or (operation.HasField("request_txn") and _has_put(operation.request_txn))
        for operation in (*request.success, *request.failure)
    )
