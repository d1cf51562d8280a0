"""The store on disk as the contract of stores wants it."""

import shutil
from pathlib import Path

from raftwerk.storage.lmdb_store import LmdbStore
from tests.storage.contract import Setting


class LmdbSetting(Setting):
    """A crash: the folder as it is, copied while the store is open, opens as another store."""

    store: LmdbStore

    def __init__(self, path: Path) -> None:
        self.path = path
        self._copies = 0
        self.store = LmdbStore(path / "0")
        self._open: list[LmdbStore] = [self.store]

    @property
    def folder(self) -> Path:
        return self.path / str(self._copies)

    def crash(self) -> None:
        old = self.folder
        self._copies += 1
        shutil.copytree(old, self.folder)
        self.store = LmdbStore(self.folder)
        self._open.append(self.store)

    def fresh(self) -> LmdbStore:
        return LmdbStore(self.path / "fresh")

    def close(self) -> None:
        while self._open:
            self._open.pop().close()
