"""Coverage marks: how often each fault, role change, refusal and recovery path really happened.

A campaign that never visited one of EXPECTED has not tested what it claims to.
"""

from collections import Counter
from collections.abc import Iterable
from typing import Final

from raftwerk.sim.release import NEXT
from raftwerk.wire.handshake import SPOKEN

EXPECTED: Final = (
    "notice: became candidate",
    "notice: became leader",
    "notice: following",
    "notice: installed snapshot",
    "notice: leader's connection closed",
    "notice: lost contact with a majority",
    "notice: no room on the disk: handing over",
    "notice: receiving snapshot",
    "notice: sending snapshot",
    "notice: snapshot rejected",
    "notice: stepped down",
    "notice: voted",
    "fault: ambush",
    "fault: clog",
    "fault: crash",
    "fault: disk failure",
    "fault: disk full",
    "fault: disk stall",
    "fault: drift",
    "fault: isolate",
    "fault: one-way",
    "fault: partition",
    "fault: pause",
    "fault: reset links",
    "fault: rot",
    "fault: storm",
    "fault: swizzle",
    "fault: transfer",
    "fault: upgrade",
    "fault: later format",
    *(f"handshake: version {version}" for version in (SPOKEN.newest, NEXT.spoken.newest)),
    "network: delivered",
    "network: duplicated",
    "network: lost",
    "network: reordered",
    "network: from before a restart",
    "network: cut",
    "network: clogged",
    "disk: write torn by a crash",
    "disk: write failed",
    "disk: full",
    "disk: bit flipped",
    "disk: sector misdirected",
    "disk: segment missing",
    "disk: wiped",
    "start: new",
    "start: again",
    "start: torn tail cut off",
    "start: crashed in recovery",
    "start: damage refused",
    "start: log superseded by a snapshot",
    "wal: truncated",
    "wal: reset to a snapshot",
    "wal: segments removed",
    "checkpoint: durable",
    "checkpoint: disk full",
    "restore: disk full",
    "answer: ok",
    "answer: leader changed",
    "answer: disk full",
    "answer: timed out, leader failed",
    "answer: connection lost",
    "history: linearizable",
    "session: opened",
    "session: closed",
    "session: sent again",
    "session: answered again",
    "session: session expired",
    "session: number outside the window of its session",
    "session: number beyond its window",
    "session: put out",
    "session: ended idle",
    "session: rows written before the checkpoint",
    "lease: led",
    "lease: renewed",
    "lease: revoked",
    "lease: expired",
    "lock: held",
    "watch: events from synced",
    "watch: events from history",
    "watch: from the past",
    "watch: from the future",
    "watch: parked",
    "watch: slow stream goes on",
    "watch: resumed",
    "watch: progress",
    "watch: compacted",
)


class Coverage:
    """Counts marks."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()

    def mark(self, name: str) -> None:
        self.counts[name] += 1


def never_visited(counts: Counter[str], expected: Iterable[str] = EXPECTED) -> list[str]:
    """The marks that a campaign should have, and has not."""
    return [name for name in expected if not counts[name]]
