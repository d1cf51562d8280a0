"""raftwerk.Client against raftwerk: puts of one process with 1, 100 and 1000 calls under way."""

import asyncio
import resource
import time
from array import array
from typing import Final

import uvloop

from benchmarks.clusters import cpu_s, running
from benchmarks.groups import Figures, Group, Rows, Scale
from raftwerk.client import Client

SECONDS: Final = 4.0
OUTSTANDING: Final = (1, 100, 1000)
VALUE: Final = bytes(256)


def percentiles(latencies_s: "array[float]") -> Figures:
    ordered = sorted(latencies_s)
    return {
        "p50_ms": 1e3 * ordered[len(ordered) // 2],
        "p99_ms": 1e3 * ordered[len(ordered) * 99 // 100],
    }


async def _load(
    endpoints: list[str], outstanding: int, seconds: float
) -> tuple[float, "array[float]"]:
    """(seconds that it took, latencies)."""
    latencies = array("d")
    async with Client(endpoints) as client:
        await client.put(b"first", VALUE)
        started = time.perf_counter()
        ends_at = started + seconds

        async def worker(number: int) -> None:
            key = b"%08d" % number
            while (at := time.perf_counter()) < ends_at:
                await client.put(key, VALUE)
                latencies.append(time.perf_counter() - at)

        await asyncio.gather(*(worker(number) for number in range(outstanding)))
        return time.perf_counter() - started, latencies


def _own_cpu_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def measure(system: str, scale: Scale) -> Rows:
    found: Rows = {}
    with running(system) as nodes:
        for outstanding in OUTSTANDING:
            before, own = cpu_s(nodes), _own_cpu_s()
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                endpoints = [node.client_url for node in nodes]
                seconds, latencies = runner.run(
                    _load(endpoints, outstanding, scale.seconds(SECONDS))
                )
            found[f"{outstanding} outstanding"] = {
                "per_second": len(latencies) / seconds,
                **percentiles(latencies),
                "server_cpu_us": 1e6 * (cpu_s(nodes) - before) / len(latencies),
                "client_cpu_us": 1e6 * (_own_cpu_s() - own) / len(latencies),
            }
    return found


GROUP: Final = Group("own-client", "put by raftwerk.Client, one process", measure, rounds=1)
