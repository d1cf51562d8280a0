"""Mutants of comparisons of terms, of what is durable, and of who has room that have no famous name."""

from typing import Final

from raftwerk.sim.mutants.mutant import Mutant

COMPARISONS: Final = (
    # Terms
    Mutant(
        "higher-term-ignored",
        "raft.raft:Raft._receive",
        "message.term > state.current_term and",
        "message.term > state.current_term + 1 and",
        scenario="ReElection",
    ),
    Mutant(
        "snapshot-of-an-older-term",
        "raft.install_snapshot:receive",
        "if rpc.term < state.current_term:",
        "if False:",
        scenario="AFormerLeaderIsHeardLate",
    ),
    Mutant(
        "same-term-thought-lost",
        "replica.proposals:Proposals.on_proposed",
        "batch.term < self._applied_term",
        "batch.term <= self._applied_term",
        scenario="HalfABatch",
    ),
    Mutant(
        "vote-forgotten-in-the-same-term",
        "raft.transitions:become_follower",
        "if term > state.current_term:",
        "if term >= state.current_term:",
        scenario="AVoterStartsAgain",
    ),
    Mutant(
        "log-of-another-term-matches",
        "raft.log:Log.matches",
        "self.has(index) and self.term_at(index) == term",
        "self.has(index) and self.term_at(index) >= term",
        scenario="Figure8e",
    ),
    Mutant(
        "term-of-the-store-forgotten",
        "replica.recovery:start_core",
        "current_term=max(durable.current_term, last_term)",
        "current_term=durable.current_term",
        scenario="ACrashBeforeTheLogFollows",
    ),
    Mutant(
        "command-of-an-older-term",
        "raft.forward:receive",
        "if rpc.term < state.current_term:",
        "if False:",
        scenario="ACopyMeetsALaterLeadership",
    ),
    # What is durable
    Mutant(
        "later-write-taken-for-durable",
        "raft.stable:on_persisted",
        "while stable.in_flight and stable.in_flight[0][0] <= ticket:",
        "while stable.in_flight and stable.in_flight[0][0] <= ticket + 1:",
        scenario="AHeartbeatMeetsWritesUnderWay",
    ),
    Mutant(
        "held-message-leaves-a-write-early",
        "raft.stable:on_persisted",
        "for needed, to, message in waiting if needed <= ticket)",
        "for needed, to, message in waiting if needed <= ticket + 1)",
        scenario="AHeartbeatMeetsWritesUnderWay",
    ),
    Mutant(
        "message-leaves-a-write-early",
        "raft.stable:flush",
        "if needed <= stable.persisted_ticket:",
        "if needed <= stable.persisted_ticket + 1:",
        scenario="AHeartbeatMeetsWritesUnderWay",
    ),
    Mutant(
        "any-write-covers-an-entry",
        "raft.stable:_ticket_that_covers",
        "if last_index >= index:",
        "if True:",
        scenario="AHeartbeatMeetsWritesUnderWay",
    ),
    Mutant(
        "reply-vouches-for-what-is-not-durable",
        "raft.append_entries:_reply_match",
        "durable_match = min(match_index, state.durable_index)",
        "durable_match = match_index",
        scenario="AHeartbeatMeetsWritesUnderWay",
    ),
    Mutant(
        "truncation-not-persisted",
        "raft.stable:on_truncated",
        "stable.truncate_from = min(stable.truncate_from or index, index)",
        "pass",
        scenario="Figure8Unreliable",
    ),
    Mutant(
        "reset-keeps-persists-in-flight",
        "raft.stable:on_reset",
        "stable.in_flight.clear()",
        "pass",
        scenario="ASnapshotOvertakesTheLog",
    ),
    Mutant(
        "leads-before-own-vote-durable",
        "raft.request_vote:count_own_vote",
        "and state.stable.is_vote_durable",
        "",
        scenario="ACandidacyMeetsAnOlderWrite",
    ),
    # Membership: adopted on append, rolled back on truncation
    Mutant(
        "configuration-not-adopted-on-append",
        "raft.reconfigure:adopt",
        "if entry.kind is EntryKind.MEMBERSHIP:",
        "if False:",
        scenario="ConfigurationInForceOnAppend",
    ),
    Mutant(
        "configuration-not-rolled-back",
        "raft.reconfigure:roll_back",
        "while state.memberships[-1][0] >= index and len(state.memberships) > 1:",
        "while False:",
        scenario="ConfigurationRolledBack",
    ),
    # Room on the disk
    Mutant(
        "leader-stays-on-a-full-disk",
        "raft.transfer:tick",
        "if state.has_room:",
        "if True:",
        scenario="AFullDisk",
    ),
    Mutant(
        "leadership-taken-on-a-full-disk",
        "raft.transfer:receive",
        "state.has_room and request_vote.may_campaign(state)",
        "request_vote.may_campaign(state)",
        scenario="AFullDisk",
    ),
)
