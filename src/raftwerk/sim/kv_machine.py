"""The key-value machine as simulations have it."""

from typing import Final

from raftwerk.kv.machine import KvMachine
from raftwerk.kv.sessions import Sessions
from raftwerk.storage.memory import MemoryStore

SESSIONS_MAX: Final = 4
IDLE_WRITES: Final = 60
WINDOW: Final = 5
ALL_ROWS: Final = 10**9


class SimKvMachine(KvMachine):
    """With limits that a short run reaches, and a store that can be looked at."""

    def __init__(self, store: MemoryStore, slice_rows: int = ALL_ROWS) -> None:
        self.store = store
        super().__init__(store, slice_rows=slice_rows)
        self.sessions = Sessions(
            store, sessions_max=SESSIONS_MAX, idle_writes=IDLE_WRITES, window=WINDOW
        )

    @property
    def is_mid_command(self) -> bool:
        """Whether it is at no index: a command is being executed in slices."""
        return self._is_applying
