"""The trace: every event of a simulation in one schema, its hash, and the last of them for a report.

An event is (time_us, node, kind, facts); in a file, one JSON object a line with the keys time_us, node, event, and those of
the facts. node 0 is the world outside: network, clients, faults. The hash covers all events of all nodes: two runs with
equal hashes did the same.

    start crash refused   of a node's process; `refused`: it did not start, and why
    notice                what the core tells its operator, or a handshake that was refused
    send deliver drop     of a message: to, from, kind, term
    persist durable       of the log: ticket
    apply install         of the state machine: index
    fault heal            what the schedule does to the world
    call return           of a client
"""

import hashlib
import json
from collections import deque
from collections.abc import Mapping
from typing import Final, TextIO, TypeAlias

from raftwerk.errors import RaftwerkError
from raftwerk.sim.world import World

Facts: TypeAlias = Mapping[str, int | str]

KEPT: Final = 60


class TraceLost(RaftwerkError):
    """The file of the trace cannot be written; the simulation itself has nothing to do with it."""


class Trace:
    """Takes in events; keeps the last ones."""

    def __init__(self, world: World, file: TextIO | None = None) -> None:
        self._world = world
        self._file = file
        self._digest = hashlib.blake2b(digest_size=16)
        self._last: deque[tuple[int, int, str, Facts]] = deque(maxlen=KEPT)
        self.count = 0

    def record(self, node: int, kind: str, facts: Facts) -> None:
        """Something happened."""
        now_us = self._world.now_us
        self.count += 1
        self._digest.update(f"{now_us} {node} {kind} {facts}\n".encode())
        self._last.append((now_us, node, kind, facts))
        if self._file is not None:
            line = {"time_us": now_us, "node": node, "event": kind, **facts}
            try:
                self._file.write(json.dumps(line) + "\n")
            except OSError as error:
                raise TraceLost(f"the trace cannot be written: {error}") from error

    @property
    def hash(self) -> str:
        """Of everything so far."""
        return self._digest.hexdigest()

    def story(self) -> list[str]:
        """The last events, a line each."""
        return [
            f"{now_us / 1e6:10.4f}s {f'node {node}' if node else 'world':7} {kind:8} "
            + " ".join(f"{name}={value}" for name, value in facts.items())
            for now_us, node, kind, facts in self._last
        ]
