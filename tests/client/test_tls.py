"""TLS, with a certificate of the client's own, against the real etcd."""

import asyncio
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from raftwerk.cli.cluster import Member, free_ports
from raftwerk.client import CallFailed, Client
from tests.certificates import Authority
from tests.client.scripted import mute
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
