"""The options of a simulation, all drawn from its seed (a "swarm": each seed has other faults, sizes and speeds)."""

from dataclasses import dataclass, field, replace
from random import Random

from raftwerk.kv.sessions import UNKEPT_MAX
from raftwerk.raft.config import Config
from raftwerk.raft.membership import Membership
from raftwerk.raft.types import NodeId
from raftwerk.sim.journal import DiskOptions
from raftwerk.sim.network import NetworkOptions


@dataclass(frozen=True, slots=True)
class WorkloadOptions:
    """What the clients do. Weights need not add up to anything."""

    clients: int = 4
    groups: int = 3
    keys_in_group: int = 2
    pause_mean_us: int = 40_000
    burst_us: int = 0
    """The clients call all at once, at one node, at multiples of this time; 0: each when it likes, where it likes."""
    value_bytes: int = 8
    get: int = 4
    put: int = 4
    delete: int = 1
    cas: int = 2
    txn: int = 2
    serializable: int = 1
    compact: int = 1
    leases: int = 0
    """Clients that hold leases and locks."""
    sessions: int = 0
    """Clients that send their writes again until they are answered."""
    watches: int = 0
    admins: int = 0
    """Clients that change users and roles."""


@dataclass(frozen=True, slots=True)
class FaultOptions:
    """How many faults of each kind the schedule holds."""

    counts: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Options:
    """Everything that makes one simulation what it is, beside its seed."""

    membership: Membership = field(default_factory=lambda: Membership((1, 2, 3)))
    config: Config = field(
        default_factory=lambda: Config(heartbeat_interval_ms=50, election_timeout_ms=300)
    )
    tick_ms: int = 10
    step_delay_us: int = 50
    """At most so long does a node collect what happens before it steps."""
    request_timeout_ms: int = 2_000
    segment_bytes: int = 64 * 1024
    sessions_unkept_max: int = UNKEPT_MAX
    """Rows of sessions that a node leaves to its next checkpoint."""
    network: NetworkOptions = field(default_factory=NetworkOptions)
    disk: DiskOptions = field(default_factory=DiskOptions)
    workload: WorkloadOptions = field(default_factory=WorkloadOptions)
    faults: FaultOptions = field(default_factory=FaultOptions)
    safety_ms: int = 10_000
    """How long faults may happen."""
    upgraded: tuple[NodeId, ...] = ()
    """Nodes that run the next release from the beginning."""


FAULT_KINDS = (
    "crash",
    "ambush",
    "storm",
    "pause",
    "isolate",
    "partition",
    "one-way",
    "clog",
    "swizzle",
    "reset links",
    "disk stall",
    "disk full",
    "disk failure",
    "rot",
    "drift",
    "transfer",
)

RELEASE_FAULT_KINDS = ("upgrade", "later format")


def draw(random: Random) -> Options:
    """The options of one swarm run."""
    options = Options(
        membership=_membership(random),
        config=_config(random),
        tick_ms=random.choice((5, 10, 20, 40)),
        step_delay_us=random.choice((1, 50, 1_000, 10_000)),
        request_timeout_ms=random.choice((500, 2_000, 5_000)),
        segment_bytes=random.choice((2_048, 4_096, 16_384, 262_144)),
        network=_network(random),
        disk=_disk(random),
        workload=_workload(random),
        faults=_faults(random),
        safety_ms=random.choice((5_000, 10_000, 20_000)),
    )
    workload = replace(
        options.workload,
        leases=random.choice((0, 0, 1, 3)),
        sessions=random.choice((0, 0, 2, 25)),
        watches=random.choice((0, 0, 1, 4)),
        admins=random.choice((0, 0, 0, 1)),
    )
    nodes = options.membership.nodes
    upgraded = random.sample(nodes, random.choice((0, 0, random.randint(0, len(nodes)))))
    faults = _faults_of_releases(random, options.faults)
    config = replace(options.config, tell_commit_after_ms=random.choice((0, 1, 20)))
    options = replace(
        options,
        config=config,
        workload=workload,
        upgraded=tuple(sorted(upgraded)),
        faults=faults,
        sessions_unkept_max=random.choice((1, 2, 5, UNKEPT_MAX)),
        disk=replace(options.disk, refused_chunks=random.choice((0.0, 0.0, 0.0, 0.3))),
    )
    return replace(options, config=replace(config, let_go_max=random.choice((1, 20, 500))))


def _membership(random: Random) -> Membership:
    count = random.choice((1, 2, 3, 3, 3, 3, 4, 5, 5, 5, 6, 7))
    nodes = tuple(range(1, count + 1))
    if count >= 4 and random.random() < 0.25:
        return Membership(nodes[:3], learners=nodes[3:])
    if count >= 5 and random.random() < 0.2:
        return Membership(nodes[:3], outgoing=nodes[2:])
    return Membership(nodes)


def _config(random: Random) -> Config:
    heartbeat_interval_ms = random.choice((20, 50, 100))
    return Config(
        heartbeat_interval_ms=heartbeat_interval_ms,
        election_timeout_ms=heartbeat_interval_ms * random.choice((3, 5, 10)),
        message_bytes_max=random.choice((64, 500, 512 * 1024)),
        message_entries_max=random.choice((1, 2, 5, 4096)),
        window_messages_max=random.choice((1, 2, 8, 128)),
        uncommitted_entries_max=random.choice((4, 50, 65_536)),
        apply_entries_max=random.choice((1, 3, 2048)),
        tail_entries=random.choice((0, 0, 3, 20, 5_000)),
        read_rounds_max=random.choice((1, 4)),
    )


def _network(random: Random) -> NetworkOptions:
    def sometimes(value: float) -> float:
        return value * random.random() if random.random() < 0.5 else 0.0

    return NetworkOptions(
        delay_min_us=random.choice((50, 200, 2_000)),
        delay_mean_us=random.choice((100, 1_000, 10_000)),
        loss=sometimes(0.2),
        duplication=sometimes(0.2),
        straggling=sometimes(0.1),
        straggling_us=random.choice((100_000, 2_000_000)),
        is_fifo=random.random() < 0.3,
    )


def _disk(random: Random) -> DiskOptions:
    return DiskOptions(
        sync_min_us=random.choice((20, 100, 1_000)),
        sync_mean_us=random.choice((100, 1_000, 10_000)),
        stalling=random.choice((0.0, 0.0, 0.01)),
        stall_us=random.choice((200_000, 2_000_000)),
    )


def _workload(random: Random) -> WorkloadOptions:
    return WorkloadOptions(
        clients=random.choice((1, 3, 6, 12, 25)),
        groups=random.choice((1, 3, 8)),
        keys_in_group=random.choice((1, 2, 3)),
        pause_mean_us=random.choice((5_000, 30_000, 100_000)),
        burst_us=random.choice((0, 0, 50_000)),
        value_bytes=random.choice((0, 0, 200, 20_000)),
        get=random.randint(1, 6),
        put=random.randint(1, 6),
        delete=random.randint(0, 2),
        cas=random.randint(0, 4),
        txn=random.randint(0, 4),
        serializable=random.randint(0, 2),
        compact=random.randint(0, 1),
    )


def _faults(random: Random) -> FaultOptions:
    """Each kind is off in half of the seeds: what always happens together hides what happens alone."""
    counts = {kind: random.choice((1, 3, 8)) for kind in FAULT_KINDS if random.random() < 0.5}
    return FaultOptions(counts)


def _faults_of_releases(random: Random, drawn: FaultOptions) -> FaultOptions:
    counts = {
        kind: random.choice((1, 3, 8)) for kind in RELEASE_FAULT_KINDS if random.random() < 0.3
    }
    return FaultOptions({**drawn.counts, **counts})
