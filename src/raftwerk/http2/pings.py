"""A client that asks too often whether the server lives: grpc-go's rules, which etcd and its clients know.

A PING that comes too soon after the one before is a strike; with more than STRIKES_MAX the connection ends. Whatever was
answered between two PINGs clears them: a client may measure while data flow.
"""

import math
from typing import Final

STRIKES_MAX: Final = 2
INTERVAL_WITHOUT_CALLS_S: Final = 7200.0
"""Nobody waits for anything: then there is nothing to ask for."""


class Pings:
    """Those of one connection."""

    def __init__(self, interval_s_min: float) -> None:
        """interval_s_min: between two; 0: they may come as they like."""
        self._interval_s_min = interval_s_min
        self._last_s = -math.inf
        self._answered = 0
        self._strikes = 0

    def are_too_many(self, now_s: float, answered: int, *, has_calls: bool) -> bool:
        """Count one. answered: grows with every answer that leaves. has_calls: some are open."""
        if not self._interval_s_min:
            return False
        interval_s = self._interval_s_min if has_calls else INTERVAL_WITHOUT_CALLS_S
        if answered != self._answered:
            self._strikes = 0
        elif now_s < self._last_s + interval_s:
            self._strikes += 1
        self._answered = answered
        self._last_s = now_s
        return self._strikes > STRIKES_MAX
