"""Numbers of writes: in order, never too far ahead of the first one open."""

import asyncio

import pytest

from raftwerk.client.numbers import WINDOW, Numbers, Session
from raftwerk.kv.sessions import WINDOW as SERVERS_WINDOW


def test_the_window_is_that_of_the_servers() -> None:
    assert WINDOW == SERVERS_WINDOW


def test_numbers_go_up_and_the_first_is_the_oldest_open() -> None:
    async def main() -> None:
        numbers = Numbers(7)
        tickets = [numbers.draw() for _ in range(3)]
        assert [ticket.number for ticket in tickets] == [1, 2, 3]
        tickets[1].release()
        assert numbers.first == 1
        tickets[0].release()
        assert numbers.first == 3
        tickets[2].release()
        assert numbers.first == 4

    asyncio.run(main())


def test_a_number_outside_the_window_waits_for_the_first_open() -> None:
    async def main() -> None:
        numbers = Numbers(7)
        tickets = [numbers.draw() for _ in range(WINDOW)]
        waiting = asyncio.create_task(numbers.wait_for_room())
        tickets[1].release()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert not waiting.done()
        tickets[0].release()
        await waiting
        assert numbers.draw().number == WINDOW + 1

    asyncio.run(main())


def test_a_session_is_opened_once_by_all_who_ask() -> None:
    opened: list[int] = []

    async def open_() -> int:
        opened.append(7)
        await asyncio.sleep(0)
        return 7

    async def main() -> None:
        session = Session(open_)
        await asyncio.gather(session.wait_for_room(), session.wait_for_room())
        assert opened == [7]
        assert session.number == 7

    asyncio.run(main())


@pytest.mark.parametrize(("expired", "is_new"), [(7, True), (6, False)])
def test_only_the_session_in_use_expires(expired: int, is_new: bool) -> None:
    numbers = iter((7, 8))

    async def open_() -> int:
        return next(numbers)

    async def main() -> None:
        session = Session(open_)
        await session.wait_for_room()
        session.expired(expired)
        await session.wait_for_room()
        assert session.number == (8 if is_new else 7)

    asyncio.run(main())


def test_servers_that_know_no_sessions_are_asked_once() -> None:
    asked: list[int] = []

    async def open_() -> int:
        asked.append(1)
        return 0

    async def main() -> None:
        session = Session(open_)
        for _ in range(2):
            await session.wait_for_room()
            assert session.ticket() is None
        assert asked == [1]

    asyncio.run(main())
