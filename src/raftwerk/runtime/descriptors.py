"""File descriptors: connections get those that the log and the store do not need.

Whoever can reach a port can open connections until the process has no descriptor left. The log could open no segment
then, which is the end of a node. So the last descriptors are kept back.
"""

import asyncio
import sys
from typing import Final

RESERVED: Final = 64
"""For segments, snapshots, the store, and files that are read while running."""


def are_scarce(transport: asyncio.BaseTransport) -> bool:
    """Whether this connection got one of the last descriptors: it has to be closed. The lowest free one is always taken."""
    if sys.platform == "win32":  # a socket is no descriptor there
        return False
    import resource

    sock = transport.get_extra_info("socket")
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if sock is None or limit == resource.RLIM_INFINITY:
        return False
    is_scarce: bool = sock.fileno() >= limit - RESERVED
    return is_scarce


def allow_many() -> None:
    """Raise the soft limit to the hard one: a server needs a descriptor for each connection."""
    if sys.platform != "win32":
        import resource

        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
