"""docs/store-format.md: its example is what the machine writes."""

import re
from pathlib import Path

import google_crc32c

from raftwerk.kv.commands import DeleteRange, Put, Txn
from raftwerk.kv.store import Table
from raftwerk.storage.lmdb_store import LmdbStore
from tests.kv.rig import Rig

DOCUMENT = Path(__file__).parents[2] / "docs" / "store-format.md"


def documented_rows() -> list[tuple[str, bytes, bytes]]:
    """(table, key, value) of each line of the example."""
    rows = []
    for line in DOCUMENT.read_text().splitlines():
        if match := re.fullmatch(r"keys (\w+) +([0-9a-f ]+)", line):
            rows.append(("keys", match[1].encode(), bytes.fromhex(match[2])))
        elif match := re.fullmatch(r"revisions ([0-9a-f]{16} [0-9a-f]{8}) ([0-9a-f ]+)", line):
            rows.append(("revisions", bytes.fromhex(match[1]), bytes.fromhex(match[2])))
    return rows


def test_checksum_is_the_documented_one(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    rig.execute_all(Put(b"color", b"red"), Put(b"size", b"9"), Put(b"color", b"blue"))
    rig.execute_all(Txn((), (Put(b"shape", b"o"), DeleteRange(b"size"))), Put(b"color", b"green"))
    rig.checkpoint()
    rig.close()
    _, key, value = documented_rows()[0]
    match = re.search(r"ends with\n`([0-9a-f]{8})`", DOCUMENT.read_text())
    assert match is not None
    crc = bytes.fromhex(match[1])
    assert crc == google_crc32c.value(b"\1" + key + value).to_bytes(4, "little")
    (file,) = tmp_path.glob("data-*/data.mdb")
    assert key + value + crc in file.read_bytes()


def test_example_is_what_stands_in_the_store(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    rig.execute_all(Put(b"color", b"red"), Put(b"size", b"9"), Put(b"color", b"blue"))
    rig.execute_all(Txn((), (Put(b"shape", b"o"), DeleteRange(b"size"))), Put(b"color", b"green"))
    rig.checkpoint()
    rig.close()
    store = LmdbStore(tmp_path, read_only=True)
    rows = [
        (table.name.lower(), key, value)
        for table in (Table.KEYS, Table.REVISIONS)
        for key, value in store.scan(table, b"", None)
    ]
    assert rows == documented_rows()
    assert len(rows) == 9
    assert store.get(Table.META, b"revision") == (6).to_bytes(8, "big")
    assert store.get(Table.META, b"position") == (5).to_bytes(8, "big")
    store.close()
