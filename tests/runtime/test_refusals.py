"""What the log tells of peers that are not welcome."""

import asyncio
import contextlib

from structlog.testing import capture_logs

from raftwerk.runtime.addresses import Address
from raftwerk.runtime.links import REFUSALS_MAX
from raftwerk.wire.handshake import Stream, encode_hello
from tests.runtime.peers import CLUSTER, PEER, US, free_address, links_to, run

NOWHERE = Address("127.0.0.1", 1)


def test_who_comes_and_is_refused_is_logged_once_until_that_changes() -> None:
    """As when the nodes of two clusters meet at a wrong address, and try again and again."""
    foreign = encode_hello(CLUSTER + 1, PEER, US, Stream.MESSAGES)
    another = encode_hello(CLUSTER + 1, PEER + 1, US, Stream.MESSAGES)
    mistaken = encode_hello(CLUSTER, PEER, US + 5, Stream.MESSAGES)
    welcome = encode_hello(CLUSTER, PEER, US, Stream.MESSAGES)

    async def body() -> None:
        here = free_address()
        async with links_to([NOWHERE]) as (links, _):
            await links.listen([here])
            told = []
            for hello in (
                foreign,
                foreign,
                another,
                foreign,
                mistaken,
                mistaken,
                welcome,
                mistaken,
            ):
                with capture_logs() as logs:
                    reader, writer = await asyncio.open_connection(*here)
                    writer.write(hello)
                    assert await reader.read(1_000)
                    writer.close()
                told.append([log["reason"][:7] for log in logs if log["event"] == "refused a peer"])
        cluster, receiver = ["cluster"], ["the pee"]
        assert told == [cluster, [], cluster, [], receiver, [], [], receiver]

    run(body)


def test_who_speaks_another_protocol_is_told_of_once_in_a_while() -> None:
    async def body() -> None:
        here = free_address()
        async with links_to([NOWHERE]) as (links, _):
            await links.listen([here])
            with capture_logs() as logs:
                for noise in (b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01" + bytes(20), bytes(9)):
                    reader, writer = await asyncio.open_connection(*here)
                    writer.write(noise)
                    with contextlib.suppress(ConnectionResetError):
                        assert await reader.read() == b""
                    writer.close()
        assert [log["event"] for log in logs] == ["peer connection ended"]

    run(body)


def test_whose_refusals_are_remembered_is_bounded() -> None:
    async def body() -> None:
        async with links_to([NOWHERE]) as (links, _):
            assert all(links.note_refusal(peer, "why") for peer in range(REFUSALS_MAX + 1))
            assert not links.note_refusal(REFUSALS_MAX, "why")
            assert links.note_refusal(0, "why")

    run(body)
