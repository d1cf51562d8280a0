"""What is noted of the table KEYS and is not in its place yet (storage/changes.py), in LMDB.

Each generation has a table: numbers, which grow over both tables, to blocks of keys and rows.
"""

import struct
from collections.abc import Iterator
from typing import Any, Final

import msgspec

from raftwerk.storage.lmdb_tables import DAMAGES, StoredTable
from raftwerk.storage.overlay import Row

NUMBER: Final = struct.Struct(">Q")

_decode: Final = msgspec.msgpack.Decoder(list[tuple[bytes, bytes | None]]).decode
_encode: Final = msgspec.msgpack.Encoder().encode


class LmdbNotes:
    """As one transaction sees them."""

    def __init__(self, transaction: Any, tables: list[StoredTable]) -> None:
        """tables: by generation; none in an older store that is only looked at."""
        self._transaction = transaction
        self._tables = tables

    def generations(self) -> list[int]:
        """Those of which something is noted, the older one first. Raises CorruptData."""
        firsts = []
        for generation, table in enumerate(self._tables):
            try:
                cursor = self._transaction.cursor(table.handle)
                if cursor.first():
                    firsts.append((cursor.key(), generation))
            except DAMAGES as error:
                raise table.damaged(f"LMDB says: {error}") from error
        return [generation for _, generation in sorted(firsts)]

    def read(self, generation: int) -> Iterator[Row]:
        """What is noted, as it came. Raises CorruptData."""
        table = self._tables[generation]
        try:
            for number, sealed in self._transaction.cursor(table.handle):
                yield from _decode(table.unsealed(number, sealed))
        except DAMAGES as error:
            raise table.damaged(f"LMDB says: {error}") from error

    def add(self, generation: int, blocks: list[list[Row]]) -> None:
        """Behind all that is noted already."""
        numbers = [0]
        for other in self._tables:
            cursor = self._transaction.cursor(other.handle)
            if cursor.last():
                numbers.append(NUMBER.unpack(cursor.key())[0] + 1)
        table = self._tables[generation]
        items = []
        for number, block in enumerate(blocks, max(numbers)):
            key = NUMBER.pack(number)
            items.append((key, table.sealed(key, _encode(block))))
        _, added = self._transaction.cursor(table.handle).putmulti(items, append=True)
        assert added == len(items), "LMDB skips what it cannot append"

    def forget(self, generation: int) -> None:
        """All of it is in its place."""
        self._transaction.drop(self._tables[generation].handle, delete=False)
