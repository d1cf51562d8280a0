"""Each watcher sees exactly what happened, in order, whatever happens: writes, compactions, slow readers, restores."""

from itertools import pairwise
from typing import NamedTuple, TypeAlias

from hypothesis import given, settings
from hypothesis import strategies as st

from raftwerk.kv.commands import Command, Compact, RangeQuery, encode
from raftwerk.kv.rows import REVISION
from raftwerk.kv.versions import bounds
from raftwerk.kv.watch import Watcher
from raftwerk.kv.watch_history import History
from tests.kv.rig import Rig
from tests.kv.strategies import COMMANDS, SPANS
from tests.kv.watching import Client, Told, WatchRig, told


class Watch(NamedTuple):
    """start: before (negative) or after the present revision."""

    client: int
    span: tuple[bytes, bytes]
    start: int
    has_puts: bool
    has_deletes: bool
    prev_kv: bool


class Pause(NamedTuple):
    """A client takes so many deliveries from now on; None: any number."""

    client: int
    room: int | None


class Batch(NamedTuple):
    """Commands applied together."""

    commands: list[Command]


class Restore(NamedTuple):
    """A snapshot of a member that has applied more."""

    commands: list[Command]


class Compaction(NamedTuple):
    """Of a revision so far back."""

    back: int


Step: TypeAlias = Watch | Pause | Batch | Restore | Compaction | str
CLIENTS = st.integers(0, 1)
WRITES = COMMANDS.filter(lambda command: not isinstance(command, RangeQuery | Compact))
STEPS = st.one_of(
    st.builds(Batch, st.lists(WRITES, min_size=1, max_size=4)),
    st.builds(Batch, st.lists(WRITES, min_size=1, max_size=4)),
    st.builds(
        Watch,
        CLIENTS,
        SPANS,
        st.integers(-8, 3),
        st.sampled_from([True, True, True, False]),
        st.sampled_from([True, True, True, False]),
        st.booleans(),
    ),
    st.builds(Pause, CLIENTS, st.sampled_from([0, 1, 2, None, None])),
    st.builds(Restore, st.lists(WRITES, max_size=4)),
    st.builds(Compaction, st.integers(0, 6)),
    st.sampled_from(["slice", "slice", "deliver", "deliver", "maintain"]),
)


class World:
    """The hub; and a member that never removes anything and is asked at the end what happened."""

    def __init__(self) -> None:
        self.rig = WatchRig(is_eager=False)
        self.archive = Rig()
        self.clients = [self.rig.client(), self.rig.client()]
        self.wanted: dict[Watcher, tuple[Client, Watch, int]] = {}

    @property
    def revision(self) -> int:
        return self.archive.machine.revision

    def happen(self, step: Step) -> None:
        rig = self.rig
        if isinstance(step, Watch):
            client = self.clients[step.client]
            start = max(1, self.revision + step.start)
            watcher = client.watch(
                *step.span,
                start=start,
                has_puts=step.has_puts,
                has_deletes=step.has_deletes,
                prev_kv=step.prev_kv,
            )
            self.wanted[watcher] = client, step, start
        elif isinstance(step, Pause):
            self.clients[step.client].read(step.room)
        elif isinstance(step, Batch):
            self.apply(rig, step.commands)
        elif isinstance(step, Restore):
            other = Rig()
            other.log = list(rig.log)
            for index in range(1, len(other.log) + 1):
                other._apply(index)
            self.apply(other, step.commands)
            other.remove_all()
            other.checkpoint()
            rig.log = list(other.log)
            rig.install(other.machine.open_snapshot())
        elif isinstance(step, Compaction):
            self.apply(rig, [Compact(self.revision - step.back)])
        elif step == "deliver":
            rig.hub.deliver()
        elif step == "slice":
            rig.hub.catch_up(3)
        else:
            rig.machine.maintain(3)

    def apply(self, rig: Rig, commands: list[Command]) -> None:
        for command in commands:
            self.archive.execute(command)
            rig.log.append(encode(command))
        position = len(rig.log).to_bytes(8, "big")
        rig.machine.apply(rig.log[len(rig.log) - len(commands) :], len(rig.log), position)

    def truth(self, watch: Watch, start: int) -> list[Told]:
        """What the watcher has to be told, with every key-value before."""
        history = History(self.archive.machine, self.archive.store)
        events, _ = history.read(REVISION.pack(start, 0), 10_000)
        first, stop = bounds(*watch.span)
        return [
            event
            for one in events
            for event in told(one.field_with_prev(self.archive.store, -1))
            if event.key >= first and (stop is None or event.key < stop)
            if (watch.has_puts if event.kind == "put" else watch.has_deletes)
        ]

    def check(self, watcher: Watcher) -> None:
        client, watch, start = self.wanted[watcher]
        deliveries = client.deliveries[watcher]
        for before, after in pairwise(deliveries):
            assert before[-1].revision < after[0].revision, "a revision is split"
        seen, wanted = client.events(watcher), self.truth(watch, start)
        if watcher in client.compacted:
            assert client.compacted[watcher] <= self.archive.machine.compacted_revision
            assert len(seen) <= len(wanted)
            last = seen[-1].revision if seen else 0
            wanted = [event for event in wanted if event.revision <= last]
        assert [event[:4] for event in seen] == [event[:4] for event in wanted]
        for event, expected in zip(seen, wanted, strict=True):
            is_known = event.revision > self.archive.machine.compacted_revision
            if watch.prev_kv and (is_known or event.prev is not None):
                assert event.prev == expected.prev
            else:
                assert event.prev is None


@given(st.lists(STEPS, min_size=4, max_size=40))
@settings(max_examples=400, deadline=None, database=None, derandomize=True)
def test_each_watcher_sees_exactly_what_happened(steps: list[Step]) -> None:
    world = World()
    for step in steps:
        world.happen(step)
    for client in world.clients:
        client.read()
    world.rig.catch_up()
    for watcher, (client, _, start) in world.wanted.items():
        world.check(watcher)
        is_future = start > world.revision + 1
        assert world.rig.hub.is_synced(watcher) or is_future or watcher in client.compacted
