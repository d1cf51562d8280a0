"""The links between peers, over real sockets: they come up again, tell what happened, and never hold up a heartbeat."""

import asyncio
import errno
import os
import re
import socket

import pytest

from raftwerk.errors import UsageError
from raftwerk.raft.events import LinkClosed, LinkOpened, Received
from raftwerk.raft.messages import ForwardCommands, InstallSnapshot, TimeoutNow
from raftwerk.runtime.addresses import Address
from raftwerk.runtime.links import BUFFER_BYTES_MAX
from raftwerk.wire.codec import encode
from raftwerk.wire.handshake import Stream
from tests.runtime.peers import (
    PEER,
    US,
    AddressesThatFail,
    NoJitter,
    SilentPeer,
    free_address,
    links_to,
    listening,
    run,
    until,
)

MEBIBYTE = 1024 * 1024
HEARTBEAT = TimeoutNow(term=3, leader_id=US)
"""Any small message."""
NOWHERE = Address("127.0.0.1", 1)


def chunk(offset: int, size: int = 1) -> InstallSnapshot:
    return InstallSnapshot(3, US, 10, 2, b"", offset, b"x" * size, done=False)


def large_message(number: int) -> ForwardCommands:
    return ForwardCommands(3, number, [b"x" * MEBIBYTE])


def test_message_arrives_at_the_other_node() -> None:
    async def body() -> None:
        here, there = free_address(), free_address()
        async with (
            links_to([there]) as (ours, _),
            links_to([here], node_id=PEER, peer=US) as (theirs, told),
        ):
            await theirs.listen([there])
            ours.connect()
            await until(lambda: ours.is_up(PEER))
            ours.send(PEER, [HEARTBEAT, HEARTBEAT])
            await until(lambda: told.events)
            assert told.events == [Received(US, HEARTBEAT)] * 2

    run(body)


def test_link_reports_that_it_is_open() -> None:
    async def body() -> None:
        async with listening(SilentPeer()) as peer, links_to([peer.address]) as (links, told):
            links.connect()
            await until(lambda: told.events)
            assert told.events == [LinkOpened(PEER)]
            assert links.is_up(PEER)

    run(body)


def test_close_by_the_peers_kernel_is_reported_and_the_link_comes_up_again() -> None:
    """The core may campaign at once: the process on the other side is gone."""

    async def body() -> None:
        async with listening(SilentPeer()) as peer, links_to([peer.address]) as (links, told):
            links.connect()
            await until(lambda: links.is_up(PEER))
            peer.end_connections()
            await until(lambda: len(told.events) == 3)
            assert told.events == [LinkOpened(PEER), LinkClosed(PEER), LinkOpened(PEER)]

    run(body)


def test_close_of_an_accepted_connection_is_reported_too() -> None:
    """Whichever of the two connections the kernel ends first."""

    async def body() -> None:
        here = free_address()
        async with links_to([NOWHERE]) as (ours, told):
            await ours.listen([here])
            async with links_to([here], node_id=PEER, peer=US) as (theirs, _):
                theirs.connect()
                await until(lambda: theirs.is_up(US))
            await until(lambda: told.events)
            assert told.events == [LinkClosed(PEER)]

    run(body)


def test_own_stop_is_not_reported_as_the_peers_close() -> None:
    async def body() -> None:
        async with listening(SilentPeer()) as peer:
            async with links_to([peer.address]) as (links, told):
                links.connect()
                await until(lambda: links.is_up(PEER))
            assert told.events == [LinkOpened(PEER)]

    run(body)


def test_second_address_is_dialled_when_the_first_is_dead() -> None:
    async def body() -> None:
        async with (
            listening(SilentPeer()) as peer,
            links_to([NOWHERE, peer.address]) as (links, told),
        ):
            links.connect()
            await until(lambda: links.is_up(PEER))
            assert told.events == [LinkOpened(PEER)]

    run(body)


def test_peer_that_cannot_be_reached_is_told_once_and_when_it_can() -> None:
    async def body() -> None:
        random = NoJitter()
        peer = SilentPeer()
        peer.address = free_address()
        async with links_to([NOWHERE, peer.address], random) as (links, told):
            links.connect()
            await until(lambda: len(random.ranges) == 3)
            ((who, reason),) = told.unreachable
            assert (who, reason.partition(": ")[0]) == (PEER, str(peer.address))
            async with listening(peer):
                await until(lambda: links.is_up(PEER))
                assert told.unreachable[1:] == [(PEER, "")]
            await until(lambda: len(told.unreachable) == 3)

    run(body)


def test_refusal_is_told_once_not_at_each_attempt() -> None:
    async def body() -> None:
        async with (
            listening(SilentPeer(refusal="another cluster")) as peer,
            links_to([peer.address], NoJitter()) as (links, told),
        ):
            links.connect()
            await until(lambda: len(peer.connections) == 3)
            assert told.refusals == [(PEER, "another cluster")]
            peer.refusal = "another member"
            await until(lambda: len(told.refusals) == 2)
            assert told.refusals[1] == (PEER, "another member")

    run(body)


def test_node_of_another_cluster_is_refused() -> None:
    """No message of its gets through."""

    async def body() -> None:
        here, there = free_address(), free_address()
        async with (
            links_to([there], cluster_id=0xC2) as (ours, told),
            links_to([here], node_id=PEER, peer=US) as (theirs, told_there),
        ):
            await theirs.listen([there])
            ours.connect()
            await until(lambda: told.refusals)
            assert "cluster ID mismatch" in told.refusals[0][1]
            assert not ours.is_up(PEER)
            assert told_there.events == []

    run(body)


def test_message_without_a_connection_is_dropped() -> None:
    async def body() -> None:
        async with listening(SilentPeer()) as peer, links_to([peer.address]) as (links, _):
            links.send(PEER, [HEARTBEAT])
            links.connect()
            await until(lambda: links.is_up(PEER))
            links.send(PEER, [TimeoutNow(term=4, leader_id=US)])
            await until(lambda: peer.messages)
            assert peer.messages == [(Stream.MESSAGES, TimeoutNow(term=4, leader_id=US))]

    run(body)


def test_message_to_nobody_is_dropped() -> None:
    """A member that was removed: the core may not know yet."""

    async def body() -> None:
        async with links_to([NOWHERE]) as (links, told):
            links.send(99, [HEARTBEAT, chunk(0)])
            assert (told.events, links.traffic()) == ([], {PEER: (0, 0)})

    run(body)


def test_heartbeat_does_not_wait_behind_snapshot_chunks() -> None:
    """They have a connection of their own: here it is stuck, with 32 MiB under way."""

    async def body() -> None:
        async with (
            listening(SilentPeer(reads=[Stream.MESSAGES])) as peer,
            links_to([peer.address]) as (links, _),
        ):
            links.connect()
            await until(lambda: links.is_up(PEER))
            links.send(PEER, [chunk(0, 32 * MEBIBYTE)])
            await until(lambda: Stream.SNAPSHOT in peer.streams())
            links.send(PEER, [HEARTBEAT])
            await until(lambda: peer.messages)
            assert peer.messages == [(Stream.MESSAGES, HEARTBEAT)]
            snapshots = links._snapshots[PEER]._connection
            assert snapshots is not None
            assert snapshots.buffered_bytes > 0

    run(body)


def test_snapshot_connection_is_dialled_for_the_first_chunk_and_kept_for_the_next() -> None:
    async def body() -> None:
        async with listening(SilentPeer()) as peer, links_to([peer.address]) as (links, told):
            for offset in range(3):
                links.send(PEER, [chunk(offset)])
                await until(lambda offset=offset: len(peer.messages) > offset)
            assert peer.messages == [(Stream.SNAPSHOT, chunk(offset)) for offset in range(3)]
            assert peer.streams() == [Stream.SNAPSHOT]
            assert told.events == [], "the core hears of message connections only"

    run(body)


def test_only_the_newest_chunk_waits_for_the_connection() -> None:
    """The core asks for one at a time: an older one was given up."""

    async def body() -> None:
        async with listening(SilentPeer()) as peer, links_to([peer.address]) as (links, _):
            links.send(PEER, [chunk(0)])
            links.send(PEER, [chunk(7)])
            await until(lambda: peer.messages)
            assert peer.messages == [(Stream.SNAPSHOT, chunk(7))]

    run(body)


def test_what_waits_for_a_slow_peer_is_bounded() -> None:
    """It reads nothing: beyond the limit messages are dropped, as a network may."""

    async def body() -> None:
        async with (
            listening(SilentPeer(reads=[])) as peer,
            links_to([peer.address]) as (links, _),
        ):
            links.connect()
            await until(lambda: links.is_up(PEER))
            link = links._messages[PEER]
            number = 0
            while not link.dropped_count:
                number += 1
                links.send(PEER, [large_message(number)])
                await asyncio.sleep(0)
            assert link._connection is not None
            assert link._connection.buffered_bytes <= BUFFER_BYTES_MAX + 2 * MEBIBYTE
            assert link.is_up

    run(body)


def test_traffic_is_counted_by_peer() -> None:
    async def body() -> None:
        here, there = free_address(), free_address()
        size = len(encode(HEARTBEAT))
        async with (
            links_to([there]) as (ours, _),
            links_to([here], node_id=PEER, peer=US) as (theirs, told),
        ):
            await theirs.listen([there])
            ours.connect()
            await until(lambda: ours.is_up(PEER))
            ours.send(PEER, [HEARTBEAT] * 3)
            await until(lambda: len(told.events) == 3)
            assert ours.traffic() == {PEER: (3 * size, 0)}
            assert theirs.traffic() == {US: (0, 3 * size)}

    run(body)


def test_link_that_ends_by_a_bug_is_reported() -> None:
    """A node that silently dials a peer no more would look healthy."""

    async def body() -> None:
        async with links_to(AddressesThatFail()) as (links, told):
            links.connect()
            await until(lambda: told.failures)
            assert [str(failure) for failure in told.failures] == ["a bug"]

    run(body)


def test_taken_port_is_refused_with_the_way_out() -> None:
    async def body() -> None:
        with socket.socket() as other:
            other.bind(("127.0.0.1", 0))
            other.listen()
            address = Address("127.0.0.1", other.getsockname()[1])
            async with links_to([NOWHERE]) as (links, _):
                with pytest.raises(UsageError) as caught:
                    await links.listen([free_address(), address])
        assert f"cannot listen for peers on {address}: " in str(caught.value)
        assert "--listen-peer-urls" in str(caught.value)
        assert re.search(os.strerror(errno.EADDRINUSE), str(caught.value), re.IGNORECASE)

    run(body)


def test_stop_ends_everything_and_may_be_repeated() -> None:
    async def body() -> None:
        here = free_address()
        async with listening(SilentPeer()) as peer, links_to([peer.address]) as (links, _):
            await links.listen([here])
            links.connect()
            links.send(PEER, [chunk(0)])
            await until(lambda: len(peer.messages) == 1 and links.is_up(PEER))
            await links.stop()
            await links.stop()
            assert not links.is_up(PEER)
            with pytest.raises(ConnectionRefusedError):
                await asyncio.open_connection(*here)

    run(body)


def test_stop_ends_a_connection_that_waits_for_its_welcome() -> None:
    async def body() -> None:
        mute = SilentPeer(is_mute=True)
        async with listening(mute) as peer, links_to([peer.address]) as (links, _):
            links.connect()
            await until(peer.streams)
            await links.stop()
            await until(lambda: peer.ended_count)
            assert peer.ended_count == 1

    run(body)
