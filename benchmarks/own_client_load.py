"""A program that puts with raftwerk.Client: python -m benchmarks.own_client_load OUTSTANDING SECONDS ENDPOINT...

Prints a JSON object: puts a second, latencies in ms, CPU of this process in us a put, and how many puts there were.
"""

import asyncio
import gc
import json
import resource
import sys
import time
from array import array
from collections.abc import Sequence
from typing import Final

import uvloop

from raftwerk.client import Client

VALUE: Final = bytes(256)


async def load(
    endpoints: Sequence[str], outstanding: int, seconds: float
) -> "tuple[float, array[float]]":
    """(seconds that it took, latencies in seconds)."""
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


def _cpu_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def main() -> None:
    outstanding, seconds, *endpoints = sys.argv[1:]
    gc.freeze()  # as docs/client.md has it for programs with many calls under way
    gc.set_threshold(50_000, 20, 100)
    before_s = _cpu_s()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        took_s, latencies = runner.run(load(endpoints, int(outstanding), float(seconds)))
    cpu_s = _cpu_s() - before_s
    ordered = sorted(latencies)
    figures = {
        "per_second": len(ordered) / took_s,
        "p50_ms": 1e3 * ordered[len(ordered) // 2],
        "p99_ms": 1e3 * ordered[len(ordered) * 99 // 100],
        "client_cpu_us": 1e6 * cpu_s / len(ordered),
        "puts": len(ordered),
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
