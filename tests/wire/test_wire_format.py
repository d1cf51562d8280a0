"""docs/wire-format.md says what is on the wire."""

import dataclasses
import re

import pytest

from raftwerk.raft.messages import AppendEntries
from raftwerk.raft.types import Entry, EntryKind
from raftwerk.wire import handshake
from raftwerk.wire.codec import KINDS, encode
from raftwerk.wire.frame import FRAME_BYTES_MAX
from raftwerk.wire.handshake import (
    HELLO_BYTES_MAX,
    MAGIC,
    Hello,
    Refused,
    Stream,
    Welcome,
    encode_answer,
    encode_hello,
)
from tests.documents import examples_in, text_of

DOCUMENT = "wire-format.md"


def test_worked_example_is_what_is_sent() -> None:
    entries = (Entry(1, 1, EntryKind.NO_OP, b""), Entry(2, 1, EntryKind.COMMAND, b"set"))
    assert examples_in(DOCUMENT) == [
        encode_hello(0xC1, 0xA1, 0xA2, Stream.MESSAGES, 0x11FE),
        encode_answer(Welcome(1)),
        encode(AppendEntries(1, 0xA1, 0, 0, entries, 0)),
    ]


@pytest.mark.parametrize("message_type", KINDS, ids=lambda kind: kind.__name__)
def test_document_lists_every_message_with_its_fields(message_type: type) -> None:
    fields = " ".join(f"`{field.name}`" for field in dataclasses.fields(message_type))
    row = f"| {KINDS[message_type]} | {message_type.__name__} | {fields} |"
    assert row in text_of(DOCUMENT)


def test_document_lists_no_message_that_is_not_there() -> None:
    rows = re.findall(r"^\| (\d+) \| [A-Z]\w+ \|", text_of(DOCUMENT), re.MULTILINE)
    assert sorted(map(int, rows)) == sorted(KINDS.values())


def test_document_names_version_magic_limits_and_handshake() -> None:
    text = text_of(DOCUMENT)
    assert f"Protocol version: **{handshake.VERSION}**" in text
    assert MAGIC.hex(" ") in text
    assert f"1 to {FRAME_BYTES_MAX}" in text
    assert f"at most {HELLO_BYTES_MAX} bytes" in text
    for message in (Hello, Welcome, Refused):
        for field in message.__struct_fields__:
            assert f"`{field}`" in text, field
