"""A node's own clock: it may go faster or slower than the world's time, but never back."""

from raftwerk.sim.world import World

DRIFT_PPM_MAX = 300_000
"""30 %: no clock goes more wrong than this."""


class SimClock:
    """Of one node, from its start on."""

    def __init__(self, world: World) -> None:
        self.drift_ppm = 0
        """How much faster it goes than the world's time, in millionths."""
        self._world = world
        self.restart()

    def restart(self) -> None:
        """A life begins, at 0."""
        self._seen_us = self._world.now_us
        self._local_us = self._told_us = 0

    def now_us(self) -> int:
        world_us = self._world.now_us
        gone_us, self._seen_us = world_us - self._seen_us, world_us
        self._local_us += gone_us + gone_us * self.drift_ppm // 1_000_000
        return self._local_us

    def take_elapsed_ms(self) -> int:
        """Whole milliseconds since the last call; the rest comes with the next one."""
        elapsed_ms = (self.now_us() - self._told_us) // 1000
        self._told_us += elapsed_ms * 1000
        return elapsed_ms
