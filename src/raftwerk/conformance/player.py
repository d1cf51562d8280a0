"""Plays a case on a server, and tells its answers."""

import asyncio
import json
from collections.abc import Sequence
from typing import Any, Final

from raftwerk.api.auth_rpc_pb2 import AuthenticateResponse
from raftwerk.api.lease_pb2 import LeaseGrantResponse
from raftwerk.conformance.difference import what
from raftwerk.conformance.methods import METHODS, Method
from raftwerk.conformance.names import Names
from raftwerk.conformance.normal import named_json, normal, normal_text
from raftwerk.conformance.plain import message_of, plain_of
from raftwerk.conformance.ports import Endpoint, Stream
from raftwerk.conformance.steps import (
    Also,
    Await,
    Begin,
    Call,
    End,
    Fence,
    GiveUp,
    HalfClose,
    Hear,
    Http,
    Metadata,
    Open,
    Request,
    Say,
    SayBytes,
    Step,
)
from raftwerk.http2.client import Answer
from raftwerk.http2.grpc import OK

PATIENCE_S: Final = 10.0
"""For one answer."""
FENCE_ID: Final = 1000
"""Watch ids of fences are larger."""
FENCE_KEY: Final = "fence"
ATTEMPTS_MAX: Final = 10_000
CODES: Final = (
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
)
"""Of gRPC, by number."""
Told = dict[str, Any]
"""An answer in the words of a case; recorded, and compared."""


class CannotPlay(Exception):
    """A step that the next ones build on did not happen."""


class Player:
    """Of one case, on one server."""

    def __init__(self, endpoint: Endpoint, names: Names) -> None:
        self._endpoint = endpoint
        self._names = names
        self.granted: list[int] = []
        """Leases that there may be now."""
        self._tokens: dict[str, str] = {}
        self._fences = 0
        self._begun: dict[str, tuple[asyncio.Task[Answer], str]] = {}
        self._streams: dict[str, tuple[Stream, Method]] = {}

    async def play(self, steps: Sequence[Step]) -> list[Told]:
        """The answers, in order. Raises CannotPlay, and OSError when the server cannot be reached."""
        told: list[Told] = []
        try:
            for number, step in enumerate(steps, 1):
                try:
                    answer = await self._take(step)
                except CannotPlay as error:
                    raise CannotPlay(f"step {number}, {what(step)}: {error}") from error
                if answer is not None:
                    told.append(answer)
        finally:
            await self._end()
        return told

    async def _end(self) -> None:
        tasks = [task for task, _ in self._begun.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for stream, _ in self._streams.values():
            stream.close()

    async def _take(self, step: Step) -> Told | None:
        match step:
            case Call():
                return await self._call(step)
            case Begin():
                self._begun[step.name] = asyncio.create_task(self._ask(step)), step.method
            case Await():
                task, name = self._begun.pop(step.name)
                return self._told(await task, name)
            case GiveUp():
                await self._give_up(step.name)
            case Open():
                await self._open(step)
            case Say():
                stream, method = self._streams[step.name]
                request = message_of(method.request, step.fields, self._names)
                stream.send(request.SerializeToString())
            case SayBytes():
                self._streams[step.name][0].send(step.data)
            case HalfClose():
                self._streams[step.name][0].half_close()
            case Hear():
                return {"heard": await self._hear(step.name, step.count)}
            case Fence():
                return {"heard": await self._fence(step)}
            case End():
                return {"ended": await self._hear_end(step.name)}
            case Http():
                return await self._http(step)
            case Also():
                return await self._take(step.step)
        return None

    # Calls

    async def _ask(self, request: Request) -> Answer:
        path, message = self._message(request)
        try:
            async with asyncio.timeout(PATIENCE_S):
                return await self._endpoint.call(path, message, self._metadata(request))
        except TimeoutError:
            raise CannotPlay(f"no answer in {PATIENCE_S:.0f} s") from None

    def _message(self, request: Request) -> tuple[str, bytes]:
        method = METHODS.get(request.method)
        if request.data is not None:
            return request.method if method is None else method.path, request.data
        assert method is not None, request.method
        message = message_of(method.request, request.fields, self._names)
        return method.path, message.SerializeToString()

    def _metadata(self, request: Request) -> Metadata:
        if not request.token:
            return request.metadata
        return (*request.metadata, ("token", self._tokens.get(request.token, "none")))

    async def _call(self, step: Call) -> Told | None:
        answer = await self._ask(step)
        if step.until is not None:
            field, wanted = step.until
            for _ in range(ATTEMPTS_MAX):
                response = METHODS[step.method].response.FromString(answer.message)
                if getattr(response, field) == wanted:
                    return None
                await asyncio.sleep(0)
                answer = await self._ask(step)
            raise CannotPlay(f"{field} does not become {wanted}")
        if answer.status == OK:
            self._remember(step, answer.message)
        if step.is_setup:
            if answer.status != OK:
                raise CannotPlay(f"it failed: {answer.text}")
            return None
        return self._told(answer, step.method)

    def _remember(self, step: Call, message: bytes) -> None:
        if step.keep:
            self._tokens[step.keep] = AuthenticateResponse.FromString(message).token
        if step.method == "Lease.LeaseGrant":
            self.granted.append(LeaseGrantResponse.FromString(message).ID)

    def _told(self, answer: Answer, method: str) -> Told:
        if answer.status != OK:
            return {"code": CODES[answer.status], "text": normal_text(answer.text)}
        known = METHODS.get(method)
        return {"reply": {} if known is None else self._plain(known, answer.message)}

    def _plain(self, method: Method, message: bytes) -> Told:
        return normal(plain_of(method.response.FromString(message), self._names))

    async def _give_up(self, name: str) -> None:
        task, _ = self._begun.pop(name)
        if task.done():
            raise CannotPlay(f"{name} was answered already: {task.result()}")
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    # Streams

    async def _open(self, step: Open) -> None:
        method = METHODS[step.method]
        stream = await self._endpoint.stream(method.path, self._metadata(step))
        self._streams[step.name] = stream, method
        if step.fields or step.data is not None:
            stream.send(self._message(step)[1])
            stream.half_close()

    async def _receive(self, name: str) -> Told | Answer:
        stream, method = self._streams[name]
        try:
            async with asyncio.timeout(PATIENCE_S):
                answer = await stream.receive()
        except TimeoutError:
            raise CannotPlay(f"silence for {PATIENCE_S:.0f} s") from None
        return answer if isinstance(answer, Answer) else self._plain(method, answer)

    async def _hear(self, name: str, count: int) -> list[Told]:
        heard = [await self._response(name) for _ in range(count)]
        return sorted(heard, key=_watch_id)

    async def _response(self, name: str) -> Told:
        answer = await self._receive(name)
        if isinstance(answer, Answer):
            raise CannotPlay(f"the stream ended: {CODES[answer.status]} {answer.text}")
        return answer

    async def _hear_end(self, name: str) -> Told:
        answer = await self._receive(name)
        if not isinstance(answer, Answer):
            return {"still": answer}
        return {"code": CODES[answer.status], "text": normal_text(answer.text)}

    async def _fence(self, step: Fence) -> list[Told]:
        """Others that watch the fence's key hear of it before or after the fence itself: that is left out.

        With history, the fence is a watcher that has to catch up too. When it has, all have that began before: they do
        so together. What the stream tells after that is not of the past.
        """
        self._fences += 1
        fence = FENCE_ID + self._fences
        fields: dict[str, Any] = {"key": FENCE_KEY, "watch_id": fence}
        put = Call(method="KV.Put", fields={"key": FENCE_KEY})
        if step.with_history:
            answer = await self._take(put)
            assert answer is not None
            fields["start_revision"] = answer["reply"]["header"]["revision"]
        create = Say({"create_request": fields}, step.name)
        heard: list[Told] = []
        for request in (create, None, put) if step.with_history else (create, put):
            if request is not None:
                await self._take(request)
            while _watch_id(response := await self._response(step.name)) != fence:
                heard.append(_without_fences(response))
        return sorted((one for one in heard if one), key=_watch_id)

    # HTTP

    async def _http(self, step: Http) -> Told:
        body = self._names.body_of(step.body)
        answer = await self._endpoint.http(step.method, step.path, body)
        try:
            parsed = named_json(json.loads(answer.body), self._names)
        except ValueError:
            parsed = None
        whole = {
            "status": answer.status,
            "type": answer.content_type,
            "body": normal(parsed) if isinstance(parsed, dict) else parsed or answer.body,
            "code": parsed.get("code") if isinstance(parsed, dict) else None,
        }
        return {name: whole[name] for name in step.told}


def _watch_id(response: Told) -> int:
    return int(response.get("watch_id", 0))


def _without_fences(response: Told) -> Told:
    """Nothing, if there was nothing else in it."""
    events = response.get("events")
    if events is None:
        return response
    others = [event for event in events if event["kv"].get("key") != FENCE_KEY]
    return {**response, "events": others} if others else {}
