"""A local cluster of real `raftwerk serve` processes: started, watched and stopped for dev and demo."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from raftwerk.cli.stopping import Stopping
from raftwerk.errors import UsageError

STOP_S: Final = 10.0
POLL_S: Final = 0.05
OUTGOING: Final = Path("/proc/sys/net/ipv4/ip_local_port_range")
"""First and last of the ports that Linux gives to connections that go out."""
LOWEST_PORT: Final = 1024


@dataclass(slots=True)
class Member:
    """One process, and where it is found."""

    name: str
    client_port: int
    peer_port: int
    folder: Path
    log: Path
    process: subprocess.Popen[bytes] | None = None
    log_from: int = 0
    """Where this process's part of the log begins."""

    @property
    def client_url(self) -> str:
        return f"http://127.0.0.1:{self.client_port}"

    @property
    def is_running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def last_log_lines(self, count: int = 5) -> str:
        """The end of its log, without what processes before this one have said."""
        try:
            text = self.log.read_bytes()[self.log_from :].decode(errors="replace")
            return "\n".join(text.splitlines()[-count:])
        except OSError:
            return ""


class LocalCluster:
    """Members on loopback, with folders and logs under one folder."""

    def __init__(
        self, folder: Path, ports: Sequence[tuple[int, int]], flags: Sequence[str] = ()
    ) -> None:
        """ports: (client, peer) of each member. flags: further ones for every `raftwerk serve`."""
        self.members = [
            Member(
                f"node{number}",
                client,
                peer,
                folder / f"node{number}",
                folder / f"node{number}.log",
            )
            for number, (client, peer) in enumerate(ports, 1)
        ]
        self._folder = folder
        self._ports = ports
        self._flags = list(flags)

    def check_ports(self) -> None:
        """Raises UsageError when another process listens on one of the ports."""
        for member in self.members:
            for port in (member.client_port, member.peer_port):
                with socket.socket() as probe:
                    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                    try:
                        probe.bind(("127.0.0.1", port))
                    except OSError as error:
                        raise UsageError(
                            f"port {port} on 127.0.0.1 is taken ({error.strerror}): stop what uses it, perhaps another "
                            f"'raftwerk dev', or choose another --base-port and another --data-dir{by_chance(port, self._ports)}"
                        ) from error

    def start(self, member: Member) -> None:
        """Start one process; its log goes on where it ended. Raises UsageError when the folder cannot be made."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UsageError(
                f"{self._folder} cannot be made: {error.strerror}. Choose another --data-dir."
            ) from error
        cluster = ",".join(f"{one.name}=http://127.0.0.1:{one.peer_port}" for one in self.members)
        command = [
            sys.executable,
            "-m",
            "raftwerk.cli",
            "serve",
            f"--name={member.name}",
            f"--data-dir={member.folder}",
            f"--listen-client-urls={member.client_url}",
            f"--listen-peer-urls=http://127.0.0.1:{member.peer_port}",
            f"--initial-cluster={cluster}",
            *self._flags,
        ]
        environment = {
            key: value for key, value in os.environ.items() if not key.startswith("ETCD_")
        }
        with member.log.open("ab") as log:
            member.log_from = log.tell()
            # In a session of its own: Ctrl-C goes to the parent, which stops all members in order
            member.process = subprocess.Popen(
                command, stdout=log, stderr=log, env=environment, start_new_session=True
            )

    @property
    def has_begun(self) -> bool:
        """Whether a process was started."""
        return any(member.process is not None for member in self.members)

    def start_all(self) -> None:
        for member in self.members:
            self.start(member)

    def wait_ready(self, timeout_s: float = 30.0, stopping: Stopping | None = None) -> bool:
        """Wait until every member answers linearizable reads. Raises UsageError when one ends or is late.

        Returns whether they do: False when `stopping` was told before.
        """
        deadline = time.monotonic() + timeout_s
        for member in self.members:
            while not is_healthy(member):
                if not member.is_running:
                    raise UsageError(
                        f"{member.name} ended at its start. Its log says:\n{member.last_log_lines()}"
                    )
                if time.monotonic() > deadline:
                    raise UsageError(
                        f"{member.name} is not ready after {timeout_s:.0f} s. Its log says:\n{member.last_log_lines()}"
                    )
                if stopping is None:
                    time.sleep(POLL_S)
                elif stopping.wait(POLL_S):
                    return False
        return True

    def leader(self) -> Member | None:
        """Who leads, by its own word."""
        for member in self.members:
            if member.is_running and metric(member, "etcd_server_is_leader") == 1:
                return member
        return None

    def wait_leader(self, timeout_s: float = 30.0) -> Member:
        """Who leads, as soon as somebody does. Raises UsageError when nobody does in time."""
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            leader = self.leader()
            if leader is not None:
                return leader
            time.sleep(POLL_S)
        raise UsageError(f"no leader after {timeout_s:.0f} s; the logs are in {self._folder}")

    def kill(self, member: Member) -> None:
        """As a crash would: SIGKILL."""
        assert member.process is not None
        member.process.kill()
        member.process.wait()

    def stop_all(self) -> None:
        """SIGTERM to all, and SIGKILL to what does not end."""
        running = [member.process for member in self.members if member.process is not None]
        for process in running:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + STOP_S
        for process in running:
            try:
                process.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def by_chance(port: int, ports: Sequence[tuple[int, int]], outgoing: Path = OUTGOING) -> str:
    """What more there is to say of one of the `ports` that is taken, perhaps by a connection, which goes again."""
    try:
        first, last = map(int, outgoing.read_text().split())
    except (OSError, ValueError):
        return ""
    if not first <= port <= last:
        return ""
    told = f". Ports {first} to {last} are given to connections that go out, too: it may be free again in a moment"
    highest = first - 1 - (ports[-1][1] - ports[0][0])
    if highest < LOWEST_PORT:
        return told
    return f"{told}; a --base-port of {LOWEST_PORT} to {highest} needs none of those"


def is_healthy(member: Member) -> bool:
    """Whether it answers a linearizable read now."""
    try:
        with urllib.request.urlopen(
            f"{member.client_url}/health?exclude=NOSPACE", timeout=1
        ) as answer:
            return bool(json.load(answer)["health"] == "true")
    except (OSError, urllib.error.URLError, ValueError):
        return False


def metric(member: Member, name: str) -> float | None:
    """The value of a metric without labels, or None while the member does not answer."""
    try:
        with urllib.request.urlopen(f"{member.client_url}/metrics", timeout=1) as answer:
            for line in answer.read().decode().splitlines():
                if line.startswith(f"{name} "):
                    return float(line.split()[1])
    except (OSError, urllib.error.URLError, ValueError):
        return None
    return None


def free_ports(count: int) -> list[tuple[int, int]]:
    """Pairs of ports that nobody uses just now."""
    sockets = []
    try:
        for _ in range(2 * count):
            probe = socket.socket()
            sockets.append(probe)
            probe.bind(("127.0.0.1", 0))
        numbers = [probe.getsockname()[1] for probe in sockets]
    finally:
        for probe in sockets:
            probe.close()
    return list(zip(numbers[::2], numbers[1::2], strict=True))
