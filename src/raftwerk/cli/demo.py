"""`raftwerk demo`: a tour that ends by itself. Three nodes, real records, a crash half-way, nothing lost."""

import asyncio
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from raftwerk.cli.cluster import LocalCluster, Member, free_ports
from raftwerk.cli.runner import as_interrupt, run_in
from raftwerk.cli.stopping import PutOff
from raftwerk.client import Client, OutcomeUnknown
from raftwerk.errors import RaftwerkError, UsageError

RECORDS: Final = Path("/var/lib/dpkg/status")
WORKERS: Final = 16
ENDING: Final = (signal.SIGINT, signal.SIGTERM)
"""Signals by which somebody ends it."""


def load_records(path: Path) -> list[tuple[bytes, bytes]]:
    """(package name, its record) for each package in a dpkg database. Raises UsageError if there is none."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UsageError(
            f"{path} cannot be read ({error.strerror}): the demo loads a Debian package database"
        ) from error
    records = {}
    for record in data.split(b"\n\n"):
        for line in record.splitlines():
            if line.startswith(b"Package: "):
                records[line.removeprefix(b"Package: ").strip()] = record
                break
    if not records:
        raise UsageError(f"{path} holds no package")
    return sorted(records.items())


def run() -> int:
    """Returns the exit code: 0 when every record came back as it was, 1 when one did not or nothing could be tried."""
    console = Console(highlight=False, soft_wrap=True)
    signal.signal(signal.SIGTERM, as_interrupt)
    try:
        records = load_records(RECORDS)
        with (
            PutOff(ENDING) as put_off,  # neither process nor folder is left behind
            tempfile.TemporaryDirectory(prefix="raftwerk-demo-") as folder,
        ):
            cluster = LocalCluster(Path(folder), free_ports(3), ["--log-level=info"])
            try:
                with put_off.let_in(), asyncio.Runner() as runner:
                    return _tour(console, cluster, records, runner)
            finally:
                cluster.stop_all()
    except RaftwerkError as error:
        print(f"raftwerk demo: {error}", file=sys.stderr)
        return 1


def _tour(
    console: Console,
    cluster: LocalCluster,
    records: list[tuple[bytes, bytes]],
    runner: asyncio.Runner,
) -> int:
    runner.get_loop()  # made now: Ctrl-C while it is made would be noisy
    size = sum(len(value) for _, value in records)
    started = time.monotonic()
    console.print("1. Starting three nodes, each a process with a log and a store of its own ...")
    with PutOff(ENDING):  # a process that nobody knows yet could not be ended
        cluster.start_all()
    cluster.wait_ready()
    leader = cluster.wait_leader()
    console.print(f"   ready after {time.monotonic() - started:.2f} s; {leader.name} leads.")
    console.print(
        f"2. Writing {len(records)} package records ({size / 1e6:.1f} MB) from {RECORDS} ..."
    )
    tour = _Tour(console, cluster, leader, records)
    run_in(runner, tour.write())
    other = next(member for member in cluster.members if member is not leader)
    console.print(
        f"3. Reading every record back through {other.name}, and comparing byte for byte ..."
    )
    wrong = run_in(runner, tour.compare(other))
    if wrong:
        console.print(
            f"[red]   {len(wrong)} records are not as they were written: {wrong[:5]}[/red]"
        )
        return 1
    console.print(f"   all {len(records)} records are there, every byte. Nothing was lost.")
    console.print("4. Starting the killed node again ...")
    started = time.monotonic()
    with PutOff(ENDING):
        cluster.start(leader)
    cluster.wait_ready()
    wrong = run_in(runner, tour.compare(leader, serializable=True))
    if wrong:
        console.print(f"[red]   {leader.name} misses {len(wrong)} records[/red]")
        return 1
    console.print(
        f"   {leader.name} has caught up after {time.monotonic() - started:.2f} s, and has every record itself."
    )
    console.print("[green]Done.[/green] 'raftwerk dev' gives you such a cluster to play with.")
    return 0


class _Tour:
    def __init__(
        self,
        console: Console,
        cluster: LocalCluster,
        leader: Member,
        records: list[tuple[bytes, bytes]],
    ) -> None:
        self._console = console
        self._cluster = cluster
        self._leader = leader
        self._records = records
        self._next = 0
        self._killed_at = 0.0
        self._first_after: float | None = None
        self._unknown = 0

    def _progress(self) -> Progress:
        return Progress(
            TextColumn("   {task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=self._console,
        )

    async def write(self) -> None:
        """Write all records from several clients at once; kill the leader half-way."""
        started = time.monotonic()
        with self._progress() as progress:
            task = progress.add_task("writing", total=len(self._records))
            clients = [
                Client([member.client_url for member in self._cluster.members])
                for _ in range(WORKERS)
            ]
            await asyncio.gather(*(self._worker(client, progress, task) for client in clients))
            for client in clients:
                client.close()
        elapsed = time.monotonic() - started
        gap = (self._first_after or self._killed_at) - self._killed_at
        leader = self._cluster.wait_leader()
        self._console.print(
            f"   {self._leader.name} was killed (SIGKILL) half-way; the first write after that was accepted "
            f"{gap * 1000:.0f} ms later. {leader.name} leads now."
        )
        if self._unknown:
            self._console.print(
                f"   {self._unknown} writes were on their way at that moment: their fate was reported as unknown, and they were "
                "written again."
            )
        self._console.print(f"   {len(self._records) / elapsed:.0f} writes a second, all in all.")

    async def _worker(self, client: Client, progress: Progress, task: object) -> None:
        while self._next < len(self._records):
            number = self._next
            self._next += 1
            if number == len(self._records) // 2:
                self._cluster.kill(self._leader)
                self._killed_at = time.monotonic()
            started = time.monotonic()
            await self._put(client, *self._records[number])
            if self._killed_at and self._first_after is None and started > self._killed_at:
                self._first_after = time.monotonic()
            progress.advance(task)  # type: ignore[arg-type]  # a TaskID, which is an int by another name

    async def _put(self, client: Client, key: bytes, value: bytes) -> None:
        while True:
            try:
                await client.put(key, value)
            except OutcomeUnknown:
                self._unknown += 1  # putting the same value again does no harm
            else:
                return

    async def compare(self, member: Member, *, serializable: bool = False) -> list[str]:
        """Names of the records that are not as they were written, read through one member."""
        wrong = []
        with self._progress() as progress:
            task = progress.add_task("comparing", total=len(self._records))
            async with Client([member.client_url]) as client:
                for key, value in self._records:
                    if await client.get(key, serializable=serializable) != value:
                        wrong.append(key.decode())
                    progress.advance(task)
        return wrong
