"""etcdserverpb.Lease: LeaseGrant, LeaseRevoke, LeaseKeepAlive, LeaseTimeToLive, LeaseLeases.

Any member answers: what changes a lease goes through the log, and how long it lives is this member's own estimate
(replica.lessor).
"""

import asyncio
from collections.abc import Callable, Iterator
from heapq import merge
from itertools import islice
from math import ceil
from random import SystemRandom
from typing import Final

from raftwerk.api import lease_pb2, status
from raftwerk.api.status import Status
from raftwerk.http2.server import Call, Method, StreamMethod, UnaryMethod
from raftwerk.kv.auth_rules import LeaseKeys
from raftwerk.kv.commands import LeaseGrant, LeaseRenew, LeaseRevoke, encode
from raftwerk.kv.results import KvError, LeaseResult
from raftwerk.replica.failure import Failure
from raftwerk.runtime.settings import Settings
from raftwerk.server import translate
from raftwerk.server.calls import Answering, Waiting, fail, fail_with, parse, wants_leader
from raftwerk.server.errors import status_of
from raftwerk.server.port import Node
from raftwerk.server.slices import Slices, Steps

TTL_S_MAX: Final = 9_000_000_000
SLICE_LEASES: Final = 500
SLICE_KEYS: Final = 1_000
NO_LEASE: Final = 0

_random: Final = SystemRandom()


def new_lease_id() -> int:
    """Positive, 63 bits."""
    return _random.randrange(1, 2**63)


def ttl_s_min(settings: Settings) -> int:
    """One and a half election timeouts, in whole ticks as etcd counts them: owners must have time to find a new leader."""
    ticks = settings.election_timeout_ms // settings.heartbeat_interval_ms
    return ceil(3 * ticks // 2 * settings.heartbeat_interval_ms / 1000)


class LeaseService:
    """The handlers, by name."""

    def __init__(
        self,
        node: Node,
        loop: asyncio.AbstractEventLoop,
        slices: Slices,
        is_over_quota: Callable[[], bool],
    ) -> None:
        self._node = node
        self._loop = loop
        self._slices = slices
        self._is_over_quota = is_over_quota
        self._waiting = Waiting(node, loop)
        self._header = translate.Headers(node).field
        self._ttl_s_min = ttl_s_min(node.settings)
        self._streams: dict[_KeepAlive, None] = {}

    def methods(self) -> dict[str, Method]:
        return {
            "/etcdserverpb.Lease/LeaseGrant": UnaryMethod(self.grant),
            "/etcdserverpb.Lease/LeaseRevoke": UnaryMethod(self.revoke),
            "/etcdserverpb.Lease/LeaseKeepAlive": StreamMethod(self.keep_alive),
            "/etcdserverpb.Lease/LeaseTimeToLive": UnaryMethod(self.time_to_live),
            "/etcdserverpb.Lease/LeaseLeases": UnaryMethod(self.leases),
        }

    def _header_now(self) -> bytes:
        return self._header(self._node.machine.revision)

    # Through the log

    def grant(self, call: Call, data: bytes) -> None:
        request = parse(call, lease_pb2.LeaseGrantRequest, data)
        if request is None:
            return
        if self._is_over_quota():
            fail(call, status.NO_SPACE)
        elif request.TTL > TTL_S_MAX:
            fail(call, status.LEASE_TTL_TOO_LARGE)
        else:
            command = self.grant_command(request.ID, request.TTL)
            self._waiting.propose(call, command, self._answer_grant)

    def _answer_grant(self, call: Call, result: object) -> None:
        if isinstance(result, LeaseResult):
            body = lease_pb2.LeaseGrantResponse(ID=result.lease_id, TTL=result.ttl_s)
            call.reply(self._header(result.revision) + body.SerializeToString())
        else:
            fail_with(call, result)

    def grant_command(self, lease_id: int, ttl_s: int) -> bytes:
        """lease_id NO_LEASE: a new one."""
        return encode(LeaseGrant(lease_id or new_lease_id(), max(ttl_s, self._ttl_s_min)))

    def revoke(self, call: Call, data: bytes) -> None:
        request = parse(call, lease_pb2.LeaseRevokeRequest, data)
        if request is not None:
            self._waiting.propose(call, encode(LeaseRevoke(request.ID)), self._answer_revoke)

    def _answer_revoke(self, call: Call, result: object) -> None:
        if isinstance(result, LeaseResult):
            call.reply(self._header(result.revision))
        else:
            fail_with(call, result)

    def keep_alive(self, call: Call) -> None:
        """Renew a lease for each message, until the client has no more; a lease that is no more has a TTL of 0."""
        if not self._node.has_leader and wants_leader(call):
            fail(call, status.NO_LEADER)
            return
        stream = _KeepAlive(call, self._node, self._loop, self._header, self._streams)
        self._streams[stream] = None

    def stop(self) -> None:
        """End all streams: their clients go on elsewhere."""
        for stream in list(self._streams):
            stream.end(status.STOPPED)

    # This member's word

    def time_to_live(self, call: Call, data: bytes) -> None:
        request = parse(call, lease_pb2.LeaseTimeToLiveRequest, data)
        if request is None:
            return

        def answer() -> None:
            head = self._time_left(request.ID)
            if request.keys:
                self._slices.answer(call, self._key_steps(call, request.ID, head))
            else:
                call.reply(head)

        self._waiting.read(call, answer)

    def _time_left(self, lease_id: int) -> bytes:
        lease = self._node.machine.leases.find(lease_id)
        remaining_s = self._node.lessor.remaining_s(lease_id)
        body = lease_pb2.LeaseTimeToLiveResponse(ID=lease_id, TTL=-1)
        if lease is not None and remaining_s is not None:
            body.TTL, body.grantedTTL = max(0, int(remaining_s)), lease.ttl_s
        return self._header_now() + body.SerializeToString()

    def _key_steps(self, call: Call, lease_id: int, head: bytes) -> Steps:
        """The rest of an answer: the keys that are attached. A lease that ends, now or meanwhile, has none of them.

        When rights change meanwhile, or a snapshot replaces the state, all is looked at again.
        """
        machine = self._node.machine
        parts, after, seen = [head], None, (machine.restores, machine.auth.revision)
        while True:
            if seen != (machine.restores, machine.auth.revision):
                parts, after, seen = [head], None, (machine.restores, machine.auth.revision)
            some, _, after = machine.leases.some_keys(lease_id, after, SLICE_KEYS)
            refused = self._waiting.refusal(call, LeaseKeys(some))
            if refused is not None:
                fail_with(call, refused)
                return
            if machine.leases.find(lease_id) is None:
                parts = [self._time_left(lease_id)]
                break
            parts.append(lease_pb2.LeaseTimeToLiveResponse(keys=some).SerializeToString())
            if after is None:
                break
            yield
        call.reply(b"".join(parts))

    def leases(self, call: Call, _: bytes) -> None:
        """All leases that this member knows, those that end next first."""
        self._slices.answer(call, self._lease_steps(call))

    def _lease_steps(self, call: Call) -> Steps:
        leases, lessor = self._node.machine.leases, self._node.lessor
        runs: list[list[tuple[float, int]]] = []
        after = None
        while True:
            read, after = leases.some(after, SLICE_LEASES)
            runs.append(sorted((lessor.remaining_s(one) or 0.0, one) for one, _ in read))
            if after is None:
                break
            yield
        ordered: Iterator[tuple[float, int]] = merge(*runs)
        parts = [self._header_now()]
        while some := list(islice(ordered, SLICE_LEASES)):
            statuses = [lease_pb2.LeaseStatus(ID=lease_id) for _, lease_id in some]
            parts.append(lease_pb2.LeaseLeasesResponse(leases=statuses).SerializeToString())
            yield
        call.reply(b"".join(parts))


class _KeepAlive:
    """One stream of renewals."""

    def __init__(
        self,
        call: Call,
        node: Node,
        loop: asyncio.AbstractEventLoop,
        header: Callable[[int], bytes],
        streams: "dict[_KeepAlive, None]",
    ) -> None:
        """streams: those that are open; this one leaves them by itself."""
        self._call = call
        self._streams = streams
        self._node = node
        self._header = header
        self._waiting = 0
        self._is_half_closed = False
        self._deadline: asyncio.TimerHandle | None = None
        call.on_message = self._on_message
        call.on_half_close = self._on_half_close
        call.on_cancel = self._forget
        if call.request.timeout_s is not None:
            self._deadline = loop.call_later(call.request.timeout_s, self.end, status.DEADLINE)

    def _on_message(self, data: bytes) -> None:
        request = parse(self._call, lease_pb2.LeaseKeepAliveRequest, data)
        if request is None:
            self._forget()
            return
        lease_id = request.ID
        self._waiting += 1

        def done(result: object) -> None:
            with Answering(self._call, status.DONE_NO_ANSWER):
                self._renewed(lease_id, result)
            if self._call.is_over:
                self._forget()

        self._node.propose(encode(LeaseRenew(lease_id)), done)

    def _renewed(self, lease_id: int, result: object) -> None:
        self._waiting -= 1
        if isinstance(result, LeaseResult):
            self._answer(lease_id, result.ttl_s, result.revision)
        elif result is KvError.LEASE_NOT_FOUND:
            self._answer(lease_id, 0, self._node.machine.revision)
        else:
            assert isinstance(result, Failure | KvError), f"unexpected result {result!r}"
            self.end(status_of(result))
        self._finish_if_all_is_said()

    def _answer(self, lease_id: int, ttl_s: int, revision: int) -> None:
        body = lease_pb2.LeaseKeepAliveResponse(ID=lease_id, TTL=ttl_s)
        self._call.send(self._header(revision) + body.SerializeToString())

    def _on_half_close(self) -> None:
        self._is_half_closed = True
        self._finish_if_all_is_said()

    def _finish_if_all_is_said(self) -> None:
        if self._is_half_closed and not self._waiting:
            self._forget()
            self._call.finish()

    def end(self, refusal: Status) -> None:
        """From this side."""
        self._forget()
        fail(self._call, refusal)

    def _forget(self) -> None:
        self._streams.pop(self, None)
        if self._deadline is not None:
            self._deadline.cancel()
