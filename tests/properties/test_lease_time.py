"""No lease ends early, and every abandoned one ends: whoever leads, lags, restarts, or does not know that it is deposed.

Three members apply one log, each at its own pace and with a clock of its own. Whoever believes that it leads proposes; everything
that is proposed gets into the log, by forwarding if not otherwise, in any order of terms.
"""

from collections.abc import Callable

from hypothesis import given, settings
from hypothesis import strategies as st

from raftwerk.kv.commands import Command, LeaseGrant, LeaseRenew, LeaseRevoke, encode
from raftwerk.kv.lease import Lease
from raftwerk.replica.lessor import CHECKPOINT_INTERVAL_S, Lessor
from tests.kv.rig import Rig

GRACE_S = 1.5
TICK_S = 0.4
TTLS_S = (1, 2, 5, 400)
IDS = (1, 2)


class Member:
    """offset_s: of its clock."""

    def __init__(self, world: "World", offset_s: float) -> None:
        self.world = world
        self.offset_s = offset_s
        self.rig = Rig()
        self.believes_in_term = 0
        self.start()

    def start(self) -> None:
        """With what its store holds."""
        self.believes_in_term = 0
        self.lessor = Lessor(self.rig.machine, self._propose, self.now_s, GRACE_S)

    def now_s(self) -> float:
        return self.world.now_s + self.offset_s

    def _propose(self, command: bytes, done: Callable[[object], None]) -> None:
        self.world.append(command)
        done(None)

    def catch_up(self, entries: int) -> None:
        log = self.world.log
        for _ in range(min(entries, len(log) - len(self.rig.log))):
            self.rig.log.append(log[len(self.rig.log)])
            self.rig._apply(len(self.rig.log))

    def restart(self) -> None:
        self.rig.crash()
        self.start()

    def install_from(self, other: "Member") -> None:
        """A snapshot, if it is newer."""
        other.rig.checkpoint()
        if len(other.rig.log) > len(self.rig.log):
            self.rig.install(other.rig.machine.open_snapshot(), 10_000)
            self.rig.log = list(other.rig.log)


class World:
    """judge: applies each entry at the moment when it gets into the log."""

    def __init__(self) -> None:
        self.now_s = 1000.0
        self.log: list[bytes] = []
        self.judge = Rig()
        self.judge.machine.leases.on_change = self._on_change
        self.renewed_s: dict[int, tuple[int, float, int]] = {}
        """(number, since when, TTL) of each lease."""
        self.may_end: int | None = None
        self.members = [Member(self, offset_s) for offset_s in (0.0, 5000.0, -700.0)]
        self.term = 0

    def append(self, command: bytes) -> None:
        self.log.append(command)
        self.judge.machine.apply([command], len(self.log), b"position")

    def client(self, command: Command) -> None:
        self.may_end = command.lease_id if isinstance(command, LeaseRevoke) else None
        self.append(encode(command))
        self.may_end = None

    def _on_change(self, lease_id: int, lease: Lease | None) -> None:
        if lease is None:
            _, since_s, ttl_s = self.renewed_s.pop(lease_id)
            if lease_id != self.may_end:
                assert self.now_s >= since_s + ttl_s, f"lease {lease_id} ended early"
        elif lease_id not in self.renewed_s or self.renewed_s[lease_id][0] != lease.number:
            self.renewed_s[lease_id] = lease.number, self.now_s, lease.ttl_s

    def elect(self, place: int) -> None:
        """The one before may not know of it."""
        self.term += 1
        member = self.members[place]
        member.catch_up(len(self.log))
        member.believes_in_term = self.term
        self.pass_s(TICK_S)
        member.catch_up(len(self.log))

    def pass_s(self, seconds: float, *, together: bool = False) -> None:
        """together: all members keep up with the log."""
        for _ in range(round(seconds / TICK_S)):
            self.now_s += TICK_S
            for member in self.members:
                if together:
                    member.catch_up(len(self.log))
                member.lessor.tick(member.believes_in_term)


PLACES = st.integers(0, 2)
LEASES = st.sampled_from(IDS)
STEPS = st.one_of(
    st.tuples(st.just("grant"), LEASES, st.sampled_from(TTLS_S)),
    st.tuples(st.just("renew"), LEASES),
    st.tuples(st.just("renew"), LEASES),
    st.tuples(st.just("revoke"), LEASES),
    st.tuples(st.just("renew"), LEASES),
    st.tuples(st.just("elect"), PLACES),
    st.tuples(st.just("resign"), PLACES),
    st.tuples(st.just("catch up"), PLACES, st.integers(1, 9)),
    st.tuples(st.just("catch up"), PLACES, st.just(100)),
    st.tuples(st.just("restart"), PLACES),
    st.tuples(st.just("install"), PLACES, PLACES),
    st.tuples(st.just("time"), st.sampled_from([0.4, 1.2, 2.0, 4.0])),
    st.tuples(st.just("time"), st.sampled_from([0.4, 1.2, 2.0, 4.0])),
    st.tuples(st.just("time"), st.sampled_from([0.4, 1.2, 2.0, 4.0])),
    st.tuples(st.just("time together"), st.sampled_from([2.4, CHECKPOINT_INTERVAL_S + 4])),
    st.tuples(st.just("pause"), st.sampled_from([1.0, 6.0])),
)


def take(world: World, name: str, *values: int) -> None:
    """One step."""
    if name == "grant":
        world.client(LeaseGrant(*values))
    elif name == "renew":
        world.client(LeaseRenew(*values))
    elif name == "revoke":
        world.client(LeaseRevoke(*values))
    elif name == "elect":
        world.elect(*values)
    elif name == "resign":
        world.members[values[0]].believes_in_term = 0
    elif name == "catch up":
        world.members[values[0]].catch_up(values[1])
    elif name == "restart":
        world.members[values[0]].restart()
    elif name == "install":
        world.members[values[0]].install_from(world.members[values[1]])
    elif name == "pause":
        world.now_s += values[0]
    else:
        world.pass_s(values[0], together=name == "time together")


@given(st.lists(STEPS, min_size=5, max_size=40))
@settings(max_examples=250, deadline=None, database=None, derandomize=True)
def test_no_lease_ends_early_and_each_abandoned_one_ends(steps: list[tuple[str, int]]) -> None:
    world = World()
    for lease_id in IDS:
        take(world, "grant", lease_id, 5)
    world.elect(0)
    for step in steps:
        take(world, *step)
    for member in world.members:
        member.believes_in_term = 0
    world.elect(0)
    world.pass_s(max(TTLS_S) + GRACE_S + 2, together=True)
    assert not world.renewed_s, "an abandoned lease lives on"
    for member in world.members:
        member.catch_up(len(world.log))
        assert member.rig.machine.leases.some(None, 10_000)[0] == []
