"""Whether an LMDB file that is shorter than its pages are many is whole all the same: what is missing holds nothing.

All rows must be there, and LMDB's own table of free pages, of which the next writes take theirs. That one cannot be opened, so
its pages are sought in the file (MDB_meta, MDB_page and MDB_node in LMDB's mdb.c).
"""

import signal
import struct
import subprocess
import sys
from pathlib import Path
from typing import Final

import lmdb

from raftwerk.errors import CorruptData, DataDirError
from raftwerk.kv.store import Table
from raftwerk.storage.lmdb_environment import DATA, open_environment
from raftwerk.storage.lmdb_rows import META_PAGES, LmdbRows
from raftwerk.storage.lmdb_tables import open_tables

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

_WHOLE: Final = 111
_NOT_WHOLE: Final = 112
"""Exit codes: no program ends by chance with them."""
_NOT_THERE: Final = (-signal.SIGBUS, -signal.SIGSEGV)
"""How LMDB ends a process that comes to a page that is not there."""
_DAMAGES: Final = (
    CorruptData,
    lmdb.CorruptedError,
    lmdb.IncompatibleError,
    lmdb.InvalidError,
    lmdb.NotFoundError,
    lmdb.PageNotFoundError,
    struct.error,
    RecursionError,
)
"""What reading pages that are not what they should be leads to."""
_UNKNOWN: Final = (
    "{} is shorter than LMDB says, and whether all is there that is needed could not be found out: {}, which was to read it, {}. "
    "Nothing was changed, and no damage was found. See to it that this is a Python that can run raftwerk, and that nothing ends "
    "it (for want of memory?), and start again."
)


def is_whole(path: Path) -> bool:
    """Asked in a process of its own, for LMDB ends the one that comes to a page that is not there.

    Raises DataDirError where that process does not tell.
    """
    call = f"from {__name__} import tell; tell({str(path)!r})"
    try:
        ended = subprocess.run(
            [sys.executable, "-c", f"import sys; sys.path[:] = {sys.path!r}; {call}"],
            capture_output=True,
            text=True,
            errors="replace",
        )
    except OSError as error:
        text = f"cannot be run ({error.strerror})"
        raise DataDirError(_UNKNOWN.format(path / DATA, sys.executable, text)) from error
    if ended.returncode == _WHOLE:
        return True
    if ended.returncode == _NOT_WHOLE or ended.returncode in _NOT_THERE:
        return False
    said = (ended.stderr.strip() or "nothing").splitlines()[-1]
    text = f"ended with {ended.returncode} and said: {said}"
    raise DataDirError(_UNKNOWN.format(path / DATA, sys.executable, text))


def tell(path: str) -> None:
    """End this process as `is_whole` expects it of the other one."""
    try:
        read_all(path)
    except _DAMAGES:
        sys.exit(_NOT_WHOLE)
    sys.exit(_WHOLE)


def read_all(path: str) -> None:
    """Read all of an environment that is needed. Raises whatever is wrong, or does not return."""
    environment = open_environment(Path(path), read_only=True)
    rows = LmdbRows(environment, open_tables(environment))
    for table in Table:
        for _ in rows.scan(table, b"", None):
            pass
    notes = rows.notes()
    for generation in notes.generations():
        for _ in notes.read(generation):
            pass
    rows.close()
    _read_free_pages(Path(path) / DATA, environment.stat()["psize"])
    environment.close()


def _read_free_pages(path: Path, page_bytes: int) -> None:
    """The table of free pages. Raises CorruptData for a page that is not there."""
    pages = path.stat().st_size // page_bytes
    with path.open("rb") as file:

        def page(number: int) -> bytes:
            if number >= pages:
                raise CorruptData(path, number * page_bytes, "the file ends here")
            file.seek(number * page_bytes)
            return file.read(page_bytes)

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
