"""While auth is enabled, a client without a token is who its certificate names: as on etcd, and never through the gateway."""

import http.client
import os
import re
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from raftwerk.cli.cluster import free_ports
from tests.certificates import Authority
from tests.interop.etcd_cluster import ETCD
from tests.interop.etcdctl import ETCDCTLS
from tests.waiting import until

PEOPLE = ("server", "root", "u", "stranger")
SETTING_UP = (
    "user add root:secret",
    "user add u:word",
    "role add r",
    "role grant-permission r readwrite a",
    "user grant-role u r",
    "user grant-role root root",
    "auth enable",
)
ASKED = (
    ("u", "put a 1"),
    ("u", "get a"),
    ("u", "get b"),
    ("u", "put b 1"),
    ("u", "user list"),
    ("u", "member list"),
    ("u", "user get u"),
    ("root", "put b 2"),
    ("root", "user list"),
    ("root", "get b"),
    ("stranger", "get a"),
    ("stranger", "put a 1"),
    ("u", "get b --user=root:secret"),  # a token says more than a certificate
    ("root", "get b --user=u:word"),
    ("stranger", "get a --user=u:word"),
    ("root", "auth disable"),
    ("stranger", "get a"),
)


class TlsMember:
    """One member, alone, that wants certificates of its clients."""

    def __init__(self, program: list[str], folder: Path, authority: Authority) -> None:
        self._folder = folder
        ((self.port, peer_port),) = free_ports(1)
        peer = f"http://127.0.0.1:{peer_port}"
        self._log = (folder / f"{Path(program[0]).name}.log").open("ab")
        self.process = subprocess.Popen(
            [
                *program,
                "--name=one",
                f"--data-dir={folder / str(self.port)}",
                f"--listen-client-urls=https://127.0.0.1:{self.port}",
                f"--advertise-client-urls=https://127.0.0.1:{self.port}",
                f"--listen-peer-urls={peer}",
                f"--initial-advertise-peer-urls={peer}",
                f"--initial-cluster=one={peer}",
                f"--cert-file={folder / 'server.crt'}",
                f"--key-file={folder / 'server.key'}",
                f"--trusted-ca-file={authority.file}",
                "--client-cert-auth",
            ],
            stdout=self._log,
            stderr=self._log,
            env={name: value for name, value in os.environ.items() if "ETCD" not in name},
        )

    def run(self, who: str, command: str) -> tuple[int, str, str]:
        """etcdctl with somebody's certificate: exit code, output, error."""
        flags = {
            "endpoints": f"https://127.0.0.1:{self.port}",
            "cacert": self._folder / "authority.crt",
            "cert": self._folder / f"{who}.crt",
            "key": self._folder / f"{who}.key",
        }
        done = subprocess.run(
            [
                str(ETCDCTLS["3.5"]),
                *(f"--{name}={value}" for name, value in flags.items()),
                *command.split(),
            ],
            capture_output=True,
            text=True,
            timeout=30,
            env={},
        )
        error = re.search(r"Error: .*", done.stderr)
        return (
            done.returncode,
            re.sub(r"[0-9a-f]{12,}|\d{4,}", "N", done.stdout),
            error[0] if error else "",
        )

    def through_gateway(self, who: str, path: str, body: str) -> tuple[int, str]:
        context = ssl.create_default_context(cafile=str(self._folder / "authority.crt"))
        context.load_cert_chain(self._folder / f"{who}.crt", self._folder / f"{who}.key")
        connection = http.client.HTTPSConnection(
            "127.0.0.1", self.port, context=context, timeout=10
        )
        try:
            connection.request("POST", path, body)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def wait_ready(self) -> None:
        until(lambda: self.run("root", "endpoint health")[0] == 0, "it is not ready")

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()
        self._log.close()


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[TlsMember, TlsMember]]:
    """raftwerk, and etcd; both have the same users."""
    folder = tmp_path_factory.mktemp("certificates")
    authority = Authority(folder)
    for serial, name in enumerate(PEOPLE, 10):
        authority.issue(name, serial)
    raftwerk = TlsMember([sys.executable, "-m", "raftwerk.cli", "serve"], folder, authority)
    etcd = TlsMember([str(ETCD), "--unsafe-no-fsync"], folder, authority)
    try:
        for member in (raftwerk, etcd):
            member.wait_ready()
            for command in SETTING_UP:
                assert member.run("root", command)[0] == 0, command
        yield raftwerk, etcd
    finally:
        raftwerk.stop()
        etcd.stop()


def test_gateway_has_no_user_but_by_token(both: tuple[TlsMember, TlsMember]) -> None:
    """etcd refuses every call of such a client there, for its certificate; we refuse what has no token."""
    on_raftwerk, on_etcd = (
        member.through_gateway("root", "/v3/kv/range", '{"key":"YQ=="}') for member in both
    )
    assert on_raftwerk[0] == on_etcd[0] == 400
    assert "etcdserver: user name is empty" in on_raftwerk[1]


def test_certificate_names_the_user(both: tuple[TlsMember, TlsMember]) -> None:
    """In this order: auth is disabled by the last but one."""
    on_raftwerk, on_etcd = (
        [(who, command, member.run(who, command)) for who, command in ASKED] for member in both
    )
    assert on_raftwerk == on_etcd
    outcomes = {(who, command): outcome for who, command, outcome in on_raftwerk}
    assert outcomes["u", "get a"] == (0, "a\n1\n", "")
    assert outcomes["u", "put b 1"][2] == "Error: etcdserver: permission denied"
