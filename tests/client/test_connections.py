"""Room for calls: where it is, and who has it next."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from raftwerk.client.connection import Connection
from raftwerk.client.connections import CONNECTIONS_MAX, Connections
from raftwerk.http2.client import ClientCall
from raftwerk.http2.errors import ErrorCode
from raftwerk.http2.frames import MAX_CONCURRENT_STREAMS, goaway, settings

PUT = "/etcdserverpb.KV/Put"


class Nowhere(asyncio.Transport):
    """What is written is gone."""

    def __init__(self, connection: Connection) -> None:
        super().__init__()
        self._connection = connection
        self._is_closing = False

    def is_closing(self) -> bool:
        return self._is_closing

    def write(self, data: object) -> None:
        """Nothing comes of it."""

    def close(self) -> None:
        self._is_closing = True
        asyncio.get_running_loop().call_soon(self._connection.connection_lost, None)


class Pool:
    """Connections to nobody, each with room for so many calls."""

    def __init__(self, calls_max: int) -> None:
        self.calls_max = calls_max
        self.made: list[Connection] = []
        self.had: list[int] = []
        """Who had room, in this order."""
        self.calls: list[tuple[Connection, ClientCall]] = []
        self.trouble: Exception | None = None
        """Of the next attempts to dial."""
        self.connections = Connections(self._dial)

    async def _dial(self, owner: Connections) -> Connection:
        await asyncio.sleep(0)
        if self.trouble is not None:
            raise self.trouble
        connection = Connection("nobody:1", 600.0, owner, is_tls=False)
        connection.connection_made(Nowhere(connection))
        self.made.append(connection)
        self.limit(connection, self.calls_max)
        return connection

    def limit(self, connection: Connection, calls_max: int) -> None:
        connection.data_received(settings({MAX_CONCURRENT_STREAMS: calls_max}))

    async def call(self, number: int) -> None:
        """Begin a call, which goes on until `end`."""
        if not self.connections.can_call:
            await self.connections.make_room()
        connection = self.connections.current
        assert connection is not None
        call = connection.engine.call(PUT, b"", lambda answer: None)
        self.calls.append((connection, call))
        self.had.append(number)

    def begin(self, count: int) -> list[asyncio.Task[None]]:
        first = len(self.had)
        return [asyncio.create_task(self.call(first + number)) for number in range(count)]

    def end(self, index: int = 0) -> None:
        connection, call = self.calls.pop(index)
        call.cancel()
        connection.flush()


async def settle() -> None:
    """Whatever can happen has happened."""
    for _ in range(10 * CONNECTIONS_MAX):
        await asyncio.sleep(0)


def run(calls_max: int, main: Callable[[Pool], Awaitable[None]]) -> None:
    async def with_pool() -> None:
        async with asyncio.timeout(30):
            await main(Pool(calls_max))

    asyncio.run(with_pool())


def test_as_many_connections_as_the_calls_need() -> None:
    async def main(pool: Pool) -> None:
        await asyncio.gather(*pool.begin(7))
        assert len(pool.made) == 4
        pool.end()
        await pool.call(7)
        assert len(pool.made) == 4

    run(2, main)


def test_calls_beyond_the_most_connections_have_their_turns_in_order() -> None:
    async def main(pool: Pool) -> None:
        tasks = pool.begin(CONNECTIONS_MAX + 5)
        await settle()
        assert len(pool.made) == len(pool.had) == CONNECTIONS_MAX
        for number in range(5):
            assert len(pool.had) == CONNECTIONS_MAX + number
            pool.end(number)  # wherever it was
            await settle()
        assert pool.had == list(range(CONNECTIONS_MAX + 5))
        assert len(pool.made) == CONNECTIONS_MAX
        await asyncio.gather(*tasks)

    run(1, main)


def test_nobody_goes_before_one_who_has_waited() -> None:
    async def main(pool: Pool) -> None:
        await asyncio.gather(*pool.begin(CONNECTIONS_MAX))
        waiting = pool.begin(1)
        await settle()
        pool.end(-1)
        current = pool.connections.current
        assert current is not None
        assert (current.engine.can_call, pool.connections.can_call) == (True, False)
        newcomer = asyncio.create_task(pool.call(-1))
        await settle()
        assert pool.had[-1] == CONNECTIONS_MAX
        assert not newcomer.done()
        pool.end()
        await asyncio.gather(*waiting, newcomer)

    run(1, main)


@pytest.mark.parametrize("is_promised", [False, True])
def test_who_waits_no_longer_leaves_the_room_to_the_next(is_promised: bool) -> None:
    async def main(pool: Pool) -> None:
        await asyncio.gather(*pool.begin(CONNECTIONS_MAX))
        impatient, patient = pool.begin(2)
        await settle()
        if is_promised:
            pool.end()
            impatient.cancel()
        else:
            impatient.cancel()
            await settle()
            pool.end()
        await settle()
        assert impatient.cancelled()
        assert pool.had[CONNECTIONS_MAX:] == [CONNECTIONS_MAX + 1]
        await patient
        assert not any(connection.promised for connection in pool.made)

    run(1, main)


def test_dialling_in_vain_fails_only_those_who_have_nothing_else_to_wait_for() -> None:
    async def main(pool: Pool) -> None:
        pool.trouble = ConnectionRefusedError()
        failed = await asyncio.gather(*pool.begin(3), return_exceptions=True)
        assert [type(one) for one in failed] == [ConnectionRefusedError] * 3
        assert pool.connections.why_not == "nothing listens there"
        pool.trouble = None
        await pool.call(0)
        pool.trouble = ConnectionRefusedError()
        (waiting,) = pool.begin(1)
        await settle()
        assert not waiting.done()
        pool.end()
        await waiting

    run(1, main)


def test_who_waits_for_a_connection_that_is_lost_gets_another_one() -> None:
    async def main(pool: Pool) -> None:
        await asyncio.gather(*pool.begin(CONNECTIONS_MAX))
        (waiting,) = pool.begin(1)
        await settle()
        pool.made[5].connection_lost(None)
        await waiting
        assert len(pool.made) == CONNECTIONS_MAX + 1
        assert pool.connections.count == CONNECTIONS_MAX

    run(1, main)


def test_one_that_takes_no_more_calls_does_not_count_and_goes_with_the_last_call() -> None:
    async def main(pool: Pool) -> None:
        await pool.call(0)
        first = pool.made[0]
        first.data_received(goaway(1, ErrorCode.NO_ERROR))
        assert (pool.connections.count, pool.connections.current) == (0, None)
        await pool.call(1)
        assert pool.connections.current is pool.made[1]
        assert not first.engine.is_closed
        pool.connections.close()
        assert first.engine.is_closed, "with the call that was under way there"

    run(100, main)


def test_room_that_the_server_takes_back_is_waited_for_again_in_front() -> None:
    async def main(pool: Pool) -> None:
        await asyncio.gather(*pool.begin(2 * CONNECTIONS_MAX))
        first, second = pool.begin(2)
        await settle()
        pool.end()
        for connection in pool.made:
            pool.limit(connection, 1)
        await settle()
        assert not first.done()
        pool.end()
        pool.end()
        await settle()
        assert (first.done(), second.done()) == (True, False)
        pool.end()
        await second
        assert pool.had[-2:] == [2 * CONNECTIONS_MAX, 2 * CONNECTIONS_MAX + 1]

    run(2, main)


def test_connections_that_a_burst_needed_are_closed_when_they_are_idle() -> None:
    async def main(pool: Pool) -> None:
        await asyncio.gather(*pool.begin(3))
        while pool.calls:
            pool.end()
        await pool.call(3)
        for connection in pool.made:
            pool.connections.idle(connection)
        closed = [connection.engine.is_closed for connection in pool.made]
        assert closed.count(False) == 1
        await settle()
        assert pool.connections.count == 1
        assert pool.connections.can_call is False
        pool.end()
        assert pool.connections.can_call

    run(1, main)


def test_a_connection_that_was_heard_in_a_period_is_not_idle_in_it() -> None:
    async def main(pool: Pool) -> None:
        await asyncio.gather(*pool.begin(2))
        while pool.calls:
            pool.end()
        (other,) = [one for one in pool.made if one is not pool.connections.current]
        other._end_period()
        assert not other.engine.is_closed, "its settings came"
        other._end_period()
        assert other.engine.is_closed

    run(1, main)


def test_a_connection_with_a_promise_is_not_idle() -> None:
    async def main(pool: Pool) -> None:
        await asyncio.gather(*pool.begin(2))
        pool.trouble = OSError("no more")
        (waiting,) = pool.begin(1)
        await settle()
        pool.end()
        pool.connections.idle(pool.made[0])
        await waiting
        assert [connection.engine.is_closed for connection in pool.made] == [False, False]

    run(1, main)


def test_whoever_waits_when_all_is_closed_is_told() -> None:
    async def main(pool: Pool) -> None:
        await asyncio.gather(*pool.begin(CONNECTIONS_MAX))
        (waiting,) = pool.begin(1)
        await settle()
        pool.connections.close()
        with pytest.raises(OSError, match="the client was closed"):
            await waiting
        with pytest.raises(OSError, match="the client was closed"):
            await pool.call(0)

    run(1, main)
