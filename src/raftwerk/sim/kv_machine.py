"""The key-value machine as simulations have it."""

from typing import Final

from raftwerk.kv.machine import KvMachine
from raftwerk.kv.sessions import RESULT_OVERHEAD_BYTES, UNKEPT_MAX, Session, Sessions
from raftwerk.storage.memory import MemoryStore

SESSIONS_MAX: Final = 4
IDLE_WRITES: Final = 60
WINDOW: Final = 5
ALL_ROWS: Final = 10**9


class _SimSessions(Sessions):
    """Counts how often it wrote rows before the checkpoint, since too many waited for that."""

    def __init__(self, store: MemoryStore, unkept_max: int) -> None:
        super().__init__(
            store,
            sessions_max=SESSIONS_MAX,
            idle_writes=IDLE_WRITES,
            window=WINDOW,
            unkept_max=unkept_max,
            unwritten_bytes_max=2 * unkept_max * RESULT_OVERHEAD_BYTES,
        )
        self.kept_early = 0

    def _use(self, number: int, session: Session) -> None:
        kept_uses = self._kept_uses
        super()._use(number, session)
        self.kept_early += self._kept_uses != kept_uses


class SimKvMachine(KvMachine):
    """With limits that a short run reaches, and a store that can be looked at."""

    def __init__(
        self, store: MemoryStore, slice_rows: int = ALL_ROWS, unkept_max: int = UNKEPT_MAX
    ) -> None:
        self.store = store
        super().__init__(store, slice_rows=slice_rows)
        self.sessions = _SimSessions(store, unkept_max)

    @property
    def kept_early(self) -> int:
        """How often rows of sessions were written before the checkpoint."""
        assert isinstance(self.sessions, _SimSessions)
        return self.sessions.kept_early

    @property
    def is_mid_command(self) -> bool:
        """Whether it is at no index: a command is being executed in slices."""
        return self._is_applying
