"""One attempt for all who need it at the same time."""

import asyncio

import pytest

from raftwerk.api import status
from raftwerk.client.errors import CallFailed
from raftwerk.client.shared import Shared


def test_all_get_what_one_attempt_returns_and_the_next_ones_what_another_does() -> None:
    attempts: list[int] = []

    async def action() -> int:
        attempts.append(1)
        await asyncio.sleep(0)
        return len(attempts)

    async def main() -> None:
        shared = Shared(action)
        assert await asyncio.gather(shared(), shared(), shared()) == [1, 1, 1]
        assert await shared() == 2

    asyncio.run(main())


def test_one_who_waits_no_longer_does_not_end_it_for_the_others() -> None:
    async def action() -> int:
        await asyncio.sleep(0)
        return 1

    async def main() -> None:
        shared = Shared(action)
        impatient, patient = asyncio.create_task(shared()), asyncio.create_task(shared())
        await asyncio.sleep(0)
        impatient.cancel()
        assert await patient == 1

    asyncio.run(main())


def test_one_who_came_later_is_not_told_the_failure_of_an_earlier_attempt() -> None:
    """All who came later share the next one."""
    attempts: list[int] = []

    async def action() -> int:
        attempts.append(1)
        await asyncio.sleep(0)
        if len(attempts) == 1:
            raise CallFailed(status.DEADLINE_EXCEEDED, "the first one's time is over")
        return len(attempts)

    async def main() -> None:
        shared = Shared(action)
        told = await asyncio.gather(shared(), shared(), shared(), return_exceptions=True)
        assert [str(each) for each in told] == ["the first one's time is over", "2", "2"]

    asyncio.run(main())


def test_a_refusal_is_told_to_all() -> None:
    attempts: list[int] = []

    async def action() -> int:
        attempts.append(1)
        raise CallFailed(status.RESOURCE_EXHAUSTED, "full")

    async def main() -> None:
        shared = Shared(action)
        told = await asyncio.gather(shared(), shared(), return_exceptions=True)
        assert [str(each) for each in told] == ["full", "full"]
        assert len(attempts) == 1
        with pytest.raises(CallFailed, match="full"):
            await shared()

    asyncio.run(main())
