"""The session of a client's writes: when it is opened, what its results are worth, and what comes after its end."""

import asyncio

import pytest
from google.protobuf.wrappers_pb2 import Int64Value

from raftwerk.api import rpc_pb2, status
from raftwerk.cli.cluster import Member
from raftwerk.client import CallFailed, Client, OutcomeUnknown
from raftwerk.client.calls import CLOSE_SESSION, OPEN_SESSION, WINDOW_FULL
from raftwerk.client.fate import Kind
from raftwerk.client.numbers import WINDOW, Numbers
from tests.client.scripted import OK, SESSION, Step, scripted

PUT = "/etcdserverpb.KV/Put"


async def outcome(*steps: Step) -> tuple[list[str], BaseException | None]:
    """Of a put to a server that opens a session and goes on so."""
    async with scripted(SESSION, *steps) as server:
        client = Client([server.endpoint], timeout_s=5)
        error: BaseException | None = None
        try:
            await client.put(b"key", b"value")
        except (CallFailed, OutcomeUnknown) as caught:
            error = caught
        client.close()
        return server.paths, error


def test_a_session_is_opened_once_for_all_writes() -> None:
    async def main() -> None:
        async with scripted(SESSION, OK) as server:
            client = Client([server.endpoint])
            await asyncio.gather(*(client.put(b"key", b"value") for _ in range(3)))
            client.close()
            assert server.paths == [OPEN_SESSION, PUT, PUT, PUT]

    asyncio.run(main())


def test_no_session_is_opened_for_reads() -> None:
    async def main() -> None:
        async with (
            scripted(rpc_pb2.RangeResponse().SerializeToString()) as server,
            Client([server.endpoint]) as client,
        ):
            await client.get(b"key")
            assert server.paths == ["/etcdserverpb.KV/Range"]

    asyncio.run(main())


def test_an_expired_session_is_replaced_before_anything_was_sent() -> None:
    paths, error = asyncio.run(outcome(status.SESSION_EXPIRED, SESSION, OK))
    assert error is None
    assert paths == [OPEN_SESSION, PUT, OPEN_SESSION, PUT]


def test_a_write_of_an_expired_session_that_finds_no_other_one_has_not_happened() -> None:
    """Whatever the server says."""
    odd = status.Status(status.INTERNAL, "odd")
    paths, error = asyncio.run(outcome(status.SESSION_EXPIRED, odd))
    assert isinstance(error, CallFailed)
    assert (error.code, error.text) == odd
    assert paths == [OPEN_SESSION, PUT, OPEN_SESSION]


def test_a_write_of_an_expired_session_that_finds_no_room_in_the_next_one_has_not_happened() -> (
    None
):
    async def main() -> None:
        async with (
            scripted(SESSION, OK, status.SESSION_EXPIRED) as server,
            Client([server.endpoint], timeout_s=0.5) as client,
        ):
            await client.put(b"first", b"")
            write = asyncio.create_task(client.put(b"key", b"value"))
            await asyncio.sleep(0)  # it calls
            session = client.calls.session
            assert session is not None
            session._numbers = Numbers(8)  # others know already, and are many
            for _ in range(WINDOW):
                session.draw()
            with pytest.raises(CallFailed, match=f"^{WINDOW_FULL}$"):
                await write

    asyncio.run(main())


def test_who_waits_for_room_in_a_session_that_expires_goes_on_in_the_next_one(
    member: Member,
) -> None:
    async def main() -> None:
        async with asyncio.timeout(30), Client([member.client_url], timeout_s=300) as client:
            await client.put(b"expires", b"")
            session = client.calls.session
            assert session is not None
            ended = session.number
            if not client.has_exactly_once:
                return
            message = Int64Value(value=ended).SerializeToString()
            await client.calls.unary(CLOSE_SESSION, message, Int64Value, Kind.REPEATABLE)
            first = asyncio.create_task(client.put(b"expires", b""))
            await asyncio.sleep(0)  # it has the next number
            for _ in range(WINDOW - 1):
                session.draw()
            await asyncio.gather(first, client.put(b"expires", b""))
            assert session.number != ended

    asyncio.run(main())


def test_an_expired_session_leaves_an_earlier_attempt_unknown() -> None:
    _, error = asyncio.run(outcome(status.TIMED_OUT, status.SESSION_EXPIRED, SESSION, OK))
    assert isinstance(error, OutcomeUnknown)


@pytest.mark.parametrize(
    "refusal",
    [status.NO_SPACE, status.TOO_MANY_REQUESTS, status.UNIMPLEMENTED, status.OUTSIDE_WINDOW],
)
def test_a_refusal_of_the_second_attempt_says_nothing_about_the_first(
    refusal: status.Status | int,
) -> None:
    step = refusal if isinstance(refusal, status.Status) else status.Status(refusal, "unknown")
    _, error = asyncio.run(outcome(status.TIMED_OUT, step))
    assert isinstance(error, OutcomeUnknown)


@pytest.mark.parametrize("refusal", [status.LEASE_NOT_FOUND, status.KEY_NOT_FOUND])
def test_a_refusal_that_the_session_has_kept_is_the_result(refusal: status.Status) -> None:
    _, error = asyncio.run(outcome(status.TIMED_OUT, refusal))
    assert isinstance(error, CallFailed)


def test_a_result_that_was_not_kept_is_unknown() -> None:
    _, error = asyncio.run(outcome(status.TIMED_OUT, status.RESULT_NOT_KEPT))
    assert isinstance(error, OutcomeUnknown)


def test_a_session_that_cannot_be_opened_means_that_nothing_happened() -> None:
    async def main() -> None:
        async with scripted(status.NO_SPACE) as server, Client([server.endpoint]) as client:
            with pytest.raises(CallFailed):
                await client.put(b"key", b"value")

    asyncio.run(main())


def test_write_that_finds_no_room_in_its_session_in_time_has_not_happened(member: Member) -> None:
    """At etcd, which knows no sessions, there is room for any number."""

    async def main() -> None:
        async with Client([member.client_url], timeout_s=0.5) as client:
            await client.put(b"first", b"")
            session = client.calls.session
            assert session is not None
            tickets = [session.draw() for _ in range(WINDOW)]
            if client.has_exactly_once:
                with pytest.raises(CallFailed, match=f"^{WINDOW_FULL}$"):
                    await client.put(b"roomless", b"")
            for ticket in filter(None, tickets):
                ticket.release()
            assert await client.get(b"roomless") is None
            await client.put(b"room", b"")

    asyncio.run(main())
