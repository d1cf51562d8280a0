"""Leases that are kept alive in the background.

async with client.lease(10) as lease:
    await client.put(b"me", b"here", lease=lease.id)

A lease counts as lost as soon as it may have ended at the servers: when they say so, or when no renewal was answered for as
long as it was granted, counted from when the last one was sent.
"""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from random import SystemRandom
from types import TracebackType
from typing import ClassVar, Final, Self

from raftwerk.api import lease_pb2, status
from raftwerk.client import arguments
from raftwerk.client.block import Block
from raftwerk.client.calls import RETRY_S, Calls, OpenStream
from raftwerk.client.errors import CallError, CallFailed, LeaseLost
from raftwerk.client.fate import Kind
from raftwerk.errors import RaftwerkError, UsageError
from raftwerk.http2.client import Answer

GRANT: Final = "/etcdserverpb.Lease/LeaseGrant"
REVOKE: Final = "/etcdserverpb.Lease/LeaseRevoke"
KEEP_ALIVE: Final = "/etcdserverpb.Lease/LeaseKeepAlive"
TIME_TO_LIVE: Final = "/etcdserverpb.Lease/LeaseTimeToLive"
LEASES: Final = "/etcdserverpb.Lease/LeaseLeases"
RENEWALS: Final = 3
"""In the time of a lease."""
REVOKE_S: Final = 2.0
CLOCK: Final[int | None] = getattr(time, "CLOCK_BOOTTIME", None)
"""That goes on while the machine is suspended, as the servers' do: an event loop's stands still then. None: there is none."""
NO_ID: Final = "no lease has the id 0, which stands for none: take the id that it was granted with"

_random: Final = SystemRandom()


def machine_s() -> float:
    """The time by CLOCK. Any thread may ask."""
    return time.monotonic() if CLOCK is None else time.clock_gettime(CLOCK)


async def grant(calls: Calls, ttl_s: int) -> lease_pb2.LeaseGrantResponse:
    """A new lease. It has an id by lot, so that asking again for the same one does no harm."""
    request = arguments.request(
        lease_pb2.LeaseGrantRequest, TTL=ttl_s, ID=_random.randrange(1, 2**63)
    )
    try:
        message, kind = request.SerializeToString(), lease_pb2.LeaseGrantResponse
        return await calls.unary(GRANT, message, kind, Kind.REPEATABLE)
    except CallError as failure:
        if failure.text != status.LEASE_EXISTS.text:
            raise
    # Granted by an attempt whose answer was lost
    return lease_pb2.LeaseGrantResponse(
        ID=request.ID, TTL=(await time_to_live(calls, request.ID)).grantedTTL
    )


async def revoke(calls: Calls, lease_id: int, timeout_s: float | None = None) -> bool:
    """End a lease and delete its keys. Returns whether it was there.

    False may also be the answer to a second attempt, after a first one that has ended it, and whose answer was lost.
    """
    request = arguments.request(lease_pb2.LeaseRevokeRequest, ID=lease_id)
    message, kind = request.SerializeToString(), lease_pb2.LeaseRevokeResponse
    try:
        await calls.unary(REVOKE, message, kind, Kind.REPEATABLE, timeout_s=timeout_s)
    except CallError as failure:
        if failure.text != status.LEASE_NOT_FOUND.text:
            raise
        return False
    return True


async def keep_alive_once(calls: Calls, lease_id: int) -> int:
    """Give a lease all its time anew. Returns that time in seconds. Raises LeaseLost when it is no more."""
    request = arguments.request(lease_pb2.LeaseKeepAliveRequest, ID=lease_id)
    message, kind = request.SerializeToString(), lease_pb2.LeaseKeepAliveResponse
    response = await calls.unary(KEEP_ALIVE, message, kind, Kind.REPEATABLE)
    if response.TTL <= 0:
        raise LeaseLost(f"lease {lease_id:x} is over")
    return response.TTL


async def time_to_live(
    calls: Calls, lease_id: int, *, keys: bool = False
) -> lease_pb2.LeaseTimeToLiveResponse:
    """What is left of a lease (TTL -1: it is no more), and which keys are attached."""
    request = arguments.request(lease_pb2.LeaseTimeToLiveRequest, ID=lease_id, keys=keys)
    message, kind = request.SerializeToString(), lease_pb2.LeaseTimeToLiveResponse
    return await calls.unary(TIME_TO_LIVE, message, kind, Kind.READ)


async def all_leases(calls: Calls) -> list[int]:
    """Ids of all leases that the endpoint in use knows."""
    message = lease_pb2.LeaseLeasesRequest().SerializeToString()
    response = await calls.unary(LEASES, message, lease_pb2.LeaseLeasesResponse, Kind.READ)
    return [one.ID for one in response.leases]


class Lease(Block):
    """One lease, kept alive inside its block: granted for it and revoked after it, or one that was there before, and stays.

    The block goes on when the lease is lost: see is_lost, check, lost.
    """

    WITHIN: ClassVar[str] = (
        "a lease is kept alive, and has an id, inside its block: async with client.lease(...) as lease"
    )

    def __init__(self, calls: Calls, ttl_s: int, lease_id: int | None = None) -> None:
        """lease_id: of one that was there before; None: one that is granted for `ttl_s`. Raises UsageError for 0."""
        if lease_id == 0:
            raise UsageError(NO_ID)
        self._calls = calls
        self._is_own = lease_id is None
        self._task: asyncio.Task[None] | None = None
        self._time: Callable[[], float] = machine_s
        self._over_s = 0.0
        """When it may be over, as far as was renewed."""
        self._id = lease_id or 0
        self.ttl_s = ttl_s
        """As the servers have granted it: perhaps more."""
        self._lost = asyncio.Event()

    @property
    def id(self) -> int:
        """Raises UsageError before it is granted: keys with a lease of 0 would stay for ever."""
        if not self._id:
            raise self.misused()
        return self._id

    @property
    def lost(self) -> asyncio.Event:
        """Set when it is. Raises UsageError where nobody would set it: before the block is entered, and in a forked process."""
        if self._task is None:
            raise self.misused()
        self._calls.check_process()
        return self._lost

    @property
    def is_lost(self) -> bool:
        """Also when this process was stopped, or its machine suspended, until its time was over, and nothing in it could set
        `lost` yet.

        Raises UsageError before the block is entered, and in a forked process.
        """
        return self.lost.is_set() or self._left_s <= 0

    @property
    def _left_s(self) -> float:
        return self._over_s - self._time()

    def check(self) -> None:
        """Raises LeaseLost, and UsageError before the block is entered."""
        if self.is_lost:
            raise LeaseLost(f"lease {self.id:x} is over")

    async def __aenter__(self) -> Self:
        """Raises CallFailed, OutcomeUnknown of a lease that may have been granted (it ends by itself), LeaseLost of one that is
        not there."""
        self.begin()
        asked_s = self._time()
        if self._is_own:
            response = await grant(self._calls, self.ttl_s)
            self._id, self.ttl_s = response.ID, response.TTL
        else:
            self.ttl_s = await keep_alive_once(self._calls, self.id)
        self._over_s = asked_s + self.ttl_s
        self._task = asyncio.create_task(self._keep_alive())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._task is not None
        was_lost = self._lost.is_set()
        self._task.cancel()
        await asyncio.wait([self._task])
        self._lost.set()  # by a task that was cancelled before its first step it is not
        if self._is_own and not was_lost:
            with suppress(RaftwerkError):  # it ends by itself then
                await revoke(self._calls, self.id, REVOKE_S)

    async def _keep_alive(self) -> None:
        """Until it is over: lost, or not wanted any more."""
        try:
            async with asyncio.timeout(self._left_s) as until:
                while True:
                    await self._renew_on_one_stream(until)
                    await asyncio.sleep(RETRY_S)
        except (TimeoutError, RaftwerkError):
            pass
        finally:
            self._lost.set()

    async def _renew_on_one_stream(self, until: asyncio.Timeout) -> None:
        """Until the stream ends, or none can be had. Raises CallError when the lease is no more."""
        try:
            stream = await self._calls.open(KEEP_ALIVE)
        except CallFailed as failure:
            if failure.code != status.UNAVAILABLE:
                raise
            return
        loop = asyncio.get_running_loop()
        try:
            while True:
                sent_s = self._time()
                answer = await self._renew(stream)
                if isinstance(answer, Answer):
                    if not self._calls.failed(stream, answer):
                        raise CallFailed(answer.status, answer.text)
                    return
                if answer.TTL <= 0:
                    raise CallFailed(*status.LEASE_NOT_FOUND)
                self._calls.goes_on()
                self._over_s = sent_s + answer.TTL
                until.reschedule(loop.time() + self._left_s)
                await asyncio.sleep(answer.TTL / RENEWALS)
        finally:
            stream.close()

    async def _renew(self, stream: OpenStream) -> lease_pb2.LeaseKeepAliveResponse | Answer:
        """Once. An endpoint that says nothing is left in time for another one."""
        stream.send(lease_pb2.LeaseKeepAliveRequest(ID=self.id))
        try:
            async with asyncio.timeout(self.ttl_s / RENEWALS / 2):
                message = await stream.receive()
        except TimeoutError:
            return Answer(status.UNAVAILABLE, "a lease was not renewed in time")
        if isinstance(message, Answer):
            return message
        return lease_pb2.LeaseKeepAliveResponse.FromString(message)
