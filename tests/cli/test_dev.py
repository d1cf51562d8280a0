"""`raftwerk dev` as its user sees it."""

import asyncio
import os
import pty
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from random import Random

import pytest

from raftwerk.cli.dev import NODES_MAX, ports_of
from raftwerk.client import Client
from raftwerk.errors import UsageError
from raftwerk.wal.identity import lock
from tests.cli.commands import Running, at_terminal, children_of, is_alive, run, started

LAST_LINE = "Ctrl-C stops everything."


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def free_base_port(nodes: int) -> int:
    """One whose ports are all free just now."""
    random = Random(os.getpid())
    while True:
        base = random.randrange(1024, 65_535 - 10_000 * nodes - 1)
        if all(is_free(port) for pair in ports_of(base, nodes) for port in pair):
            return base


@contextmanager
def dev(folder: Path, nodes: int, base: int, stdin: int = subprocess.DEVNULL) -> Iterator[Running]:
    """Started; its processes are ended too if the test fails."""
    arguments = ["dev", f"--nodes={nodes}", f"--base-port={base}", "--data-dir=data"]
    with started(*arguments, folder=folder, stdin=stdin) as running:
        try:
            yield running
        finally:
            if running.process.poll() is None:
                running.stop(signal.SIGTERM)


def pids_of(running: Running) -> list[int]:
    """As it tells them."""
    return [int(pid) for pid in re.findall(r"pid (\d+)", running.output)]


@pytest.mark.parametrize(
    ("nodes", "number"),
    [(1, signal.SIGINT), (3, signal.SIGINT), (5, signal.SIGTERM), (3, signal.SIGHUP)],
    ids=["one, Ctrl-C", "three, Ctrl-C", "five, SIGTERM", "three, terminal closed"],
)
def test_it_starts_tells_and_stops_all(tmp_path: Path, nodes: int, number: signal.Signals) -> None:
    base = free_base_port(nodes)
    with dev(tmp_path, nodes, base) as running:
        running.wait_for(LAST_LINE)
        pids = pids_of(running)
        assert len(pids) == nodes
        assert sorted(children_of(running.process.pid)) == sorted(pids)
        assert len(re.findall(r"  leads$", running.output, re.MULTILINE)) == 1
        assert re.search(
            r"^node\d leads\. In another terminal, type:$", running.output, re.MULTILINE
        )
        assert "  etcdctl put greeting hello" in running.output
        endpoints = ",".join(f"127.0.0.1:{client}" for client, _ in ports_of(base, nodes))
        assert f"  export ETCDCTL_ENDPOINTS={endpoints}\n" in running.output
        assert running.stop(number) == 0
        assert running.lines[-1].startswith("Stopped. The next start finds the data in data again;")
    assert [pid for pid in pids if is_alive(pid)] == []


def test_next_start_finds_the_data(tmp_path: Path) -> None:
    """And how many nodes they are of, and where; another cluster does not fit into the folder."""
    base = free_base_port(3)

    async def put() -> None:
        async with Client([f"127.0.0.1:{base}"]) as client:
            await client.put(b"greeting", b"hello")

    async def get() -> bytes | None:
        async with Client([f"127.0.0.1:{base + 20_000}"]) as client:
            return await client.get(b"greeting")

    with dev(tmp_path, 3, base) as running:
        running.wait_for(LAST_LINE)
        asyncio.run(put())
        running.stop(signal.SIGINT)
    with started("dev", "--data-dir=data", folder=tmp_path, stdin=subprocess.DEVNULL) as running:
        running.wait_for(LAST_LINE)
        assert asyncio.run(get()) == b"hello"
        running.stop(signal.SIGINT)
    for other in ("--nodes=5", "--base-port=3000"):
        answer = run("dev", other, "--data-dir=data", folder=tmp_path)
        assert answer.returncode == 2
        assert f"data holds a cluster with --nodes 3 --base-port {base}, which" in answer.stderr


def test_killed_nodes_are_told_of_and_started_again_with_enter(tmp_path: Path) -> None:
    """Even the last one; and not with one pressed before that was offered."""
    keyboard, terminal = pty.openpty()
    try:
        with dev(tmp_path, 3, free_base_port(3), terminal) as running:
            running.wait_for(LAST_LINE)
            os.write(keyboard, b"too early\n")
            victim, *rest = pids_of(running)
            os.kill(victim, signal.SIGKILL)
            killed = "node1 was killed. The others go on: 2 of 3 are a majority."
            assert running.wait_for("killed") == killed
            assert all(is_alive(pid) for pid in rest)
            running.wait_for("Press Enter to start it again.")
            os.kill(rest[0], signal.SIGKILL)
            running.wait_for("node2 was killed. 1 of 3 are no majority: nothing is written until")
            os.kill(rest[1], signal.SIGKILL)
            running.wait_for("node3 was killed. No node is left.")
            running.wait_for("Press Enter to start them again.")
            assert "is started again" not in running.output
            os.write(keyboard, b"\n")
            told = [running.wait_for(f"node{number} is started again") for number in (1, 2, 3)]
            again = {int(line.split()[-1]) for line in told}
            assert again == set(children_of(running.process.pid))
            running.wait_for(" leads now.")
            assert running.stop(signal.SIGINT) == 0
            assert [pid for pid in again if is_alive(pid)] == []
    finally:
        os.close(keyboard)
        os.close(terminal)


def test_in_the_background_it_leaves_the_keyboard_to_others(tmp_path: Path) -> None:
    """Who reads it from there is stopped by the system."""
    command = f"{sys.executable} -m raftwerk dev --nodes=2 --base-port={free_base_port(2)}"
    shell = f'set -m; {command} & echo "pid $!"; wait $!'
    with at_terminal("bash", "-c", shell, folder=tmp_path) as terminal, ExitStack() as stack:
        pids = [int(pid) for pid in re.findall(r"pid (\d+)", terminal.wait_for(LAST_LINE))]
        for pid in pids:
            stack.callback(end, pid)
        terminal.type("for another\n")
        os.kill(pids[1], signal.SIGKILL)
        terminal.wait_for("The next start has all of them again.")
        os.kill(pids[2], signal.SIGKILL)
        terminal.wait_for("all nodes have ended")
        assert terminal.wait()[0] == 1


def end(pid: int) -> None:
    if is_alive(pid):
        os.kill(pid, signal.SIGKILL)


def test_it_ends_when_all_nodes_have(tmp_path: Path) -> None:
    with dev(tmp_path, 1, free_base_port(1)) as running:
        running.wait_for(LAST_LINE)
        os.kill(pids_of(running)[0], signal.SIGKILL)
        assert running.wait() == 1
        assert running.lines[-1] == "raftwerk dev: all nodes have ended"


def test_ctrl_c_during_the_start_leaves_nothing(tmp_path: Path) -> None:
    with dev(tmp_path, 3, free_base_port(3)) as running:
        running.wait_for("Starting 3 nodes")
        assert running.stop(signal.SIGINT) == 0
        assert LAST_LINE not in running.output
    assert is_free_of_members(tmp_path)


def is_free_of_members(folder: Path) -> bool:
    """Whether no process works in it."""
    return not [
        path
        for path in Path("/proc").glob("[0-9]*/cmdline")
        if str(folder).encode() in read_if_there(path)
    ]


def read_if_there(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return b""


def test_taken_port_is_reported_and_nothing_starts(tmp_path: Path) -> None:
    base = free_base_port(3)
    with socket.create_server(("127.0.0.1", base + 20_000)):
        answer = run("dev", f"--base-port={base}", "--data-dir=data", folder=tmp_path)
    assert answer.returncode == 2
    assert f"port {base + 20_000} on 127.0.0.1 is taken (Address already" in answer.stderr
    assert list(tmp_path.iterdir()) == []


def test_nodes_of_an_earlier_start_are_named(tmp_path: Path) -> None:
    """As they are left when `raftwerk dev` itself is killed."""
    fd = lock(tmp_path / "data" / "node2")
    base = free_base_port(3)
    answer = run("dev", f"--base-port={base}", "--data-dir=data", folder=tmp_path)
    os.close(fd)
    assert answer.returncode == 2
    assert (
        f"run in data: end it with Ctrl-C, or, if only they are left: kill {os.getpid()}\n"
        in answer.stderr
    )


def test_node_that_cannot_start_is_reported_with_its_log(tmp_path: Path) -> None:
    """Its own words, brackets and all."""
    (tmp_path / "data" / "node1").mkdir(parents=True)
    (tmp_path / "data" / "node1" / "[x]").touch()
    base = free_base_port(1)
    answer = run(
        "dev", "--nodes=1", f"--base-port={base}", "--data-dir=data", folder=tmp_path
    )  # fmt: skip
    assert answer.returncode == 1
    assert "raftwerk dev: node1 ended at its start. Its log says:" in answer.stderr
    assert "is not empty ([x])" in answer.stderr


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--nodes=9"], "--nodes must be 1 to 7"),
        (["--base-port=80"], "--base-port 80 with 3 nodes needs ports up to"),
        (["--data-dir=file"], "file cannot be made: File exists"),
        (["--nodes=x"], "Invalid value for '--nodes'"),
    ],
    ids=["too many", "a port of the system", "no folder", "no number"],
)
def test_wrong_usage_is_2_and_nothing_is_started(
    arguments: list[str], told: str, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    base = f"--base-port={free_base_port(3)}"
    answer = run("dev", base, *arguments, folder=tmp_path)
    assert answer.returncode == 2
    assert told in answer.stdout + answer.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("nodes", [0, -1, NODES_MAX + 1])
def test_number_of_nodes_out_of_range(nodes: int) -> None:
    with pytest.raises(UsageError, match="--nodes must be 1 to 7"):
        ports_of(2379, nodes)


@pytest.mark.parametrize("base", [0, 1023, 65_535 - 30_000, 65_536])
def test_base_port_out_of_range(base: int) -> None:
    with pytest.raises(UsageError, match=f"--base-port {base} with 3 nodes needs ports up to"):
        ports_of(base, 3)


def test_ports_are_those_of_etcds_local_cluster() -> None:
    assert ports_of(2379, 3) == [(2379, 2380), (22379, 22380), (32379, 32380)]


def test_highest_base_port() -> None:
    assert ports_of(65_534 - 30_000, 3)[-1] == (65_534, 65_535)
