"""Every event once and in order, through lost connections and servers that die."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from raftwerk.api import auth_rpc_pb2, status, watch_pb2
from raftwerk.cli.cluster import Member
from raftwerk.client import CallFailed, Client, Compacted
from raftwerk.client.txn import put
from raftwerk.client.watch import Event, EventKind, Watch
from raftwerk.errors import UsageError
from tests.client.lossy import lossy
from tests.client.scripted import Step, scripted
from tests.conftest import StartCluster


def run(member: Member, main: Callable[[Client], Awaitable[None]]) -> None:
    async def with_client() -> None:
        async with asyncio.timeout(30), Client([member.client_url]) as client:
            await main(client)

    asyncio.run(with_client())


async def take(watch: Watch, count: int) -> list[Event]:
    return [await anext(watch) for _ in range(count)]


def test_events_say_what_happened(member: Member) -> None:
    async def main(client: Client) -> None:
        async with client.watch(b"watch", prev_kv=True) as events:
            first = await client.put(b"watch", b"1")
            await client.put(b"other", b"x")
            await client.put(b"watch", b"2")
            await client.delete(b"watch")
            found = await take(events, 3)
            assert [(one.kind, one.key, one.value) for one in found] == [
                (EventKind.PUT, b"watch", b"1"),
                (EventKind.PUT, b"watch", b"2"),
                (EventKind.DELETE, b"watch", b""),
            ]
            revision = first.header.revision
            assert [one.revision - revision for one in found] == [0, 2, 3]
            assert [one.prev_kv.value if one.prev_kv else None for one in found] == [
                None,
                b"1",
                b"2",
            ]

    run(member, main)


def test_events_of_the_past_come_first(member: Member) -> None:
    async def main(client: Client) -> None:
        first = await client.put(b"past/1", b"")
        await client.put(b"past/2", b"")
        start = first.header.revision
        async with client.watch(b"past/", prefix=True, start_revision=start) as events:
            await client.put(b"past/3", b"")
            keys = [event.key for event in await take(events, 3)]
            assert keys == [b"past/1", b"past/2", b"past/3"]

    run(member, main)


def test_a_compacted_past_is_told(member: Member) -> None:
    async def main(client: Client) -> None:
        await client.put(b"old", b"1")
        revision = (await client.put(b"old", b"2")).header.revision
        await client.compact(revision)
        with pytest.raises(Compacted) as caught:
            async with client.watch(b"old", start_revision=1) as events:
                await anext(events)
        assert caught.value.revision == revision

    run(member, main)


def test_a_watch_that_is_refused_fails(member: Member) -> None:
    async def main(client: Client) -> None:
        with pytest.raises(CallFailed, match="range is empty"):
            async with client.watch(b"b", b"a") as events:
                await anext(events)

    run(member, main)


def test_streams_that_break_leave_no_gap_and_no_repeat(member: Member) -> None:
    """The connection is cut in the midst of events, again and again."""

    async def main(client: Client) -> None:
        async with (
            lossy(member.client_port) as proxy,
            Client([proxy.endpoint]) as watching,
            watching.watch(b"gap/", prefix=True) as events,
        ):
            for number in range(60):
                await client.put(b"gap/%d" % number, b"")
                if number % 20 == 10:
                    assert (await anext(events)).key == b"gap/%d" % (number // 20)
                    await proxy.end()
            found = [event.key for event in await take(events, 57)]
            assert found == [b"gap/%d" % number for number in range(3, 60)]

    run(member, main)


def test_events_of_a_transaction_have_one_revision(member: Member) -> None:
    async def main(client: Client) -> None:
        async with client.watch(b"whole/", prefix=True) as events:
            for number in range(2):
                puts = [put(b"whole/%d" % one, b"%d" % number) for one in range(5)]
                await client.transaction().then(*puts).commit()
            first = await take(events, 3)
            second = await take(events, 7)
            revisions = [event.revision for event in first + second]
            assert revisions == [revisions[0]] * 5 + [revisions[0] + 1] * 5

    run(member, main)


def test_a_watch_that_is_not_read_waits_at_the_server(member: Member) -> None:
    """More than the client takes: the rest comes when it is read, on the same stream."""
    count, value = 500, bytes(20_000)

    async def main(client: Client) -> None:
        async with client.watch(b"slow/", prefix=True) as events:
            for start in range(0, count, 100):
                await asyncio.gather(
                    *(client.put(b"slow/", value + b"%d" % n) for n in range(start, start + 100))
                )
            stream = events._stream
            found = await take(events, count)
            assert events._stream is stream
            revisions = [event.revision for event in found]
            assert revisions == sorted(set(revisions))
            assert [event.kv.version for event in found] == list(range(1, count + 1))
            await client.delete(b"slow/")

    run(member, main)


def test_a_watch_is_read_inside_its_block_alone(member: Member) -> None:
    async def main(client: Client) -> None:
        watch = client.watch(b"block")
        with pytest.raises(UsageError, match="a watch is read inside its block: async with"):
            await anext(watch)
        async with watch as events:
            await client.put(b"block", b"")
            await client.put(b"block", b"")
            await take(events, 1)
        with pytest.raises(UsageError, match="inside its block"):
            await anext(events)

    run(member, main)


def test_a_closed_client_ends_its_watch(member: Member) -> None:
    async def main(client: Client) -> None:
        async with client.watch(b"closed") as events:
            waiting = asyncio.ensure_future(anext(events))
            await asyncio.sleep(0)
            client.close()
            with pytest.raises(UsageError):
                await waiting

    run(member, main)


def test_progress_moves_where_the_next_stream_begins() -> None:
    """So that a quiet watch does not ask for a revision that was compacted meanwhile."""

    async def main() -> None:
        client = Client(["127.0.0.1:1"])
        watch = client.watch(b"key", start_revision=5).looked_after()
        watch._take(watch_pb2.WatchResponse(header={"revision": 90}))
        assert watch.next_revision == 91
        client.close()

    asyncio.run(main())


def test_a_watch_outlives_its_server(start_cluster: StartCluster) -> None:
    cluster = start_cluster(3)
    first, *others = cluster.members

    async def main() -> None:
        urls = [member.client_url for member in cluster.members]
        async with (
            asyncio.timeout(60),
            Client(urls) as watching,
            Client([one.client_url for one in others], timeout_s=30) as client,
            watching.watch(b"k") as events,
        ):
            await client.put(b"k", b"0")
            assert (await anext(events)).value == b"0"
            await asyncio.to_thread(cluster.kill, first)
            for number in range(1, 5):
                await client.put(b"k", b"%d" % number)
            assert [one.value for one in await take(events, 4)] == [b"1", b"2", b"3", b"4"]

    asyncio.run(main())


TOKEN = auth_rpc_pb2.AuthenticateResponse(token="abc.1").SerializeToString()
EXPIRED = "rpc error: code = Unauthenticated desc = etcdserver: invalid auth token"


def told(**fields: Any) -> bytes:
    response = watch_pb2.WatchResponse(header={"revision": 5}, **fields)
    return response.SerializeToString()


def refusal(reason: str) -> list[bytes]:
    """All that the stream of such a watch brings."""
    return [told(watch_id=-1, created=True, canceled=True, cancel_reason=reason)]


WATCHED: list[bytes] = [told(created=True), told(events=[{"kv": {"key": b"a", "mod_revision": 6}}])]


def test_what_keeps_a_watch_from_going_on_is_known_as_long_as_it_does() -> None:
    async def main() -> None:
        async with (
            scripted(status.NO_LEADER, WATCHED) as server,
            Client([server.endpoint]) as client,
        ):
            beginning = asyncio.create_task(client.watch(b"a").__aenter__())
            await server.called.wait()
            async with asyncio.timeout(30):
                while not client.calls.trouble:
                    await asyncio.sleep(0)
                assert client.calls.trouble == status.NO_LEADER.text
                await beginning
            assert client.calls.trouble == ""

    asyncio.run(main())


def test_a_watch_with_an_expired_token_begins_again_with_another_one() -> None:
    """It is refused in a message, in Go's words, not by the status of its stream."""

    async def main() -> None:
        async with scripted(TOKEN, refusal(EXPIRED), TOKEN, WATCHED) as server:
            client = Client([server.endpoint], credentials=("root", "secret"))
            async with asyncio.timeout(30), client.watch(b"a") as events:
                assert (await anext(events)).key == b"a"
            client.close()
            calls = [path.rpartition("/")[2] for path in server.paths]
            assert calls == ["Authenticate", "Watch"] * 2

    asyncio.run(main())


def test_a_watch_does_not_ask_for_tokens_for_ever() -> None:
    async def main() -> None:
        steps: list[Step] = [TOKEN, refusal(EXPIRED)]
        async with scripted(*steps * 9) as server:
            client = Client([server.endpoint], credentials=("root", "secret"))
            with pytest.raises(CallFailed, match="invalid auth token") as caught:
                async with asyncio.timeout(30), client.watch(b"a"):
                    pass
            assert caught.value.code == status.UNAUTHENTICATED
            client.close()

    asyncio.run(main())


@pytest.mark.parametrize(
    ("reason", "code", "text"),
    [
        (
            "rpc error: code = PermissionDenied desc = etcdserver: permission denied",
            status.PERMISSION_DENIED,
            "etcdserver: permission denied",
        ),
        ("mvcc: watcher range is empty", status.INVALID_ARGUMENT, "mvcc: watcher range is empty"),
        ("out of sorts", status.UNKNOWN, "out of sorts"),
        ("rpc error: code = Odd desc = out of sorts", status.UNKNOWN, "out of sorts"),
        ("", status.UNKNOWN, "the server cancelled the watch"),
    ],
    ids=["permission", "range", "unknown text", "unknown code", "none"],
)
def test_a_watch_that_is_cancelled_fails_as_the_reason_says(
    reason: str, code: int, text: str
) -> None:
    async def main() -> None:
        async with scripted(refusal(reason)) as server, Client([server.endpoint]) as client:
            with pytest.raises(CallFailed) as caught:
                async with client.watch(b"a"):
                    pass
            assert (caught.value.code, caught.value.text) == (code, text)

    asyncio.run(main())


def test_whoever_gives_up_beginning_a_watch_leaves_nothing_at_the_server() -> None:
    async def main() -> None:
        async with scripted([]) as server, Client([server.endpoint]) as client:
            beginning = asyncio.create_task(client.watch(b"a").__aenter__())
            await server.called.wait()
            beginning.cancel()
            async with asyncio.timeout(30):
                await server.cancelled.wait()
            assert beginning.cancelled()

    asyncio.run(main())
