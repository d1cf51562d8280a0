"""Running etcdctl, and taking out of what it prints what cannot be the same on two clusters."""

import re
import shlex
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, Self

from raftwerk.cli.cluster import Member
from tests.interop.etcd_cluster import PROGRAMS
from tests.interop.grpc_client import GrpcClient

_CANDIDATES = {"3.5": PROGRAMS / "etcdctl", "3.4": Path("/usr/bin/etcdctl")}
ETCDCTLS = {version: path for version, path in _CANDIDATES.items() if path.exists()}
"""Version to path: 3.5 comes with the development dependencies, 3.4 is Debian's."""


class Outcome(NamedTuple):
    """What a command gave."""

    code: int
    stdout: str
    stderr: str


class Etcdctl:
    """One version of etcdctl, on the members of one cluster."""

    def __init__(self, version: str, members: Sequence[Member]) -> None:
        self._path = ETCDCTLS[version]
        self.members = members
        self.clients = [GrpcClient(f"127.0.0.1:{member.client_port}") for member in members]
        self._places = {
            str(port): f"{member.name}.{kind}"
            for member in members
            for kind, port in (("client", member.client_port), ("peer", member.peer_port))
        }

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for client in self.clients:
            client.close()

    def arguments(self, command: str, *, at: int = 0) -> list[str]:
        """Of the process that runs a command line at member `at`; "@" before it: with all endpoints."""
        endpoints = self.members[at].client_url
        if command.startswith("@ "):
            endpoints = ",".join(member.client_url for member in self.members)
        return [
            str(self._path),
            f"--endpoints={endpoints}",
            *shlex.split(command.removeprefix("@ ")),
        ]

    def raw(
        self, command: str, stdin: str | None = None, *, at: int = 0
    ) -> tuple[int, bytes, bytes]:
        """Run it to its end."""
        done = subprocess.run(
            self.arguments(command, at=at),
            input=None if stdin is None else stdin.encode(),
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            env={"ETCDCTL_API": "3"},
            timeout=30,
        )
        return done.returncode, done.stdout, done.stderr

    def run(self, command: str, stdin: str | None = None, *, at: int = 0) -> Outcome:
        """The same, as normalised text."""
        code, stdout, stderr = self.raw(command, stdin, at=at)
        return Outcome(code, self._normalised(stdout), self._normalised(stderr))

    def _normalised(self, data: bytes) -> str:
        text = data.decode(errors="backslashreplace")
        text = re.sub(
            r"127\.0\.0\.1:(\d+)", lambda match: self._places.get(match[1], match[0]), text
        )
        for pattern, replacement in _NORMALISED:
            text = pattern.sub(replacement, text)
        if " is healthy: " in text:  # asked at the same time: they answer in any order
            text = "\n".join(sorted(text.splitlines()))
        return text


_NORMALISED = tuple(
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        (r'"(cluster_id|member_id|raft_term|ID|leader|raftTerm)":\d+', r'"\1":N'),
        (r'"(ClusterID|MemberID|RaftTerm|ID|Leader)" : \d+', r'"\1" : N'),
        (r'"ts":"[^"]*"', '"ts":T'),
        (r"etcd-endpoints://0x[0-9a-f]+/", "etcd-endpoints://P/"),
        (r"endpoint://client-[0-9a-f-]+/", "endpoint://client/"),
        (r"took = \S+", "took = T"),
        (r'"took":"[^"]*"', '"took":T'),
    )
)
