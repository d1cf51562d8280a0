"""One process of benchmarks.embedded: a program that replicates commands with raftwerk's Node, or with PySyncObj.

It says "ready" when there is a leader. Then each line of its input is a load, "OUTSTANDING SECONDS"; the leader answers with
its figures, the others with null.
"""

import asyncio
import json
import queue
import resource
import sys
import threading
import time
from array import array
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

import uvloop
from pysyncobj import SyncObj, SyncObjConf, replicated

from benchmarks.groups import Figures
from raftwerk.cli.logs import configure
from raftwerk.kv.commands import Put, encode
from raftwerk.replica.failure import Failure
from raftwerk.runtime.addresses import Address
from raftwerk.runtime.node import Node
from raftwerk.runtime.settings import Settings

KEYS: Final = 10_000
VALUE: Final = bytes(256)
PERIOD_S: Final = 0.001
"""Of PySyncObj's ticks and appends: its defaults are 50 and 100 ms, which is what a call would take."""

Propose = Callable[[Any, Callable[..., None]], None]
"""Replicates a command, and calls back with its result, and an error code if the library has such."""


class Load:
    """So many calls under way, for some seconds."""

    def __init__(
        self, propose: Propose, commands: Sequence[object], outstanding: int, seconds: float
    ) -> None:
        self._propose = propose
        self._commands = commands
        self._under_way = outstanding
        self._number = 0
        self._latencies_s = array("d")
        self._cpu_s = _cpu_s()
        self._started = time.perf_counter()
        self._ends_at = self._started + seconds
        self.figures: Figures | None = None
        """At the end."""
        for _ in range(outstanding):
            self._next(self._started)

    def _next(self, now: float) -> None:
        number = self._number = (self._number + 1) % KEYS
        self._propose(self._commands[number], partial(self._done, now))

    def _done(self, started: float, result: object, error: int = 0) -> None:
        assert not error, error
        assert not isinstance(result, Failure), result
        now = time.perf_counter()
        self._latencies_s.append(now - started)
        if now < self._ends_at:
            self._next(now)
        else:
            self._end(now)

    def _end(self, now: float) -> None:
        self._under_way -= 1
        if not self._under_way:
            ordered = sorted(self._latencies_s)
            self.figures = {
                "per_second": len(ordered) / (now - self._started),
                "p50_ms": 1e3 * ordered[len(ordered) // 2],
                "p99_ms": 1e3 * ordered[len(ordered) * 99 // 100],
                "leader_cpu_us": 1e6 * (_cpu_s() - self._cpu_s) / len(ordered),
            }


def _cpu_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def say(text: str) -> None:
    print(text, flush=True)


# raftwerk


async def run_node(number: int, folder: Path, ports: list[int]) -> None:
    urls = {f"node{place}": (f"http://127.0.0.1:{port}",) for place, port in enumerate(ports)}
    name = f"node{number}"
    settings = Settings(
        name=name,
        data_dir=folder / name,
        listen_peer=(Address("127.0.0.1", ports[number]),),
        initial_advertise_peer_urls=urls[name],
        initial_cluster=urls,
    )
    node = Node.open(settings)
    await node.start()
    await node.wait_ready()
    commands = [encode(Put(b"%08d" % key, VALUE)) for key in range(KEYS)]

    say("ready")
    while line := await asyncio.to_thread(sys.stdin.readline):
        outstanding, seconds = line.split()
        if node.status().leader_id != node.node_id:
            say("null")
            continue
        load = Load(node.propose, commands, int(outstanding), float(seconds))
        while load.figures is None:
            await asyncio.sleep(0.05)
        say(json.dumps(load.figures))
    await node.stop()


# PySyncObj


class Values(SyncObj):
    """A dict, replicated."""

    def __init__(self, own: str, others: list[str], conf: SyncObjConf) -> None:
        super().__init__(own, others, conf)
        self._values: dict[int, bytes] = {}

    @replicated
    def put(self, key: int, value: bytes) -> None:
        self._values[key] = value


def run_pysyncobj(number: int, folder: Path, ports: list[int], *, journal: bool) -> None:
    addresses = [f"127.0.0.1:{port}" for port in ports]
    conf = SyncObjConf(
        autoTick=False,  # ticks from this thread: no locks, no switches
        appendEntriesPeriod=PERIOD_S,
        journalFile=str(folder / f"journal{number}") if journal else None,
        fullDumpFile=str(folder / f"dump{number}") if journal else None,
    )
    values = Values(addresses.pop(number), addresses, conf)

    def propose(place: int, done: Callable[..., None]) -> None:
        values.put(place, VALUE, callback=done)

    lines: queue.SimpleQueue[str] = queue.SimpleQueue()
    load: Load | None = None
    while not values.isReady():
        values.doTick(PERIOD_S)
    say("ready")
    threading.Thread(target=lambda: [lines.put(line) for line in sys.stdin], daemon=True).start()
    while True:
        values.doTick(PERIOD_S)
        if load is not None and load.figures is not None:
            say(json.dumps(load.figures))
            load = None
        if not lines.empty():
            outstanding, seconds = lines.get().split()
            if values._getLeader() == values.selfNode:
                load = Load(propose, range(KEYS), int(outstanding), float(seconds))
            else:
                say("null")


def main() -> None:
    system, number, folder, *ports = sys.argv[1:]
    place, where, numbers = int(number), Path(folder), [int(port) for port in ports]
    if system == "raftwerk":
        configure("error", "console")
        uvloop.run(run_node(place, where, numbers))
    else:
        run_pysyncobj(place, where, numbers, journal=system == "pysyncobj-journal")


if __name__ == "__main__":
    main()
