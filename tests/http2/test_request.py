"""Requests: what is malformed, what is refused, what is taken (RFC 9113, section 8; gRPC over HTTP/2)."""

import pytest

from raftwerk.http2 import request
from raftwerk.http2.call import Refusal, Request
from raftwerk.http2.errors import ErrorCode, StreamFault
from raftwerk.http2.headers import Headers
from tests.http2.talk import (
    ECHO,
    ServerUnderTest,
    TestMethods,
    answered,
    call_frames,
    data_frame,
    expect_reset,
    headers_frame,
    request_headers,
)


def parse(headers: Headers) -> Request:
    return request.parse(1, headers, TestMethods())


def without(name: bytes) -> Headers:
    return [header for header in request_headers() if header[0] != name]


def test_request_of_grpc() -> None:
    asked = parse(request_headers(grpc_timeout="5S", token="secret"))
    assert (asked.path, asked.timeout_s, asked.content_length) == (ECHO, 5.0, None)
    assert (b"token", b"secret") in asked.headers
    assert not any(name.startswith(b":") for name, _ in asked.headers)
    assert asked.method is not None
    assert (asked.refusal, asked.is_gzip) == (None, False)


MALFORMED: dict[str, Headers] = {
    "no :method": without(b":method"),
    "no :scheme": without(b":scheme"),
    "no :path": without(b":path"),
    "empty :path": request_headers(""),
    "nothing": [],
    ":method twice": [(b":method", b"POST"), *request_headers()],
    ":path twice, last": [*request_headers()[:4], (b":path", b"/x"), *request_headers()[4:]],
    "pseudo-header after others": [*without(b":path"), (b":path", b"/x")],
    "unknown pseudo-header": [(b":color", b"red"), *request_headers()],
    ":status": [(b":status", b"200"), *request_headers()],
    "line break in :path": request_headers("/a\r\nb"),
    "upper case": request_headers(Token="x"),
    "upper case inside": request_headers(toKen="x"),
    "empty name": [*request_headers(), (b"", b"x")],
    "blank in a name": [*request_headers(), (b"a b", b"x")],
    "colon in a name": [*request_headers(), (b"a:b", b"x")],
    "zero in a name": [*request_headers(), (b"a\0", b"x")],
    "no ASCII in a name": [*request_headers(), (b"a\xe4", b"x")],
    "delete in a name": [*request_headers(), (b"a\x7f", b"x")],
    "line feed in a value": [*request_headers(), (b"a", b"x\ny")],
    "carriage return in a value": [*request_headers(), (b"a", b"x\ry")],
    "zero in a value": [*request_headers(), (b"a", b"x\0y")],
    "blank before a value": [*request_headers(), (b"a", b" x")],
    "tab after a value": [*request_headers(), (b"a", b"x\t")],
    "connection": request_headers(connection="close"),
    "proxy-connection": request_headers(proxy_connection="close"),
    "keep-alive": request_headers(keep_alive="1"),
    "transfer-encoding": request_headers(transfer_encoding="chunked"),
    "upgrade": request_headers(upgrade="h2c"),
    "te: gzip": request_headers(te="gzip"),
    "te: trailers, gzip": request_headers(te="trailers, gzip"),
    "content-length: x": request_headers(content_length="x"),
    "content-length: -1": request_headers(content_length="-1"),
    "content-length: empty": request_headers(content_length=""),
    "content-length: endless": request_headers(content_length="9" * 5_000),
    "two lengths": [*request_headers(content_length="5"), (b"content-length", b"6")],
}


@pytest.mark.parametrize("headers", MALFORMED.values(), ids=MALFORMED.keys())
def test_malformed_request_is_a_fault_of_the_stream(headers: Headers) -> None:
    """PROTOCOL_ERROR (section 8.1.1)."""
    with pytest.raises(StreamFault) as caught:
        parse(headers)
    assert (caught.value.stream_id, caught.value.code) == (1, ErrorCode.PROTOCOL_ERROR)


@pytest.mark.parametrize("name", ["upper case", "no :path", "connection", "te: gzip"])
def test_malformed_request_leaves_the_connection_alone(name: str) -> None:
    server = ServerUnderTest()
    expect_reset(server.say(headers_frame(1, MALFORMED[name])), 1, ErrorCode.PROTOCOL_ERROR)
    assert answered(server.say(call_frames(3)), 3)[0] == 0


@pytest.mark.parametrize(
    "fields",
    [
        {"te": "trailers"},
        {"x_bin": "AAE="},
        {"cookie": "a=b; c=d"},
        {"empty": ""},
        {"content_type": "application/grpc+proto"},
        {"content_type": "application/grpc;charset=utf-8"},
        {"content_length": "10"},
    ],
)
def test_ordinary_fields_are_taken(fields: dict[str, str]) -> None:
    assert parse(request_headers(**fields)).refusal is None


def test_fields_that_grpc_asks_for_but_can_be_missed() -> None:
    """te, :authority: etcd takes a call without them."""
    assert parse(without(b"te")).refusal is None
    assert parse(without(b":authority")).refusal is None


def test_same_length_twice_is_one() -> None:
    headers = [*request_headers(content_length="5"), (b"content-length", b"5")]
    assert parse(headers).content_length == 5


@pytest.mark.parametrize(
    ("headers", "refusal"),
    [
        (
            [(b":method", b"GET"), *without(b":method")],
            Refusal(405, 13, "gRPC calls are POST, not GET"),
        ),
        (
            request_headers(content_type="text/html"),
            Refusal(415, 13, "invalid gRPC request content-type 'text/html'"),
        ),
        (without(b"content-type"), Refusal(415, 13, "invalid gRPC request content-type ''")),
        (request_headers(grpc_timeout="soon"), Refusal(200, 13, "malformed grpc-timeout: soon")),
        (request_headers("/t.Test/No"), Refusal(200, 12, "unknown method /t.Test/No")),
        (request_headers("*"), Refusal(200, 12, "unknown method *")),
    ],
    ids=["method", "content type", "no content type", "timeout", "path", "asterisk"],
)
def test_request_that_is_well_formed_but_not_to_be_had(headers: Headers, refusal: Refusal) -> None:
    asked = parse(headers)
    assert (asked.refusal, asked.method) == (refusal, None)


@pytest.mark.parametrize(
    ("headers", "http_status", "status"),
    [
        (request_headers("/t.Test/No"), b"200", b"12"),
        (request_headers(content_type="text/html"), b"415", b"13"),
        ([(b":method", b"GET"), *without(b":method")], b"405", b"13"),
    ],
)
@pytest.mark.parametrize("end", [True, False])
def test_refusal_is_one_block(
    headers: Headers, http_status: bytes, status: bytes, end: bool
) -> None:
    """Trailers-Only; and RST_STREAM if the client may go on to send."""
    server = ServerUnderTest()
    answer = server.say(headers_frame(1, headers, end=end))
    assert len(answer) == (1 if end else 2)
    assert answer[0].is_last
    fields = answer[0].headers
    assert (fields[b":status"], fields[b"grpc-status"]) == (http_status, status)
    assert not server.engine.streams


@pytest.mark.parametrize(
    ("length", "payloads"),
    [("11", [b"x" * 10]), ("9", [b"x" * 10]), ("0", [b"x"]), ("5", [b"xx", b"xx"]), ("1", [b""])],
)
def test_body_of_another_length_than_told_is_malformed(length: str, payloads: list[bytes]) -> None:
    server = ServerUnderTest()
    head = headers_frame(1, request_headers(content_length=length))
    body = [data_frame(1, payload) for payload in payloads[:-1]]
    answer = server.say(head, *body, data_frame(1, payloads[-1], end=True))
    expect_reset(answer, 1, ErrorCode.PROTOCOL_ERROR)


def test_length_told_without_a_body_is_malformed() -> None:
    server = ServerUnderTest()
    answer = server.say(headers_frame(1, request_headers(content_length="1"), end=True))
    expect_reset(answer, 1, ErrorCode.PROTOCOL_ERROR)


def test_body_of_the_told_length_is_taken() -> None:
    server = ServerUnderTest()
    head = headers_frame(1, request_headers(content_length="6"))
    answer = server.say(head, data_frame(1, b"\0\0\0"), data_frame(1, b"\0\x01x", end=True))
    assert answered(answer, 1) == (0, b"\0\0\0\0\x01x")


def test_trailers_have_no_pseudo_headers() -> None:
    request.check_fields(1, [(b"checksum", b"1")])
    with pytest.raises(StreamFault):
        request.check_fields(1, [(b":path", b"/")])
