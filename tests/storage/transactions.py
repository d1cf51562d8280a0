"""Write transactions of LMDB."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from raftwerk.storage.lmdb_rows import LmdbRows
from raftwerk.storage.lmdb_tables import Tables


@contextmanager
def written(environment: Any, tables: Tables) -> Iterator[LmdbRows]:
    """A transaction that is thrown away."""
    transaction = environment.begin(write=True)
    try:
        yield LmdbRows(environment, tables, transaction)
    finally:
        transaction.abort()
