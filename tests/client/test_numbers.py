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


def test_what_is_over_is_over_once() -> None:
    async def main() -> None:
        numbers = Numbers(7)
        tickets = [numbers.draw() for _ in range(3)]
        for ticket in (tickets[0], tickets[0], tickets[2], tickets[2]):
            ticket.release()
        assert (numbers.first, len(numbers._over)) == (2, 1)
        tickets[1].release()
        assert (numbers.first, len(numbers._over)) == (4, 0)

    asyncio.run(main())


def test_a_number_outside_the_window_waits_for_the_first_open() -> None:
    async def main() -> None:
        numbers = Numbers(7)
        tickets = [numbers.draw() for _ in range(WINDOW)]
        waiting = asyncio.create_task(numbers.wait())
        tickets[1].release()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert not waiting.done()
        tickets[0].release()
        assert (await waiting).number == WINDOW + 1

    asyncio.run(main())


def test_a_session_is_opened_once_by_all_who_ask() -> None:
    opened: list[int] = []

    async def open_() -> int:
        opened.append(7)
        await asyncio.sleep(0)
        return 7

    async def main() -> None:
        session = Session(open_)
        await asyncio.gather(session.wait(), session.wait())
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
        await session.wait()
        session.expired(expired)
        await session.wait()
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
            assert await session.wait() is None
        assert asked == [1]

    asyncio.run(main())


def test_room_goes_to_those_who_wait_in_their_order() -> None:
    """Not to who happens to ask next; and a waiter that has gone takes nothing away."""

    async def main() -> None:
        numbers = Numbers(7)
        tickets = [numbers.draw() for _ in range(WINDOW)]
        gone, first, second = (asyncio.create_task(numbers.wait()) for _ in range(3))
        await asyncio.sleep(0)
        gone.cancel()
        tickets[0].release()
        assert not numbers.is_free
        assert (await first).number == WINDOW + 1
        for ticket in tickets[1:]:
            ticket.release()
        assert (await second).number == WINDOW + 2
        assert numbers.is_free

    asyncio.run(main())


def test_who_goes_when_the_turn_has_come_gives_it_back() -> None:
    async def main() -> None:
        numbers = Numbers(7)
        tickets = [numbers.draw() for _ in range(WINDOW)]
        waiting = asyncio.create_task(numbers.wait())
        await asyncio.sleep(0)
        for ticket in tickets:
            ticket.release()
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert numbers.first == WINDOW + 2, "all is over"

    asyncio.run(main())


def test_all_who_wait_for_a_session_go_on_in_one_turn() -> None:
    async def open_() -> int:
        await asyncio.sleep(0)
        return 7

    async def main() -> None:
        session = Session(open_)
        waiting = [asyncio.create_task(session.wait()) for _ in range(100)]
        await waiting[0]
        await asyncio.sleep(0)
        assert all(each.done() for each in waiting)

    asyncio.run(main())
