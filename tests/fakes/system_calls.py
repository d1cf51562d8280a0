"""What a piece of code asks of the operating system, as the interpreter's profiler sees it."""

import sys
from collections.abc import Callable
from types import FrameType


def calls_during(action: Callable[[], object]) -> list[str]:
    """The names of the system calls for durability that `action` makes."""
    names = {
        "sync",
        "fsync",
        "fdatasync",
        "rename",
        "unlink",
        "mkdir",
        "posix_fallocate",
        "pwritev",
    }
    calls: list[str] = []

    def record(frame: FrameType, event: str, argument: object) -> None:
        name = getattr(argument, "__name__", "")
        if event == "c_call" and name in names:
            calls.append(name)

    before = sys.getprofile()
    sys.setprofile(record)
    try:
        action()
    finally:
        sys.setprofile(before)
    return calls
