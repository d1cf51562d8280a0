"""The tables of an environment: their checksums, and how they are opened."""

from pathlib import Path
from typing import Any

import pytest

from raftwerk.errors import CorruptData
from raftwerk.kv.store import Table
from raftwerk.storage.lmdb_environment import GENERATIONS, open_environment
from raftwerk.storage.lmdb_tables import CRC_BYTES, Tables, open_tables


def test_what_was_sealed_is_unsealed(tables: Tables) -> None:
    for table in tables:
        sealed = table.sealed(b"key", b"value")
        assert len(sealed) == len(b"value") + CRC_BYTES
        assert table.unsealed(b"key", sealed) == b"value"


def test_every_flipped_bit_of_key_and_row_is_found(tables: Tables) -> None:
    table = tables[Table.KEYS]
    key, sealed = b"key", table.sealed(b"key", b"value")
    for bit in range(8 * len(key + sealed)):
        data = bytearray(key + sealed)
        data[bit // 8] ^= 1 << bit % 8
        with pytest.raises(CorruptData, match="table keys: the row of key"):
            table.unsealed(bytes(data[: len(key)]), bytes(data[len(key) :]))


def test_row_of_another_table_is_none_of_this(tables: Tables) -> None:
    for one in tables:
        for other in tables:
            if one is not other:
                with pytest.raises(CorruptData):
                    other.unsealed(b"key", one.sealed(b"key", b"value"))


def test_damage_is_told_before_it_is_raised(tables: Tables) -> None:
    told: list[CorruptData] = []
    tables[Table.AUTH].on_damage = told.append
    assert tables[Table.AUTH].damaged("it is gone") is told[0]
    assert "table auth: it is gone" in str(told[0])
    tables[Table.AUTH].on_damage = None


def test_tables_of_an_older_store_are_opened_to_be_read(tmp_path: Path) -> None:
    """It has none for what is noted."""
    environment = open_environment(tmp_path)
    for table in Table:
        environment.open_db(table.name.lower().encode())
    environment.close()
    environment = open_environment(tmp_path, read_only=True)
    assert len(open_tables(environment)) == len(Table)
    environment.close()
    environment = open_environment(tmp_path)
    assert len(open_tables(environment)) == len(Table) + GENERATIONS
    environment.close()


def test_tables_have_the_names_of_the_document(environment: Any, tables: Tables) -> None:
    names = {table.name.lower() for table in Table} | {"keys_noted_0", "keys_noted_1"}
    with environment.begin() as transaction:
        assert {key.decode() for key, _ in transaction.cursor()} == names
    assert len(tables) == len(names)
