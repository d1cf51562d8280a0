"""All scenarios by name."""

from dataclasses import replace
from functools import partial
from typing import Final

from raftwerk.raft.config import Config
from raftwerk.raft.membership import Membership
from raftwerk.sim.names import chosen
from raftwerk.sim.network import NetworkOptions
from raftwerk.sim.options import Options, WorkloadOptions
from raftwerk.sim.scenarios import (
    at_work,
    course_kv,
    course_raft,
    course_rsm,
    course_server,
    disks,
    figures,
    meetings,
    membership,
    releases,
)
from raftwerk.sim.scenarios.course_kv import Course
from raftwerk.sim.scenarios.scenario import Scenario

CONFIG: Final = Config(heartbeat_interval_ms=50, election_timeout_ms=300)
SHORT_LOG: Final = replace(CONFIG, tail_entries=5)
LOSSY: Final = NetworkOptions(
    delay_mean_us=13_000, loss=0.1, duplication=0.1, straggling=0.05, straggling_us=300_000
)
LONG_REORDERING: Final = replace(LOSSY, straggling=0.3, straggling_us=2_200_000)
REPEATING: Final = NetworkOptions(duplication=0.5)


def _options(
    nodes: int,
    config: Config = CONFIG,
    network: NetworkOptions | None = None,
    workload: WorkloadOptions | None = None,
) -> Options:
    return Options(
        membership=Membership(tuple(range(1, nodes + 1))),
        config=config,
        network=network or NetworkOptions(),
        workload=workload or WorkloadOptions(),
    )


def _raft() -> list[Scenario]:
    course = course_raft
    lossy = replace(_options(3, SHORT_LOG, LOSSY), request_timeout_ms=1_000)
    return [
        Scenario("InitialElection", course.initial_election, _options(3)),
        Scenario("ReElection", course.re_election, _options(3)),
        Scenario("ManyElections", course.many_elections, _options(7)),
        Scenario("BasicAgree", course.basic_agree, _options(3)),
        Scenario("RPCBytes", course.rpc_bytes, _options(3)),
        Scenario("FollowerFailure", course.follower_failure, _options(3)),
        Scenario("LeaderFailure", course.leader_failure, _options(3)),
        Scenario("FailAgree", course.fail_agree, _options(3)),
        Scenario("FailNoAgree", course.fail_no_agree, _options(5)),
        Scenario("ConcurrentStarts", course.concurrent_starts, _options(3)),
        Scenario("Rejoin", course.rejoin, _options(3)),
        Scenario("Backup", course.backup, _options(5)),
        Scenario("Count", course.count, _options(3)),
        Scenario("Persist1", course.persist_1, _options(3)),
        Scenario("Persist2", course.persist_2, _options(5)),
        Scenario("Persist3", course.persist_3, _options(3)),
        Scenario("Figure8", course.figure_8, _options(5)),
        Scenario("UnreliableAgree", course.unreliable_agree, _options(5, CONFIG, LOSSY)),
        Scenario(
            "Figure8Unreliable", course.figure_8_unreliable, _options(5, CONFIG, LONG_REORDERING)
        ),
        Scenario("ReliableChurn", course.churn, _options(5), amid="a reliable network"),
        Scenario(
            "UnreliableChurn", course.churn, _options(5, CONFIG, LOSSY), amid="a lossy network"
        ),
        Scenario("SnapshotBasic", course.snapshot_basic, _options(3, SHORT_LOG)),
        Scenario(
            "SnapshotInstall",
            course.snapshot_install,
            _options(3, SHORT_LOG),
            amid="a reliable network",
        ),
        Scenario(
            "SnapshotInstallUnreliable", course.snapshot_install, lossy, amid="a lossy network"
        ),
        Scenario(
            "SnapshotInstallCrash",
            course.snapshot_install_crash,
            _options(3, SHORT_LOG),
            amid="a reliable network",
        ),
        Scenario(
            "SnapshotInstallUnCrash", course.snapshot_install_crash, lossy, amid="a lossy network"
        ),
        Scenario("SnapshotAllCrash", course.snapshot_all_crash, _options(3, SHORT_LOG)),
        Scenario("SnapshotInit", course.snapshot_init, _options(3, SHORT_LOG)),
    ]


def _kv(
    name: str,
    course: Course,
    *,
    nodes: int = 5,
    clients: int = 1,
    config: Config = CONFIG,
    is_lossy: bool = False,
    groups: int = 3,
    sessions: int = 0,
    pause_mean_us: int = 20_000,
) -> Scenario:
    workload = WorkloadOptions(
        clients=clients, groups=groups, pause_mean_us=pause_mean_us, sessions=sessions
    )
    options = _options(nodes, config, LOSSY if is_lossy else None, workload)
    play = partial(course_kv.play, course=course)
    amid = {
        f"{nodes} node{'s' * (nodes > 1)}": True,
        f"{clients} client{'s' * (clients > 1)}": True,
        "one group of keys": groups == 1,
        "sessions that send again": sessions > 0,
        "a lossy network": is_lossy,
        "partitions": course.partitions,
        "crashes": course.crashes,
        "snapshots": config is SHORT_LOG and nodes > 1,
    }
    words = ", ".join(word for word, is_so in amid.items() if is_so)
    return Scenario(name, play, options, finishes=True, amid=words)


def _key_value() -> list[Scenario]:
    quiet, partitions = Course(), Course(partitions=True)
    crashes, everything = Course(crashes=True), Course(crashes=True, partitions=True)
    short = SHORT_LOG
    return [
        _kv("Basic", quiet),
        Scenario("Speed", course_kv.speed, _options(3), amid="the whole log"),
        _kv("Concurrent", quiet, clients=5),
        _kv("Unreliable", quiet, clients=5, is_lossy=True),
        _kv("UnreliableOneKey", quiet, clients=5, is_lossy=True, nodes=3, groups=1),
        Scenario("OnePartition", course_kv.one_partition, _options(5), finishes=True),
        _kv("ManyPartitionsOneClient", partitions),
        _kv("ManyPartitionsManyClients", partitions, clients=5),
        _kv("PersistOneClient", crashes),
        _kv("PersistConcurrent", crashes, clients=5),
        _kv("PersistConcurrentUnreliable", crashes, clients=5, is_lossy=True),
        _kv("PersistPartition", everything, clients=5),
        _kv("PersistPartitionUnreliable", everything, clients=5, is_lossy=True),
        _kv(
            "PersistPartitionUnreliableLinearizable",
            everything,
            clients=15,
            nodes=7,
            is_lossy=True,
            groups=8,
        ),
        Scenario("SnapshotRPC", course_kv.snapshot_lagging, _options(3, short)),
        Scenario("SnapshotSize", course_kv.snapshot_size, _options(3, short)),
        Scenario("SnapshotSpeed", course_kv.speed, _options(3, short), amid="snapshots"),
        _kv("SnapshotRecover", crashes, config=short),
        _kv("SnapshotRecoverManyClients", crashes, clients=20, config=short, pause_mean_us=80_000),
        _kv("SnapshotUnreliable", quiet, clients=5, is_lossy=True, config=short),
        _kv("SnapshotUnreliableRecover", crashes, clients=5, is_lossy=True, config=short),
        _kv(
            "SnapshotUnreliableRecoverConcurrentPartition",
            everything,
            clients=5,
            is_lossy=True,
            config=short,
        ),
        _kv(
            "SnapshotUnreliableRecoverConcurrentPartitionLinearizable",
            everything,
            clients=15,
            nodes=7,
            is_lossy=True,
            config=short,
            groups=8,
        ),
    ]


def _rsm() -> list[Scenario]:
    course = course_rsm
    return [
        Scenario("RsmBasic", course.basic, _options(3)),
        Scenario("RsmConcurrent", course.concurrent, _options(3)),
        Scenario("RsmLeaderFailure", course.leader_failure, _options(3)),
        Scenario("RsmLeaderPartition", course.leader_partition, _options(5)),
        Scenario("RsmRestartReplay", course.restart_replay, _options(3)),
        Scenario("RsmShutdown", course.shutdown, _options(3)),
        Scenario("RsmRestartSubmit", course.restart_submit, _options(3)),
        Scenario("RsmSnapshot", course.snapshot, _options(3, SHORT_LOG)),
    ]


def _server() -> list[Scenario]:
    """One server; in the first four its clients send again what the network may have lost (sessions)."""
    course, quiet, one = course_server, Course(rounds=1), _options(1, SHORT_LOG)
    many = partial(course.lock, clients=10)
    return [
        _kv("KvsrvBasic", quiet, nodes=1),
        _kv("KvsrvConcurrent", quiet, nodes=1, clients=5),
        _kv("KvsrvUnreliable", quiet, nodes=1, clients=5, sessions=5),
        _kv("KvsrvUnreliableOneKey", quiet, nodes=1, clients=5, sessions=5, groups=1),
        Scenario("KvsrvReliablePut", course.reliable_put, one),
        Scenario("KvsrvPutConcurrentReliable", course.put_concurrent, one),
        Scenario("KvsrvUnreliableNet", course.unreliable_net, one),
        Scenario("KvsrvMemGet", course.mem_get, one, amid="one client"),
        Scenario("KvsrvMemPut", course.mem_put, one),
        Scenario("KvsrvMemAppend", course.mem_append, one),
        Scenario("KvsrvMemPutManyClientsReliable", course.mem_put_many_clients, one),
        Scenario(
            "KvsrvMemGetManyClients", partial(course.mem_get, clients=100), one, amid="100 clients"
        ),
        Scenario("LockOneClientReliable", partial(course.lock, clients=1), one, amid="one client"),
        Scenario("LockManyClientsReliable", many, one, amid="10 clients"),
        Scenario(
            "LockOneClientUnreliable",
            partial(course.lock, clients=1, loss=course.LOSS),
            one,
            amid="one client, requests and answers are lost",
        ),
        Scenario(
            "LockManyClientsUnreliable",
            partial(many, loss=course.LOSS),
            one,
            amid="10 clients, requests and answers are lost",
        ),
    ]


def _figures() -> list[Scenario]:
    joint = replace(_options(3), membership=Membership((3, 4, 5), outgoing=(1, 2, 3)))
    one_at_a_time = replace(CONFIG, message_entries_max=1)
    two_by_two = replace(CONFIG, message_entries_max=2, window_messages_max=1)
    patient = replace(_options(3, two_by_two), request_timeout_ms=20_000)
    return [
        Scenario("Figure6", figures.figure_6, _options(5), prepares=True),
        Scenario("Figure7", figures.figure_7, _options(7), prepares=True),
        Scenario("Figure8c", figures.figure_8_c, _options(5, one_at_a_time), prepares=True),
        Scenario("Figure8e", figures.figure_8_e, _options(5), prepares=True),
        Scenario("Figure9", figures.figure_9, _options(5)),
        Scenario("Figure10", figures.figure_10, joint),
        Scenario("SplitVotes", figures.split_votes, _options(5)),
        Scenario("Figure12", figures.figure_12, _options(3, SHORT_LOG)),
        Scenario("DeposedLeader", figures.deposed_leader, _options(3)),
        Scenario("CommandOnce", figures.command_once, _options(3, CONFIG, REPEATING)),
        Scenario("OlderLogLoses", figures.older_log_loses, _options(5), prepares=True),
        Scenario("HalfABatch", figures.half_a_batch, patient),
        Scenario(
            "SnapshotOverAnotherLog", figures.snapshot_over_another_log, _options(3, SHORT_LOG)
        ),
        Scenario(
            "FullDiskThenSnapshot",
            figures.full_disk_then_snapshot,
            _options(3, replace(SHORT_LOG, tail_entries=0), NetworkOptions(is_fifo=True)),
        ),
        Scenario("Downtime", figures.downtime, _options(3)),
    ]


def _meetings() -> list[Scenario]:
    short = _options(3, SHORT_LOG)
    only_voter = replace(_options(2), membership=Membership((1,), learners=(2,)))
    silent = Config(heartbeat_interval_ms=2_000, election_timeout_ms=4_000, tell_commit_after_ms=1)
    return [
        Scenario("LateEntriesMeetASnapshot", meetings.late_entries_meet_a_snapshot, short),
        Scenario("CrashMeetsAnInstall", meetings.crash_meets_an_install, short),
        Scenario("ACopyMeetsAFormerLeader", meetings.a_copy_meets_a_former_leader, _options(3)),
        Scenario(
            "NothingMeetsANewCommitIndex",
            meetings.nothing_meets_a_new_commit_index,
            _options(3, silent),
        ),
        Scenario("APlaceGivenOutAgain", meetings.a_place_given_out_again, _options(5)),
        Scenario("AReadMeetsAnOlderAnswer", meetings.a_read_meets_an_older_answer, _options(3)),
        Scenario(
            "ACopyMeetsALaterLeadership", meetings.a_copy_meets_a_later_leadership, _options(3)
        ),
        Scenario("AFormerLeaderIsHeardLate", meetings.a_former_leader_is_heard_late, _options(3)),
        Scenario("AVoteMeetsALaterCandidacy", meetings.a_vote_meets_a_later_candidacy, _options(3)),
        Scenario(
            "AReplyMeetsALaterLeadership", meetings.a_reply_meets_a_later_leadership, _options(5)
        ),
        Scenario(
            "AHeldReplyMeetsANewerTerm", meetings.a_held_reply_meets_a_newer_term, _options(3)
        ),
        Scenario(
            "AnAnswerIsLostWithTheLeader", meetings.an_answer_is_lost_with_the_leader, _options(3)
        ),
        Scenario("AReadMeetsASlowDisk", meetings.a_read_meets_a_slow_disk, _options(3)),
        Scenario(
            "AHeartbeatMeetsALongerLog",
            meetings.a_heartbeat_meets_a_longer_log,
            _options(3),
            prepares=True,
        ),
        Scenario("AReadMeetsANewLeader", meetings.a_read_meets_a_new_leader, _options(3)),
        Scenario(
            "ACandidacyMeetsAnOlderWrite", meetings.a_candidacy_meets_an_older_write, only_voter
        ),
    ]


def _disks() -> list[Scenario]:
    small = replace(_options(3, replace(CONFIG, tail_entries=0)), segment_bytes=2_048)
    return [
        Scenario("AVoterStartsAgain", disks.a_voter_starts_again, _options(3)),
        Scenario("ATornWrite", disks.a_torn_write, _options(3)),
        Scenario(
            "AHeartbeatMeetsWritesUnderWay",
            disks.a_heartbeat_meets_writes_under_way,
            _options(3),
        ),
        Scenario("AWriteFails", disks.a_write_fails, _options(3)),
        Scenario("ManySegments", disks.many_segments, small),
        Scenario("AFullDisk", disks.a_full_disk, small),
        Scenario("ATruncationOvertakesTheLog", disks.a_truncation_overtakes_the_log, _options(3)),
        Scenario("AFlippedBit", disks.a_flipped_bit, _options(3)),
        Scenario("ASnapshotOvertakesTheLog", disks.a_snapshot_overtakes_the_log, _options(3)),
        Scenario("ACrashBeforeTheLogFollows", disks.a_crash_before_the_log_follows, _options(3)),
    ]


def _at_work() -> list[Scenario]:
    busy = WorkloadOptions(
        clients=6, sessions=6, leases=3, watches=4, admins=1, compact=2, pause_mean_us=40_000
    )
    with_learners = replace(_options(5), membership=Membership((1, 2, 3), learners=(4, 5)))
    slow = Config(heartbeat_interval_ms=500, election_timeout_ms=2_000)
    patient = replace(_options(3, slow, None, WorkloadOptions(leases=1)), tick_ms=100)
    return [
        Scenario("ClientsAtWork", at_work.clients_at_work, _options(3, SHORT_LOG, LOSSY, busy)),
        Scenario("DeposedLeaderEndsNoLease", at_work.deposed_leader_ends_no_lease, _options(3)),
        Scenario("RenewalMeetsTheEnd", at_work.renewal_meets_the_end, _options(3)),
        Scenario("LeaseOutlivesItsLeaders", at_work.lease_outlives_its_leaders, patient),
        Scenario("KeyGoesFromLeaseToLease", at_work.key_goes_from_lease_to_lease, _options(3)),
        Scenario(
            "SessionsMakeRoom",
            at_work.sessions_make_room,
            replace(_options(3), sessions_unkept_max=2),
        ),
        Scenario("AnswersOfASession", at_work.answers_of_a_session, _options(3)),
        Scenario(
            "ConfigurationInForceOnAppend",
            membership.configuration_in_force_on_append,
            _options(3),
        ),
        Scenario("LearnersDoNotCount", membership.learners_do_not_count, with_learners),
        Scenario("ConfigurationRolledBack", membership.configuration_rolled_back, _options(3)),
    ]


SCENARIOS: Final = {
    scenario.name: scenario
    for scenario in [
        *_raft(),
        *_rsm(),
        *_server(),
        *_key_value(),
        *_figures(),
        *_meetings(),
        *_disks(),
        Scenario("RollingUpgrade", releases.rolling_upgrade, _options(3)),
        Scenario("AnUpgradeTooFar", releases.an_upgrade_too_far, _options(3)),
        *_at_work(),
    ]
}


def find(name: str) -> Scenario:
    """Raises UsageError for a name that is none, with those that are near."""
    return chosen("scenario", name, SCENARIOS)
