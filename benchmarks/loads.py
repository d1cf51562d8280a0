"""Throughput, latency and server CPU under the loads of `raftwerk bench`; and how they change with clients and rate."""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from benchmarks.clusters import Node, cpu_s, running
from benchmarks.groups import Figures, Group, Rows, Scale
from raftwerk.client.load_requests import Operation
from raftwerk.client.load_types import Load

SECONDS: Final = 4.0
KEYS: Final = 10_000
SYNCS: Final = 1000
SYNC_BYTES: Final = 400
"""What a put of 256 bytes writes to the log."""
MANY_KEYS: Final = (10_000, 1_000_000)
MOST_KEYS: Final = (*MANY_KEYS, 10_000_000)
SWEEP_CLIENTS: Final = (1, 10, 100, 300, 1000, 3000)
SWEEP_RATES: Final = (500, 1000, 2000, 4000, 8000, 16_000, 32_000)
KEPT_UP: Final = 0.95
"""Of a rate: a system that does less is overloaded, and no higher rate is tried."""


def measure(load: Load, endpoints: Sequence[Node], nodes: Sequence[Node]) -> Figures:
    """One load on a running cluster. The generator is a process of its own, as it would be elsewhere."""
    before = cpu_s(nodes)
    done = subprocess.run(
        [
            *(sys.executable, "-m", "raftwerk", "bench", load.operation, "--json"),
            f"--endpoints={','.join(node.endpoint for node in endpoints)}",
            f"--connections={load.connections}",
            f"--clients={load.clients}",
            f"--requests={load.requests}",
            f"--seconds={load.seconds}",
            f"--value-bytes={load.value_bytes}",
            f"--keys={load.keys}",
            f"--rate={load.rate}",
        ],
        stdout=subprocess.PIPE,
        check=False,
    )
    if not done.stdout:
        raise RuntimeError(f"{load} ended with exit code {done.returncode}")
    result = json.loads(done.stdout)
    if result["errors"]:
        raise RuntimeError(f"{load}: failed by status: {result['errors']}, {result['error_texts']}")
    spent_s = cpu_s(nodes) - before
    names = ("per_second", "mean_ms", "p50_ms", "p90_ms", "p99_ms", "p999_ms", "max_ms")
    figures = {name: float(result[name]) for name in names}
    figures["server_cpu_us"] = 1e6 * spent_s / max(1, result["requests"])
    figures["client_cpu_us"] = float(result["client_cpu_us"])
    return figures


def fill(nodes: Sequence[Node], keys: int = KEYS) -> None:
    """Have every key there, so that reads find something."""
    measure(Load(Operation.FILL, 10, 200, requests=keys, keys=keys), nodes[:1], nodes)


def bare_sync(folder: Path) -> Figures:
    """To write and sync SYNC_BYTES at the end of a file in this folder, again and again: no durable put can do without."""
    taken_ms = []
    with tempfile.TemporaryFile(dir=folder, buffering=0) as file:
        for _ in range(SYNCS):
            start_s = time.perf_counter()
            file.write(bytes(SYNC_BYTES))
            os.fdatasync(file.fileno())
            taken_ms.append(1e3 * (time.perf_counter() - start_s))
    return {"sync_mean_ms": statistics.mean(taken_ms), "sync_p50_ms": statistics.median(taken_ms)}


def rows(system: str, scale: Scale, *operations: Operation) -> Rows:
    """Each operation with one client at the leader, and with 1000 at all members."""
    seconds = scale.seconds(SECONDS)
    found = {}
    with running(system) as nodes:
        fill(nodes, scale.count(KEYS, 1000))
        for operation in operations:
            one = Load(operation, 1, 1, seconds=seconds, keys=KEYS)
            many = Load(operation, 100, 1000, seconds=seconds, keys=KEYS)
            if operation == Operation.PUT:
                large = Load(operation, 10, 200, seconds=seconds, keys=KEYS, value_bytes=1024)
                found["put 10/200, 1 KiB, leader"] = measure(large, nodes[:1], nodes)
                found["put 100/1000, leader"] = measure(many, nodes[:1], nodes)
                found["a bare sync"] = bare_sync(nodes[0].folder)
            if operation not in (Operation.TXN, Operation.MIXED):
                found[f"{operation} 1/1, leader"] = measure(one, nodes[:1], nodes)
            found[f"{operation} 100/1000, all"] = measure(many, nodes, nodes)
    return found


def put(system: str, scale: Scale) -> Rows:
    return rows(system, scale, Operation.PUT)


def read(system: str, scale: Scale) -> Rows:
    return rows(system, scale, Operation.RANGE, Operation.SERIALIZABLE)


def txn(system: str, scale: Scale) -> Rows:
    return rows(system, scale, Operation.TXN)


def mixed(system: str, scale: Scale) -> Rows:
    return rows(system, scale, Operation.MIXED)


def compiled(system: str, scale: Scale) -> Rows:
    """Puts and reads."""
    return rows(system, scale, Operation.PUT, Operation.RANGE)


def concurrency(system: str, scale: Scale) -> Rows:
    """Puts at all members, by clients."""
    found = {}
    with running(system) as nodes:
        for clients in SWEEP_CLIENTS:
            load = Load(Operation.PUT, min(100, clients), clients, seconds=scale.seconds(3))
            found[f"{clients} clients"] = measure(load, nodes, nodes)
    return found


def many_keys(system: str, scale: Scale, counts: Sequence[int] = MANY_KEYS) -> Rows:
    """Puts to random ones of few and of many keys, at full load and by one client."""
    found = {}
    with running(system) as nodes:
        for keys in counts:
            count = scale.count(keys, keys // 100)
            fill(nodes, count)
            for clients in (1000, 1):
                connections, seconds = min(100, clients), scale.seconds(SECONDS)
                load = Load(Operation.PUT, connections, clients, seconds=seconds, keys=count)
                row = f"{connections}/{clients}, random ones of {keys:,} keys"
                found[row] = measure(load, nodes[:1], nodes)
    return found


def most_keys(system: str, scale: Scale) -> Rows:
    """The same, with more keys than etcd could hold three times in a small machine's memory."""
    return many_keys(system, scale, MOST_KEYS)


def rate(system: str, scale: Scale) -> Rows:
    """Puts at all members, at even times, measured from when they were due; up to what the system keeps up with."""
    found: Rows = {}
    with running(system) as nodes:
        for wanted in SWEEP_RATES:
            load = Load(Operation.PUT, 100, 1000, seconds=scale.seconds(3), rate=wanted)
            figures = measure(load, nodes, nodes)
            if figures["per_second"] < KEPT_UP * wanted:
                break
            found[f"{wanted} a second"] = figures
    return found


COMPILED: Final = Group(
    "compiled", "the plain package beside the compiled one", compiled, ("plain", "raftwerk")
)
GROUPS: Final = (
    Group("put", "put (connections/clients)", put),
    Group("range", "range, linearizable and serializable", read),
    Group("txn", "transactions of 4 puts", txn),
    Group("mixed", "9 ranges to a put", mixed),
    COMPILED,
    Group("concurrency", "put, all members, by clients", concurrency, rounds=1),
    Group("many-keys", "put, leader, random keys", many_keys, rounds=1),
    Group("most-keys", "put, leader, random keys", most_keys, ("raftwerk",), 1, is_long=True),
    Group("rate", "put, all members, by rate", rate),
)
