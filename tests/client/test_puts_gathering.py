"""Puts that wait for others of their turn, on a connection to nobody."""

import asyncio

from raftwerk.api import status
from raftwerk.api.session_puts import PUTS_MAX
from raftwerk.client.connection import Connection
from raftwerk.client.connections import Connections
from raftwerk.client.numbers import Numbers, Ticket
from raftwerk.client.puts import Put
from raftwerk.http2.client import Answer


def to_nobody() -> Connection:
    async def never(_: Connections) -> Connection:
        raise AssertionError

    return Connection("nobody:1", 600.0, Connections(never), is_tls=False)


def tickets(session: int = 7) -> list[Ticket]:
    numbers = Numbers(session)
    return [numbers.draw() for _ in range(3)]


def test_puts_that_wait_for_each_other_keep_room_for_the_call_that_they_will_be() -> None:
    async def main() -> None:
        connection = to_nobody()
        room = connection.room
        puts = [connection.put(b"", b"", ticket) for ticket in tickets()]
        assert (puts[0].call, connection.room) == (None, room - 1)
        connection.flush()
        assert (puts[0].call is None, connection.room) == (False, room - 1)
        assert (len(connection.engine.streams), connection.promised) == (1, 0)

    asyncio.run(main())


def test_puts_of_another_token_or_another_session_are_another_call() -> None:
    async def main() -> None:
        connection = to_nobody()
        one, two, three = tickets()
        puts = [connection.put(b"", b"a", one), connection.put(b"", b"a", two)]
        puts += [connection.put(b"", b"b", three), connection.put(b"", b"b", tickets(8)[0])]
        connection.flush()
        assert puts[0].call is puts[1].call
        assert len({puts[place].call for place in (1, 2, 3)}) == 3
        assert connection.promised == 0

    asyncio.run(main())


def test_who_gives_up_knows_whether_the_server_may_have_been_asked() -> None:
    async def main() -> None:
        connection = to_nobody()
        waiting = connection.put(b"", b"", tickets()[0])
        assert not waiting.give_up()
        waiting.answer.cancel()
        for message, has_left in ((b"small", True), (bytes(1_000_000), False)):
            put = connection.put(message, b"", tickets()[0])
            connection.flush()
            assert put.give_up() is has_left
            assert not connection.engine.streams
        connection = to_nobody()
        together = [connection.put(b"", b"", ticket) for ticket in tickets()]
        connection.flush()
        for put in together:
            assert connection.engine.streams
            assert put.give_up()
        assert not connection.engine.streams

    asyncio.run(main())


def test_puts_that_wait_for_a_window_are_taken_back_together() -> None:
    async def main() -> None:
        connection = to_nobody()
        numbers = Numbers(7)
        puts = [connection.put(bytes(10_000), b"", numbers.draw()) for _ in range(20)]
        connection.flush()
        assert len(connection.engine.streams) == 1
        assert not puts[3].give_up()
        assert not connection.engine.streams
        answers = [put.answer.result() for put in puts if put is not puts[3]]
        assert {(answer.status, answer.was_asked) for answer in answers} == {
            (status.UNAVAILABLE, False)
        }

    asyncio.run(main())


def test_puts_of_a_lost_connection_that_waited_for_a_window_were_not_asked() -> None:
    async def main() -> None:
        connection = to_nobody()
        numbers = Numbers(7)
        puts = [connection.put(bytes(10_000), b"", numbers.draw()) for _ in range(20)]
        connection.flush()
        connection.engine.lost()
        assert not any(put.answer.result().was_asked for put in puts)

    asyncio.run(main())


def test_as_many_as_a_call_takes_leave_at_once() -> None:
    async def main() -> None:
        connection = to_nobody()
        numbers = Numbers(7)
        puts = [connection.put(b"", b"", numbers.draw()) for _ in range(PUTS_MAX + 2)]
        waiting = [put.call is None for put in puts]
        assert waiting == [False] * PUTS_MAX + [True] * 2
        connection.flush()
        assert len({id(put.call) for put in puts}) == len(connection.engine.streams) == 2

    asyncio.run(main())


def test_an_answer_that_comes_after_the_end_of_waiting_is_nobodys() -> None:
    async def main() -> None:
        put = Put(b"", b"", tickets()[0], asyncio.get_running_loop())
        put.answer.cancel()
        put.settle(Answer(status.OK, ""))
        assert put.answer.cancelled()

    asyncio.run(main())
