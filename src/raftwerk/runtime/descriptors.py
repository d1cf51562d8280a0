"""File descriptors: connections get those that the log and the store do not need.

Whoever can reach a port can open connections until the process has no descriptor left. The log could open no segment
then, which is the end of a node. So the last descriptors are kept back.
"""

import asyncio
import os
import sys
from typing import Final

TOO_MANY: Final = "too many connections: the process may open no more files (ulimit -n)"
"""What the operator is told of connections that are closed for it."""
OPEN_FILES: Final = "/proc/self/fd" if sys.platform == "linux" else "/dev/fd"
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


def are_used_up() -> bool:
    """Whether only the last descriptors are free. For TLS: before its handshake a connection is known to no protocol.

    Those of the same burst have theirs already, and who was refused has just given his back: near the limit all are counted.
    """
    if sys.platform == "win32":
        return False
    import resource

    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if limit == resource.RLIM_INFINITY:
        return False
    try:
        lowest = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return True
    os.close(lowest)
    if lowest < limit - 2 * RESERVED:
        return False
    with os.scandir(OPEN_FILES) as files:
        return sum(1 for _ in files) > limit - RESERVED


def allow_many() -> None:
    """Raise the soft limit to the hard one: a server needs a descriptor for each connection."""
    if sys.platform != "win32":
        import resource

        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
