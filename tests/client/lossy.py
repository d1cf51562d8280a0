"""A proxy that takes requests to the server and loses answers on the way back."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Final

HEADERS_FRAME: Final = 1
FRAME_HEAD_BYTES: Final = 9


def has_headers(data: bytes) -> bool:
    """Whether one of the frames in it begins an answer."""
    offset = 0
    while offset + FRAME_HEAD_BYTES <= len(data):
        if data[offset + 3] == HEADERS_FRAME:
            return True
        offset += FRAME_HEAD_BYTES + int.from_bytes(data[offset : offset + 3], "big")
    return False


class Lossy:
    """Loses the answers to the next `losses` requests whose path has one of `parts`, and the connection with them."""

    def __init__(self, port: int) -> None:
        self.endpoint = ""
        self.parts: Sequence[bytes] = (b"KV/", b"Sessions/Put")
        self.losses = 0
        self.lets_through = asyncio.Event()
        """While it is not set, whatever the server says waits here."""
        self.lets_through.set()
        self._port = port
        self._tasks: set[asyncio.Task[None]] = set()

    def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        up_reader, up_writer = await asyncio.open_connection("127.0.0.1", self._port)
        is_doomed = False

        async def upstream() -> None:
            nonlocal is_doomed
            while data := await reader.read(65536):
                if self.losses and any(part in data for part in self.parts):
                    self.losses -= 1
                    is_doomed = True
                up_writer.write(data)

        async def downstream() -> None:
            while data := await up_reader.read(65536):
                if is_doomed and has_headers(data):
                    return
                await self.lets_through.wait()
                writer.write(data)

        tasks = [asyncio.create_task(upstream()), asyncio.create_task(downstream())]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            writer.transport.abort()
            up_writer.transport.abort()

    async def end(self) -> None:
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


@asynccontextmanager
async def lossy(port: int) -> AsyncIterator[Lossy]:
    """Before the server at a port of this machine."""
    proxy = Lossy(port)
    listener = await asyncio.start_server(proxy.accept, "127.0.0.1", 0)
    proxy.endpoint = f"127.0.0.1:{listener.sockets[0].getsockname()[1]}"
    async with listener:
        try:
            yield proxy
        finally:
            await proxy.end()
