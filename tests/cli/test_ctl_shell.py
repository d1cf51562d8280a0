"""What commands share: who asks, and numbers in hex."""

import asyncio
import socket
from pathlib import Path

import pytest
import typer

from raftwerk.api import status
from raftwerk.cli.ctl_shell import (
    check_running,
    credentials,
    lease_id,
    member_id,
    run,
    tls_context,
)
from raftwerk.client import CallFailed, Client
from raftwerk.errors import UsageError

NAMES = [
    f"{prefix}_{name}"
    for prefix in ("RAFTWERK", "ETCDCTL")
    for name in ("USER", "PASSWORD", "CACERT", "CERT", "KEY")
]


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ("variables", "found"),
    [
        ({}, None),
        ({"ETCDCTL_USER": "root:a:b"}, ("root", "a:b")),
        ({"RAFTWERK_USER": "root", "ETCDCTL_PASSWORD": "secret"}, ("root", "secret")),
        ({"RAFTWERK_USER": "ours:1", "ETCDCTL_USER": "theirs:2"}, ("ours", "1")),
    ],
    ids=["nobody", "with password", "password apart", "ours first"],
)
def test_who_asks(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], found: tuple[str, str] | None
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert credentials() == found


def test_no_certificates_no_tls() -> None:
    assert tls_context() is None


def test_certificates_that_cannot_be_used(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ETCDCTL_CACERT", str(tmp_path / "none"))
    with pytest.raises(UsageError, match="certificates cannot be used"):
        tls_context()


def test_numbers_are_hex() -> None:
    assert (lease_id("ff"), member_id("10")) == (255, 16)
    assert (lease_id("7" + 15 * "f"), member_id(16 * "f")) == (2**63 - 1, 2**64 - 1)


@pytest.mark.parametrize("text", ["no", "", "-1", "8" + 15 * "0"])
def test_what_is_no_lease(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="a lease is a number in hex"):
        lease_id(text)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (status.USER_EMPTY.text, f"{status.USER_EMPTY.text}: set RAFTWERK_USER=name:password"),
        ("raftwerk: not yet", "not yet"),
    ],
    ids=["nobody has logged in", "of raftwerk's own"],
)
def test_refusal_is_one_line_that_says_what_to_do(
    text: str, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    async def refused(client: Client) -> int:
        raise CallFailed(status.INVALID_ARGUMENT, text)

    with socket.create_server(("127.0.0.1", 0)) as server:
        with pytest.raises(typer.Exit) as caught:
            run(f"127.0.0.1:{server.getsockname()[1]}", refused)
        assert caught.value.exit_code == 2
    assert capsys.readouterr().err == f"raftwerk: {told}\n"


def test_nothing_that_listens_is_told_at_once_with_what_to_do() -> None:
    with socket.socket() as free, socket.socket() as server:
        free.bind(("127.0.0.1", 0))
        server.bind(("127.0.0.1", 0))
        nobody, somebody = (f"127.0.0.1:{each.getsockname()[1]}" for each in (free, server))
        with pytest.raises(UsageError) as caught:
            asyncio.run(check_running(f"{nobody},http://{somebody}"))
        assert str(caught.value).startswith(f"nothing listens at {nobody}, {somebody}. ")
        assert "name the others" in str(caught.value)
        assert "'raftwerk serve'" in str(caught.value)
        server.listen()
        asyncio.run(check_running(f"{nobody},http://{somebody}"))
