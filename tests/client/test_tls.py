"""TLS, with a certificate of the client's own, against the real etcd."""

import asyncio
import ssl
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from raftwerk.cli.cluster import Member, free_ports
from raftwerk.client import CallFailed, Client
from tests.certificates import Authority
from tests.client.scripted import closed_endpoint, mute
from tests.interop.etcd_cluster import ETCD


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "certificates")


@pytest.fixture
def endpoint(authority: Authority, tmp_path: Path) -> Iterator[str]:
    """Of an etcd that lets in nobody without a certificate."""
    certificate, key = authority.issue("server", 1)
    ((client_port, peer_port),) = free_ports(1)
    url = f"https://127.0.0.1:{client_port}"
    command = [
        str(ETCD),
        f"--data-dir={tmp_path / 'etcd'}",
        f"--listen-client-urls={url}",
        f"--advertise-client-urls={url}",
        f"--listen-peer-urls=http://127.0.0.1:{peer_port}",
        f"--initial-advertise-peer-urls=http://127.0.0.1:{peer_port}",
        f"--initial-cluster=default=http://127.0.0.1:{peer_port}",
        f"--cert-file={certificate}",
        f"--key-file={key}",
        f"--trusted-ca-file={authority.file}",
        "--client-cert-auth",
        "--unsafe-no-fsync",
    ]
    with (tmp_path / "etcd.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env={})
    try:
        yield url
    finally:
        process.kill()
        process.wait()


def context_of(authority: Authority) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=authority.file)
    context.load_cert_chain(*authority.issue("client", 2))
    return context


def test_keys_and_events_over_tls(authority: Authority, endpoint: str) -> None:
    async def main() -> None:
        context = context_of(authority)
        async with Client([endpoint], tls=context, timeout_s=30) as client:
            await client.get(b"until it has started")
            async with client.watch(b"tls") as events:
                await client.put(b"tls", bytes(300_000))
                assert len((await anext(events)).value) == 300_000

    asyncio.run(main())


def test_a_server_that_nobody_trusts_is_not_asked(authority: Authority, endpoint: str) -> None:
    async def main() -> None:
        async with Client([endpoint], tls=context_of(authority), timeout_s=30) as client:
            await client.get(b"until it has started")
        async with Client([endpoint], timeout_s=0.5) as client:
            with pytest.raises(
                CallFailed, match="cannot be reached: its certificate is not accepted: "
            ):
                await client.put(b"key", b"value")

    asyncio.run(main())


def test_a_member_without_tls_is_told_so(member: Member) -> None:
    """raftwerk says so in plain words; etcd hangs up."""

    async def main() -> None:
        async with Client([f"https://127.0.0.1:{member.client_port}"], timeout_s=0.5) as client:
            told = "cannot be reached: it .* TLS.*; perhaps plain text, http://"
            with pytest.raises(CallFailed, match=told):
                await client.put(b"key", b"value")

    asyncio.run(main())


def test_a_server_without_tls_is_told_from_one_that_is_not_there() -> None:
    async def main() -> None:
        async with (
            mute(b"HTTP/1.1 400 Bad Request\r\n\r\n") as endpoint,
            Client([f"https://{endpoint}"], timeout_s=0.5) as client,
        ):
            told = "cannot be reached: it does not speak TLS; perhaps plain text, http://"
            with pytest.raises(CallFailed, match=told):
                await client.put(b"key", b"value")

    asyncio.run(main())


HTTP_1 = b"HTTP/1.1 400 Bad Request\r\n\r\n"


class Dialled:
    """A server on a port of its own that answers each connection once, and counts."""

    def __init__(self) -> None:
        self.endpoint = ""
        self.count = 0
        self.often = asyncio.Event()
        """Set when it was tried again and again."""


@asynccontextmanager
async def answering(words: bytes, tls: ssl.SSLContext | None = None) -> AsyncIterator[Dialled]:
    dialled = Dialled()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(words)
        writer.close()

    class Counting(asyncio.StreamReaderProtocol):
        def __init__(self) -> None:
            super().__init__(asyncio.StreamReader(), accept)
            dialled.count += 1
            if dialled.count == 4:
                dialled.often.set()

    loop = asyncio.get_running_loop()
    server = await loop.create_server(Counting, "127.0.0.1", 0, ssl=tls)
    async with server:
        dialled.endpoint = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        yield dialled


async def watching(client: Client) -> None:
    async with client.watch(b"key"):
        pass


CALLS: dict[str, Callable[[Client], Awaitable[object]]] = {
    "read": lambda client: client.get(b"key"),
    "write": lambda client: client.put(b"key", b"value"),
    "watch": watching,
}


@pytest.mark.parametrize("name", CALLS)
def test_what_waiting_does_not_mend_is_told_at_once(authority: Authority, name: str) -> None:
    """Each endpoint is tried, and no call takes its time."""

    async def main() -> None:
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        tls.load_cert_chain(*authority.issue("server", 1))
        async with answering(HTTP_1) as plain, answering(b"", tls) as unknown:
            endpoints = [plain.endpoint, unknown.endpoint]
            async with asyncio.timeout(30), Client(endpoints, timeout_s=3600) as client:
                told = (
                    "does not speak TLS; .*; .* cannot be reached: its certificate is not accepted"
                )
                with pytest.raises(CallFailed, match=told):
                    await CALLS[name](client)
            assert (plain.count, unknown.count) == (1, 1)

    asyncio.run(main())


@pytest.mark.parametrize("name", CALLS)
def test_a_server_with_tls_that_is_spoken_to_without_is_told_at_once(
    authority: Authority, name: str
) -> None:
    """It hangs up, and only speaking TLS with it tells why."""

    async def main() -> None:
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        tls.load_cert_chain(*authority.issue("server", 1))
        tls.load_verify_locations(authority.file)
        tls.verify_mode = ssl.CERT_REQUIRED
        async with answering(b"", tls) as server:
            endpoint = server.endpoint.replace("https", "http")
            async with asyncio.timeout(30), Client([endpoint], timeout_s=3600) as client:
                told = "cannot be reached: it speaks TLS: name it with https://$"
                with pytest.raises(CallFailed, match=told):
                    await CALLS[name](client)

    asyncio.run(main())


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("words", [b"", HTTP_1], ids=["closed", "one of two"])
def test_what_may_change_is_tried_again(name: str, words: bytes) -> None:
    """A connection that is closed, by one that may be starting; all endpoints, while one of them may come."""

    async def main() -> None:
        async with answering(words) as server:
            endpoints = [server.endpoint, closed_endpoint()]
            async with Client(endpoints, timeout_s=3600) as client:
                call = asyncio.ensure_future(CALLS[name](client))
                often = asyncio.ensure_future(server.often.wait())
                await asyncio.wait([call, often], return_when=asyncio.FIRST_COMPLETED)
                assert not call.done()
                call.cancel()

    asyncio.run(main())
