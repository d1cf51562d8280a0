"""Virtual time."""

from raftwerk.sim.world import World


def test_actions_happen_in_the_order_of_their_times_then_of_their_scheduling() -> None:
    world, seen = World(1), list[str]()
    for delay_us, name in ((20, "c"), (10, "a"), (10, "b")):
        world.after(delay_us, lambda name=name: seen.append(f"{name}{world.now_us}"))  # type: ignore[misc]
    world.run_until(100)
    assert seen == ["a10", "b10", "c20"]
    assert world.now_us == 100


def test_time_stops_where_it_is_told_or_when_what_is_waited_for_happened() -> None:
    world, seen = World(1), list[int]()
    for delay_us in (10, 20, 30):
        world.after(delay_us, lambda: seen.append(world.now_us))
    assert not world.run_until(15)
    assert world.run_until(100, lambda: len(seen) == 2)
    assert (seen, world.now_us) == ([10, 20], 20)


def test_streams_depend_on_seed_and_name_alone() -> None:
    first = World(7).stream("network")
    World(7).stream("disk").random()
    assert first.random() == World(7).stream("network").random()
    assert World(7).stream("network").random() != World(8).stream("network").random()
