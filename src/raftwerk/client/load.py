"""A load on a cluster of raftwerk or of etcd, from one process or several: `run` says what came of it."""

import asyncio
import multiprocessing
import ssl
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor

import uvloop

from raftwerk.client.endpoints import parse_endpoints
from raftwerk.client.load_run import CONNECT_TIMEOUT_S, Run, Tls
from raftwerk.client.load_types import Load, Outcome, Result, shares, summary
from raftwerk.runtime.addresses import Address


def no_tls() -> ssl.SSLContext | None:
    """For endpoints without."""
    return None


def run(load: Load, endpoints: Sequence[str], *, processes: int = 1, tls: Tls = no_tls) -> Result:
    """Put `load` on `endpoints` (host:port or URLs), from this process or from several new ones.

    tls: makes the context, in each process. Raises UsageError for a load that is none or has nowhere to go, OSError or
    TimeoutError when the endpoints cannot be reached or stop to answer.
    """
    parts = shares(load, processes)
    addresses = parse_endpoints(endpoints)
    if processes == 1:
        return summary([_run_share(load, addresses, tls, 0, 1)])
    context = multiprocessing.get_context("spawn")
    with context.Manager() as manager, ProcessPoolExecutor(processes, context) as pool:
        gate = manager.Barrier(processes)
        futures = [
            pool.submit(_run_share, part, addresses, tls, place, processes, gate.wait)
            for place, part in enumerate(parts)
        ]
        return summary([future.result() for future in futures])


def _run_share(
    load: Load,
    addresses: Sequence[Address],
    tls: Tls,
    place: int,
    places: int,
    wait: Callable[[float], object] | None = None,
) -> Outcome:
    """wait: until all processes are connected."""
    first = place % len(addresses)
    shifted = [*addresses[first:], *addresses[:first]]

    async def connect_and_go() -> Outcome:
        run = Run(load, place, places)
        connections = await run.connect(shifted, tls)
        if wait is not None:
            await asyncio.to_thread(wait, CONNECT_TIMEOUT_S)
        return await run.go(connections)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(connect_and_go())
