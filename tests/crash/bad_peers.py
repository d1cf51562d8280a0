"""Sockets that misbehave, and what is seen of a process from outside."""

import asyncio
import resource
import socket
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from raftwerk.cli.cluster import Member
from raftwerk.client import Client
from raftwerk.http2 import frames
from raftwerk.http2.errors import ErrorCode

TIMEOUT_S = 20.0
MIB = 1024 * 1024


def connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT_S)


@contextmanager
def connections(port: int, count: int) -> Iterator[list[socket.socket]]:
    opened: list[socket.socket] = []
    try:
        opened.extend(connect(port) for _ in range(count))
        yield opened
    finally:
        for one in opened:
            one.close()


def heard(sock: socket.socket) -> bytes:
    """Everything until the other side ends the connection. Raises TimeoutError if it does not."""
    data = bytearray()
    try:
        while piece := sock.recv(MIB):
            data += piece
    except ConnectionResetError:
        pass  # what it had not read was thrown away: an end too
    return bytes(data)


def say_until_ended(port: int, said: Iterable[bytes]) -> bytes:
    """Say as much as is taken; returns all that is answered until the connection is ended."""
    with connect(port) as sock:
        try:
            for data in said:
                sock.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            pass  # it had enough
        return heard(sock)


def goaway_code(answer: bytes) -> ErrorCode | None:
    """Of the GOAWAY at the end of what was answered."""
    code = None
    while len(answer) >= frames.HEADER_BYTES:
        stop = frames.HEADER_BYTES + int.from_bytes(answer[:3], "big")
        if answer[3] == frames.GOAWAY and len(answer) >= stop:
            code = ErrorCode(int.from_bytes(answer[13:17], "big"))
        answer = answer[stop:]
    return code


def memory_bytes(member: Member) -> int:
    """Resident, of its process."""
    return _status_bytes(member, "VmRSS:")


def most_memory_bytes(member: Member) -> int:
    """The most that was ever resident."""
    return _status_bytes(member, "VmHWM:")


def _status_bytes(member: Member, name: str) -> int:
    assert member.process is not None
    lines = Path(f"/proc/{member.process.pid}/status").read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith(name))) * 1024


def open_descriptors(member: Member) -> int:
    assert member.process is not None
    return len(list(Path(f"/proc/{member.process.pid}/fd").iterdir()))


def limit_descriptors(member: Member, count: int) -> None:
    assert member.process is not None
    resource.prlimit(member.process.pid, resource.RLIMIT_NOFILE, (count, count))


def check_serves(member: Member, writes: int = 20) -> None:
    """It is the same process as before, and others get their answers."""

    async def use() -> None:
        async with Client([member.client_url], timeout_s=10) as client:
            for number in range(writes):
                value = b"%d" % number
                await client.put(b"others", value)
                assert await client.get(b"others") == value

    assert member.is_running, member.last_log_lines()
    asyncio.run(use())
