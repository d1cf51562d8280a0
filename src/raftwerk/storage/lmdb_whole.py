"""Whether an LMDB file that is shorter than its pages are many is whole all the same: what is missing holds nothing.

All rows must be there, and LMDB's own table of free pages, of which the next writes take theirs. That one cannot be opened, so
its pages are sought in the file (MDB_meta, MDB_page and MDB_node in LMDB's mdb.c).
"""

import struct
import subprocess
import sys
from pathlib import Path
from typing import Final

from raftwerk.errors import CorruptData
from raftwerk.kv.store import Table
from raftwerk.storage.lmdb_environment import DATA, open_environment
from raftwerk.storage.lmdb_rows import META_PAGES, LmdbRows, open_tables

_META: Final = struct.Struct("<80xQ56xQ")
"""A meta page: the root of the table of free pages, the number of the transaction."""
_NO_PAGE: Final = 2**64 - 1
_PAGE: Final = struct.Struct("<10xHH2x")
"""The header of a page: its kind, and where the list of its nodes' places ends."""
_IS_BRANCH: Final = 1
_PLACE: Final = struct.Struct("<H")
_NODE: Final = struct.Struct("<IHH")
"""The header of a node: the size of its value, flags, the size of its key; in a branch a page, of 48 bits, and the last."""
_HAS_OWN_PAGES: Final = 1
_NUMBER: Final = struct.Struct("<Q")


def is_whole(path: Path) -> bool:
    """Asked in a process of its own, for LMDB ends the one that comes to a page that is not there."""
    code = f"from {__name__} import read_all; read_all({str(path)!r})"
    return not subprocess.run([sys.executable, "-c", code], capture_output=True).returncode


def read_all(path: str) -> None:
    """Read all of an environment that is needed. Raises whatever is wrong, or does not return."""
    environment = open_environment(Path(path), read_only=True)
    rows = LmdbRows(environment, open_tables(environment))
    for table in Table:
        for _ in rows.scan(table, b"", None):
            pass
    rows.close()
    _read_free_pages(Path(path) / DATA, environment.stat()["psize"])
    environment.close()


def _read_free_pages(path: Path, page_bytes: int) -> None:
    """The table of free pages. Raises CorruptData for a page that is not there."""
    with path.open("rb") as file:

        def page(number: int) -> bytes:
            file.seek(number * page_bytes)
            data = file.read(page_bytes)
            if len(data) < page_bytes:
                raise CorruptData(path, number * page_bytes, "the file ends here")
            return data

        def read_below(number: int) -> None:
            data = page(number)
            kind, end = _PAGE.unpack_from(data)
            for at in range(_PAGE.size, end, _PLACE.size):
                (place,) = _PLACE.unpack_from(data, at)
                size, flags, key_size = _NODE.unpack_from(data, place)
                if kind & _IS_BRANCH:
                    read_below(flags << 32 | size)
                elif flags & _HAS_OWN_PAGES:
                    (first,) = _NUMBER.unpack_from(data, place + _NODE.size + key_size)
                    page(first + (_PAGE.size + size - 1) // page_bytes)  # the last of them

        metas = [_META.unpack_from(page(number)) for number in range(META_PAGES)]
        root, _ = max(metas, key=lambda meta: meta[1])
        if root != _NO_PAGE:
            read_below(root)
