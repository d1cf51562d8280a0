"""The codec: each message comes out as it went in, and nothing else is taken for one."""

import dataclasses
import typing

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raftwerk.errors import PeerProtocolError
from raftwerk.raft import messages
from raftwerk.raft.messages import AppendEntries, Message, PreVote, RequestVote, TimeoutNow
from raftwerk.raft.types import Entry, EntryKind
from raftwerk.wire.codec import KINDS, decode, encode
from raftwerk.wire.frame import FrameDecoder
from tests.wire.samples import SAMPLES

NUMBERS = st.integers(0, 2**64 - 1)
COUNTS = st.integers(0, 2**62)
COUNTED = ("term", "index", "offset", "commit")
"""What the names of terms, indexes and offsets end in."""
BY_TYPE: dict[object, st.SearchStrategy[object]] = {
    int: NUMBERS,
    bool: st.booleans(),
    bytes: st.binary(max_size=60),
    str: st.text(max_size=20),
    typing.get_type_hints(messages.ForwardCommands)["commands"]: st.lists(
        st.binary(max_size=30), max_size=4
    ).map(tuple),
}
TYPES = typing.get_args(Message)


def entries_after(index: int, terms: list[int]) -> tuple[Entry, ...]:
    return tuple(
        Entry(place, term, EntryKind(place % 3), str(term).encode())
        for place, term in enumerate(sorted(terms), index + 1)
    )


APPEND_ENTRIES = st.builds(
    lambda index, terms, numbers: AppendEntries(
        max([1, *terms]),
        numbers[0],
        index,
        min([1, *terms]),
        entries_after(index, terms),
        *numbers[1:],
    ),
    st.integers(0, 2**62),
    st.lists(st.integers(1, 2**62), max_size=5),
    st.lists(COUNTS, min_size=3, max_size=3),
)


def of_type(message_type: type) -> st.SearchStrategy[Message]:
    if message_type is AppendEntries:
        return APPEND_ENTRIES
    hints = typing.get_type_hints(message_type)
    names = [field.name for field in dataclasses.fields(message_type)]
    fields = {name: COUNTS if name.endswith(COUNTED) else BY_TYPE[hints[name]] for name in names}
    return st.builds(message_type, **fields)


def payload_of(message: Message) -> tuple[int, bytes]:
    ((kind, payload),) = FrameDecoder().feed(encode(message))
    return kind, payload


def as_tuples(message: Message) -> Message:
    """Sequences come back as lists."""
    changed = {
        field.name: tuple(value)
        for field in dataclasses.fields(message)
        if isinstance(value := getattr(message, field.name), list)
    }
    return dataclasses.replace(message, **changed)


@pytest.mark.parametrize("message_type", TYPES, ids=lambda kind: kind.__name__)
def test_message_round_trip(message_type: type) -> None:
    @settings(max_examples=30, derandomize=True)
    @given(of_type(message_type))
    def check_round_trip(message: Message) -> None:
        assert as_tuples(decode(*payload_of(message))) == message

    check_round_trip()


def test_every_message_has_a_kind_of_its_own() -> None:
    assert set(KINDS) == set(TYPES)
    assert len(set(KINDS.values())) == len(TYPES)


def test_kinds_are_what_they_always_were() -> None:
    """They are on the wire between versions: never changed, never reused."""
    assert {kind: message.__name__ for message, kind in KINDS.items()} == {
        1: "PreVote",
        2: "PreVoteReply",
        3: "RequestVote",
        4: "RequestVoteReply",
        5: "AppendEntries",
        6: "AppendEntriesReply",
        7: "InstallSnapshot",
        8: "InstallSnapshotReply",
        9: "ForwardCommands",
        10: "ForwardCommandsReply",
        11: "ReadIndex",
        12: "ReadIndexReply",
        13: "TimeoutNow",
    }


@pytest.mark.parametrize("message", SAMPLES, ids=lambda message: type(message).__name__)
def test_message_with_any_flipped_bit_never_arrives(message: Message) -> None:
    data = bytearray(encode(message))
    for bit in range(4 * 8, len(data) * 8):  # the length: see test_frame
        data[bit // 8] ^= 1 << bit % 8
        with pytest.raises(PeerProtocolError):
            FrameDecoder().feed(bytes(data))
        data[bit // 8] ^= 1 << bit % 8


@pytest.mark.parametrize("message", SAMPLES, ids=lambda message: type(message).__name__)
def test_truncated_payload_is_refused(message: Message) -> None:
    kind, payload = payload_of(message)
    for stop in range(len(payload)):
        with pytest.raises(PeerProtocolError, match=f"a frame of kind {kind} cannot be read"):
            decode(kind, payload[:stop])


@pytest.mark.parametrize("message", SAMPLES, ids=lambda message: type(message).__name__)
def test_payload_with_something_behind_it_is_refused(message: Message) -> None:
    kind, payload = payload_of(message)
    with pytest.raises(PeerProtocolError):
        decode(kind, payload + b"\0")


@pytest.mark.parametrize("kind", [0, 14, 99, 100, 255])
def test_unknown_kind_is_refused(kind: int) -> None:
    with pytest.raises(PeerProtocolError, match=f"unknown kind {kind}: a newer version"):
        decode(kind, b"\x80")


@settings(max_examples=200, derandomize=True)
@given(st.sampled_from(sorted(KINDS.values())), st.binary(max_size=60))
def test_garbage_is_refused_or_a_message(kind: int, payload: bytes) -> None:
    try:
        message = decode(kind, payload)
    except PeerProtocolError:
        return
    assert KINDS[type(message)] == kind


def test_field_of_a_later_version_is_ignored() -> None:
    """Fields travel by name."""
    kind, payload = payload_of(TimeoutNow(term=3, leader_id=1))
    fields = {**msgspec.msgpack.decode(payload), "news": [1, 2]}
    assert decode(kind, msgspec.msgpack.encode(fields)) == TimeoutNow(term=3, leader_id=1)


def test_field_that_an_earlier_version_did_not_send_has_its_default() -> None:
    kind, payload = payload_of(RequestVote(4, 2, 9, 3, is_transfer=True))
    fields = msgspec.msgpack.decode(payload)
    del fields["is_transfer"]
    assert decode(kind, msgspec.msgpack.encode(fields)) == RequestVote(4, 2, 9, 3)


def test_missing_field_is_refused() -> None:
    kind, payload = payload_of(PreVote(1, 2, 3, 4, 5))
    fields = msgspec.msgpack.decode(payload)
    del fields["next_term"]
    with pytest.raises(PeerProtocolError, match="next_term"):
        decode(kind, msgspec.msgpack.encode(fields))


@pytest.mark.parametrize(
    ("terms", "indexes"),
    [
        ([2, 2], [11, 13]),
        ([2, 2], [10, 11]),
        ([2, 2], [12, 13]),
        ([2, 1], [11, 12]),
        ([1, 2], [11, 12]),
        ([2, 4], [11, 12]),
    ],
    ids=["gap", "repeats prev", "gap at prev", "term falls", "below prev", "above the leader's"],
)
def test_entries_that_cannot_follow_each_other_are_refused(
    terms: list[int], indexes: list[int]
) -> None:
    """The core relies on it (section 5.3)."""
    entries = [
        Entry(index, term, EntryKind.COMMAND, b"")
        for index, term in zip(indexes, terms, strict=True)
    ]
    kind, payload = payload_of(AppendEntries(3, 1, 10, 2, entries, 0))
    with pytest.raises(PeerProtocolError, match="cannot follow"):
        decode(kind, payload)


def test_entries_that_ask_for_no_reply_are_refused() -> None:
    entries = [Entry(11, 2, EntryKind.COMMAND, b"")]
    kind, payload = payload_of(AppendEntries(3, 1, 10, 2, entries, 0, needs_reply=False))
    with pytest.raises(PeerProtocolError, match="asks for no reply"):
        decode(kind, payload)


@pytest.mark.parametrize("number", [-1, 2**62 + 1, 2**64 - 1])
@pytest.mark.parametrize(
    ("message", "name"),
    [
        pytest.param(message, name, id=f"{type(message).__name__}.{name}")
        for message in SAMPLES
        for name in [field.name for field in dataclasses.fields(message)]
        if name.endswith(COUNTED)
    ],
)
def test_number_that_the_core_cannot_count_on_from_is_refused(
    message: Message, name: str, number: int
) -> None:
    """A term of 2**64 - 1 would be made durable, and the next one could be neither sent nor stored: by no member, ever."""
    payload = msgspec.msgpack.encode(dataclasses.replace(message, **{name: number}))
    with pytest.raises(PeerProtocolError):
        decode(KINDS[type(message)], payload)


def test_unknown_kind_of_entry_is_refused() -> None:
    kind, payload = payload_of(AppendEntries(3, 1, 0, 0, [Entry(1, 3, EntryKind.NO_OP, b"")], 0))
    fields = msgspec.msgpack.decode(payload)
    fields["entries"][0][2] = 9
    with pytest.raises(PeerProtocolError):
        decode(kind, msgspec.msgpack.encode(fields))
