"""Deadlines of calls: each comes at its time, whatever the order in which they were set."""

import asyncio
import weakref

from raftwerk.client.deadlines import EMPTY_MAX, GRAIN_S, Deadlines


async def outcome(waiter: "asyncio.Future[str]") -> str:
    try:
        return await waiter
    except TimeoutError:
        return "too late"


def test_a_waiter_that_is_not_done_in_time_gets_a_timeout() -> None:
    async def main() -> None:
        loop, deadlines = asyncio.get_running_loop(), Deadlines()
        late, early, answered = (loop.create_future() for _ in range(3))
        deadlines.add(late, loop.time() + 3600)
        deadlines.done(deadlines.add(answered, loop.time() + 0.01), answered)
        answered.set_result("in time")
        deadlines.add(early, loop.time() + 0.01)  # earlier than the timer that is set
        assert [await outcome(each) for each in (answered, early)] == ["in time", "too late"]
        assert not late.done()
        deadlines.add(late, loop.time())
        assert await outcome(late) == "too late"

    asyncio.run(main())


def test_after_one_deadline_the_next_one_is_kept() -> None:
    async def main() -> None:
        loop, deadlines = asyncio.get_running_loop(), Deadlines()
        began_s = loop.time()
        waiters = [loop.create_future() for _ in range(3)]
        for number, waiter in enumerate(waiters):
            deadlines.add(waiter, began_s + 0.02 * number)
        assert [await outcome(each) for each in waiters] == ["too late"] * 3
        assert loop.time() - began_s >= 0.04

    asyncio.run(main())


def test_what_is_over_is_not_held() -> None:
    """However long another one is waited for that has an earlier deadline."""

    async def main() -> None:
        loop, deadlines = asyncio.get_running_loop(), Deadlines()
        deadlines.add(loop.create_future(), loop.time() + 60)
        waiters = weakref.WeakSet[asyncio.Future[str]]()
        for number in range(1000):
            waiter = loop.create_future()
            waiters.add(waiter)
            deadlines.done(deadlines.add(waiter, loop.time() + 3600 + number), waiter)
        del waiter
        assert len(waiters) == 0
        assert len(deadlines._heap) <= 2 * EMPTY_MAX

    asyncio.run(main())


def test_who_wait_until_the_same_time_are_kept_together() -> None:
    async def main() -> None:
        loop, deadlines = asyncio.get_running_loop(), Deadlines()
        until_s = loop.time() + 0.02
        waiters = [loop.create_future() for _ in range(3)]
        dues = [deadlines.add(each, until_s) for each in waiters]
        assert len({id(due) for due in dues}) == 1
        assert deadlines.add(waiters[2], until_s + GRAIN_S / 2) is dues[0]
        assert deadlines.add(loop.create_future(), until_s + 2 * GRAIN_S) is not dues[0]
        deadlines.done(dues[0], waiters[1])
        assert [await outcome(each) for each in (waiters[0], waiters[2])] == ["too late"] * 2
        assert not waiters[1].done()

    asyncio.run(main())


def test_who_comes_after_the_deadline_of_others_gets_one_of_its_own() -> None:
    async def main() -> None:
        loop, deadlines = asyncio.get_running_loop(), Deadlines()
        until_s = loop.time() + 0.01
        for _ in range(2):
            waiter = loop.create_future()
            deadlines.add(waiter, until_s)
            async with asyncio.timeout(5):
                assert await outcome(waiter) == "too late"

    asyncio.run(main())


def test_an_early_deadline_is_not_that_of_an_earlier_call() -> None:
    async def main() -> None:
        loop, deadlines = asyncio.get_running_loop(), Deadlines()
        late, early = loop.create_future(), loop.create_future()
        deadlines.add(late, loop.time() + 3)
        deadlines.add(early, loop.time() + 0.01)
        async with asyncio.timeout(2):
            assert await outcome(early) == "too late"

    asyncio.run(main())


def test_they_come_in_the_order_of_the_calls() -> None:
    async def main() -> None:
        loop, deadlines = asyncio.get_running_loop(), Deadlines()
        told: list[int] = []
        until_s = loop.time() + 0.01
        for number in range(100):
            waiter = loop.create_future()
            waiter.add_done_callback(
                lambda done, number=number: told.append((number, done.exception())[0])
            )
            deadlines.add(waiter, until_s)
        await outcome(waiter)
        assert told == list(range(100))

    asyncio.run(main())


def test_what_is_over_wakes_nobody_up() -> None:
    async def main() -> None:
        loop, deadlines = asyncio.get_running_loop(), Deadlines()
        first = loop.create_future()
        deadlines.add(first, loop.time() + 0.01)
        for number in range(10):
            answered = loop.create_future()
            deadlines.done(deadlines.add(answered, loop.time() + 3600 + number), answered)
        await outcome(first)
        assert deadlines._timer is None

    asyncio.run(main())
