"""`raftwerk dev`: a cluster on this machine, for development."""

import json
import os
import select
import shutil
import signal
import sys
import termios
from pathlib import Path
from typing import Final, NamedTuple

from rich.console import Console
from rich.markup import escape

from raftwerk.cli.cluster import LocalCluster, Member
from raftwerk.cli.stopping import Stopping
from raftwerk.errors import RaftwerkError, UsageError
from raftwerk.wal.identity import holder

NODES_MAX = 7
STDIN: Final = 0
SHAPE: Final = "dev.json"
"""In the data folder: what cluster it is of."""


class Shape(NamedTuple):
    """Of a cluster: its members cannot be others, nor be found elsewhere, later on."""

    nodes: int
    base_port: int


def ports_of(base_port: int, nodes: int) -> list[tuple[int, int]]:
    """(client, peer) ports: base, base + 20000, base + 30000, ...; peers one above. As in etcd's own local cluster.

    Raises UsageError, the caller's fault, when there are no such ports or not so many nodes.
    """
    clients = [base_port, *(base_port + 10_000 * number for number in range(2, nodes + 1))]
    if not 1 <= nodes <= NODES_MAX:
        raise UsageError(f"--nodes must be 1 to {NODES_MAX}")
    if not base_port >= 1024 or clients[-1] + 1 > 65_535:
        raise UsageError(
            f"--base-port {base_port} with {nodes} nodes needs ports up to {clients[-1] + 1}; 1024 to 65535 exist"
        )
    return [(port, port + 1) for port in clients]


def run(nodes: int | None, data_dir: Path, base_port: int | None) -> int:
    """Start, tell, wait for Ctrl-C, stop.

    Returns the exit code: 0 after Ctrl-C, 1 when a node could not start or all have ended, 2 when none was started.

    nodes: 1 to 7. data_dir: one folder and one log file for each node are in it. base_port: see ports_of. None: as in data_dir.
    """
    console = Console(highlight=False, soft_wrap=True)
    stopping = Stopping((signal.SIGINT, signal.SIGTERM, signal.SIGHUP))  # a closed terminal too
    cluster: LocalCluster | None = None
    try:
        shape = _shape(data_dir, nodes, base_port)
        cluster = LocalCluster(data_dir.absolute(), ports_of(shape.base_port, shape.nodes))
        _check_free(data_dir, cluster)
        cluster.check_ports()
        console.print(
            f"Starting {shape.nodes} node{'s' if shape.nodes > 1 else ''}; data and logs are in {escape(str(data_dir))} ..."
        )
        cluster.start_all()
        is_ready = cluster.wait_ready(stopping=stopping)
        (data_dir / SHAPE).write_text(json.dumps(shape._asdict()))
        if is_ready:
            leader = cluster.wait_leader()
            _tell(console, cluster, leader)
            _watch(console, cluster, leader, stopping)
    except (RaftwerkError, OSError) as error:
        print(f"raftwerk dev: {error}", file=sys.stderr)
        return 1 if cluster is not None and cluster.has_begun else 2
    finally:
        if cluster is not None:
            cluster.stop_all()
    kept = escape(str(data_dir))
    console.print(
        f"Stopped. The next start finds the data in {kept} again; without it, it begins anew."
    )
    return 0


def _shape(data_dir: Path, nodes: int | None, base_port: int | None) -> Shape:
    """What is asked for, or is there. Raises UsageError when these are two things."""
    try:
        made = Shape(**json.loads((data_dir / SHAPE).read_text()))
    except (OSError, ValueError, TypeError):
        made = None
    default = made or Shape(nodes=3, base_port=2379)
    asked = Shape(
        default.nodes if nodes is None else nodes,
        default.base_port if base_port is None else base_port,
    )
    if made is not None and asked != made:
        raise UsageError(
            f"{data_dir} holds a cluster with --nodes {made.nodes} --base-port {made.base_port}, which cannot change: leave both "
            "out, or choose another --data-dir"
        )
    return asked


def _check_free(data_dir: Path, cluster: LocalCluster) -> None:
    """Raises UsageError when nodes of another start run in the folder."""
    pids = [pid for member in cluster.members if (pid := holder(member.folder))]
    if pids:
        raise UsageError(
            f"nodes of another start run in {data_dir}: end it with Ctrl-C, or, if only they are left: kill {' '.join(pids)}"
        )


def _tell(console: Console, cluster: LocalCluster, leader: Member) -> None:
    for member in cluster.members:
        role = "leads" if member is leader else "follows"
        assert member.process is not None
        console.print(
            f"  [bold]{member.name}[/bold]  clients {member.client_url}  peers :{member.peer_port}  "
            f"pid {member.process.pid}  {role}"
        )
    endpoints = ",".join(f"127.0.0.1:{member.client_port}" for member in cluster.members)
    other = cluster.members[-1].client_port
    console.print(f"\n[green]{leader.name} leads.[/green] In another terminal, type:\n")
    if shutil.which("raftwerk") is None:
        console.print(f"  source {escape(str(Path(sys.prefix) / 'bin' / 'activate'))}")
    console.print(f"  export ETCDCTL_ENDPOINTS={endpoints}")
    console.print("  raftwerk put greeting hello")
    console.print(f"  raftwerk get greeting --endpoints 127.0.0.1:{other}")
    console.print("  raftwerk status")
    console.print("or with etcd's own client:")
    console.print("  export ETCDCTL_API=3")
    console.print("  etcdctl put greeting hello")
    console.print("  etcdctl endpoint status -w table")
    assert leader.process is not None
    console.print("and see what happens when the leader dies:")
    console.print(f"  kill -9 {leader.process.pid}")
    console.print("  raftwerk put greeting again")
    console.print("\nCtrl-C stops everything.")


def _watch(
    console: Console, cluster: LocalCluster, leader: Member | None, stopping: Stopping
) -> None:
    """Until told to stop: report members that end, and start them again when the user presses Enter at a terminal.

    Raises UsageError when all have ended, and nobody is there to press it.
    """
    gone: list[Member] = []
    while not stopping.wait(0.2):
        new = [each for each in cluster.members if not each.is_running and each not in gone]
        for member in new:
            gone.append(member)
            _tell_end(console, member, len(gone), len(cluster.members))
        leader = None if leader in gone else leader
        if len(gone) == len(cluster.members) and not _has_keyboard():
            raise UsageError("all nodes have ended")
        if new:
            _offer(console, gone)
        if gone and _has_pressed_enter():
            for member in gone:
                cluster.start(member)
                assert member.process is not None
                console.print(
                    f"[green]{member.name} is started again[/green], pid {member.process.pid}"
                )
            gone.clear()
        if leader is None and _is_majority(len(gone), len(cluster.members)):
            leader = cluster.leader()
            if leader is not None:
                console.print(f"[green]{leader.name} leads now.[/green]")


def _is_majority(gone: int, nodes: int) -> bool:
    """Whether those are one that are not gone."""
    return nodes - gone > nodes // 2


def _tell_end(console: Console, member: Member, gone: int, nodes: int) -> None:
    assert member.process is not None
    code = member.process.returncode
    if code == -signal.SIGKILL:
        console.print(f"[yellow]{member.name} was killed.[/yellow] {_what_is_left(gone, nodes)}")
    else:
        console.print(
            f"[yellow]{member.name} ended (exit code {code}).[/yellow] {_what_is_left(gone, nodes)} Its log ends with:"
        )
        console.print(member.last_log_lines(), markup=False)


def _what_is_left(gone: int, nodes: int) -> str:
    if gone == nodes:
        return "No node is left."
    if _is_majority(gone, nodes):
        return f"The others go on: {nodes - gone} of {nodes} are a majority."
    return f"{nodes - gone} of {nodes} are no majority: nothing is written until more are there."


def _offer(console: Console, gone: list[Member]) -> None:
    """What was typed before is no answer."""
    if not _has_keyboard():
        console.print("The next start has all of them again.")
        return
    termios.tcflush(STDIN, termios.TCIFLUSH)
    console.print(f"Press Enter to start {'it' if len(gone) == 1 else 'them'} again.")


def _has_keyboard() -> bool:
    """Whether there is a terminal that may be read: one that runs something else meanwhile would stop this process."""
    if not os.isatty(STDIN):
        return False
    try:
        return os.tcgetpgrp(STDIN) == os.getpgrp()
    except OSError:  # it is not the terminal that this was started from
        return True


def _has_pressed_enter() -> bool:
    """Since the last look."""
    if not _has_keyboard() or not select.select([STDIN], [], [], 0)[0]:
        return False
    return bool(os.read(STDIN, 1_000))
