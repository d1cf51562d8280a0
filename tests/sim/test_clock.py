"""A node's clock: right, fast or slow, never back."""

from raftwerk.sim.clock import DRIFT_PPM_MAX, SimClock
from raftwerk.sim.world import World


def test_a_clock_goes_with_the_world_and_faster_or_slower_when_it_drifts() -> None:
    world = World(1)
    clock = SimClock(world)
    world.run_until(1_000_000)
    assert clock.now_us() == 1_000_000
    clock.drift_ppm = DRIFT_PPM_MAX
    world.run_until(2_000_000)
    assert clock.now_us() == 2_300_000
    clock.drift_ppm = -DRIFT_PPM_MAX
    assert clock.now_us() == 2_300_000, "what is past stays as it was"
    world.run_until(3_000_000)
    assert clock.now_us() == 3_000_000


def test_elapsed_milliseconds_add_up() -> None:
    world = World(1)
    clock = SimClock(world)
    told = 0
    for now_us in range(0, 10_000, 700):
        world.run_until(now_us)
        told += clock.take_elapsed_ms()
    assert told == world.now_us // 1000
    clock.restart()
    assert clock.now_us() == 0
