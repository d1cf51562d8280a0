"""The HTTP/1.1 side of the client port: an ordinary ASGI application, run by uvicorn's protocol on a sniffed connection."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Mount, Route
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn import Config
from uvicorn.server import ServerState

from raftwerk.errors import CorruptData
from raftwerk.kv.commands import RangeQuery
from raftwerk.replica.failure import Failure
from raftwerk.server.cluster_services import ETCD_VERSION
from raftwerk.server.errors import status_of
from raftwerk.server.http1_protocol import Http1Protocol, WebSocketProtocol
from raftwerk.server.http1_transport import OnWaiting
from raftwerk.server.metrics import MetricsPage
from raftwerk.server.port import Node

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"


class Pages:
    """The handlers."""

    def __init__(self, node: Node, metrics: MetricsPage, alarms: Callable[[], list[str]]) -> None:
        """alarms: the names of those that are raised."""
        self._node = node
        self._alarms = alarms
        self._metrics = metrics

    def application(self, gateway: ASGIApp | None = None) -> Starlette:
        """gateway: serves what is below /v3 and /v3beta; without one, there are these pages alone."""
        mounts = [] if gateway is None else [Mount("/v3", gateway), Mount("/v3beta", gateway)]
        application = Starlette(
            routes=[
                Route("/health", self.health),
                Route("/livez", self.livez),
                Route("/livez/{check}", self.livez),
                Route("/readyz", self.readyz),
                Route("/readyz/{check}", self.readyz),
                Route("/version", self.version),
                Route("/metrics", self.metrics),
                *mounts,
            ],
            exception_handlers={
                404: self.not_found,
                405: self.wrong_method,
                CorruptData: self.damaged,
            },
        )
        application.router.redirect_slashes = False
        return application

    async def health(self, request: Request) -> Response:
        """etcd's /health: 200 with "true", or 503 with the reason."""
        parameters = request.query_params
        excluded = parameters.getlist("exclude")
        reason = next((f"ALARM {name}" for name in self._alarms() if name not in excluded), "")
        if not reason and parameters.get("serializable") != "true":
            reason = await self._linearizable_problem()
        reason = reason or self._serializable_problem()
        body = {"health": "false" if reason else "true", "reason": reason}
        return JSONResponse(body, status_code=503 if reason else 200)

    async def _linearizable_problem(self) -> str:
        if not self._node.has_leader:
            return "RAFT NO LEADER"
        done: asyncio.Future[Failure | None] = asyncio.get_running_loop().create_future()

        def settle(failure: Failure | None) -> None:
            if not done.done():
                done.set_result(failure)

        self._node.read(settle)
        failure = await done
        return "" if failure is None else f"RANGE ERROR:{status_of(failure).text}"

    async def livez(self, request: Request) -> Response:
        """200 while this member can read its own state, with a leader or without: for probes that restart it otherwise."""
        return await self._probed(request, ("serializable_read",))

    async def readyz(self, request: Request) -> Response:
        """200 while this member can serve every request."""
        return await self._probed(request, tuple(CHECKS))

    def _serializable_problem(self) -> str:
        self._node.machine.range(RangeQuery(b"health"))
        return ""

    async def _probed(self, request: Request, names: tuple[str, ...]) -> Response:
        """The outcome of checks: all, or the one that the path names. ?exclude= leaves some out, ?verbose tells of each."""
        name = request.path_params.get("check")
        if name is not None and name not in names:
            return PlainTextResponse("404 page not found\n", status_code=404)
        excluded = request.query_params.getlist("exclude")
        lines = []
        has_failed = False
        for check in names if name is None else (name,):
            if check in excluded:
                continue
            problem = await CHECKS[check](self)
            has_failed |= bool(problem)
            lines.append(f"[-]{check} failed: {problem}\n" if problem else f"[+]{check} ok\n")
        if has_failed:
            return PlainTextResponse("".join(lines), status_code=503)
        is_verbose = "verbose" in request.query_params
        return PlainTextResponse("".join([*lines, "ok\n"] if is_verbose else ["ok\n"]))

    async def _corruption(self) -> str:
        return "alarm activated: CORRUPT" if "CORRUPT" in self._alarms() else ""

    async def _serializable(self) -> str:
        return self._serializable_problem()

    async def _learner(self) -> str:
        return "this member is a learner" if self._node.status().is_learner else ""

    async def version(self, _: Request) -> Response:
        """etcd's /version: what the API is compatible with."""
        major_minor = ".".join(ETCD_VERSION.split(".")[:2])
        return JSONResponse({"etcdserver": ETCD_VERSION, "etcdcluster": f"{major_minor}.0"})

    async def metrics(self, _: Request) -> Response:
        """Prometheus's text format."""
        pieces = []
        for piece in self._metrics.pieces():
            pieces.append(piece)
            await asyncio.sleep(0)  # others get their turn
        return Response(b"".join(pieces), media_type=CONTENT_TYPE)

    async def not_found(self, request: Request, _: Exception) -> Response:
        text = (
            f"{request.method} {request.url.path}: there is no such page here. There are /health, /livez, /readyz, "
            "/version, /metrics, and on the client port the JSON gateway below /v3/, and gRPC.\n"
        )
        return PlainTextResponse(text, status_code=404)

    async def damaged(self, _: Request, error: Exception) -> Response:
        """The node ends of it, and has said so."""
        return PlainTextResponse(f"{error}\n", status_code=500)

    async def wrong_method(self, _: Request, __: Exception) -> Response:
        return PlainTextResponse(
            "Method Not Allowed\n", status_code=405, headers={"Allow": "GET, HEAD"}
        )


CHECKS: Final[dict[str, Callable[[Pages], Awaitable[str]]]] = {
    "data_corruption": Pages._corruption,
    "serializable_read": Pages._serializable,
    "linearizable_read": Pages._linearizable_problem,
    "non_learner": Pages._learner,
}
"""What /readyz looks at, by etcd's names: "", or what is wrong."""


def _ending_if_broken(application: ASGIApp) -> ASGIApp:
    """What answers a request is called by a task that would only log it when an assertion fails: the loop is told."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await application(scope, receive, send)
        except AssertionError as error:
            context = {"message": "an HTTP request could not be answered", "exception": error}
            asyncio.get_running_loop().call_exception_handler(context)
            raise

    return answer


class Http1:
    """Makes protocols for sniffed connections."""

    def __init__(self, application: Any, message_bytes_max: int, on_waiting: OnWaiting) -> None:
        """message_bytes_max: of a message of a WebSocket. on_waiting: see there."""
        self._on_waiting = on_waiting
        self._config = Config(
            _ending_if_broken(application),
            lifespan="off",
            access_log=False,
            log_config=None,
            ws=WebSocketProtocol,
            ws_max_size=message_bytes_max,
            ws_per_message_deflate=False,
            server_header=False,
            timeout_keep_alive=30,
            h11_max_incomplete_event_size=64 * 1024,
        )
        self._config.load()
        self._state = ServerState()

    def protocol(self, loop: asyncio.AbstractEventLoop) -> asyncio.Protocol:
        return Http1Protocol(self._config, self._state, loop, self._on_waiting)

    @property
    def has_calls(self) -> bool:
        """Whether requests are being answered."""
        return bool(self._state.tasks)

    def stop(self) -> None:
        for connection in list(self._state.connections):
            connection.shutdown()
