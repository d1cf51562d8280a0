"""Recovery: everything vouched for, nothing invented, and a refusal where that cannot be told."""

import contextlib
from collections.abc import Callable, Iterator
from random import Random

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raftwerk.errors import CorruptData, DataDirError
from raftwerk.raft.effects import Persist
from raftwerk.raft.types import Entry, EntryKind
from raftwerk.wal import record, segment
from raftwerk.wal.recovery import recover, scan
from raftwerk.wal.segment import HEADER_BYTES, name_of
from tests.fakes.disk import Cut, FakeDisk, PowerCut
from tests.wal.logs import CLUSTER, NODE, SEGMENT_BYTES, Writer, image_of, is_recovered, open_wal

FIRST, SECOND, THIRD = name_of(1), name_of(2), name_of(3)

# What a writer may do: (action, number), made valid for the state that it meets
ACTIONS = st.tuples(
    st.sampled_from(
        ["append", "append", "append", "group", "large", "replace", "vote", "reset", "compact"]
    ),
    st.integers(0, 5),
)


def carry_out(writer: Writer, action: str, number: int) -> None:
    image = writer.image
    if action == "append":
        writer.append(1 + number)
    elif action == "group":
        writer.write(*writer.group())
    elif action == "large":
        writer.append(1, size=700 + 400 * number)
    elif action == "replace":
        start = max(writer.commit_index, image.last_index - number) + 1
        if start <= image.last_index:
            writer.replace_from(start, 1 + number % 3)
    elif action == "vote":
        writer.vote(number)
    elif action == "reset":
        writer.reset(image.last_index + number)
    else:
        writer.commit_index = max(writer.commit_index, image.last_index - number)
        writer.compact(writer.commit_index)


def live(writer: Writer, script: list[tuple[str, int]]) -> None:
    """Write until the script ends, or the power."""
    with contextlib.suppress(PowerCut):
        for action, number in script:
            carry_out(writer, action, number)


def found_prefix(disk: FakeDisk, writer: Writer) -> list[Persist]:
    """The persists that a recovery finds: all that were vouched for, and perhaps more, in order."""
    _, recovered = open_wal(disk)
    for count in range(len(writer.persists), writer.vouched - 1, -1):
        prefix = writer.persists[:count]
        if is_recovered(image_of(prefix), recovered):
            assert recovered.log.snapshot_index <= max(
                writer.compacted_to, image_of(prefix).base_index
            )
            return prefix
    raise AssertionError(
        f"no prefix from {writer.vouched} to {len(writer.persists)}: {recovered.current_term} "
        f"{recovered.log.snapshot_index}..{recovered.log.last_index}"
    )


@settings(max_examples=150, deadline=None, derandomize=True)
@given(
    script=st.lists(ACTIONS, min_size=1, max_size=25),
    step=st.integers(1, 40),
    seed=st.integers(0, 2**16),
    second_step=st.integers(1, 8),
    more=st.lists(ACTIONS, max_size=8),
)
def test_power_cut_at_any_step_loses_nothing_vouched_for_and_invents_nothing(
    script: list[tuple[str, int]],
    step: int,
    seed: int,
    second_step: int,
    more: list[tuple[str, int]],
) -> None:
    """Twice in a row, the second time perhaps in the middle of the recovery."""
    disk = FakeDisk(cut=Cut(step, seed))
    try:
        writer = Writer(disk)
    except PowerCut:  # nothing was written yet
        writer = Writer(FakeDisk())
    else:
        live(writer, script)
    prefix = found_prefix(disk.reboot(), writer)
    again = disk.reboot(cut=Cut(second_step, seed + 1))
    try:
        second = Writer(again, prefix)
    except PowerCut:  # in the middle of the recovery
        assert found_prefix(again.reboot(), writer) == prefix
        return
    second.commit_index = min(writer.commit_index, second.image.last_index)
    second.compacted_to = writer.compacted_to
    live(second, more)
    found_prefix(again.reboot(), second)


@pytest.fixture
def disk() -> FakeDisk:
    return FakeDisk()


@pytest.fixture
def writer(disk: FakeDisk) -> Writer:
    """A log of a few groups in its first segment."""
    writer = Writer(disk)
    writer.append(2)
    writer.write(*writer.group())
    writer.vote(9)
    writer.append(1)
    return writer


def interrupted(disk: FakeDisk, writer: Writer, group: list[Persist], cut: Cut) -> list[Persist]:
    """What is found after the power went while `group` was written to a copy of the disk."""
    copy = disk.reboot(cut=cut)
    second = Writer(copy, writer.persists)
    with pytest.raises(PowerCut):
        second.write(*group)
    return found_prefix(copy.reboot(), second)


def test_last_group_torn_at_any_byte_is_cut_off(disk: FakeDisk, writer: Writer) -> None:
    """Each record of it is there whole, or not at all."""
    group = writer.group(size=200)
    size = sum(record.size_on_disk(len(record.encode_payload(persist))) for persist in group)
    counts = [
        len(interrupted(disk, writer, group, Cut(1, kept=kept, loses_sectors=False)))
        for kept in range(size + 1)
    ]
    assert sorted(counts) == counts
    assert set(counts) == {len(writer.persists) + more for more in range(4)}


@pytest.mark.parametrize("seed", range(40))
def test_last_group_without_some_of_its_sectors_is_cut_off(
    disk: FakeDisk, writer: Writer, seed: int
) -> None:
    found = interrupted(disk, writer, writer.group(size=1500), Cut(4, seed, kept=10**6))
    assert found[: len(writer.persists)] == writer.persists


def test_power_cut_at_any_byte_of_the_cutting_off(disk: FakeDisk, writer: Writer) -> None:
    """Leaves a torn group, as before: two writes, what comes behind the head of the first record before the head."""
    stop = scan(disk, "wal", 1, is_last=True).stop
    group = writer.group(size=60)
    torn = disk.copy(cut=Cut(1, kept=90, loses_sectors=False))
    with pytest.raises(PowerCut):
        Writer(torn, writer.persists).write(*group)
    for step in (1, 2):
        for kept in range(SEGMENT_BYTES - stop):
            cut = torn.copy(cut=Cut(step, kept=kept, loses_sectors=False))
            with pytest.raises(PowerCut):
                open_wal(cut)
            assert found_prefix(cut.reboot(), writer) == writer.persists


def test_cut_off_group_never_comes_back(disk: FakeDisk, writer: Writer) -> None:
    """Its whole records must not be found later, behind a new record of the same size as the torn one."""
    stop = scan(disk, "wal", 1, is_last=True).stop
    torn = disk.reboot()
    group = writer.group(size=100)
    Writer(torn, writer.persists).write(*group)
    size = record.size_on_disk(len(record.encode_payload(group[0])))
    torn.files[FIRST][stop + 60 : stop + size] = bytes(size - 60)
    second = Writer(torn.reboot(), writer.persists)
    assert second.recovered.torn_bytes > size
    second.append(1, size=100)
    assert scan(second.disk, "wal", 1, is_last=True).stop == stop + size
    assert found_prefix(second.disk.reboot(), second) == second.persists


def flips(data: bytearray, start: int, stop: int) -> Iterator[int]:
    """Flip each bit from byte `start` to byte `stop` in turn, and back."""
    for byte in range(start, stop):
        for bit in range(8):
            data[byte] ^= 1 << bit
            yield byte
            data[byte] ^= 1 << bit


def test_any_flipped_bit_of_what_was_vouched_for_is_refused(disk: FakeDisk) -> None:
    """In the header, in the middle, in the last group, in the zeros of a segment that is full: with file and offset."""
    writer = Writer(disk)
    writer.append(2)
    writer.append(1, size=1100)
    writer.append(1, size=500)
    writer.write(*writer.group())
    assert disk.names() == [FIRST, SECOND]
    found = scan(disk, "wal", 2, is_last=True)
    for name, stop in ((FIRST, len(disk.files[FIRST])), (SECOND, found.stop)):
        for byte in flips(disk.files[name], 0, stop):
            with pytest.raises(CorruptData) as caught:
                recover(disk, "wal", CLUSTER, NODE)
            assert caught.value.path.name == name
            assert caught.value.offset <= byte


def test_any_flipped_bit_behind_the_log_changes_nothing(disk: FakeDisk, writer: Writer) -> None:
    """Nothing was ever written there. Only where the next payload would begin, it may have been a record: refused."""
    stop = scan(disk, "wal", 1, is_last=True).stop
    expected = recover(disk, "wal", CLUSTER, NODE)
    assert expected is not None
    refused = set()
    for byte in flips(disk.files[FIRST], stop, len(disk.files[FIRST])):
        try:
            found = recover(disk, "wal", CLUSTER, NODE)
        except CorruptData:
            refused.add(byte)
            continue
        assert found is not None
        assert found.image == expected.image, byte
        assert found.torn_bytes == byte + 1 - stop
    assert refused == {stop + record.HEADER.size}


Damage = Callable[[FakeDisk, int, int], None]


def _zero_record(disk: FakeDisk, start: int, stop: int) -> None:
    disk.files[FIRST][start:stop] = bytes(stop - start)


def _zero_head(disk: FakeDisk, start: int, stop: int) -> None:
    disk.files[FIRST][start : start + record.HEADER.size] = bytes(record.HEADER.size)


def _scramble(disk: FakeDisk, start: int, stop: int) -> None:
    disk.files[FIRST][start:stop] = Random(1).randbytes(stop - start)


def _repeat_the_record_before(disk: FakeDisk, start: int, stop: int) -> None:
    data = disk.files[FIRST]
    data[start:stop] = data[start - (stop - start) : start]


@pytest.mark.parametrize(
    "damage",
    [_zero_record, _zero_head, _scramble, _repeat_the_record_before],
    ids=lambda f: f.__name__,
)
def test_damage_before_a_readable_group_is_refused(disk: FakeDisk, damage: Damage) -> None:
    """That group was only written when everything before it was durable."""
    writer = Writer(disk)
    for _ in range(5):
        writer.append(1)
    offsets = [offset for offset, _, _ in scan(disk, "wal", 1, is_last=True).changes]
    damage(disk, offsets[2], offsets[3])
    with pytest.raises(CorruptData) as caught:
        open_wal(disk)
    assert (caught.value.path.name, caught.value.offset) == (FIRST, offsets[2])


def test_refusal_says_file_offset_and_what_to_do(disk: FakeDisk, writer: Writer) -> None:
    offset = scan(disk, "wal", 1, is_last=True).changes[1][0]
    disk.files[FIRST][offset + 30] ^= 1
    with pytest.raises(CorruptData) as caught:
        open_wal(disk)
    text = str(caught.value)
    assert f"wal/{FIRST}: damaged at byte {offset}" in text
    assert "Nothing was changed" in text
    assert "Do not put back an older copy" in text


def test_refusal_changes_nothing(disk: FakeDisk, writer: Writer) -> None:
    disk.files[FIRST][600] ^= 1
    before = {name: bytes(data) for name, data in disk.files.items()}
    with pytest.raises(CorruptData):
        open_wal(disk)
    assert {name: bytes(data) for name, data in disk.files.items()} == before


def test_file_that_was_cut_short_is_refused(disk: FakeDisk, writer: Writer) -> None:
    """Even at the end of a record, where no checksum is wrong."""
    del disk.files[FIRST][scan(disk, "wal", 1, is_last=True).changes[-1][0] :]
    with pytest.raises(CorruptData, match="the file ends here"):
        open_wal(disk)


def three_segments(disk: FakeDisk) -> Writer:
    writer = Writer(disk)
    while THIRD not in disk.files:
        writer.append(3, size=200)
    return writer


def test_gap_between_segments_is_refused(disk: FakeDisk) -> None:
    three_segments(disk)
    del disk.files[SECOND]
    with pytest.raises(DataDirError, match=f"wal/{SECOND} is missing: the log has a gap"):
        open_wal(disk)


def test_torn_record_before_a_later_segment_is_refused(disk: FakeDisk) -> None:
    """The tail of a segment that has a successor was durable."""
    three_segments(disk)
    stop = scan(disk, "wal", 1, is_last=False).stop
    disk.files[FIRST][stop] = 1
    with pytest.raises(CorruptData, match="a later segment follows") as caught:
        open_wal(disk)
    assert caught.value.offset == stop


@pytest.mark.parametrize("number", [1, 2, 3])
@pytest.mark.parametrize(("cluster", "node"), [(0xC2, NODE), (CLUSTER, 0xA2)])
def test_segment_of_another_cluster_or_member_is_refused(
    disk: FakeDisk, number: int, cluster: int, node: int
) -> None:
    three_segments(disk)
    name = name_of(number)
    header = scan(disk, "wal", number, is_last=number == 3).header
    foreign = segment.encode_header(
        msgspec.structs.replace(header, cluster_id=cluster, node_id=node)
    )
    disk.files[name][:HEADER_BYTES] = foreign
    with pytest.raises(
        DataDirError, match=f"wal/{name} belongs to member {node:x} of cluster {cluster:x}"
    ):
        open_wal(disk)


@pytest.mark.parametrize(
    "field", ["first_sequence", "current_term", "voted_for", "prev_index", "prev_term"]
)
def test_segment_that_does_not_go_on_from_the_one_before_is_refused(
    disk: FakeDisk, field: str
) -> None:
    """For instance a file of an older copy of the same folder."""
    three_segments(disk)
    header = scan(disk, "wal", 3, is_last=True).header
    other = msgspec.structs.replace(header, **{field: getattr(header, field) + 1})
    disk.files[THIRD][:HEADER_BYTES] = segment.encode_header(other)
    with pytest.raises(CorruptData) as caught:
        open_wal(disk)
    assert caught.value.path.name == THIRD


@pytest.mark.parametrize(
    "change",
    [
        Persist(1, 1, 0, entries=(Entry(9, 1, EntryKind.COMMAND, b""),)),
        Persist(1, 1, 0, truncate_from=40, entries=(Entry(40, 1, EntryKind.COMMAND, b""),)),
    ],
    ids=["entry behind a gap", "truncates what is not there"],
)
def test_record_that_contradicts_those_before_is_refused(
    disk: FakeDisk, writer: Writer, change: Persist
) -> None:
    found = scan(disk, "wal", 1, is_last=True)
    payload = record.encode_payload(change)
    data = record.encode_record(payload, 1, len(found.changes) + 1, found.stop)
    disk.files[FIRST][found.stop : found.stop + len(data)] = data
    with pytest.raises(CorruptData) as caught:
        open_wal(disk)
    assert caught.value.offset == found.stop


@pytest.mark.parametrize(
    ("sequence", "payload"),
    [(99, b"\x90"), (1, b"\x90"), (1, b"\xc1")],
    ids=["sequence", "fields", "bytes"],
)
def test_record_with_right_checksums_and_wrong_content_is_refused(
    disk: FakeDisk, sequence: int, payload: bytes
) -> None:
    Writer(disk)
    data = record.encode_record(payload, 1, sequence, HEADER_BYTES)
    disk.files[FIRST][HEADER_BYTES : HEADER_BYTES + len(data)] = data
    with pytest.raises(CorruptData) as caught:
        open_wal(disk)
    assert caught.value.offset == HEADER_BYTES


def test_no_segment_is_no_log(disk: FakeDisk) -> None:
    assert recover(disk, "wal", CLUSTER, NODE) is None
