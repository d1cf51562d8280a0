"""One node in the asyncio world: the composition root of everything below the client port.

    node = Node.open(settings)      # data folder, log, store: raises what is wrong with them
    await node.start()              # peers, clock
    await node.wait_ready()         # a leader is known, and this member is published
    node.propose(command, done); node.read(done)
    await node.stop()               # at any point, also before or during start

All of it runs in one event loop. What happened is collected in an inbox; one step per turn of the loop takes it all.
"""

import asyncio
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from functools import partial
from random import Random, SystemRandom
from typing import Any, Final

import structlog

from raftwerk.durations import Durations
from raftwerk.errors import CorruptData, DataDirError
from raftwerk.kv.commands import encode
from raftwerk.kv.machine import KvMachine
from raftwerk.raft.config import Config
from raftwerk.raft.effects import Notice
from raftwerk.raft.events import Event, Persisted, Tick
from raftwerk.raft.membership import Membership
from raftwerk.raft.raft import Raft
from raftwerk.raft.types import NodeId, Term
from raftwerk.replica.failure import Failure
from raftwerk.replica.lessor import GRACE_S, Lessor
from raftwerk.replica.proposals import Done
from raftwerk.replica.reads import ReadDone
from raftwerk.replica.replica import Replica
from raftwerk.runtime import data_dir, tls_setup
from raftwerk.runtime.addresses import addresses_of
from raftwerk.runtime.afterwards import Afterwards
from raftwerk.runtime.background import BackgroundThread
from raftwerk.runtime.clock import Clock
from raftwerk.runtime.data_dir import DataDir
from raftwerk.runtime.journal import WalJournal
from raftwerk.runtime.links import Links
from raftwerk.runtime.members import MemberInfo, Members, NodeStatus
from raftwerk.runtime.metrics import Metrics
from raftwerk.runtime.settings import Settings

log = structlog.get_logger()

TELL_COMMIT_AFTER_MS: Final = 1
"""Long enough for the next command of one client, and short for those who watch at a follower."""
MAINTAIN_ROWS: Final = 100
"""Rows of physical compaction for each tick: about a millisecond."""


class Node:
    """A member of a cluster: replicates, persists, applies. Serves nobody by itself (see server/)."""

    def __init__(self, settings: Settings, folder: DataDir) -> None:
        """Use Node.open."""
        self.settings = settings
        self.cluster_id = folder.cluster_id
        self.node_id = folder.node_id
        self.machine: KvMachine = folder.machine
        self.metrics = Metrics()
        self._members = Members(settings, folder.node_id, folder.machine)
        self.has_caught_up = False
        """Since its start it has once held all that was committed: it has again what it had answered before that."""
        self.failed: asyncio.Future[Exception]
        """From `start` on: set when the node cannot go on, to the reason."""
        self._folder = folder
        self._close_log = folder.wal.close
        self._closing = AsyncExitStack()
        """What `stop` has to end, in reverse order of its beginning."""
        self._closing.callback(folder.close)
        self._closing.callback(lambda: self._close_log())
        self._random = Random(SystemRandom().getrandbits(64))
        self._is_step_due = False
        self._is_stopped = False
        self._replica: Replica
        self.lessor: Lessor
        """From `start` on."""

    @classmethod
    def open(cls, settings: Settings) -> "Node":
        """Open, or create, the data folder. Its lock is held from here until `stop`. Needs no running loop.

        Raises DataDirError (in use, another's, parts missing) or CorruptData (damaged); nothing is held then.
        """
        return cls(settings, data_dir.open_data_dir(settings))

    async def start(self) -> None:
        """Join the cluster. Once only; a node that was stopped is not started again: open another one.

        Raises UsageError when a peer address cannot be bound, DataDirError when log and store do not fit together.
        `stop` is needed after that too.
        """
        assert not self._is_stopped, "stopped: open another Node"
        settings, folder = self.settings, self._folder
        self._loop = loop = asyncio.get_running_loop()
        self.failed = loop.create_future()
        self._afterwards = Afterwards(loop)
        folder.store.on_damage = self._on_damage
        interval_ms = max(1, min(10, settings.heartbeat_interval_ms // 4))
        self._clock = Clock(loop, interval_ms, self._on_tick, self.metrics.observe_loop_lag_s)
        self._start_threads()
        peers = {
            number: addresses_of(settings.initial_cluster[name])
            for name, number in self._members.ids.items()
            if number != self.node_id
        }
        self._links = Links(
            self.cluster_id,
            self.node_id,
            peers,
            self._random,
            self._post,
            self._on_refused,
            self._on_unreachable,
            self._fail,
            tls_setup.between_members(settings),
            folder.life,
            folder.lives.meet,
        )
        config = Config(
            heartbeat_interval_ms=settings.heartbeat_interval_ms,
            election_timeout_ms=settings.election_timeout_ms,
            tail_entries=settings.snapshot_count,
            tell_commit_after_ms=TELL_COMMIT_AFTER_MS,
        )
        raft = folder.start_core(
            config, self._random, Membership(tuple(sorted(self._members.ids.values())))
        )
        self._start_replica(raft)
        await self._links.listen(settings.listen_peer)
        self._links.connect()
        self._clock.start()
        self._closing.callback(self._clock.stop)
        log.info(
            "node started",
            name=settings.name,
            node=f"{self.node_id:x}",
            cluster=f"{self.cluster_id:x}",
            term=raft.state.current_term,
            applied=raft.state.last_applied,
        )

    def _start_threads(self) -> None:
        loop = self._loop
        self._journal = WalJournal(
            self._folder.wal,
            loop,
            lambda ticket: self._post(Persisted(ticket)),
            self._fail,
            self.metrics.observe_wal_sync_s,
        )
        self._close_log = self._journal.close
        self._store_thread = BackgroundThread(
            "raftwerk-store", loop, self._fail, self.metrics.observe_commit_s
        )
        self._closing.callback(self._store_thread.close)
        self._restore_thread = BackgroundThread("raftwerk-restore", loop, self._fail)
        self._closing.callback(self._restore_thread.close)

    def _start_replica(self, raft: Raft) -> None:
        self._replica = Replica(
            raft,
            self._journal,
            self._links,
            self._store_thread,
            self._restore_thread,
            self.machine,
            wake=self._wake,
            call_later=lambda delay_ms, action: self._loop.call_later(delay_ms / 1000, action),
            clock=time.monotonic,
            on_notice=self._on_notice,
            request_timeout_ms=self.settings.request_timeout_ms,
        )
        grace_s = GRACE_S + self.settings.election_timeout_ms / 1000
        self.lessor = Lessor(self.machine, self.propose, self._loop.time, grace_s)
        self._closing.callback(self._replica.stop)
        self._closing.push_async_callback(self._links.stop)

    async def wait_ready(self) -> None:
        """Return once a leader is known and this member's name and URLs are in the replicated state.

        Raises what `failed` holds if the node cannot go on before that.
        """
        command = encode(self._members.publication)
        while True:
            failure = await self._asked(self.read)
            if failure is None:
                if self._members.is_published:
                    return
                await self._asked(lambda done: self.propose(command, done))

    async def _asked(self, ask: Callable[[Callable[[object], None]], None]) -> object:
        """What `ask` calls back with."""
        answer: asyncio.Future[object] = self._loop.create_future()

        def settle(result: object) -> None:
            if not answer.done():
                answer.set_result(result)

        ask(settle)
        waiting: list[asyncio.Future[Any]] = [answer, self.failed]
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        if self.failed.done():
            raise self.failed.result()
        return answer.result()

    # Requests

    def propose(self, command: bytes, done: Done) -> None:
        """Replicate a command of kv.commands.encode. Needs a started node.

        done: called once, later, on the loop, with the command's kv.results value, or with a Failure: its groups say
        whether nothing happened or the outcome is unknown.
        """
        if self._is_stopped:
            asyncio.get_running_loop().call_soon(done, Failure.STOPPED)
            return
        self._replica.propose(command, done)

    def read(self, done: ReadDone) -> None:
        """Linearizable barrier. Needs a started node.

        done: called once, later, on the loop: with None when the machine holds everything that was committed before this
        call, with a Failure when that cannot be known (no leader in time, cut off, stopped).
        """
        if self._is_stopped:
            asyncio.get_running_loop().call_soon(done, Failure.STOPPED)
            return
        self._replica.read(done if self.has_caught_up else partial(self._on_read, done))

    def _on_read(self, done: ReadDone, failure: Failure | None) -> None:
        self.has_caught_up |= failure is None
        done(failure)

    def soon(self, action: Callable[[], object]) -> None:
        """Call `action` at the end of the step that is under way, else in the next turn of the loop. Needs a started node."""
        self._afterwards.soon(action)

    @property
    def has_leader(self) -> bool:
        """Whether this node knows a leader, itself or another."""
        return self._replica.has_leader

    @property
    def current_term(self) -> Term:
        return self._replica.raft.state.current_term

    @property
    def waiting_proposals(self) -> int:
        """Proposals that have no answer yet."""
        return self._replica.proposals.waiting_count

    @property
    def failed_proposals_total(self) -> int:
        """Proposals that were answered with a Failure, since the start."""
        return self._replica.proposals.failed_total

    @property
    def is_disk_full(self) -> bool:
        return not self._journal.has_room or self._replica.checkpoints.is_disk_full

    def when_checkpointed(self, action: Callable[[], None]) -> None:
        """Run `action`, later, as soon as what is there now is in a checkpoint (a snapshot holds no more than that), or found no
        space for it.
        """
        self._replica.checkpoints.when_made(action)

    def peer_traffic(self) -> dict[NodeId, tuple[int, int]]:
        """(bytes sent, bytes received) by peer."""
        return self._links.traffic()

    def peer_round_trips(self) -> dict[NodeId, Durations]:
        """What was measured, by peer."""
        return self._links.round_trips

    def dropped_messages(self) -> dict[NodeId, int]:
        """Messages that could not be sent, by peer."""
        return self._links.dropped()

    def members(self) -> list[MemberInfo]:
        """The members of the cluster, by node id, as far as they have published themselves."""
        return self._members.listed(self._replica.raft.state.membership)

    def status(self) -> NodeStatus:
        """Where this node stands now, by its own word."""
        raft = self._replica.status()
        allocated, in_use = self.machine.size_bytes
        return NodeStatus(
            name=self.settings.name,
            cluster_id=self.cluster_id,
            node_id=self.node_id,
            leader_id=raft.leader_id,
            role=raft.role,
            current_term=raft.current_term,
            snapshot_index=raft.snapshot_index,
            last_index=raft.last_index,
            commit_index=raft.commit_index,
            last_applied=self._replica.last_applied,
            is_learner=self.node_id in self._replica.raft.state.membership.learners,
            store_bytes=allocated,
            store_in_use_bytes=in_use,
        )

    # The loop

    def _post(self, event: Event) -> None:
        self._replica.post(event)

    def _wake(self) -> None:
        if not self._is_step_due:
            self._is_step_due = True
            self._loop.call_soon(self._step)

    def _step(self) -> None:
        self._is_step_due = False
        if self._is_stopped or self.failed.done():
            return  # nothing may follow a step that broke off: the state could be half changed
        self._clock.mark()
        try:
            with self._afterwards:
                has_more = self._replica.step()
        except Exception as error:  # noqa: BLE001  (a bug of ours, or a broken disk: this node must not go on)
            self._fail(error)
            return
        if self._replica.checkpoints.failure is not None:
            self._fail(self._replica.checkpoints.failure)
        elif has_more:
            self._wake()

    def _on_tick(self, elapsed_ms: int) -> None:
        if self.failed.done():
            return
        try:
            self._post(Tick(elapsed_ms))
            self._journal.tick(elapsed_ms)
            self.lessor.tick(self._replica.leading_term)
            if self.machine.has_garbage and not self.is_disk_full:  # removals wait in memory too
                self.machine.maintain(MAINTAIN_ROWS)
        except Exception as error:  # noqa: BLE001  (as in _step)
            self._fail(error)

    def _fail(self, error: Exception) -> None:
        if not self.failed.done():
            cause = None if isinstance(error, DataDirError) else error  # its text says all
            log.critical("node failed", reason=str(error) or repr(error), exc_info=cause)
            self.failed.set_result(error)

    def _on_damage(self, error: CorruptData) -> None:
        """Called in the thread that has read it."""
        self._loop.call_soon_threadsafe(self._fail, error)

    def _on_notice(self, notice: Notice) -> None:
        facts = {
            key: self._members.name(value) if key in ("leader", "peer", "candidate") else value
            for key, value in notice.facts.items()
        }
        self.metrics.on_notice(notice.event)
        log.info(notice.event, **facts)

    def _on_refused(self, peer: NodeId, reason: str, *, has_forgotten: bool) -> None:
        name = self._members.name(peer)
        if has_forgotten:
            self._fail(
                DataDirError(
                    f"{self.settings.data_dir} is not the data folder with which {name} has met this member before: {reason}. "
                    "It may not take part: acknowledged writes could be lost. Start it with the folder that it had when it last "
                    "ran (an older copy has forgotten too). If that is lost, the others go on without this member; a cluster of "
                    "full strength is made from a snapshot of theirs ('raftwerk snapshot restore')."
                )
            )
            return
        log.warning("peer refused our connection", peer=name, reason=reason)

    def _on_unreachable(self, peer: NodeId, reason: str) -> None:
        name = self._members.name(peer)
        if reason:
            log.warning("peer cannot be reached; trying on", peer=name, reason=reason)
        else:
            log.info("peer is reached again", peer=name)

    def give_up(self) -> None:
        """Of a started node: answer who waits, with Failure.STOPPED (nothing happened) or TIMED_OUT (unknown); go no further."""
        self._is_stopped = True
        self._replica.stop()

    async def stop(self) -> None:
        """Leave quietly: nobody is left without an answer (see give_up), what was persisted stays, the folder is given back.

        At any point of a node's life, and more than once; what was not started needs no stopping.
        """
        self._is_stopped = True
        closing, self._closing = self._closing, AsyncExitStack()
        await closing.aclose()
        log.info("node stopped", name=self.settings.name)
