"""Who may ask over HTTP/1.1, and from where: etcd's --host-whitelist and --cors, around all pages of the client port."""

from collections.abc import Iterable
from typing import Final

from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

ANY: Final = "*"
UNKNOWN_HOST: Final = """
etcd received your request, but the Host header was unrecognized.

To fix this, choose one of the following options:
- Enable TLS, then any HTTPS request will be allowed.
- Add the hostname you want to use to the whitelist in settings.
  - e.g. etcd --host-whitelist "{host}"

This requirement has been added to help prevent "DNS Rebinding" attacks (CVE-2018-5702).

"""
"""In etcd's words."""
_MISDIRECTED: Final = 421
_CORS: Final = (
    (b"access-control-allow-headers", b"accept, content-type, authorization"),
    (b"access-control-allow-methods", b"POST, GET, OPTIONS, PUT, DELETE"),
)


def hostname(host: str) -> str:
    """Of a Host header, as Go takes it apart: without a port, and then without brackets."""
    name, colon, port = host.rpartition(":")
    if name.startswith("[") and name.endswith("]") and colon:
        return name[1:-1]
    return name if colon and ":" not in name and "]" not in port else host


class Access:
    """An ASGI application around another one."""

    def __init__(self, application: ASGIApp, origins: Iterable[str], hosts: Iterable[str]) -> None:
        """origins: whose pages a browser lets read the answers. hosts: as which this member may be addressed without TLS,
        so that no page gets here under a name of its own (DNS rebinding). *, or none: any.
        """
        self._application = application
        self._origins = frozenset(origins) or {ANY}
        self._hosts = frozenset(hosts) or {ANY}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = dict(scope["headers"])
        host = hostname(headers.get(b"host", b"").decode("latin-1"))
        if scope["scheme"] in ("http", "ws") and not self._hosts & {ANY, host}:
            await self._refuse(host, scope, receive, send)
            return
        origin = headers.get(b"origin", b"")
        allowed = b"*" if ANY in self._origins else origin
        if not self._origins & {ANY, origin.decode("latin-1")}:
            sends = send
        else:

            async def sends(message: Message) -> None:
                if message["type"] == "http.response.start":
                    cors = (*_CORS, (b"access-control-allow-origin", allowed))
                    message["headers"] = [*message.get("headers", ()), *cors]
                await send(message)

        if scope["type"] == "http" and scope["method"] == "OPTIONS":
            await PlainTextResponse("")(scope, receive, sends)
        else:
            await self._application(scope, receive, sends)

    @staticmethod
    async def _refuse(host: str, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close"})  # before it was accepted: 403
        else:
            text = UNKNOWN_HOST.format(host=host)
            await PlainTextResponse(text, status_code=_MISDIRECTED)(scope, receive, send)
