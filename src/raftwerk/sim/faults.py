"""The schedule of faults: drawn from the seed before the run, so that it can be printed, replayed, and made smaller.

Each fault has a time, a kind and a number from which it draws its details; so leaving one out does not change the others.
Faults are kept repairable: what is damaged is noticed and restored from a copy; what crashes comes back.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Final

from raftwerk.raft.messages import TimeoutNow
from raftwerk.raft.types import NodeId
from raftwerk.sim.clock import DRIFT_PPM_MAX
from raftwerk.sim.cluster import Cluster
from raftwerk.sim.options import Options
from raftwerk.sim.release import NEXT

WIPED: Final = 0.15
"""Of the disks that rot."""


@dataclass(frozen=True, slots=True, order=True)
class Fault:
    at_ms: int
    kind: str
    number: int


def schedule(random: Random, options: Options) -> list[Fault]:
    """The faults of one run, in order of time."""
    faults = [
        Fault(random.randrange(options.safety_ms), kind, random.getrandbits(32))
        for kind, count in options.faults.counts.items()
        for _ in range(count)
    ]
    return sorted(faults)


def arrange(cluster: Cluster, faults: Sequence[Fault]) -> None:
    """Let the faults happen at their times, counted from now."""
    for fault in faults:
        cluster.world.after(fault.at_ms * 1000, _action(cluster, fault))


def _action(cluster: Cluster, fault: Fault) -> Callable[[], None]:
    def happen() -> None:
        cluster.coverage.mark(f"fault: {fault.kind}")
        cluster.trace.record(0, "fault", {"kind": fault.kind, "number": fault.number})
        KINDS[fault.kind](cluster, Random(fault.number))

    return happen


def _victim(cluster: Cluster, random: Random) -> NodeId:
    """Some node; often the leader, because that is where it hurts."""
    leader = cluster.leader()
    if leader is not None and random.random() < 0.4:
        return leader
    return random.choice(list(cluster.nodes))


def _some(cluster: Cluster, random: Random) -> list[NodeId]:
    """One node, or any number of them."""
    nodes = list(cluster.nodes)
    if random.random() < 0.6:
        return [_victim(cluster, random)]
    return sorted(random.sample(nodes, random.randint(1, len(nodes))))


def _duration_ms(random: Random, maximum: int = 3_000) -> int:
    return random.choice((random.randrange(1, 100), random.randrange(1, maximum)))


def _later(cluster: Cluster, delay_ms: int, action: Callable[[], None]) -> None:
    cluster.world.after(delay_ms * 1000, action)


def crash(cluster: Cluster, random: Random) -> None:
    """One node or several lose their process, or their power; recovery may be cut short too."""
    with_power = random.random() < 0.5
    for node_id in _some(cluster, random):
        node = cluster.nodes[node_id]
        if node.is_up:
            cluster.crash(node_id, with_power=with_power)
            if random.random() < 0.6:
                node.crash_while_starting()
        cluster.restart_later(node_id, _duration_ms(random))


def ambush(cluster: Cluster, random: Random) -> None:
    """A node crashes just when it does something that must not be done by half."""
    events = ("persist", "install", "install", "checkpoint", "voted", "became leader", "following")
    cluster.nodes[_victim(cluster, random)].ambush = random.choice(events)


def storm(cluster: Cluster, random: Random) -> None:
    """One leader after the other is cut off, or crashes, just when it has begun to work (Figure 8)."""
    timeout_ms = cluster.options.config.election_timeout_ms

    def strike(rounds: int) -> None:
        if cluster.is_healed:
            return
        leader = cluster.leader()
        pause_ms = random.randrange(timeout_ms // 2, 4 * timeout_ms)
        if leader is not None:
            if random.random() < 0.3:
                cluster.crash(leader, with_power=random.random() < 0.5)
                cluster.restart_later(leader, pause_ms)
            else:
                pairs = cluster.pairs_of([leader])
                spared = random.sample(pairs, min(len(pairs), random.randint(0, 2)))
                pairs = [pair for pair in pairs if pair not in spared]
                cluster.network.cut(pairs)
                _later(cluster, pause_ms, lambda: cluster.rejoin(pairs))
        if rounds:
            _later(cluster, random.randrange(1, 3 * timeout_ms), lambda: strike(rounds - 1))

    strike(random.randint(3, 12))


def pause(cluster: Cluster, random: Random) -> None:
    """A process stops for a while, and goes on."""
    for node_id in _some(cluster, random):
        cluster.nodes[node_id].pause(_duration_ms(random) * 1000)


def isolate(cluster: Cluster, random: Random) -> None:
    """One node is cut off."""
    pairs = cluster.isolate(_victim(cluster, random))
    _later(cluster, _duration_ms(random), lambda: cluster.rejoin(pairs))


def partition(cluster: Cluster, random: Random) -> None:
    """The nodes fall into two groups; sometimes some node still sees both."""
    nodes = list(cluster.nodes)
    group = random.sample(nodes, random.randint(0, len(nodes)))
    pairs = cluster.pairs_of(group)
    if random.random() < 0.3:
        bridge = random.choice(nodes)
        pairs = [pair for pair in pairs if bridge not in pair]
    cluster.network.cut(pairs)
    _later(cluster, _duration_ms(random), lambda: cluster.rejoin(pairs))


def one_way(cluster: Cluster, random: Random) -> None:
    """What one node sends, or what it should hear, is lost."""
    victim = _victim(cluster, random)
    place = random.randrange(2)
    pairs = [pair for pair in cluster.pairs_of([victim]) if pair[place] == victim]
    pairs = random.sample(pairs, random.randint(0, len(pairs)))
    cluster.network.cut(pairs)
    _later(cluster, _duration_ms(random), lambda: cluster.network.join(pairs))


def clog(cluster: Cluster, random: Random) -> None:
    """Some links hold everything back, and deliver it much later."""
    pairs = cluster.pairs_of([_victim(cluster, random)])
    pairs = random.sample(pairs, random.randint(0, len(pairs)))
    cluster.network.clog(pairs)
    _later(cluster, _duration_ms(random), lambda: cluster.network.unclog(pairs))


def swizzle(cluster: Cluster, random: Random) -> None:
    """Clog some nodes one after the other, and let them go in another order."""
    nodes = list(cluster.nodes)
    chosen = random.sample(nodes, random.randint(1, len(nodes)))
    start_ms = 0
    for node_id in chosen:
        start_ms += random.randrange(200)
        pairs = cluster.pairs_of([node_id])
        _later(cluster, start_ms, lambda pairs=pairs: cluster.network.clog(pairs))  # type: ignore[misc]
        end_ms = 200 * len(chosen) + random.randrange(1_500)
        _later(cluster, end_ms, lambda pairs=pairs: cluster.network.unclog(pairs))  # type: ignore[misc]


def reset_links(cluster: Cluster, random: Random) -> None:
    """Connections break although both processes live."""
    victim = _victim(cluster, random)
    for peer in cluster.nodes:
        if peer != victim and random.random() < 0.7:
            cluster.reset_link(victim, peer)


def disk_stall(cluster: Cluster, random: Random) -> None:
    """A disk becomes very slow."""
    times = cluster.nodes[_victim(cluster, random)].disk_times
    times.slowdown = random.choice((10, 100, 1_000))

    def recover() -> None:
        times.slowdown = 1

    _later(cluster, _duration_ms(random), recover)


def disk_full(cluster: Cluster, random: Random) -> None:
    """No space for a while."""
    disk = cluster.nodes[_victim(cluster, random)].disk
    disk.is_full = True

    def make_room() -> None:
        disk.is_full = False

    _later(cluster, _duration_ms(random, 6_000), make_room)


def disk_failure(cluster: Cluster, random: Random) -> None:
    """The next write of one node fails; the node must stop, and starts again later."""
    cluster.nodes[_victim(cluster, random)].disk.fails = True


def rot(cluster: Cluster, random: Random) -> None:
    """A node is down, and meanwhile its disk is damaged, or emptied. It must not start, or must have lost nothing."""
    node = cluster.nodes[_victim(cluster, random)]
    if node.is_up:
        cluster.crash(node.node_id)
        node.backup = node.disk.copy_files()
        if random.random() < WIPED:
            node.disk.wipe()
        else:
            node.disk.rot(random)
        cluster.restart_later(node.node_id, _duration_ms(random))


def upgrade(cluster: Cluster, random: Random) -> None:
    """A node is started again with another release: the next one, or back from there."""
    node_id = _victim(cluster, random)
    releases = cluster.network.releases
    cluster.crash(node_id)
    if node_id in releases:
        del releases[node_id]
    else:
        releases[node_id] = NEXT
    cluster.restart_later(node_id, _duration_ms(random))


def later_format(cluster: Cluster, random: Random) -> None:
    """A node is down, and meanwhile a later release begins a segment of its log in another format: it must not start."""
    node = cluster.nodes[_victim(cluster, random)]
    if node.is_up:
        cluster.crash(node.node_id)
        node.backup = node.disk.copy_files()
        node.disk.begin_later_format()
        cluster.restart_later(node.node_id, _duration_ms(random))


def drift(cluster: Cluster, random: Random) -> None:
    """A clock goes wrong from now on."""
    clock = cluster.nodes[_victim(cluster, random)].clock
    clock.drift_ppm = random.randrange(-DRIFT_PPM_MAX, DRIFT_PPM_MAX)


def transfer(cluster: Cluster, random: Random) -> None:
    """The leader hands over to another node (thesis 3.10)."""
    leader = cluster.leader()
    if leader is not None and len(cluster.nodes) > 1:
        target = random.choice([node_id for node_id in cluster.nodes if node_id != leader])
        term = cluster.nodes[leader].state.current_term
        cluster.network.send(leader, target, [TimeoutNow(term, leader)])


KINDS: Final[dict[str, Callable[[Cluster, Random], None]]] = {
    "crash": crash,
    "ambush": ambush,
    "storm": storm,
    "pause": pause,
    "isolate": isolate,
    "partition": partition,
    "one-way": one_way,
    "clog": clog,
    "swizzle": swizzle,
    "reset links": reset_links,
    "disk stall": disk_stall,
    "disk full": disk_full,
    "disk failure": disk_failure,
    "rot": rot,
    "drift": drift,
    "transfer": transfer,
    "upgrade": upgrade,
    "later format": later_format,
}
