"""The store in memory keeps the contract of all stores."""

import pytest

from raftwerk.storage.memory import MemoryStore
from tests.storage.contract import KEYS, Setting, StoreContract


class MemorySetting(Setting):
    store: MemoryStore

    def __init__(self) -> None:
        self.store = MemoryStore()

    def crash(self) -> None:
        self.store = self.store.reopen()

    def fresh(self) -> MemoryStore:
        return MemoryStore()


class TestMemoryStore(StoreContract):
    @pytest.fixture
    def setting(self) -> Setting:
        return MemorySetting()


def test_reopened_store_has_its_own_rows() -> None:
    setting = MemorySetting()
    setting.put(b"a")
    setting.checkpoint()
    old = setting.store
    setting.crash()
    setting.put(b"b")
    setting.checkpoint()
    assert [key for key, _ in old.scan(KEYS, b"", None)] == [b"a"]
    assert [key for key, _ in old.reopen().scan(KEYS, b"", None)] == [b"a"]
