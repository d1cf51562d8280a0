"""The way to an address: a name may have several places, as localhost has ::1 and 127.0.0.1."""

import asyncio
import os
import socket
from contextlib import suppress
from typing import Any

from raftwerk.runtime.addresses import Address


async def reach(address: Address) -> socket.socket:
    """A socket that is connected to the first of its places that takes it.

    Raises OSError: ConnectionRefusedError when nothing listens at one of them, and none of them takes it.
    """
    trouble: OSError | None = None
    for family, kind, protocol, _, place in await _places(address):
        try:
            return await _connected(socket.socket(family, kind, protocol), place)
        except OSError as error:
            if not isinstance(trouble, ConnectionRefusedError):
                trouble = error
    assert trouble is not None, f"{address} has no place, and that is no error"
    raise trouble


async def _places(address: Address) -> list[tuple[Any, ...]]:
    numeric = socket.AI_NUMERICHOST
    with suppress(socket.gaierror):  # numbers need no thread to look them up
        return [*socket.getaddrinfo(*address, type=socket.SOCK_STREAM, flags=numeric)]
    return [*await asyncio.get_running_loop().getaddrinfo(*address, type=socket.SOCK_STREAM)]


async def _connected(one: socket.socket, place: tuple[Any, ...]) -> socket.socket:
    try:
        one.setblocking(False)
        await asyncio.get_running_loop().sock_connect(one, place)
    except BaseException as error:
        one.close()
        if isinstance(error, OSError) and error.errno:
            # In the words of the system, whichever loop it is
            raise OSError(error.errno, os.strerror(error.errno)) from error
        raise
    return one
