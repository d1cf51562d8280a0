"""docs/wal-format.md says what is on the disk."""

import re

from raftwerk.raft.effects import Persist
from raftwerk.raft.types import Entry, EntryKind
from raftwerk.wal import record, segment
from raftwerk.wal.record import Change, RecordHead
from raftwerk.wal.recovery import scan
from raftwerk.wal.segment import HEADER_BYTES, MAGIC, SegmentHeader, name_of
from tests.documents import examples_in, text_of
from tests.fakes.disk import FakeDisk
from tests.wal.logs import NODE, SEGMENT_BYTES, open_wal

DOCUMENT = "wal-format.md"


def test_worked_example_is_what_is_written() -> None:
    disk = FakeDisk()
    wal, _ = open_wal(disk)
    entries = (Entry(1, 1, EntryKind.NO_OP, b""), Entry(2, 1, EntryKind.COMMAND, b"set"))
    wal.stage([Persist(1, 1, NODE, entries=entries)]).run()
    header, first = examples_in(DOCUMENT)
    written = header.ljust(HEADER_BYTES, b"\0") + first
    assert disk.files[name_of(1)] == written.ljust(SEGMENT_BYTES, b"\0")


def test_worked_example_can_be_read() -> None:
    header, first = examples_in(DOCUMENT)
    data = (header.ljust(HEADER_BYTES, b"\0") + first).ljust(SEGMENT_BYTES, b"\0")
    found = scan(FakeDisk({name_of(1): bytearray(data)}), "wal", 1, is_last=True)
    assert [entry.command for _, _, change in found.changes for entry in change.entries] == [
        b"",
        b"set",
    ]


def test_document_names_the_version_and_every_field() -> None:
    text = text_of(DOCUMENT)
    assert f"Format version: **{segment.VERSION}**" in text
    assert MAGIC.hex(" ") in text
    for field in (*SegmentHeader.__struct_fields__, *Change.__struct_fields__, *RecordHead._fields):
        assert re.search(rf"\b{field}\b", text), field


def test_document_has_the_sizes_of_the_source() -> None:
    text = text_of(DOCUMENT)
    assert record.HEADER.size == 24
    assert "| 24 | length | payload |" in text
    assert f"| {HEADER_BYTES} | | records" in text
    assert f"| 1 | end | `{record.END.hex()}` |" in text
