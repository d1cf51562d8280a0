"""Puts at once are one call, and each has an answer of its own."""

import asyncio
from typing import Any

import pytest

from raftwerk.api import session_puts, status
from raftwerk.api.rpc_pb2 import PutRequest, PutResponse
from raftwerk.api.session_puts import PATH, PUTS_MAX, SINGLE, Puts
from raftwerk.cli.cluster import Member
from raftwerk.client import CallError, CallFailed, Client, OutcomeUnknown
from raftwerk.client.puts import OVERHEAD_BYTES, PUT_BYTES_MAX, PUTS_BYTES_MAX
from tests.client.puts_server import PutsServer, Script, answer_all, begun, put, puts_server
from tests.client.scripted import HANG, serving


def test_puts_at_once_are_one_call() -> None:
    async def main() -> None:
        async with puts_server(answer_all) as server:
            client = await begun(server)
            assert await asyncio.gather(*(put(client, b"%d" % n) for n in range(3))) == [2, 3, 4]
            assert server.paths.count(SINGLE) == 1  # the first one
            (call,) = server.calls
            values = [PutRequest.FromString(message).value for _, message in call.puts]
            assert (call.session, call.first, values) == (7, 2, [b"0", b"1", b"2"])
            client.close()

    asyncio.run(main())


def test_a_put_alone_is_a_call_of_its_own() -> None:
    async def main() -> None:
        async with puts_server(answer_all) as server:
            client = await begun(server)
            await put(client)
            await put(client)
            assert server.calls == []
            client.close()

    asyncio.run(main())


def test_half_a_window_leaves_at_once() -> None:
    async def main() -> None:
        async with puts_server(answer_all) as server:
            client = await begun(server)
            count = 2 * PUTS_MAX - 10
            await asyncio.gather(*(put(client) for _ in range(count)))
            assert [len(numbers) for numbers in server.numbers] == [PUTS_MAX, PUTS_MAX - 10]
            client.close()

    asyncio.run(main())


@pytest.mark.parametrize("large", [0, 1, 2])
def test_a_large_put_goes_by_itself_in_its_place(large: int) -> None:
    sizes = [PUT_BYTES_MAX if place == large else 1 for place in range(3)]
    calls = [[SINGLE, PATH], [SINGLE] * 3, [PATH, SINGLE]]
    numbers = [[[3, 4]], [], [[2, 3]]]

    async def main() -> None:
        async with puts_server(answer_all) as server:
            client = await begun(server)
            await asyncio.gather(*(put(client, bytes(size)) for size in sizes))
            assert (server.order[2:], server.numbers) == (calls[large], numbers[large])
            client.close()

    asyncio.run(main())


def test_puts_leave_before_another_write_that_is_made_after_them() -> None:
    async def main() -> None:
        async with puts_server(answer_all) as server:
            client = await begun(server)
            await asyncio.gather(put(client), put(client), client.delete(b"key"), put(client))
            assert server.order[2:] == [PATH, "/etcdserverpb.KV/DeleteRange", SINGLE]
            client.close()

    asyncio.run(main())


def test_more_than_a_request_holds_are_more_requests() -> None:
    async def main() -> None:
        async with puts_server(answer_all) as server:
            client = await begun(server)
            value = bytes(PUTS_BYTES_MAX // 20)
            for _ in range(2):
                await asyncio.gather(*(put(client, value) for _ in range(50)))
            assert [len(numbers) for numbers in server.numbers] == [19, 19, 12] * 2
            client.close()

    asyncio.run(main())


def test_a_server_that_takes_small_requests_alone_takes_as_many_puts() -> None:
    """With raftwerk's --max-request-bytes: it takes half a MiB more than that, in one message."""
    puts = [(number, bytes(0)) for number in range(2**62, 2**62 + PUTS_MAX)]
    overhead = len(session_puts.encode(Puts(2**62, 2**62, puts)))
    assert overhead <= PUTS_MAX * OVERHEAD_BYTES
    assert PUTS_BYTES_MAX + PUTS_MAX * OVERHEAD_BYTES < 512 * 1024


def test_answers_come_in_any_order_and_not_all_together() -> None:
    def script(_: int, numbers: list[int]) -> Script:
        return [[numbers[2]], [numbers[1], numbers[0]]]

    async def main() -> None:
        async with puts_server(script) as server:
            client = await begun(server)
            assert await asyncio.gather(*(put(client) for _ in range(3))) == [2, 3, 4]
            client.close()

    asyncio.run(main())


def test_a_refusal_is_that_of_one() -> None:
    def script(_: int, numbers: list[int]) -> Script:
        refusal = (numbers[0], *status.LEASE_NOT_FOUND, b"")
        return [session_puts.encode([refusal]), [numbers[1]]]

    async def main() -> None:
        async with puts_server(script) as server:
            client = await begun(server)
            refused, done = await asyncio.gather(put(client), put(client), return_exceptions=True)
            assert isinstance(refused, CallFailed)
            assert refused.text == status.LEASE_NOT_FOUND.text
            assert done == 3
            client.close()

    asyncio.run(main())


def test_what_is_not_answered_is_sent_again_with_its_number() -> None:
    def script(calls: int, numbers: list[int]) -> Script:
        return [[numbers[1]], (status.UNAVAILABLE, "gone")] if calls == 0 else [numbers]

    async def main() -> None:
        async with puts_server(script) as server:
            client = await begun(server)
            assert await asyncio.gather(*(put(client) for _ in range(4))) == [2, 3, 4, 5]
            assert server.numbers == [[2, 3, 4, 5], [2, 4, 5]]
            client.close()

    asyncio.run(main())


def test_each_call_says_which_answers_are_not_waited_for() -> None:
    def script(calls: int, numbers: list[int]) -> Script:
        return [numbers] if calls else [[numbers[0]], HANG]

    async def main() -> None:
        async with puts_server(script) as server:
            client = await begun(server)
            server.called.clear()
            first, second = [asyncio.create_task(put(client)) for _ in range(2)]
            await first
            await asyncio.gather(put(client), put(client))
            assert [(puts.first, puts.puts[0][0]) for puts in server.calls] == [(2, 2), (3, 4)]
            second.cancel()
            client.close()

    asyncio.run(main())


def test_the_token_goes_with_a_call() -> None:
    async def main() -> None:
        async with serving(PutsServer(answer_all, has_token=True)) as server:
            assert isinstance(server, PutsServer)
            client = await begun(server, credentials=("name", "password"))
            await asyncio.gather(put(client), put(client))
            (metadata,) = server.metadata
            assert metadata["token"] == "secret.1"
            client.close()

    asyncio.run(main())


@pytest.mark.parametrize("code", [status.RESOURCE_EXHAUSTED, status.UNIMPLEMENTED, 13])
def test_a_refusal_after_an_answer_is_no_refusal_of_the_rest(code: int) -> None:
    def script(calls: int, numbers: list[int]) -> Script:
        return [numbers] if calls else [[numbers[0]], (code, "no")]

    async def main() -> None:
        async with puts_server(script) as server:
            client = await begun(server)
            assert await asyncio.gather(*(put(client) for _ in range(3))) == [2, 3, 4]
            assert server.numbers == [[2, 3, 4], [3, 4]]
            client.close()

    asyncio.run(main())


@pytest.mark.parametrize(
    "step",
    [
        [[2]],
        [[2], b"\xc1", HANG],
        [[2], b"\x91\x01", HANG],
        [[2], b"\x91\x94\x03\x00\xa1\xff\xc4\x00", HANG],
        [[2], [4]],
    ],
    ids=["too few", "no msgpack", "no answers", "no text", "to another"],
)
def test_an_answer_that_says_nothing_leaves_the_rest_unknown(step: Script) -> None:
    async def main() -> None:
        async with puts_server(lambda *_: step) as server:
            client = await begun(server)
            done, unknown = await asyncio.gather(put(client), put(client), return_exceptions=True)
            assert done == 2
            assert isinstance(unknown, OutcomeUnknown)
            async with asyncio.timeout(5):
                assert HANG not in step or await server.cancelled.wait()
            client.close()

    asyncio.run(main())


def test_a_server_that_does_not_know_the_call_gets_each_by_itself_and_is_not_asked_again() -> None:
    async def main() -> None:
        unknown: Script = [(status.UNIMPLEMENTED, "unknown method")]
        async with puts_server(lambda *_: unknown) as server:
            client = await begun(server)
            for _ in range(2):
                await asyncio.gather(*(put(client) for _ in range(3)))
            assert len(server.calls) == 1
            assert server.paths.count(SINGLE) == 1 + 6
            client.close()

    asyncio.run(main())


def test_one_that_gives_up_leaves_the_others_to_their_answers() -> None:
    release = asyncio.Event()

    class Slow(PutsServer):
        async def _answer(self, data: bytes, context: Any) -> None:
            self.called.set()
            await release.wait()
            await super()._answer(data, context)

    async def main() -> None:
        async with serving(Slow(answer_all)) as server:
            assert isinstance(server, Slow)
            client = await begun(server)
            server.called.clear()
            tasks = [asyncio.create_task(put(client)) for _ in range(3)]
            await server.called.wait()
            tasks[1].cancel()
            release.set()
            found = await asyncio.gather(*tasks, return_exceptions=True)
            assert [found[0], found[2]] == [2, 4]
            assert isinstance(found[1], asyncio.CancelledError)
            client.close()

    asyncio.run(main())


def test_a_call_that_nobody_waits_for_is_cancelled() -> None:
    async def main() -> None:
        async with puts_server(lambda *_: [HANG]) as server:
            client = await begun(server)
            server.called.clear()
            tasks = [asyncio.create_task(put(client)) for _ in range(3)]
            await server.called.wait()
            for task in tasks:
                task.cancel()
            async with asyncio.timeout(5):
                assert await server.cancelled.wait()
            client.close()

    asyncio.run(main())


def test_puts_without_an_answer_in_time_are_in_doubt() -> None:
    async def main() -> None:
        async with puts_server(lambda *_: [HANG]) as server:
            client = await begun(server, timeout_s=0.3)
            found = await asyncio.gather(put(client), put(client), return_exceptions=True)
            assert [type(each) for each in found] == [OutcomeUnknown] * 2
            client.close()

    asyncio.run(main())


def test_puts_that_have_not_left_when_the_client_is_closed_have_not_happened() -> None:
    async def main() -> None:
        async with puts_server(answer_all) as server:
            client = await begun(server)
            tasks = [asyncio.create_task(put(client)) for _ in range(2)]
            await asyncio.sleep(0)  # both wait for the end of the turn
            client.close()
            found = await asyncio.gather(*tasks, return_exceptions=True)
            assert [type(each) for each in found] == [CallFailed] * 2
            assert server.calls == []

    asyncio.run(main())


def test_one_that_is_cancelled_before_it_left_is_not_sent() -> None:
    async def main() -> None:
        async with puts_server(answer_all) as server:
            client = await begun(server)
            tasks = [asyncio.create_task(put(client)) for _ in range(3)]
            await asyncio.sleep(0)
            tasks[1].cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            assert server.numbers == [[2, 4]]
            client.close()

    asyncio.run(main())


def test_many_writers_at_once_are_each_answered_by_their_own_put(member: Member) -> None:
    """With raftwerk and with etcd."""

    async def main() -> None:
        async with Client([f"127.0.0.1:{member.client_port}"]) as client:

            async def write(writer: int) -> None:
                key = b"writers/%03d" % writer
                for count in range(1, 21):
                    response = await client.put(key, b"%d" % count, prev_kv=True)
                    before = b"%d" % (count - 1) if count > 1 else b""
                    assert response.prev_kv.value == before
                    assert await client.get(key) == b"%d" % count

            await client.delete(b"writers/", prefix=True)
            await asyncio.gather(*(write(writer) for writer in range(300)))
            kvs = [kv async for kv in client.scan(b"writers/", prefix=True)]
            assert [kv.version for kv in kvs] == [20] * 300
            assert len({kv.mod_revision for kv in kvs}) == 300

    asyncio.run(main())


def test_errors_of_the_client_are_those_of_single_puts(member: Member) -> None:
    async def main() -> None:
        async with Client([f"127.0.0.1:{member.client_port}"]) as client:
            await client.put(b"key", b"")
            calls = [
                client.put(b"", b""),
                client.put(b"key", b"", lease=5),
                client.put(b"key", b""),
            ]
            found = await asyncio.gather(*calls, return_exceptions=True)
            texts = [each.text for each in found if isinstance(each, CallError)]
            assert texts == [status.EMPTY_KEY.text, status.LEASE_NOT_FOUND.text]
            assert isinstance(found[2], PutResponse)

    asyncio.run(main())
