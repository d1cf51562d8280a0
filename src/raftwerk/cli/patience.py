"""What a command that goes on says while it gets nowhere: a line after some seconds, and one when it goes on."""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from typing import Final

PATIENCE_S: Final = 5.0
LOOK_S: Final = 0.5


async def tell_of_waiting(
    who: str,
    whom: str,
    trouble: Callable[[], str],
    why: Callable[[], Awaitable[str]],
    *,
    patience_s: float = PATIENCE_S,
    look_s: float = LOOK_S,
) -> None:
    """Until it is cancelled.

    who: waits, for whom. trouble: what keeps it from going on just now, "" when it goes on. why: what to tell of that.
    """
    loop = asyncio.get_running_loop()
    since_s: float | None = None
    is_told = False
    while True:
        await asyncio.sleep(look_s)
        if not trouble():
            if is_told:
                _tell(f"{who} goes on")
            since_s, is_told = None, False
        elif since_s is None:
            since_s = loop.time()
        elif not is_told and loop.time() >= since_s + patience_s:
            reason = await why()
            is_told = bool(trouble())
            if is_told:
                time = f"for {patience_s:.0f} s now"
                _tell(f"{who} waits, {time}, for {whom}, and tries on: {reason}")


def _tell(text: str) -> None:
    print(f"raftwerk: {text}", file=sys.stderr, flush=True)
