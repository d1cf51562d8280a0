"""Connections between peers, over real sockets."""

import asyncio
from collections.abc import Callable

import pytest
import uvloop

from raftwerk.runtime.connection import Outbound
from raftwerk.wire.handshake import Stream

Loop = Callable[[], asyncio.AbstractEventLoop]


@pytest.mark.parametrize("loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_write_after_the_peer_closed_is_dropped(loop: Loop) -> None:
    """The core may send between the end of a connection and its owner's hearing of it: a lost message, no failure."""

    async def main() -> None:
        listener = await asyncio.start_server(
            lambda _, writer: writer.transport.abort(), "127.0.0.1", 0
        )
        port = listener.sockets[0].getsockname()[1]
        outbound = Outbound(cluster_id=1, node_id=1, peer=2, stream=Stream.MESSAGES)
        async with asyncio.timeout(10), listener:
            await asyncio.get_running_loop().create_connection(lambda: outbound, "127.0.0.1", port)
            assert await outbound.closed
            await asyncio.sleep(0)  # the loop gives the socket back
            outbound.write(b"too late")
            assert outbound.buffered_bytes == 0

    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(main())
