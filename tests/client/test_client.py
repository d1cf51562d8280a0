"""What is tried again, and where; and that a write which may have happened is never reported as a plain failure."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from raftwerk.api import rpc_pb2, status
from raftwerk.client import CallError, CallFailed, Client, OutcomeUnknown
from raftwerk.client.calls import RETRY_S
from raftwerk.client.client import PAGE_BYTES
from raftwerk.errors import UsageError
from tests.client.scripted import HANG, OK, Step, closed_endpoint, scripted, severed

SHORT_S = 0.3
"""For calls that are to run into their deadline."""
RANGE = rpc_pb2.RangeResponse(count=1, kvs=[{"key": b"key", "value": b"value"}]).SerializeToString()

REFUSALS = [
    status.EMPTY_KEY,
    status.COMPACTED,
    status.NO_SPACE,
    status.TOO_MANY_REQUESTS,
    status.LEASE_NOT_FOUND,
    status.NOT_SUPPORTED_YET,
    status.Status(status.PERMISSION_DENIED, "etcdserver: permission denied"),
    status.Status(status.FAILED_PRECONDITION, "etcdserver: not leader"),
    status.Status(16, "etcdserver: invalid auth token"),
    status.Status(status.UNKNOWN, status.TOO_MANY_REQUESTS.text),
]
SAY_NOTHING = [
    status.TIMED_OUT,
    status.TIMED_OUT_LEADER_FAILED,
    status.TIMED_OUT_CONNECTION_LOST,
    status.STOPPED,
    status.DEADLINE,
    status.Status(status.UNAVAILABLE, "the proxy in between has trouble"),
    status.Status(status.CANCELLED, "etcdserver: request canceled"),
    status.Status(status.UNKNOWN, "something else"),
    status.Status(status.INTERNAL, "stream reset"),
    status.Status(10, "aborted"),
    status.Status(status.DATA_LOSS, "etcdserver: corrupt cluster"),
]
CALLS: dict[str, Callable[[Client], Awaitable[object]]] = {
    "put": lambda client: client.put(b"key", b"value"),
    "delete": lambda client: client.delete(b"key"),
    "txn": lambda client: client.txn(rpc_pb2.TxnRequest()),
    "compact": lambda client: client.compact(5),
}


def status_id(value: object) -> str:
    return (
        value.text.removeprefix("etcdserver: ") if isinstance(value, status.Status) else str(value)
    )


async def failure_of(call: Awaitable[object]) -> CallError:
    """How it fails. Fails the test if it does not."""
    try:
        await call
    except CallError as error:
        return error
    raise AssertionError("the call succeeded")


async def put_and_fail(*steps: Step, timeout_s: float = SHORT_S) -> tuple[CallError, int]:
    """(the failure of a put, how often it was asked for)."""
    async with (
        scripted(*steps) as server,
        Client([server.endpoint], exactly_once=False, timeout_s=timeout_s) as client,
    ):
        return await failure_of(client.put(b"key", b"value")), len(server.paths)


@pytest.mark.parametrize("refusal", REFUSALS, ids=status_id)
def test_refused_write_certainly_did_not_happen(refusal: status.Status) -> None:
    """It is a plain failure with the server's code and words, and is not tried again."""
    failure, calls = asyncio.run(put_and_fail(refusal))
    assert type(failure) is CallFailed
    assert ((failure.code, failure.text), calls) == (refusal, 1)


@pytest.mark.parametrize("answer", SAY_NOTHING, ids=status_id)
def test_write_whose_fate_the_answer_does_not_tell_is_unknown(answer: status.Status) -> None:
    """It is not tried again either: that could do it twice."""
    failure, calls = asyncio.run(put_and_fail(answer))
    assert type(failure) is OutcomeUnknown
    assert ((failure.code, failure.text), calls) == (answer, 1)


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_every_kind_of_write_reports_an_unknown_outcome(
    call: Callable[[Client], Awaitable[object]],
) -> None:
    async def main() -> None:
        async with (
            scripted(status.TIMED_OUT) as server,
            Client([server.endpoint], exactly_once=False) as client,
        ):
            assert type(await failure_of(call(client))) is OutcomeUnknown

    asyncio.run(main())


def test_unknown_outcome_is_no_kind_of_failed_call() -> None:
    """Whoever catches plain failures only is not led to believe that nothing happened."""
    assert not issubclass(OutcomeUnknown, CallFailed)


@pytest.mark.parametrize("answer", [status.NO_LEADER, status.LEADER_CHANGED], ids=status_id)
def test_write_that_did_not_happen_is_tried_again_elsewhere(answer: status.Status) -> None:
    async def main() -> None:
        async with (
            scripted(answer) as first,
            scripted(OK) as second,
            Client([first.endpoint, second.endpoint], exactly_once=False) as client,
        ):
            await client.put(b"key", b"value")
            assert (first.paths, second.paths) == (["/etcdserverpb.KV/Put"],) * 2

    asyncio.run(main())


def test_write_without_a_leader_until_the_deadline_certainly_did_not_happen() -> None:
    failure, calls = asyncio.run(put_and_fail(status.NO_LEADER))
    assert type(failure) is CallFailed
    assert (failure.code, failure.text) == status.NO_LEADER
    assert calls > 1


def test_write_that_did_not_happen_is_not_put_in_doubt_at_the_last_moment() -> None:
    """Another attempt could hardly be answered in time."""
    failure, calls = asyncio.run(put_and_fail(status.NO_LEADER, HANG, timeout_s=1.2 * RETRY_S))
    assert type(failure) is CallFailed
    assert ((failure.code, failure.text), calls) == (status.NO_LEADER, 1)


def test_write_sent_again_and_never_answered_is_unknown() -> None:
    """The first attempt's refusal says nothing about the second."""
    failure, calls = asyncio.run(put_and_fail(status.NO_LEADER, HANG))
    assert type(failure) is OutcomeUnknown
    assert (failure.code, calls) == (status.DEADLINE_EXCEEDED, 2)


@pytest.mark.parametrize("answer", [status.TIMED_OUT, status.STOPPED], ids=status_id)
def test_read_is_tried_again_while_the_server_is_unavailable(answer: status.Status) -> None:
    async def main() -> None:
        async with (
            scripted(answer, answer, RANGE) as server,
            Client([server.endpoint], exactly_once=False) as client,
        ):
            assert await client.get(b"key") == b"value"
            assert len(server.paths) == 3

    asyncio.run(main())


def test_refused_read_is_not_tried_again() -> None:
    async def main() -> None:
        async with (
            scripted(status.COMPACTED) as server,
            Client([server.endpoint], exactly_once=False) as client,
        ):
            failure = await failure_of(client.get(b"key"))
            assert ((failure.code, failure.text), len(server.paths)) == (status.COMPACTED, 1)

    asyncio.run(main())


def test_write_is_unknown_when_the_connection_is_reset_after_it_was_sent() -> None:
    """No other endpoint sees it, though there is one."""

    async def main() -> None:
        async with (
            severed() as first,
            scripted(OK) as second,
            Client([first.endpoint, second.endpoint], exactly_once=False) as client,
        ):
            failure = await failure_of(client.put(b"key", b"value"))
            assert type(failure) is OutcomeUnknown
            text = f"{first.endpoint} is gone: connection lost"
            assert (failure.code, failure.text) == (status.UNAVAILABLE, text)
            assert (first.connections, second.paths) == (1, [])

    asyncio.run(main())


def test_read_goes_elsewhere_when_the_connection_is_reset() -> None:
    async def main() -> None:
        async with (
            severed() as first,
            scripted(RANGE) as second,
            Client([first.endpoint, second.endpoint], exactly_once=False) as client,
        ):
            assert await client.get(b"key") == b"value"

    asyncio.run(main())


def test_write_goes_elsewhere_when_it_was_not_sent() -> None:
    async def main() -> None:
        async with (
            scripted(OK) as second,
            Client([closed_endpoint(), second.endpoint], exactly_once=False) as client,
        ):
            await client.put(b"key", b"value")
            assert len(second.paths) == 1

    asyncio.run(main())


def test_next_call_stays_with_the_endpoint_that_answered() -> None:
    async def main() -> None:
        async with (
            scripted(status.NO_LEADER, OK) as first,
            scripted(OK) as second,
            Client([first.endpoint, second.endpoint], exactly_once=False) as client,
        ):
            await client.put(b"key", b"1")
            await client.put(b"key", b"2")
            assert (len(first.paths), len(second.paths)) == (1, 2)

    asyncio.run(main())


@pytest.mark.parametrize("calls", [2, 3, 10])
def test_calls_that_fail_together_turn_to_the_next_endpoint_once(calls: int) -> None:
    """Two calls that each turned would come back to the dead one, for ever."""

    async def main() -> None:
        async with (
            scripted(RANGE) as alive,
            Client([closed_endpoint(), alive.endpoint], exactly_once=False, timeout_s=5) as client,
        ):
            values = await asyncio.gather(*(client.get(b"key") for _ in range(calls)))
            assert values == [b"value"] * calls
            assert len(alive.paths) == calls

    asyncio.run(main())


def test_write_that_is_not_answered_in_time_is_unknown() -> None:
    failure, _ = asyncio.run(put_and_fail(HANG))
    assert type(failure) is OutcomeUnknown
    assert failure.code == status.DEADLINE_EXCEEDED
    assert re.fullmatch(r"127\.0\.0\.1:\d+ did not answer in time", failure.text)


def test_read_that_is_not_answered_in_time_fails_and_is_cancelled_at_the_server() -> None:
    async def main() -> None:
        async with (
            scripted(HANG) as server,
            Client([server.endpoint], exactly_once=False, timeout_s=SHORT_S) as client,
        ):
            failure = await failure_of(client.get(b"key"))
            assert (type(failure), failure.code) == (CallFailed, status.DEADLINE_EXCEEDED)
            await server.cancelled.wait()

    asyncio.run(main())


def test_write_that_reached_nobody_certainly_did_not_happen() -> None:
    """The text says whom it tried, and why not."""

    async def main() -> None:
        async with Client([closed_endpoint()], exactly_once=False, timeout_s=SHORT_S) as client:
            failure = await failure_of(client.put(b"key", b"value"))
            assert (type(failure), failure.code) == (CallFailed, status.UNAVAILABLE)
            assert failure.text.startswith("127.0.0.1:1 cannot be reached: ")

    asyncio.run(main())


def test_cancelled_call_is_cancelled_at_the_server_too() -> None:
    async def main() -> None:
        async with (
            scripted(HANG) as server,
            Client([server.endpoint], exactly_once=False) as client,
        ):
            call = asyncio.create_task(client.put(b"key", b"value"))
            await server.called.wait()
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call
            await server.cancelled.wait()

    asyncio.run(main())


def test_answer_that_cannot_be_read_does_not_hide_that_the_write_was_sent() -> None:
    failure, calls = asyncio.run(put_and_fail(b"\xff\xff\xff"))
    assert (type(failure), failure.code, calls) == (OutcomeUnknown, status.INTERNAL, 1)


@pytest.mark.parametrize(
    ("call", "kind"),
    [
        (lambda client: client.put(b"key", b"value"), OutcomeUnknown),
        (lambda client: client.get(b"key"), CallFailed),
    ],
    ids=["write", "read"],
)
def test_close_ends_calls_under_way(
    call: Callable[[Client], Awaitable[object]], kind: type[CallError]
) -> None:
    """At once, and no connection is made again."""

    async def main() -> None:
        async with scripted(HANG) as server:
            client = Client([server.endpoint], exactly_once=False)
            failure = asyncio.create_task(failure_of(call(client)))
            await server.called.wait()
            client.close()
            assert type(await failure) is kind
            assert len(server.paths) == 1

    asyncio.run(main())


def test_closed_client_takes_no_more_calls() -> None:
    async def main() -> None:
        async with Client([closed_endpoint()], exactly_once=False) as client:
            pass
        with pytest.raises(UsageError, match="closed"):
            await client.get(b"key")

    asyncio.run(main())


def test_client_of_another_event_loop_is_refused() -> None:
    async def main() -> None:
        async with scripted(OK) as server:
            client = Client([server.endpoint], exactly_once=False)
            await client.put(b"key", b"value")
            with ThreadPoolExecutor() as elsewhere:
                call = elsewhere.submit(asyncio.run, client.put(b"key", b"value"))
                with pytest.raises(UsageError, match="in another event loop"):
                    await asyncio.wrap_future(call)
            client.close()

    asyncio.run(main())


def test_close_while_connecting_leaves_no_connection() -> None:
    async def main() -> None:
        async with severed() as server:
            client = Client([server.endpoint], exactly_once=False)
            call = asyncio.create_task(failure_of(client.put(b"key", b"value")))
            await asyncio.sleep(0)
            client.close()
            assert type(await call) is CallFailed
            assert server.connections == 0

    asyncio.run(main())


@pytest.mark.parametrize("text", ["", "localhost", "https://h", "h:port", "h:99999", "h:0", ":1"])
def test_endpoint_that_is_none(text: str) -> None:
    with pytest.raises(UsageError):
        Client([text], exactly_once=False)


def test_client_needs_an_endpoint() -> None:
    with pytest.raises(UsageError, match="at least one endpoint"):
        Client([], exactly_once=False)


def test_scan_reads_fewer_keys_at_once_when_they_are_large() -> None:
    class Large(Client):
        """Keys of a page's size each."""

        async def range(self, request: rpc_pb2.RangeRequest) -> rpc_pb2.RangeResponse:
            limits.append(request.limit)
            kvs = [{"key": b"k", "value": bytes(PAGE_BYTES)} for _ in range(request.limit)]
            return rpc_pb2.RangeResponse(kvs=kvs, more=len(limits) < 3)

    limits: list[int] = []

    async def main() -> None:
        async with Large([closed_endpoint()]) as client:
            assert len([kv async for kv in client.scan(b"k", prefix=True, page=4)]) == 6
        assert limits == [4, 1, 1]

    asyncio.run(main())
