"""What a header block asks for: a request, checked (RFC 9113, section 8; gRPC over HTTP/2)."""

import re
from typing import Final

from raftwerk.http2 import grpc
from raftwerk.http2.call import Method, Methods, Refusal, Request
from raftwerk.http2.errors import ErrorCode, StreamFault
from raftwerk.http2.headers import Headers

_PSEUDO: Final = frozenset((b":method", b":scheme", b":authority", b":path"))
_CONNECTION_HEADERS: Final = frozenset(
    (b"connection", b"proxy-connection", b"keep-alive", b"transfer-encoding", b"upgrade")
)
_NAME: Final = re.compile(rb"[!-9;-@\[-~]+")
"""No control characters, blanks, upper case or colons (section 8.2.1)."""
_BAD_VALUE: Final = re.compile(rb"[\0\r\n]|^[ \t]|[ \t]$")


def parse(stream_id: int, headers: Headers, methods: Methods) -> Request:
    """Raises StreamFault for what is malformed as HTTP/2; what is only no gRPC call, or none we know, is refused."""
    pseudo = _pseudo_headers(stream_id, headers)
    regular = headers[len(pseudo) :]
    _check_regular(stream_id, regular)
    fields = dict(regular)
    timeout = fields.get(b"grpc-timeout")
    timeout_s = grpc.parse_timeout_s(timeout) if timeout is not None else None
    path = pseudo[b":path"].decode("latin-1")
    method: Method | None = None
    refusal = _not_grpc(pseudo[b":method"], fields.get(b"content-type", b""))
    if refusal is None and timeout is not None and timeout_s is None:
        text = f"malformed grpc-timeout: {timeout.decode('latin-1')}"
        refusal = Refusal(200, grpc.INTERNAL, text)
    if refusal is None:
        found = methods.find(path)
        if isinstance(found, str):
            refusal = Refusal(200, grpc.UNIMPLEMENTED, found)
        else:
            method = found
    length = _content_length(stream_id, regular)
    is_gzip = fields.get(b"grpc-encoding") == b"gzip"
    return Request(path, regular, timeout_s, length, is_gzip, method, refusal)


def _not_grpc(method: bytes, content_type: bytes) -> Refusal | None:
    if method != b"POST":
        text = f"gRPC calls are POST, not {method.decode('latin-1')}"
        return Refusal(405, grpc.INTERNAL, text)
    if not content_type.startswith(b"application/grpc"):
        text = f"invalid gRPC request content-type {content_type.decode('latin-1')!r}"
        return Refusal(415, grpc.INTERNAL, text)
    return None


def check_fields(stream_id: int, headers: Headers) -> None:
    """Of trailers, or of metadata (headers.split): there are no pseudo-headers. Raises StreamFault."""
    _check_regular(stream_id, headers)


def _pseudo_headers(stream_id: int, headers: Headers) -> dict[bytes, bytes]:
    """The pseudo-header fields, which stand first."""
    pseudo: dict[bytes, bytes] = {}
    for name, value in headers:
        if not name.startswith(b":"):
            break
        if name not in _PSEUDO or name in pseudo or _BAD_VALUE.search(value):
            raise _malformed(stream_id, f"header {name!r}")
        pseudo[name] = value
    if not {b":method", b":scheme", b":path"} <= pseudo.keys() or not pseudo[b":path"]:
        raise _malformed(stream_id, "pseudo-headers are missing")
    return pseudo


def _check_regular(stream_id: int, headers: Headers) -> None:
    for name, value in headers:
        if not _NAME.fullmatch(name) or name in _CONNECTION_HEADERS or _BAD_VALUE.search(value):
            raise _malformed(stream_id, f"header {name!r}")
        if name == b"te" and value != b"trailers":
            raise _malformed(stream_id, f"te: {value!r}")


def _content_length(stream_id: int, headers: Headers) -> int | None:
    values = {value for name, value in headers if name == b"content-length"}
    if not values:
        return None
    value = values.pop()
    if values or not value.isdigit() or len(value) > 18:
        raise _malformed(stream_id, "content-length")
    return int(value)


def _malformed(stream_id: int, text: str) -> StreamFault:
    return StreamFault(stream_id, ErrorCode.PROTOCOL_ERROR, text)
