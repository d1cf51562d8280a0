"""The tables of an LMDB environment, with checksums.

LMDB has none. Each of its rows ends with one of ours, over table, key and value: nothing is read without it.
"""

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import google_crc32c
import lmdb

from raftwerk.errors import CorruptData
from raftwerk.kv.store import Table
from raftwerk.storage.lmdb_environment import DATA, GENERATIONS

CRC_BYTES: Final = 4
CRC_RESIDUE: Final = 0x48674BC7
"""The CRC32C of anything that ends with its own CRC32C, little-endian."""

DAMAGES: Final = (lmdb.CorruptedError, lmdb.PageNotFoundError)
"""What LMDB may say of its own pages, which have no checksum, when it comes to a place that cannot be."""

NOTES_NUMBER: Final = 254
"""Of the first generation's table of what is noted, for the checksums: no Table has it."""

_crc32c: Final = google_crc32c.extend


class StoredTable:
    """A table of an environment, as long as that is open: LMDB's handle, and the checksums of its rows."""

    __slots__ = ("_name", "_path", "_seed", "handle", "on_damage")

    def __init__(self, name: str, number: int, path: Path, handle: Any) -> None:
        """number: goes into the checksums. path: of the file, for messages."""
        self.handle = handle
        self.on_damage: Callable[[CorruptData], None] | None = None
        """Gets each CorruptData in the thread that reads, before it is raised: no reader can keep it for itself."""
        self._name = name
        self._path = path
        self._seed: int = _crc32c(0, bytes([number]))

    def sealed(self, key: bytes, value: bytes) -> bytes:
        """What LMDB is given."""
        crc: int = _crc32c(self._seed, key + value)
        return value + crc.to_bytes(CRC_BYTES, "little")

    def unsealed(self, key: bytes, sealed: bytes) -> bytes:
        """The value in what LMDB gave. Raises CorruptData if the row is not as it was written."""
        if _crc32c(self._seed, key + sealed) != CRC_RESIDUE:
            raise self.damaged(f"the row of key {key!r} has a wrong checksum")
        return sealed[:-CRC_BYTES]

    def damaged(self, reason: str) -> CorruptData:
        """The error to raise; it has been told."""
        error = CorruptData(self._path, None, f"table {self._name}: {reason}")
        if self.on_damage is not None:
            self.on_damage(error)
        return error


Tables = list[StoredTable]
"""By number of the table; then those of what is noted, unless an older version wrote what is only looked at."""


def open_tables(environment: Any) -> Tables:
    """The tables of an environment that was just opened; they are made if they are not there.

    Once for each environment: this takes its write transaction, which a checkpoint holds for long.
    """
    can_write = not environment.flags()["readonly"]
    path = Path(environment.path()) / DATA

    def opened(name: str, number: int) -> StoredTable:
        return StoredTable(name, number, path, environment.open_db(name.encode(), create=can_write))

    tables = [opened(table.name.lower(), table) for table in Table]
    with contextlib.suppress(lmdb.NotFoundError):
        tables += [opened(f"keys_noted_{one}", NOTES_NUMBER + one) for one in range(GENERATIONS)]
    return tables
