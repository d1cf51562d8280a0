"""A node's own clock: it may go faster or slower than the world's time, but never back."""

from random import Random

from raftwerk.sim.world import World

LOOK_S_MAX = 0.004
"""As long as a node applies in a step, and more: some steps leave the rest to the next one."""
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


class SimStopwatch:
    """What a step takes: the world's time stands still meanwhile. Each look at it comes a little later."""

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)
        self._now_s = 0.0

    def __call__(self) -> float:
        self._now_s += self._random.uniform(0, LOOK_S_MAX)
        return self._now_s
