"""An LMDB environment for a module's tests of rows."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from raftwerk.storage.lmdb_environment import open_environment
from raftwerk.storage.lmdb_tables import Tables, open_tables
from tests.storage.lmdb_setting import LmdbSetting


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    environment = open_environment(tmp_path_factory.mktemp("lmdb"), is_draft=True)
    yield environment
    environment.close()


@pytest.fixture(scope="module")
def tables(environment: Any) -> Tables:
    return open_tables(environment)


@pytest.fixture
def setting(tmp_path: Path) -> Iterator[LmdbSetting]:
    setting = LmdbSetting(tmp_path)
    yield setting
    setting.close()
