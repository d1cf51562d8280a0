"""Mutants of the key-value machine and of what stands beside it: sessions, leases, watches, users."""

from typing import Final

from raftwerk.sim.mutants.mutant import Mutant

KEY_VALUE: Final = (
    # Sessions
    Mutant(
        "client-retry-applied-twice",
        "kv.sessions:Sessions._write",
        "if kept is not None:",
        "if False:",
        scenario="ClientsAtWork",
    ),
    Mutant(
        "closed-number-executed-again",
        "kv.sessions:Sessions._write",
        "if not first <= command.number < first + WINDOW:",
        "if False:",
        scenario="ClientsAtWork",
    ),
    Mutant(
        "another-retry-another-answer",
        "kv.sessions:Sessions._write",
        "return _again(command.command, kept)",
        "return PutResult(session.used, None)",
        scenario="ClientsAtWork",
    ),
    Mutant(
        "sessions-not-in-the-snapshot",
        "kv.machine:KvMachine.reload",
        "self.sessions, ",
        "",
        scenario="ClientsAtWork",
    ),
    Mutant(
        "uses-of-sessions-not-in-the-checkpoint",
        "kv.machine:KvMachine.begin_checkpoint",
        "self.sessions.keep()",
        "pass",
        scenario="ClientsAtWork",
    ),
    # Leases
    Mutant(
        "lease-ended-by-a-deposed-leader",
        "kv.lease:Leases._expire",
        "if command.term == self.term:",
        "if True:",
        scenario="DeposedLeaderEndsNoLease",
    ),
    Mutant(
        "lease-ends-on-the-leaders-clock-alone",
        "kv.lease:Leases._expire",
        "lease is not None and lease.number == number",
        "lease is not None",
        scenario="RenewalMeetsTheEnd",
    ),
    Mutant(
        "lease-measured-from-its-grant",
        "replica.lessor:Lessor._on_change",
        "clock.deadline_s = deadline_s",
        "clock.deadline_s = clock.deadline_s or deadline_s",
        scenario="ClientsAtWork",
    ),
    Mutant(
        "lease-too-short",
        "replica.lessor:Lessor._on_change",
        "self._now_s() + (lease.remaining_s or lease.ttl_s)",
        "self._now_s() + (lease.remaining_s or lease.ttl_s) / 2",
        scenario="ClientsAtWork",
    ),
    Mutant(
        "lease-time-never-written-down",
        "replica.lessor:Lessor._checkpoint",
        "if now_s >= self._next_checkpoint_s:",
        "if False:",
        scenario="LeaseOutlivesItsLeaders",
    ),
    Mutant(
        "lease-never-ends",
        "replica.lessor:Lessor._look_for_the_over",
        "self._over[lease_id] = None",
        "pass",
        scenario="ClientsAtWork",
    ),
    Mutant(
        "lease-ends-and-its-keys-stay",
        "kv.txn:Execution.delete_leased",
        "self.delete_keys(keys)",
        "pass",
        scenario="ClientsAtWork",
    ),
    Mutant(
        "lease-numbers-not-in-the-checkpoint",
        "kv.machine:KvMachine.begin_checkpoint",
        "self.leases.keep()",
        "pass",
        scenario="ClientsAtWork",
    ),
    Mutant(
        "leases-not-in-the-snapshot",
        "kv.machine:KvMachine.reload",
        "self.leases, ",
        "",
        scenario="ClientsAtWork",
    ),
    # Watches
    Mutant(
        "revision-split-by-a-slice-of-history",
        "kv.watch:_Round.step",
        "if events[-1].revision == after:",
        "if False:",
        scenario="ClientsAtWork",
    ),
    Mutant(
        "event-dropped-where-history-ends",
        "kv.watch:Hub._end_round",
        "max(watcher.next_revision, last + 1)",
        "max(watcher.next_revision, last + 2)",
        scenario="ClientsAtWork",
    ),
    Mutant(
        "event-repeated-where-history-ends",
        "kv.watch:Hub._end_round",
        "max(watcher.next_revision, last + 1)",
        "max(watcher.next_revision, last)",
        scenario="ClientsAtWork",
    ),
    Mutant(
        "event-dropped-when-a-stream-is-slow",
        "kv.watch:Hub.deliver",
        "watcher.next_revision = rest.first_revision",
        "watcher.next_revision = self._revision + 1",
        scenario="ClientsAtWork",
    ),
    Mutant(
        "event-repeated-after-a-snapshot",
        "kv.watch:Hub.unpublished",
        "max(watcher.next_revision, past + 1)",
        "max(1, watcher.next_revision)",
        scenario="ClientsAtWork",
    ),
    Mutant(
        "future-watch-gets-the-present",
        "kv.watch:Hub._place",
        "next_revision if is_future else 0",
        "0",
        scenario="ClientsAtWork",
    ),
    Mutant(
        "watch-goes-on-over-a-compaction",
        "kv.watch:Hub._cancel_overtaken",
        "watcher.next_revision < compacted",
        "False",
        seed=3,
        scenario="ClientsAtWork",
    ),
    Mutant(
        "progress-ahead-of-an-event",
        "kv.watch:Hub.is_synced",
        "return watcher.state is State.SYNCED and watcher.next_revision <= revision + 1",
        "return True",
        scenario="ClientsAtWork",
    ),
    Mutant(
        "value-before-of-another-version",
        "kv.watch_history:_key_value_before",
        "link != NO_LINK",
        "False",
        scenario="ClientsAtWork",
    ),
    # The state as a whole
    Mutant(
        "command-executed-again",
        "replica.applier:Applier.advance",
        "self._waiting.popleft()",
        "(self.last_applied >= entries[-1].index) and self._waiting.popleft()",
        scenario="ClientsAtWork",
    ),
)
