"""What commands share: who asks, and numbers in hex."""

import asyncio
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from raftwerk.api import status
from raftwerk.cli.ctl_shell import (
    Shell,
    check_running,
    connected,
    key_range,
    lease_id,
    member_id,
    print_table,
    range_text,
)
from raftwerk.cli.main import app
from raftwerk.client import CallFailed, Client
from raftwerk.errors import UsageError
from tests.certificates import Authority
from tests.cli.commands import at_terminal
from tests.client.scripted import GREETING

SMALL = ["--connections=1", "--clients=1", "--requests=2", "--keys=1"]


def shell_of(*arguments: str, **environment: str) -> Shell:
    """As a command gets it."""
    found: list[Shell] = []
    app = typer.Typer()

    @app.command()
    @connected
    def command(shell: Shell, key: str = "own") -> None:
        assert key == "own", "--key is the shell's"
        found.append(shell)

    answer = CliRunner().invoke(app, [*arguments], env={**CLEAN, **environment})
    assert answer.exit_code == 0, answer.output
    return found[0]


CLEAN = {
    f"{prefix}_{name}": ""
    for prefix in ("RAFTWERK", "ETCDCTL")
    for name in ("ENDPOINTS", "USER", "PASSWORD", "CACERT", "CERT", "KEY", "COMMAND_TIMEOUT")
}
"""What others may have set."""


@pytest.mark.parametrize(
    ("arguments", "environment", "found"),
    [
        ([], {}, None),
        ([], {"ETCDCTL_USER": "root:a:b"}, ("root", "a:b")),
        ([], {"RAFTWERK_USER": "root", "ETCDCTL_PASSWORD": "secret"}, ("root", "secret")),
        ([], {"RAFTWERK_USER": "ours:1", "ETCDCTL_USER": "theirs:2"}, ("ours", "1")),
        (["--user=me:"], {"RAFTWERK_USER": "ours:1"}, ("me", "")),
        (["--user=me", "--password=2"], {"RAFTWERK_PASSWORD": "1"}, ("me", "2")),
        (["--password=2"], {"RAFTWERK_USER": "ours:1"}, ("ours", "2")),
        (["--password=2", "--user=me:1"], {}, ("me", "2")),
        (["--user=me:1"], {"RAFTWERK_PASSWORD": "2"}, ("me", "1")),
        (["--user=me:"], {"ETCDCTL_PASSWORD": "2"}, ("me", "")),
        (["--user=me"], {"ETCDCTL_PASSWORD": "2"}, ("me", "2")),
        ([], {"RAFTWERK_USER": "ours:1", "ETCDCTL_PASSWORD": "2"}, ("ours", "1")),
        ([], {"RAFTWERK_PASSWORD": "2"}, None),
    ],
    ids=[
        "nobody",
        "with password",
        "password apart",
        "ours first",
        "empty password",
        "both options",
        "password wins",
        "password wins over its own kind",
        "command line wins",
        "command line wins, if empty",
        "name and password apart",
        "a password of its own",
        "password of nobody",
    ],
)
def test_who_asks(
    arguments: list[str], environment: dict[str, str], found: tuple[str, str] | None
) -> None:
    assert shell_of(*arguments, **environment).credentials == found


def test_ctrl_c_where_a_password_is_asked_for(tmp_path: Path) -> None:
    arguments = (sys.executable, "-m", "raftwerk", "get", "a", "--user=ada")
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)  # who asks for a password has been there
        there = f"--endpoints=127.0.0.1:{server.getsockname()[1]}"
        with at_terminal(*arguments, there, folder=tmp_path) as terminal:
            terminal.wait_for("Password of ada: ")
            server.accept()[0].close()
            terminal.type("\x03")
            assert terminal.wait() == (130, "\r\n")


@pytest.mark.parametrize(
    ("shell", "told"),
    [
        (Shell(user="ada"), "the password of ada is needed"),
        (shell_of("--password=x"), "--password needs --user"),
    ],
    ids=["no password", "no name"],
)
def test_half_of_who_asks(shell: Shell, told: str) -> None:
    with pytest.raises(UsageError, match=told):
        _ = shell.credentials


def test_no_certificates_no_tls() -> None:
    assert shell_of().tls_context() is None


def test_certificates_that_cannot_be_used(tmp_path: Path) -> None:
    for shell in (shell_of(ETCDCTL_CACERT=f"{tmp_path}/no"), shell_of(f"--cacert={tmp_path}/no")):
        with pytest.raises(UsageError, match=f"^--cacert {tmp_path}/no cannot be read: No such"):
            shell.tls_context()


@pytest.mark.parametrize(
    "arguments",
    [["put", "open", "x"], ["bench", "put", *SMALL], ["bench", "watch", *SMALL]],
    ids=["a call", "a load", "a load of watches"],
)
def test_certificates_are_not_for_an_endpoint_of_http(
    arguments: list[str], live_endpoint: str, tmp_path: Path
) -> None:
    environment = {**CLEAN, "ETCDCTL_CACERT": str(Authority(tmp_path).file)}
    answer = CliRunner().invoke(
        app, [*arguments, f"--endpoints=http://{live_endpoint}"], env=environment
    )
    assert answer.exit_code == 0, answer.output


def test_key_without_its_certificate() -> None:
    with pytest.raises(UsageError, match=r"--key client\.key needs its certificate: --cert"):
        shell_of("--key=client.key").tls_context()


def test_where_and_how_long() -> None:
    shell = shell_of("--endpoints= a:1, ,b:2", "--command-timeout=1m30s")
    assert (shell.addresses, shell.timeout_s()) == (["a:1", "b:2"], 90)
    assert shell_of(ETCDCTL_COMMAND_TIMEOUT="2.5").timeout_s() == 2.5
    assert shell_of().timeout_s(7) == 7


@pytest.mark.parametrize("text", ["soon", "0", "-1", "nan", "inf"])
def test_time_that_is_none(text: str) -> None:
    with pytest.raises(UsageError, match=r"--command-timeout must|is not a duration"):
        Shell(command_timeout=text).timeout_s()


@pytest.mark.parametrize(
    ("arguments", "options", "found"),
    [
        (("a",), {}, (b"a", b"")),
        (("a", "b"), {}, (b"a", b"b")),
        (("a",), {"prefix": True}, (b"a", b"b")),
        (("a",), {"from_key": True}, (b"a", b"\0")),
        (("",), {"prefix": True}, (b"\0", b"\0")),
        (("",), {"from_key": True}, (b"\0", b"\0")),
    ],
)
def test_ranges(
    arguments: tuple[str, ...], options: dict[str, bool], found: tuple[bytes, bytes]
) -> None:
    assert key_range(*arguments, **options) == found


@pytest.mark.parametrize(
    ("end", "prefix", "from_key"), [("b", True, False), ("b", False, True), (None, True, True)]
)
def test_range_that_ends_twice(end: str | None, prefix: bool, from_key: bool) -> None:
    with pytest.raises(typer.BadParameter, match="only one of END, --prefix and --from-key"):
        key_range("a", end, prefix=prefix, from_key=from_key)


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
        (
            status.USER_EMPTY.text,
            f"{status.USER_EMPTY.text}: say who asks, with --user NAME:PASSWORD or RAFTWERK_USER=NAME:PASSWORD",
        ),
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
            Shell(f"127.0.0.1:{server.getsockname()[1]}").run(refused)
        assert caught.value.exit_code == 2
    assert capsys.readouterr().err == f"raftwerk: {told}\n"


def test_nothing_that_listens_is_told_at_once_with_what_to_do() -> None:
    with socket.socket() as free, socket.socket() as server:
        free.bind(("127.0.0.1", 0))
        server.bind(("127.0.0.1", 0))
        nobody, somebody = (f"127.0.0.1:{each.getsockname()[1]}" for each in (free, server))
        with pytest.raises(UsageError) as caught:
            asyncio.run(check_running([nobody, f"http://{somebody}"]))
        assert str(caught.value).startswith(f"nothing listens at {nobody}, {somebody}. ")
        assert "name the others" in str(caught.value)
        assert "'raftwerk serve'" in str(caught.value)
        server.listen()
        asyncio.run(check_running([nobody, f"http://{somebody}"]))


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ({"key": "a"}, "a"),
        ({"key": "a", "end": "c"}, "a c"),
        ({"key": "job/", "prefix": True}, "job/ --prefix"),
        ({"key": "a", "from_key": True}, "a --from-key"),
        ({"key": "", "prefix": True}, '"" --prefix'),
        ({"key": "", "from_key": True}, '"" --prefix'),
    ],
)
def test_range_is_told_as_it_is_asked_for(said: dict[str, Any], told: str) -> None:
    assert range_text(*key_range(**said)) == told


def test_cell_of_a_table_is_one_line_that_no_terminal_obeys(
    capsys: pytest.CaptureFixture[str],
) -> None:
    print_table(("name",), [("a\nb",), ("\x1b]0;title\x07",), (("\x9bm", "red"),), ("Jürg",)])
    cells = [line.strip("│ ") for line in capsys.readouterr().out.splitlines()[3:-1]]
    assert cells == [r"a\nb", r"\x1b]0;title\x07", r"\x9bm", "Jürg"]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (
            ["put", "a", "the value"],
            "raftwerk: interrupted: it may have happened, or may yet happen",
        ),
        (["get", "the value"], ""),
    ],
    ids=["write", "read"],
)
def test_ctrl_c_tells_of_a_write_that_may_have_happened(arguments: list[str], told: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        there = f"--endpoints=127.0.0.1:{server.getsockname()[1]}"
        command = [sys.executable, "-m", "raftwerk", *arguments, there]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
            server.accept()[0].close()  # it only looks whether somebody listens
            connection, _ = server.accept()
            with connection:
                connection.sendall(GREETING)
                said = b""
                while b"the value" not in said:
                    said += connection.recv(65_536)
                process.send_signal(signal.SIGINT)
                _, words = process.communicate(timeout=30)
        assert process.returncode == 130
        assert words.startswith(told)
        assert bool(words) == bool(told)
