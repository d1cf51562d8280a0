"""The call that keeps its answers."""

import asyncio

from raftwerk.api import status
from raftwerk.http2.server import Limits, UnaryMethod
from raftwerk.server.gateway_call import GatewayCall


def make_call(held: list[int]) -> GatewayCall:
    """held: gets the bytes that the call keeps."""
    method = UnaryMethod(lambda call, data: None)
    return GatewayCall("/a/b", method, [(b"hasleader", b"true")], 1.5, Limits(), held.append)


def all_messages(call: GatewayCall) -> list[bytes]:
    async def take() -> list[bytes]:
        messages = []
        while (message := await call.next_message()) is not None:
            messages.append(message)
        return messages

    return asyncio.run(take())


def test_reply_is_a_message_and_the_end() -> None:
    call = make_call([])
    call.reply(b"answer")
    assert call.is_over
    assert all_messages(call) == [b"answer"]
    assert call.outcome == (status.OK, "")


def test_messages_go_before_the_outcome() -> None:
    call = make_call([])
    call.send(b"1")
    call.send_all([b"2", b"3"])
    call.finish(status.UNAVAILABLE, "gone")
    call.send(b"4")
    call.finish()
    assert all_messages(call) == [b"1", b"2", b"3"]
    assert call.outcome == (status.UNAVAILABLE, "gone")


def test_waiting_reader_gets_what_comes() -> None:
    async def talk() -> None:
        call = make_call([])
        reader = asyncio.ensure_future(call.next_message())
        await asyncio.sleep(0)
        assert not reader.done()
        call.send(b"late")
        assert await reader == b"late"

    asyncio.run(talk())


def test_message_counts_as_queued_until_it_was_passed_on() -> None:
    drained: list[int] = []

    async def talk() -> None:
        call = make_call([])
        call.on_drain = lambda: drained.append(call.queued_bytes)
        call.send_all([b"12345", b"678"])
        assert call.queued_bytes == 8
        await call.next_message()
        assert call.queued_bytes == 8
        await call.next_message()
        assert (call.queued_bytes, drained) == (3, [])
        last = asyncio.ensure_future(call.next_message())
        await asyncio.sleep(0)
        assert drained == [0]
        call.finish()
        assert await last is None

    asyncio.run(talk())


def test_call_whose_client_does_not_read_is_clogged() -> None:
    call = make_call([])
    assert not call.is_clogged
    call.send(bytes(Limits().backlog_bytes_max + 1))
    assert call.is_clogged


def test_cancelled_call_tells_its_handler_once() -> None:
    call = make_call([])
    told: list[str] = []
    call.on_cancel = lambda: told.append("cancelled")
    call.cancel()
    call.cancel()
    assert told == ["cancelled"]
    assert call.outcome == (status.CANCELLED, "context canceled")


def test_call_that_is_over_is_not_cancelled() -> None:
    call = make_call([])
    told: list[str] = []
    call.on_cancel = lambda: told.append("cancelled")
    call.finish()
    call.cancel()
    assert told == []
    assert call.outcome == (status.OK, "")


def test_call_is_counted_like_those_of_grpc() -> None:
    call = make_call([])
    assert call.request.method is not None
    tally = call.request.method.tally
    call.reply(b"answer")
    call.cancel()
    assert (tally.started, tally.succeeded, tally.failed) == (1, 1, {})


def test_what_is_kept_is_told_until_it_was_passed_on() -> None:
    held: list[int] = []
    call = make_call(held)
    call.send_all([b"12", b"3"])
    call.reply(b"4")
    assert len(all_messages(call)) == 3
    assert held == [3, 4, 2, 1, 0]


def test_what_nobody_passes_on_is_let_go() -> None:
    held: list[int] = []
    call = make_call(held)
    call.reply(b"1234")
    call.let_go()
    assert held == [4, 0]
    assert all_messages(call) == []
