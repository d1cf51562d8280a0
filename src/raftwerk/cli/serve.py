"""`raftwerk serve`: one member as a process. The composition root of node and server."""

import asyncio
import contextlib
import gc
import os
import signal
import sys
import time
from collections.abc import Sequence
from functools import partial
from typing import Any, Final

import structlog
import uvloop

from raftwerk import __version__
from raftwerk.cli import flags, flags_help, logs
from raftwerk.errors import CorruptData, RaftwerkError, UsageError
from raftwerk.runtime.data_dir import check_data_dir
from raftwerk.runtime.descriptors import allow_many
from raftwerk.runtime.listening import check_ports
from raftwerk.runtime.node import Node
from raftwerk.runtime.settings import Settings
from raftwerk.runtime.tls_setup import check_files
from raftwerk.server.app import Server
from raftwerk.server.auth_jwt import signed_tokens
from raftwerk.server.cluster_services import ETCD_VERSION

log = structlog.get_logger()

MALLOC_VARIABLES: Final = frozenset(
    {"GLIBC_TUNABLES", "MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_"}
)
M_TRIM_THRESHOLD: Final = -1
"""Of mallopt(3): so much that is free at the end of the heap stays there."""
M_MMAP_THRESHOLD: Final = -3
"""Of mallopt(3): blocks as large as this are mapped, each by itself, and go when they are freed."""
LARGE_BLOCK_BYTES: Final = 4 * 1024 * 1024
"""A batch of entries on its way is smaller: pages that are new each time cost more than it does."""


def main(arguments: Sequence[str]) -> int:
    """Run one member until SIGTERM or SIGINT ends it. arguments: without the command's name.

    Returns the exit code: 0 after a clean stop, 1 when the member could not start or not go on, 2 for wrong usage.
    """
    if any(argument in ("-h", "--help", "-help") for argument in arguments):
        print(flags_help.help_text())
        return 0
    if any(argument in ("--version", "-version") for argument in arguments):
        print(f"raftwerk Version: {__version__}\netcd Version: {ETCD_VERSION}")
        return 0
    try:
        settings, warnings = flags.parse(arguments, os.environ)
    except UsageError as error:
        print(f"raftwerk serve: {error}", file=sys.stderr)
        return 2
    _give_back_large_blocks()
    logs.configure(settings.log_level, settings.log_format)
    for warning in warnings:
        log.warning(warning)
    try:
        return uvloop.run(_serve(settings))
    except RaftwerkError as error:
        print(f"raftwerk serve: {error}", file=sys.stderr)
        return 1


async def _serve(settings: Settings) -> int:
    stopping, broken = asyncio.Event(), asyncio.Event()
    _on_signals(stopping)
    asyncio.get_running_loop().set_exception_handler(partial(_on_exception, broken))
    await _check(settings)
    async with contextlib.AsyncExitStack() as stack:
        node = Node.open(settings)
        stack.push_async_callback(node.stop)
        await node.start()
        server = Server(node)
        stack.push_async_callback(server.stop)
        await server.start()
        _tune_process()
        async with asyncio.TaskGroup() as group:
            ready = group.create_task(_announce(node))
            ends = [group.create_task(event.wait()) for event in (stopping, broken)]
            waiting: list[asyncio.Future[Any]] = [*ends, node.failed]
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            for task in (ready, *ends):
                task.cancel()
    return 1 if node.failed.done() or broken.is_set() else 0


async def _check(settings: Settings) -> None:
    """Raises what makes a start fail, as far as that is known before there is a data folder: none is left then.

    The folder comes before the ports: at a second start of a member both are taken, and the folder says by whom.
    """
    check_files(settings)
    signed_tokens(settings.auth_token, settings.auth_token_ttl_s, time.time)
    check_data_dir(settings)
    await check_ports(settings)


def _on_signals(stopping: asyncio.Event) -> None:
    """The first signal asks for a clean stop. A second one ends the process at once, as a crash would: that is safe too."""
    loop = asyncio.get_running_loop()
    numbers = (signal.SIGTERM, signal.SIGINT)

    def stop(number: signal.Signals) -> None:
        for each in numbers:
            loop.remove_signal_handler(each)
            signal.signal(each, signal.SIG_DFL)
        log.info("stopping; a second signal ends the process at once", signal=number.name)
        stopping.set()

    for number in numbers:
        loop.add_signal_handler(number, stop, number)


def _on_exception(
    broken: asyncio.Event, loop: asyncio.AbstractEventLoop, context: dict[str, Any]
) -> None:
    """What a callback raised. An assertion that fails ends the member; so does damage, which the node tells of, once."""
    error = context.get("exception")
    if not isinstance(error, CorruptData):
        loop.default_exception_handler(context)
    if isinstance(error, AssertionError):
        broken.set()


async def _announce(node: Node) -> None:
    with contextlib.suppress(Exception):  # node.failed has it, and ends the process
        await node.wait_ready()
        urls = ",".join(node.settings.advertise_client_urls)
        log.info("ready to serve client requests", name=node.settings.name, client_urls=urls)


def _tune_process() -> None:
    """What a server process wants of the system and the interpreter: many connections, short waits.

    The disk threads need its lock only for moments: let them have it soon. What was loaded lives as long as the process:
    take it out of the garbage collector's sight, and let that look less often.
    """
    allow_many()
    sys.setswitchinterval(0.0005)
    gc.collect()
    gc.freeze()
    gc.set_threshold(300_000, 20, 100)


def _give_back_large_blocks() -> None:
    """glibc learns from the first large block that is freed to take later ones from its heap, which then has holes of tens of MB
    where tables of a dictionary were. Fixed limits end that, unless the environment sets some.

    Of another C library, or an interpreter without ctypes, nothing is asked.
    """
    if not MALLOC_VARIABLES.isdisjoint(os.environ):
        return
    with contextlib.suppress(AttributeError, ImportError, OSError, TypeError):
        import ctypes

        mallopt = ctypes.CDLL(None).mallopt
        mallopt(M_MMAP_THRESHOLD, LARGE_BLOCK_BYTES)
        mallopt(M_TRIM_THRESHOLD, 2 * LARGE_BLOCK_BYTES)
