"""The mutants: defects met in real systems, and every comparison of terms and of what is durable in the core."""

from typing import Final

from raftwerk.sim.mutants.mutant import Mutant

MUTANTS: Final = (
    # Terms and votes
    Mutant(
        "vote-not-persisted",
        "raft.request_vote:receive",
        "stable.on_hard_state_changed(state, is_new_term=False)",
        "pass",
    ),
    Mutant(
        "term-not-persisted",
        "raft.transitions:become_follower",
        "stable.on_hard_state_changed(state, is_new_term=True)",
        "state.stable.held.clear(); state.stable.queued.clear()",
    ),
    Mutant(
        "term-sent-before-durable",
        "raft.stable:flush",
        "needed = stable.hard_state_ticket",
        "needed = 0",
    ),
    Mutant(
        "own-vote-before-durable",
        "raft.request_vote:count_own_vote",
        "and state.stable.is_vote_durable",
        "",
    ),
    Mutant(
        "stale-vote-counted",
        "raft.request_vote:on_reply",
        " or reply.term != state.current_term",
        "",
    ),
    Mutant(
        "two-votes-in-a-term",
        "raft.request_vote:receive",
        "state.voted_for in (NOBODY, rpc.candidate_id)",
        "True",
    ),
    Mutant(
        "vote-for-a-shorter-log",
        "raft.request_vote:is_up_to_date",
        "(last_log_term, last_log_index) >= (own_last_term, own_last_index)",
        "last_log_term >= own_last_term",
    ),
    Mutant(
        "vote-for-an-older-log",
        "raft.request_vote:is_up_to_date",
        "(last_log_term, last_log_index) >= (own_last_term, own_last_index)",
        "last_log_index >= own_last_index",
        scenario="OlderLogLoses",
    ),
    Mutant(
        "vote-forgotten-at-start",
        "replica.recovery:start_core",
        "voted_for=durable.voted_for if durable.current_term >= last_term else 0",
        "voted_for=0",
    ),
    Mutant(
        "held-messages-survive-the-term",
        "raft.stable:on_hard_state_changed",
        "stable.held.clear()",
        "pass",
    ),
    # AppendEntries
    Mutant(
        "reply-before-durable",
        "raft.stable:flush",
        "if vouched_index > stable.durable_index:",
        "if False:",
    ),
    Mutant(
        "append-of-an-older-term",
        "raft.append_entries:receive",
        "if rpc.term < state.current_term:",
        "if False:",
    ),
    Mutant(
        "append-reply-of-an-older-term",
        "raft.append_entries:on_reply",
        " or reply.term < state.current_term",
        "",
    ),
    Mutant(
        "consistency-check-skipped",
        "raft.append_entries:receive",
        "if not state.log.matches(prev_log_index, prev_log_term):",
        "if not state.log.has(prev_log_index):",
    ),
    Mutant(
        "match-is-last-index",
        "raft.append_entries:receive",
        "last_new_index = rpc.prev_log_index + len(rpc.entries)",
        "last_new_index = state.log.last_index",
    ),
    Mutant(
        "unconditional-truncation",
        "raft.append_entries:_append_new",
        "if state.log.matches(entry.index, entry.term):",
        "if entry.index <= state.commit_index:",
    ),
    Mutant(
        "truncation-keeps-durable-index",
        "raft.stable:on_truncated",
        "stable.durable_index = min(stable.durable_index, index - 1)",
        "pass",
    ),
    Mutant(
        "truncation-keeps-persists-in-flight",
        "raft.stable:on_truncated",
        "min(last, index - 1)",
        "last",
    ),
    # Commitment
    Mutant(
        "commit-by-counting-old-term",
        "raft.commit:advance",
        "and state.log.term_at(majority_index) == state.current_term",
        "",
        scenario="Figure8c",
    ),
    Mutant(
        "commit-counts-own-undurable",
        "raft.commit:advance",
        "return state.durable_index",
        "return state.log.last_index",
    ),
    Mutant(
        "commit-beyond-the-match",
        "raft.commit:learn",
        "min(leader_commit, last_new_index)",
        "min(leader_commit, state.log.last_index)",
    ),
    Mutant(
        "apply-ahead-of-the-disk",
        "raft.commit:take_ready",
        "min(state.commit_index, state.durable_index)",
        "state.commit_index",
    ),
    Mutant(
        "learner-counted",
        "raft.quorum:majority_value",
        "highest = _majority_value(membership.voters, value)",
        "highest = _majority_value(membership.nodes, value)",
    ),
    Mutant(
        "joint-commit-with-one-majority",
        "raft.quorum:majority_value",
        "if membership.outgoing:",
        "if False:",
        scenario="Figure10",
    ),
    Mutant(
        "joint-election-with-one-majority",
        "raft.quorum:has_majority",
        "not membership.outgoing or",
        "True or",
        scenario="Figure10",
    ),
    Mutant(
        "minority-is-enough",
        "raft.quorum:_is_majority",
        "> len(voters) // 2",
        ">= len(voters) // 2",
    ),
    # Snapshots and compaction
    Mutant(
        "snapshot-not-restored-at-boot",
        "replica.recovery:start_core",
        "if position:",
        "if False:",
    ),
    Mutant(
        "log-trusted-against-the-store",
        "replica.recovery:start_core",
        "is_superseded = not log.matches(last_applied, last_term)",
        "is_superseded = not log.has(last_applied)",
    ),
    Mutant(
        "entry-lost-in-compaction",
        "raft.log:Log.compact_to",
        "count = index - self.snapshot_index",
        "count = min(len(self._entries), index - self.snapshot_index + 1)",
    ),
    Mutant(
        "segment-removed-too-early",
        "wal.log:Wal.compact",
        "segments[0].max_index <= index",
        "segments[0].max_index <= index + 9",
    ),
    Mutant(
        "log-kept-when-snapshot-mismatches",
        "raft.install_snapshot:install",
        "if state.log.matches(last_included_index, incoming.last_included_term):",
        "if state.log.has(last_included_index):",
        scenario="SnapshotOverAnotherLog",
    ),
    Mutant(
        "snapshot-over-a-longer-matching-log",
        "raft.install_snapshot:install",
        "if state.log.matches(last_included_index, incoming.last_included_term):",
        "if False:",
    ),
    Mutant(
        "snapshot-goes-back-in-time",
        "replica.snapshots:SnapshotReceiver._swap",
        "if self._last_applied() >= index:",
        "if False:",
    ),
    Mutant(
        "installed-before-it-is",
        "raft.install_snapshot:receive",
        "if not incoming.is_complete:\n        _reply(state, sender, rpc.last_included_index, incoming.next_offset)",
        "_reply(state, sender, rpc.last_included_index, incoming.next_offset, installed=incoming.is_complete)",
    ),
    Mutant(
        "position-not-in-the-checkpoint",
        "kv.machine:KvMachine.begin_checkpoint",
        "self._store.put(Table.META, _POSITION, self.position)",
        "self._store.put(Table.META, _POSITION, self._store.get(Table.META, _POSITION) or self.position)",
    ),
    # Reads
    Mutant(
        "read-before-the-no-op-commits",
        "raft.read_index:begin_round",
        "if state.commit_index < leader.term_start_index:",
        "if False:",
    ),
    Mutant(
        "read-at-a-deposed-leader",
        "raft.read_index:confirm",
        "while leader.read_batches and leader.read_batches[0].read_round <= confirmed_round:",
        "while leader.read_batches:",
        scenario="DeposedLeader",
    ),
    Mutant(
        "read-round-reused",
        "raft.read_index:begin_round",
        "leader.read_round += 1",
        "leader.read_round = 1",
        scenario="DeposedLeader",
    ),
    Mutant(
        "read-request-id-reused",
        "raft.read_index:ask_leader",
        "remote.next_request_id += 1",
        "pass",
    ),
    Mutant(
        "read-before-it-is-applied",
        "replica.reads:Reads.on_ready",
        "batch.read_index = ready.read_index",
        "batch.read_index = 0",
    ),
    # Clients
    Mutant(
        "waiter-keyed-by-index-alone",
        "replica.proposals:Proposals.on_applied",
        "while kept and entries[start + kept - 1].term != batch.term:",
        "while False:",
    ),
    Mutant(
        "batch-judged-by-its-first-entry",
        "replica.proposals:Proposals.on_applied",
        "while kept and entries[start + kept - 1].term != batch.term:",
        "while kept and entries[start].term != batch.term:",
        scenario="HalfABatch",
    ),
    Mutant(
        "leader-change-reported-as-failure",
        "raft.forward:refuse_all",
        "Refusal.OUTCOME_UNKNOWN",
        "Refusal.NOT_LEADER",
    ),
    Mutant(
        "unknown-outcome-tried-again",
        "replica.proposals:Proposals.on_refused",
        "if failure is not None:",
        "if failure not in (None, Failure.TIMED_OUT_LEADER_FAILED):",
    ),
    Mutant(
        "repeated-command-taken-twice",
        "raft.forward:_is_new",
        "request_id > leader.forwarded.get(life, -1)",
        "True",
    ),
    Mutant(
        "former-leader-denies",
        "raft.forward:receive",
        "may_have_led = state.voted_for == state.node_id",
        "may_have_led = False",
    ),
    Mutant(
        "place-given-out-again-means-not-committed",
        "replica.proposals:Proposals._overtake",
        "self._fail(other, Failure.TIMED_OUT_LEADER_FAILED)",
        "self._fail(other, Failure.NOT_COMMITTED)",
    ),
    # Disks
    Mutant(
        "failed-write-believed",
        "wal.log:WriteJob.run",
        "files.failure = error\n        raise",
        "pass",
    ),
    Mutant(
        "checksum-of-records-not-checked",
        "wal.record:read_record",
        "if google_crc32c.value(payload) != head.payload_crc:",
        "if False:",
    ),
    Mutant(
        "torn-tail-not-cut-off",
        "wal.log:Wal.open",
        "if recovery.torn_bytes:",
        "if False:",
    ),
    Mutant(
        "damage-taken-for-a-torn-tail",
        "wal.recovery:_judge_rest",
        "if not found.torn_bytes:",
        "if True:",
    ),
    Mutant(
        "full-disk-never-forgotten",
        "replica.checkpoints:Checkpoints.advance",
        "self.is_disk_full = False  # nothing waits for space",
        "pass",
        scenario="FullDiskThenSnapshot",
    ),
)

BY_NAME: Final = {mutant.name: mutant for mutant in MUTANTS}
