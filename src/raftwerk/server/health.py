"""grpc.health.v1.Health: SERVING while a leader is known. There is one service to ask for, the server as a whole: ""."""

import asyncio
from typing import Final, TypeAlias

from raftwerk.api import health_pb2, status
from raftwerk.http2.server import Call, Method, StreamMethod, UnaryMethod
from raftwerk.server.calls import parse, parse_streamed
from raftwerk.server.port import Node
from raftwerk.server.streams import take_one

LOOK_S: Final = 0.1
"""How often the state is looked at while somebody watches."""

_Response: Final = health_pb2.HealthCheckResponse
State: TypeAlias = health_pb2.HealthCheckResponse.ServingStatus.ValueType


class Health:
    """The handlers, by name."""

    def __init__(self, node: Node, loop: asyncio.AbstractEventLoop) -> None:
        self._node = node
        self._loop = loop
        self._told: dict[Call, State] = {}
        """Who watches, and what they were told last."""
        self._is_looking = False

    def methods(self) -> dict[str, Method]:
        return {
            "/grpc.health.v1.Health/Check": UnaryMethod(self.check),
            "/grpc.health.v1.Health/Watch": StreamMethod(self.watch),
        }

    def _state(self) -> State:
        return _Response.SERVING if self._node.has_leader else _Response.NOT_SERVING

    def check(self, call: Call, data: bytes) -> None:
        request = parse(call, health_pb2.HealthCheckRequest, data)
        if request is None:
            return
        if request.service:
            call.finish(status.NOT_FOUND, "unknown service")
        else:
            call.reply(_Response(status=self._state()).SerializeToString())

    def watch(self, call: Call) -> None:
        """Tell the state, and then each change, until the client leaves."""

        def on_request(data: bytes) -> None:
            request = parse_streamed(call, health_pb2.HealthCheckRequest, data)
            if request is None:
                return
            if request.service:  # it will never be known: there is nothing to look at
                call.send(_Response(status=_Response.SERVICE_UNKNOWN).SerializeToString())
            else:
                call.on_cancel = on_cancel
                self._tell(call, self._state())

        def on_cancel() -> None:
            self._told.pop(call, None)

        take_one(call, on_request)

    def _tell(self, call: Call, state: State) -> None:
        self._told[call] = state
        call.send(_Response(status=state).SerializeToString())
        self._look_later()

    def _look_later(self) -> None:
        if self._told and not self._is_looking:
            self._is_looking = True
            self._loop.call_later(LOOK_S, self._look)

    def _look(self) -> None:
        self._is_looking = False
        self._look_later()
        state = self._state()
        for call in [call for call, told in self._told.items() if told != state]:
            self._tell(call, state)
