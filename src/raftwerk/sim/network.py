"""The network: every message as the bytes of the real codec, delayed, lost, duplicated, reordered, cut off, or held back.

Links are directed pairs of nodes, so that a partition may be one-way. A cut link loses what is sent and what is under way;
a clogged one holds everything back until it is free again, so that messages arrive that everybody had forgotten.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from random import Random
from typing import TypeAlias

from raftwerk.raft.messages import Message
from raftwerk.raft.types import NodeId
from raftwerk.sim.coverage import Coverage
from raftwerk.sim.release import PRESENT, Release
from raftwerk.sim.trace import Trace
from raftwerk.sim.world import World
from raftwerk.wire.codec import decode
from raftwerk.wire.frame import FrameDecoder

Pair: TypeAlias = tuple[NodeId, NodeId]
"""(from, to)."""


@dataclass(frozen=True, slots=True)
class NetworkOptions:
    """Probabilities of what happens to one message; delays are exponential over a minimum."""

    delay_min_us: int = 200
    delay_mean_us: int = 500
    loss: float = 0.0
    duplication: float = 0.0
    straggling: float = 0.0
    """How many messages come very late: up to straggling_us."""
    straggling_us: int = 2_000_000
    is_fifo: bool = False
    """Whether messages of one link stay in order, as over TCP."""


class SimNetwork:
    """All links. deliver(sender, receiver, message) is called for what arrives."""

    def __init__(
        self,
        world: World,
        options: NetworkOptions,
        trace: Trace,
        coverage: Coverage,
        deliver: Callable[[NodeId, NodeId, Message], None],
    ) -> None:
        self.options = options
        self._world = world
        self._random: Random = world.stream("network")
        self._trace = trace
        self._coverage = coverage
        self._deliver = deliver
        self._cuts: Counter[Pair] = Counter()
        self._clogs: Counter[Pair] = Counter()
        self._held: dict[Pair, list[bytes]] = {}
        self._numbers: Counter[Pair] = Counter()
        self._newest: Counter[Pair] = Counter()
        self.lives: Counter[NodeId] = Counter()
        """How often each node was started."""
        self.releases: dict[NodeId, Release] = {}
        """Of those that do not run the present one."""
        self.refused: set[Pair] = set()
        """Where the handshake was refused: there is no connection from the one to the other."""
        self._last_us: dict[Pair, int] = {}
        self.sent: Counter[str] = Counter()
        """Messages by type."""
        self.sent_bytes = 0

    # What nodes do

    def send(self, sender: NodeId, to: NodeId, messages: Sequence[Message]) -> None:
        pair = (sender, to)
        release = self.release_of(sender)
        for message in messages:
            data = release.encode(message)
            kind = type(message).__name__
            self.sent[kind] += 1
            self.sent_bytes += len(data)
            self._trace.record(sender, "send", {"to": to, "kind": kind, "term": message.term})
            self._send_one(pair, data)

    def release_of(self, node_id: NodeId) -> Release:
        return self.releases.get(node_id, PRESENT)

    def _send_one(self, pair: Pair, data: bytes) -> None:
        options, random = self.options, self._random
        if pair in self.refused:
            return
        if self._cuts[pair]:
            self._coverage.mark("network: cut")
            return
        if options.loss and random.random() < options.loss:
            self._coverage.mark("network: lost")
            return
        self._schedule(pair, data)
        if options.duplication and random.random() < options.duplication:
            self._coverage.mark("network: duplicated")
            self._schedule(pair, data)

    def _schedule(self, pair: Pair, data: bytes) -> None:
        self._numbers[pair] += 1
        stamp = self._numbers[pair], self.lives[pair[0]], self.lives[pair[1]]
        options, random, world = self.options, self._random, self._world
        delay_us = options.delay_min_us + int(random.expovariate(1 / options.delay_mean_us))
        if options.straggling and random.random() < options.straggling:
            delay_us += random.randrange(options.straggling_us)
        if options.is_fifo:
            delay_us = max(delay_us, self._last_us.get(pair, 0) - world.now_us)
            self._last_us[pair] = world.now_us + delay_us
        world.after(delay_us, lambda: self._arrive(pair, data, stamp))

    def _arrive(self, pair: Pair, data: bytes, stamp: tuple[int, int, int]) -> None:
        if self._cuts[pair]:
            self._coverage.mark("network: cut")
            return
        if self._clogs[pair]:
            self._coverage.mark("network: clogged")
            self._held.setdefault(pair, []).append(data)
            return
        ((kind, payload),) = FrameDecoder().feed(data)
        message = decode(kind, payload)
        number, *lives = stamp
        if number < self._newest[pair]:
            self._coverage.mark("network: reordered")
        self._newest[pair] = max(number, self._newest[pair])
        if lives != [self.lives[pair[0]], self.lives[pair[1]]]:
            self._coverage.mark("network: from before a restart")
        self._coverage.mark("network: delivered")
        self._deliver(*pair, message)

    # What the world does to the links

    def is_cut(self, sender: NodeId, to: NodeId) -> bool:
        return self._cuts[sender, to] > 0

    def cut(self, pairs: Iterable[Pair]) -> None:
        """Lose everything on these links until they are joined as often as they were cut."""
        self._cuts.update(pairs)

    def join(self, pairs: Iterable[Pair]) -> None:
        for pair in pairs:
            if self._cuts[pair]:
                self._cuts[pair] -= 1

    def join_all(self) -> None:
        self._cuts.clear()

    def clog(self, pairs: Iterable[Pair]) -> None:
        """Hold everything back on these links."""
        self._clogs.update(pairs)

    def unclog(self, pairs: Iterable[Pair]) -> None:
        for pair in pairs:
            if self._clogs[pair]:
                self._clogs[pair] -= 1
            if not self._clogs[pair]:
                for data in self._held.pop(pair, []):
                    self._schedule(pair, data)

    def heal(self) -> None:
        """Join and unclog everything; from now on nothing is lost."""
        self._cuts.clear()
        clogged = sorted(self._clogs)
        self._clogs.clear()
        self.unclog(clogged)
        self.options = NetworkOptions(
            delay_min_us=200, delay_mean_us=500, is_fifo=self.options.is_fifo
        )
