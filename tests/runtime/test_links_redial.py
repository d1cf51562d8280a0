"""When a link dials again: after a pause that grows, and at once when the peer that was not there dials."""

from raftwerk.raft.events import LinkClosed, LinkOpened
from raftwerk.runtime.addresses import Address
from tests.runtime.peers import (
    PEER,
    US,
    EndlessPauses,
    NoJitter,
    SilentPeer,
    free_address,
    links_to,
    listening,
    run,
    until,
)

NOWHERE = Address("127.0.0.1", 1)


def test_pauses_between_attempts_grow_up_to_a_limit() -> None:
    """Half of the pause is fixed, the rest is drawn from as much again: members do not dial in step."""

    async def body() -> None:
        random = NoJitter()
        async with links_to([NOWHERE], random) as (links, _):
            links.connect()
            await until(lambda: len(random.ranges) >= 6)
            assert random.ranges == [40, 80, 160, 320, 500, 500]

    run(body)


def test_pauses_are_short_again_after_a_connection() -> None:
    async def body() -> None:
        random = NoJitter()
        peer = SilentPeer()
        peer.address = free_address()
        async with links_to([peer.address], random) as (links, told):
            links.connect()
            await until(lambda: len(random.ranges) == 3)
            async with listening(peer):
                await until(lambda: LinkOpened(PEER) in told.events)
            await until(lambda: LinkClosed(PEER) in told.events)
            await until(lambda: 20 in random.ranges)
            assert random.ranges[:3] == [40, 80, 160]

    run(body)


def test_peer_that_dials_is_dialled_at_once() -> None:
    """It was not there; a restarted cluster would wait for the pauses of those that came first."""

    async def body() -> None:
        here, there = free_address(), free_address()
        random = EndlessPauses()
        async with links_to([there], random) as (ours, _):
            await ours.listen([here])
            ours.connect()
            await until(lambda: random.ranges)
            async with links_to([here], node_id=PEER, peer=US) as (theirs, _):
                await theirs.listen([there])
                theirs.connect()
                await until(lambda: ours.is_up(PEER))
                assert len(random.ranges) == 1, "that pause has not ended by itself"

    run(body)


async def time_for_attempts() -> None:
    """For some: of a link that has nobody to talk to, the first pauses."""
    random = NoJitter()
    async with links_to([NOWHERE], random) as (links, _):
        links.connect()
        await until(lambda: len(random.ranges) == 4)


def test_peer_that_dials_is_dialled_once() -> None:
    """If that fails too, the next pause is a whole one."""

    async def body() -> None:
        here = free_address()
        random = EndlessPauses()
        async with links_to([NOWHERE], random) as (ours, _):
            await ours.listen([here])
            ours.connect()
            await until(lambda: random.ranges)
            async with links_to([here], node_id=PEER, peer=US) as (theirs, _):
                theirs.connect()
                await until(lambda: len(random.ranges) == 2)
            await time_for_attempts()
            assert len(random.ranges) == 2

    run(body)


def test_connection_that_broke_is_dialled_after_its_pause_whoever_dials_meanwhile() -> None:
    """Two members whose connections break at once would dial as fast as they can."""

    async def body() -> None:
        here = free_address()
        random = EndlessPauses()
        async with (
            listening(SilentPeer()) as peer,
            links_to([peer.address], random) as (ours, told),
        ):
            await ours.listen([here])
            ours.connect()
            await until(lambda: ours.is_up(PEER))
            peer.end_connections()
            await until(lambda: random.ranges)
            async with links_to([here], node_id=PEER, peer=US) as (theirs, _):
                theirs.connect()
                await until(lambda: theirs.is_up(US))
            await time_for_attempts()
            assert told.events.count(LinkOpened(PEER)) == 1

    run(body)
