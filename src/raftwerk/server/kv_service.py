"""etcdserverpb.KV: Range, Put, DeleteRange, Txn, Compact.

Writes are proposed; linearizable reads wait for the barrier; serializable ones are answered at once, by a member that has
caught up since its start. Every answer is given in a callback: no task, future or timer belongs to a request, but for a
deadline that the client asked for.
"""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Final

from raftwerk.api import rpc_pb2, session_puts, status
from raftwerk.api.status import Status
from raftwerk.http2.server import Call, Method, StreamMethod, UnaryMethod
from raftwerk.kv.commands import Compact, RangeQuery, Txn, Write, encode
from raftwerk.kv.read import RangeScan
from raftwerk.kv.results import (
    CompactResult,
    DeleteRangeResult,
    KvError,
    PutResult,
    TxnResult,
)
from raftwerk.kv.txn import TxnScan
from raftwerk.server import translate, txn_request, validate
from raftwerk.server.backlog import ANSWER_BYTES_MAX
from raftwerk.server.calls import Answer, Answering, Waiting, fail, fail_with, parse
from raftwerk.server.port import Node
from raftwerk.server.session_puts import SessionPuts
from raftwerk.server.sessions import SessionService, in_session
from raftwerk.server.slices import Slices, Steps, read_in_slices, remove_in_slices
from raftwerk.server.txn_request import txn_command

SLICE_ROWS: Final = 200
"""Rows of a range that are read in one turn of the loop: about two milliseconds."""
SLICE_KVS: Final = 2_000
"""Key-values that are put into the answer in one turn. Large ones count for more."""
POLL_S: Final = 0.01


class KvService:
    """The handlers, by name."""

    def __init__(
        self,
        node: Node,
        loop: asyncio.AbstractEventLoop,
        slices: Slices,
        is_over_quota: Callable[[], bool],
        answer_bytes_max: int = ANSWER_BYTES_MAX,
    ) -> None:
        """answer_bytes_max: of a read."""
        self._node = node
        self._machine = node.machine
        self._loop = loop
        self._slices = slices
        self._waiting = Waiting(node, loop)
        self._is_over_quota = is_over_quota
        self._answer_bytes_max = answer_bytes_max
        self._settings = node.settings
        self.header = translate.Headers(node).field

    def methods(self) -> dict[str, Method]:
        put = UnaryMethod(self.put)
        return {
            "/etcdserverpb.KV/Range": UnaryMethod(self.range),
            session_puts.SINGLE: put,
            session_puts.PATH: StreamMethod(SessionPuts(put, self._node.soon).open),
            "/etcdserverpb.KV/DeleteRange": UnaryMethod(self.delete_range),
            "/etcdserverpb.KV/Txn": UnaryMethod(self.txn),
            "/etcdserverpb.KV/Compact": UnaryMethod(self.compact),
            **SessionService(self._waiting).methods(),
        }

    # Writes

    def put(self, call: Call, data: bytes) -> None:
        command = translate.plain_put(data)
        if command is None:
            request = parse(call, rpc_pb2.PutRequest, data)
            if request is None:
                return
            refusal = validate.check_put(request)
            if refusal is not None:
                fail(call, refusal)
                return
            command = translate.put_command(request)
        if self._is_over_quota():
            fail(call, status.NO_SPACE)
            return
        self._propose(call, command, self._answer_put)

    def _answer_put(self, call: Call, result: object) -> None:
        if isinstance(result, PutResult):
            header = self.header(result.revision)
            if result.prev_kv is None:
                call.reply(header)
            else:
                parts = translate.put_parts(header, result)
                answer = partial(call.reply_parts, parts)
                self._slices.answer_soon(call, answer, status.DONE_NO_ANSWER)
        else:
            fail_with(call, result)

    def delete_range(self, call: Call, data: bytes) -> None:
        request = parse(call, rpc_pb2.DeleteRangeRequest, data)
        if request is None:
            return
        refusal = validate.check_delete_range(request)
        if refusal is not None:
            fail(call, refusal)
            return
        self._propose(call, translate.delete_command(request), self._answer_delete)

    def _answer_delete(self, call: Call, result: object) -> None:
        if isinstance(result, DeleteRangeResult):
            header = self.header(result.revision)
            steps = translate.delete_steps(header, result, SLICE_KVS)
            self._reply(call, steps, status.DONE_NO_ANSWER)
        else:
            fail_with(call, result)

    def txn(self, call: Call, data: bytes) -> None:
        request = parse(call, rpc_pb2.TxnRequest, data)
        if request is None:
            return
        command = txn_command(request, self._settings.max_txn_ops)
        if isinstance(command, Status):
            fail(call, command)
            return
        is_read_only = txn_request.is_read_only(command)
        if not is_read_only and self._is_over_quota() and txn_request.has_put(command):
            fail(call, status.NO_SPACE)
            return
        if not is_read_only:
            self._propose(call, command, self._answer_txn)
            return
        answer = partial(self._read_txn, call, command)
        if txn_request.is_serializable(request):
            self._waiting.read_here(call, answer)
        else:
            self._waiting.read(call, answer)

    def _answer_txn(
        self, call: Call, result: object, no_answer: Status = status.DONE_NO_ANSWER
    ) -> None:
        if isinstance(result, TxnResult):
            steps = translate.txn_steps(self.header(result.revision), result, SLICE_KVS)
            self._reply(call, steps, no_answer)
        else:
            fail_with(call, result)

    def compact(self, call: Call, data: bytes) -> None:
        request = parse(call, rpc_pb2.CompactionRequest, data)
        if request is None:
            return
        self._propose(call, Compact(request.revision), partial(self._answer_compact, request))

    def _answer_compact(
        self, request: rpc_pb2.CompactionRequest, call: Call, result: object
    ) -> None:
        if not isinstance(result, CompactResult):
            fail_with(call, result)
        elif request.physical:
            self._slices.start(call, self._removal_steps(call, request.revision, result))
        else:
            call.reply(self.header(result.revision))

    def _removal_steps(self, call: Call, revision: int, result: CompactResult) -> Steps:
        with Answering(call, status.DONE_NO_ANSWER):
            yield from remove_in_slices(self._node)
            self._answer_when_removed(call, revision, result)

    def _answer_when_removed(self, call: Call, revision: int, result: CompactResult) -> None:
        """Not at once if somebody still reads what is to go."""
        if self._machine.removed_revision >= revision:
            call.reply(self.header(result.revision))
        elif not call.is_over:
            self._loop.call_later(POLL_S, self._answer_when_removed, call, revision, result)

    def _propose(self, call: Call, write: Write, answer: Answer) -> None:
        try:
            command = encode(in_session(call, write))
        except ValueError:
            fail(call, status.SESSION_UNREADABLE)
            return
        if len(command) > self._settings.max_request_bytes:
            fail(call, status.REQUEST_TOO_LARGE)
        else:
            self._waiting.propose(call, command, answer)

    # Reads

    def range(self, call: Call, data: bytes) -> None:
        plain = translate.plain_range(data)
        if plain is not None:
            query, is_serializable = plain
        else:
            request = parse(call, rpc_pb2.RangeRequest, data)
            if request is None:
                return
            refusal = validate.check_range(request)
            if refusal is not None:
                fail(call, refusal)
                return
            query, is_serializable = translate.range_query(request), request.serializable
        if is_serializable:
            self._waiting.read_here(call, lambda: self._answer_range(call, query))
        else:
            self._waiting.read(call, lambda: self._answer_range(call, query))

    def _answer_range(self, call: Call, query: RangeQuery) -> None:
        if call.is_over:
            return
        if query.range_end:
            self._slices.answer(call, self._range_steps(call, query))
        else:
            self._slices.answer_soon(call, lambda: self._answer_key(call, query))

    def _answer_key(self, call: Call, query: RangeQuery) -> None:
        result = self._waiting.refusal(call, query) or self._machine.range(query)
        if isinstance(result, KvError):
            fail_with(call, result)
        else:
            call.reply_parts(translate.range_parts(self.header(result.revision), result))

    def _read_txn(self, call: Call, command: Txn) -> None:
        """A transaction that only reads."""
        if txn_request.has_range(command):
            self._slices.answer(call, self._txn_steps(call, command))
        else:
            self._slices.answer_short(call, partial(self._txn_steps, call, command))

    def _txn_steps(self, call: Call, command: Txn) -> Steps:
        begin = partial(self._begin_txn, call, command)
        result = yield from read_in_slices(self._machine, begin, SLICE_ROWS)
        self._answer_txn(call, result, status.NO_ANSWER)

    def _begin_txn(self, call: Call, command: Txn) -> TxnScan | KvError:
        return self._waiting.refusal(call, command) or self._machine.txn_sliced(command)

    def _range_steps(self, call: Call, query: RangeQuery) -> Steps:
        """A range of many keys."""

        def begin() -> RangeScan | KvError:
            return self._waiting.refusal(call, query) or self._machine.range_sliced(query)

        result = yield from read_in_slices(self._machine, begin, SLICE_ROWS)
        if isinstance(result, KvError):
            fail_with(call, result)
            return
        kvs, parts = result.kvs, [self.header(result.revision)]
        assert isinstance(kvs, list)
        start = size = 0
        while start < len(kvs):
            if start:
                yield
            stop, _ = translate.fitting(kvs, start, SLICE_KVS)
            parts.append(translate.kvs_field(kvs[start:stop]))
            size += len(parts[-1])
            if size > self._answer_bytes_max:
                fail(call, status.ANSWER_TOO_LARGE)
                return
            kvs[start:stop] = [b""] * (stop - start)  # freed here, and not all of them in one turn
            start = stop
        parts.append(translate.range_tail(result))
        call.reply_parts(parts)

    def _reply(self, call: Call, parts: translate.Parts, no_answer: Status) -> None:
        """At once, or, if it is much, in slices: what was done is never refused for want of room."""
        try:
            next(parts)
        except StopIteration as end:
            self._send(call, end.value, no_answer)
        else:
            self._slices.start(call, self._reply_steps(call, parts, no_answer))

    def _reply_steps(self, call: Call, parts: translate.Parts, no_answer: Status) -> Steps:
        with Answering(call, no_answer):
            self._send(call, (yield from parts), no_answer)

    def _send(self, call: Call, answer: list[bytes], no_answer: Status) -> None:
        is_read = no_answer is status.NO_ANSWER
        if is_read and sum(map(len, answer)) > self._answer_bytes_max:
            fail(call, status.ANSWER_TOO_LARGE)
        else:
            call.reply_parts(answer)
