"""Listening, and trying whether it is possible."""

import asyncio
import contextlib
import socket
from dataclasses import replace
from pathlib import Path

import pytest

from raftwerk.errors import UsageError
from raftwerk.runtime.addresses import Address, TlsAddress
from raftwerk.runtime.listening import check_ports, close, listen
from raftwerk.runtime.settings import Settings
from raftwerk.runtime.tls import TlsFiles, server_context
from tests.certificates import Authority
from tests.cli.commands import taken_port

ANY = Address("127.0.0.1", 0)


def port_of(server: asyncio.Server) -> int:
    port: int = server.sockets[0].getsockname()[1]
    return port


def test_closed_ones_are_free_again() -> None:
    async def scenario() -> None:
        servers = await listen("peer", [ANY, ANY], asyncio.Protocol)
        ports = [port_of(server) for server in servers]
        close(servers)
        assert servers == []
        again = [Address("127.0.0.1", port) for port in ports]
        servers = await listen("peer", again, asyncio.Protocol)
        assert [port_of(server) for server in servers] == ports
        close(servers)

    asyncio.run(scenario())


def test_one_that_is_taken_is_named_and_the_others_are_given_back() -> None:
    async def scenario(free: int, taken: int) -> None:
        addresses = [Address("127.0.0.1", free), Address("127.0.0.1", taken)]
        with pytest.raises(UsageError) as caught:
            await listen("client", addresses, asyncio.Protocol)
        assert str(caught.value).startswith(f"cannot listen for clients on 127.0.0.1:{taken}: ")
        assert str(caught.value).endswith("choose another one with --listen-client-urls.")
        close(await listen("client", addresses[:1], asyncio.Protocol))

    with socket.create_server(("127.0.0.1", 0)) as once:
        free = once.getsockname()[1]
    with taken_port() as taken:
        asyncio.run(scenario(free, taken))


def test_handshake_that_stalls_is_ended(tmp_path: Path) -> None:
    certificate, key = Authority(tmp_path).issue("server", 7)
    context = server_context(TlsFiles("", str(certificate), str(key)))

    async def scenario() -> None:
        address = TlsAddress("127.0.0.1", 0)
        servers = await listen("peer", [address], asyncio.Protocol, context, 0.05)
        reader, writer = await asyncio.open_connection("127.0.0.1", port_of(servers[0]))
        writer.write(b"\x16\x03\x01")
        async with asyncio.timeout(5):
            with contextlib.suppress(ConnectionResetError):
                assert await reader.read() == b""
        writer.close()
        close(servers)

    asyncio.run(scenario())


@pytest.mark.parametrize("which", ["listen_client", "listen_metrics", "listen_peer"])
def test_check_tries_all_ports_and_keeps_none(which: str) -> None:
    async def scenario(taken: int) -> None:
        settings = replace(Settings(), listen_client=(ANY,), listen_peer=(ANY,))
        await check_ports(settings)
        address = Address("127.0.0.1", taken)
        with pytest.raises(UsageError, match=which.removeprefix("listen_")):
            await check_ports(replace(settings, **{which: (address,)}))

    with taken_port() as taken:
        asyncio.run(scenario(taken))
