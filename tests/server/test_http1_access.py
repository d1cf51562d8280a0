"""etcd's --cors and --host-whitelist."""

import asyncio
from typing import Any, NamedTuple

import pytest
from starlette.responses import PlainTextResponse

from raftwerk.server.http1_access import ANY, Access, hostname

ORIGIN = "http://a.example"


class Page(NamedTuple):
    status: int
    headers: dict[str, str]
    body: str


def ask(
    method: str = "POST",
    *,
    cors: tuple[str, ...] = (ANY,),
    hosts: tuple[str, ...] = (ANY,),
    scheme: str = "http",
    kind: str = "http",
    **headers: str,
) -> list[dict[str, Any]]:
    """What is sent for a request to a page that always answers "page"."""
    sent: list[dict[str, Any]] = []
    scope = {
        "type": kind,
        "method": method,
        "scheme": scheme,
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
    }

    async def receive() -> dict[str, Any]:
        return {"type": "websocket.connect"}

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(Access(PlainTextResponse("page"), cors, hosts)(scope, receive, send))
    return sent


def page(*arguments: Any, **options: Any) -> Page:
    start, body = ask(*arguments, **options)
    headers = {name.decode(): value.decode() for name, value in start["headers"]}
    return Page(start["status"], headers, body["body"].decode())


@pytest.mark.parametrize(
    ("cors", "origin", "allowed"),
    [
        ((ANY,), ORIGIN, "*"),
        ((), ORIGIN, "*"),
        ((ORIGIN, "http://b.example"), ORIGIN, ORIGIN),
        (("http://b.example",), ORIGIN, None),
        (("http://b.example",), "", None),
    ],
    ids=["any", "empty", "named", "another", "no origin"],
)
@pytest.mark.parametrize("method", ["POST", "OPTIONS"])
def test_pages_of_named_origins_may_read(
    cors: tuple[str, ...], origin: str, allowed: str | None, method: str
) -> None:
    answer = page(method, cors=cors, origin=origin)
    assert answer.status == 200
    assert answer.body == ("page" if method == "POST" else "")
    assert answer.headers.get("access-control-allow-origin") == allowed
    assert ("access-control-allow-headers" in answer.headers) == (allowed is not None)


@pytest.mark.parametrize(
    ("hosts", "host", "scheme", "status"),
    [
        ((ANY,), "evil:2379", "http", 200),
        ((), "evil", "http", 200),
        (("good",), "good:2379", "http", 200),
        (("good",), "evil:2379", "http", 421),
        (("good",), "", "http", 421),
        (("good",), "evil:2379", "https", 200),
    ],
    ids=["any", "empty", "named", "another", "no host", "TLS"],
)
def test_plain_http_goes_to_named_hosts(
    hosts: tuple[str, ...], host: str, scheme: str, status: int
) -> None:
    answer = page(hosts=hosts, host=host, scheme=scheme)
    assert answer.status == status
    if status != 200:
        assert f'--host-whitelist "{hostname(host)}"' in answer.body


def test_websocket_goes_to_named_hosts() -> None:
    sent = ask(hosts=("good",), host="evil:2379", scheme="ws", kind="websocket")
    assert sent == [{"type": "websocket.close"}]


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("a", "a"),
        ("a:1", "a"),
        ("1.2.3.4:1", "1.2.3.4"),
        ("[::1]:1", "::1"),
        ("[::1]", "[::1]"),
        ("::1", "::1"),
        ("", ""),
    ],
)
def test_host_is_taken_apart_as_in_go(host: str, name: str) -> None:
    assert hostname(host) == name
