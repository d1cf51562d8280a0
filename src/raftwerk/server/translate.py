"""Between the API's messages and the machine's commands and results.

Answers are put together from bytes: key-values come out of the store already serialized, and the header is the same for
all answers at one revision. What results is what protobuf would have written.
"""

from collections.abc import Generator, Sequence
from functools import lru_cache
from typing import Final, Protocol, TypeAlias

from raftwerk.api import rpc_pb2
from raftwerk.kv.commands import (
    DeleteRange,
    Put,
    RangeQuery,
    SortOrder,
    SortTarget,
)
from raftwerk.kv.results import DeleteRangeResult, PutResult, RangeResult, TxnResult
from raftwerk.kv.rows import ROW_BYTES, varint

_SORT_ORDERS = tuple(SortOrder)
_SORT_TARGETS = tuple(SortTarget)


_SERIALIZABLE: Final = b"\x38\x01"


def plain_range(data: bytes) -> tuple[RangeQuery, bool] | None:
    """The query of a serialized RangeRequest for one key of the newest state, and whether it is serializable.

    None: it asks for something else, or is of another form than clients write, or cannot be read (see `plain_put`).
    """
    key_from, key_to = _text(data, 0, 0x0A)
    if key_to == key_from:
        return None
    if key_to == len(data):
        return RangeQuery(data[key_from:]), False
    if data[key_to:] == _SERIALIZABLE:
        return RangeQuery(data[key_from:key_to]), True
    return None


def range_query(request: rpc_pb2.RangeRequest) -> RangeQuery:
    return RangeQuery(
        request.key,
        request.range_end,
        request.limit,
        request.revision,
        _SORT_ORDERS[request.sort_order],
        _SORT_TARGETS[request.sort_target],
        request.keys_only,
        request.count_only,
        request.min_mod_revision,
        request.max_mod_revision,
        request.min_create_revision,
        request.max_create_revision,
    )


def plain_put(data: bytes) -> Put | None:
    """The command of a serialized PutRequest with a key, a value and nothing else, in the form that all clients write.

    None: it is of another form, or cannot be read at all: protobuf will tell. By far the most requests are of this one, and
    need none of protobuf's objects then.
    """
    key_from, key_to = _text(data, 0, 0x0A)
    value_from, value_to = _text(data, key_to, 0x12)
    if key_to == key_from or value_to == value_from or value_to != len(data):
        return None
    return Put(data[key_from:key_to], data[value_from:value_to])


def _text(data: bytes, start: int, tag: int) -> tuple[int, int]:
    """Where the text of a field is that begins at `start`, with a length of at most two bytes; (0, 0) if there is none."""
    if start + 3 > len(data) or data[start] != tag:
        return 0, 0
    size = data[start + 1]
    if size < 0x80:
        begin = start + 2
    elif 0 < data[start + 2] < 0x80:
        size = size & 0x7F | data[start + 2] << 7
        begin = start + 3
    else:
        return 0, 0
    return begin, begin + size


def put_command(request: rpc_pb2.PutRequest) -> Put:
    return Put(
        request.key,
        request.value,
        request.lease,
        request.prev_kv,
        request.ignore_value,
        request.ignore_lease,
    )


def delete_command(request: rpc_pb2.DeleteRangeRequest) -> DeleteRange:
    return DeleteRange(request.key, request.range_end, request.prev_kv)


class Member(Protocol):
    """Who answers."""

    cluster_id: int
    node_id: int

    @property
    def current_term(self) -> int: ...


class Headers:
    """ResponseHeaders of one member, of its present term."""

    def __init__(self, member: Member) -> None:
        self._member = member
        self._ids = b"\x08" + varint(member.cluster_id) + b"\x10" + varint(member.node_id)
        self._last_revision = self._last_term = -1  # none
        self._term_field = b""
        self._data = b""

    def message(self, revision: int) -> rpc_pb2.ResponseHeader:
        member = self._member
        return rpc_pb2.ResponseHeader(
            cluster_id=member.cluster_id,
            member_id=member.node_id,
            revision=revision,
            raft_term=member.current_term,
        )

    def field(self, revision: int) -> bytes:
        """Serialized, as field 1 of any response; the last one made is kept."""
        term = self._member.current_term
        if term != self._last_term:
            self._term_field = b"\x20" + varint(term) if term else b""
            self._last_term = term
            self._last_revision = -1
        if revision != self._last_revision:
            revision_field = b"\x18" + varint(revision) if revision else b""
            ids, term_field = self._ids, self._term_field
            size = varint(len(ids) + len(revision_field) + len(term_field))
            self._data = b"".join((b"\x0a", size, ids, revision_field, term_field))
            self._last_revision = revision
        return self._data


RANGE_KV: Final = b"\x12"
_PREV_KV: Final = b"\x1a"
PIECE_BYTES: Final = 64 * 1024
"""Of an answer: what is smaller is put together."""
Parts: TypeAlias = Generator[None, None, list[bytes]]
"""Makes an answer, or some of one, in slices: bytes that follow each other."""


def _nested_header(revision: int) -> bytes:
    header = b"\x18" + varint(revision)
    return b"\x0a" + varint(len(header)) + header


@lru_cache(maxsize=1)
def _plain_put(revision: int) -> bytes:
    """The answer to a put of a transaction, without the previous value: all those of a transaction have the same bytes."""
    header = _nested_header(revision)
    response = b"\x12" + varint(len(header)) + header
    return b"\x1a" + varint(len(response)) + response


def range_parts(header: bytes, result: RangeResult) -> list[bytes]:
    """A RangeResponse, of few key-values."""
    return [header, kvs_field(result.kvs), range_tail(result)]


def kvs_field(kvs: Sequence[bytes], tag: bytes = RANGE_KV) -> bytes:
    """The key-values of a response, or some of them."""
    parts: list[bytes] = []
    for kv in kvs:
        parts += (tag, varint(len(kv)), kv)
    return b"".join(parts)


def range_tail(result: RangeResult) -> bytes:
    """What follows the kvs of a RangeResponse."""
    count = b"\x20" + varint(result.count) if result.count else b""
    return b"\x18\x01" + count if result.more else count


def fitting(kvs: Sequence[bytes], start: int, room: int) -> tuple[int, int]:
    """How many of the key-values from `start` on fit into a slice: (where they end, the room left). Large ones take more."""
    stop = start
    while stop < len(kvs) and room > 0:
        room -= 1 + len(kvs[stop]) // ROW_BYTES
        stop += 1
    return stop, room


def put_parts(header: bytes, result: PutResult) -> list[bytes]:
    """A PutResponse."""
    prev_kv = result.prev_kv
    return [header] if prev_kv is None else [header, b"\x12", varint(len(prev_kv)), prev_kv]


def delete_steps(header: bytes, result: DeleteRangeResult, slice_kvs: int) -> Parts:
    """A DeleteRangeResponse, put together in slices of about slice_kvs key-values."""
    return _Answer(slice_kvs).delete(header, result)


def txn_steps(header: bytes, result: TxnResult, slice_kvs: int) -> Parts:
    """A TxnResponse, likewise."""
    return _Answer(slice_kvs).txn(header, result)


class _Answer:
    """One answer that may hold many key-values, or large ones."""

    def __init__(self, slice_kvs: int) -> None:
        self._slice_kvs = self._left = slice_kvs

    def _kvs(self, kvs: Sequence[bytes], tag: bytes) -> Parts:
        parts: list[bytes] = []
        start = 0
        while start < len(kvs):
            if self._left <= 0:
                yield
                self._left = self._slice_kvs
            stop, self._left = fitting(kvs, start, self._left)
            parts.append(kvs_field(kvs[start:stop], tag))
            start = stop
        return parts

    def _range(self, header: bytes, result: RangeResult) -> Parts:
        return [header, *(yield from self._kvs(result.kvs, RANGE_KV)), range_tail(result)]

    def delete(self, header: bytes, result: DeleteRangeResult) -> Parts:
        deleted = b"\x10" + varint(result.deleted) if result.deleted else b""
        return [header + deleted, *(yield from self._kvs(result.prev_kvs, _PREV_KV))]

    def txn(self, header: bytes, result: TxnResult) -> Parts:
        parts = [header]
        if result.succeeded:
            parts.append(b"\x10\x01")
        for response in result.responses:
            if isinstance(response, PutResult) and response.prev_kv is None:
                parts.append(_plain_put(response.revision))
                continue
            nested = _nested_header(response.revision)
            if isinstance(response, RangeResult):
                tag, data = b"\x0a", (yield from self._range(nested, response))
            elif isinstance(response, PutResult):
                if self._left <= 0:
                    yield
                    self._left = self._slice_kvs
                self._left -= len(response.prev_kv or b"") // ROW_BYTES
                tag, data = b"\x12", put_parts(nested, response)
            elif isinstance(response, DeleteRangeResult):
                tag, data = b"\x1a", (yield from self.delete(nested, response))
            else:
                tag, data = b"\x22", (yield from self.txn(b"\x0a\x00", response))
            head = tag + varint(sum(map(len, data)))
            operation = [head, *data]
            size = varint(sum(map(len, operation)))
            parts += _joined([b"\x1a", size, *operation])
        return parts


def _joined(parts: list[bytes]) -> list[bytes]:
    """The same in fewer parts: each of them takes a frame on the wire. Large ones are not copied."""
    joined: list[bytes] = []
    small: list[bytes] = []
    size = 0
    for part in parts:
        if len(part) < PIECE_BYTES:
            small.append(part)
            size += len(part)
        if small and (len(part) >= PIECE_BYTES or size >= PIECE_BYTES):
            joined.append(b"".join(small))
            small, size = [], 0
        if len(part) >= PIECE_BYTES:
            joined.append(part)
    if small:
        joined.append(b"".join(small))
    return joined
