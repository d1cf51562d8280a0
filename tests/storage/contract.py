"""What every store must do, as the port (kv/store.py) and durability.py say it: one contract, run on each store."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path

import pytest

from raftwerk.durability import SnapshotWriter
from raftwerk.errors import CorruptData
from raftwerk.kv.store import Store, Table
from raftwerk.storage.stream import Row, encode_stream
from tests.checkpoints import complete, read_all

KEYS = Table.KEYS
POSITION = (Table.META, b"position")
LONG = b"long" * 300


class Setting(ABC):
    """A store that can lose its power."""

    store: Store

    @abstractmethod
    def crash(self) -> None:
        """Everything that is not durable is gone; `store` is what opens after that."""

    @abstractmethod
    def fresh(self) -> Store:
        """Another, empty store."""

    def checkpoint(self, index: int = 1) -> None:
        complete(self.store.begin_checkpoint(index))

    def put(self, *keys: bytes, value: bytes = b"value") -> None:
        for key in keys:
            self.store.put(KEYS, key, value)

    def keys(self, start: bytes = b"", stop: bytes | None = None, **options: bool) -> list[bytes]:
        return [key for key, _ in self.store.scan(KEYS, start, stop, **options)]


def receive(writer: SnapshotWriter, stream: bytes) -> None:
    for start in range(0, len(stream), 777):
        writer.write(stream[start : start + 777])
    writer.commit()


def clean(writer: SnapshotWriter) -> None:
    while writer.has_leftovers:
        writer.clean()


class StoreContract:
    """Subclasses give the fixture `setting`."""

    @pytest.fixture
    def setting(self, tmp_path: Path) -> Iterator[Setting]:
        raise AssertionError("a subclass gives it")

    # Rows

    @pytest.mark.parametrize("key", [b"k", b"\0", b"k" * 500, b"k" * 501, LONG], ids=len)
    def test_value_is_what_was_put_last(self, setting: Setting, key: bytes) -> None:
        setting.put(key, value=b"old")
        setting.checkpoint()
        assert setting.store.get(KEYS, key) == b"old"
        setting.put(key, value=b"new")
        assert setting.store.get(KEYS, key) == b"new"
        setting.store.delete(KEYS, key)
        assert setting.store.get(KEYS, key) is None

    def test_absent_key_has_no_value_and_can_be_deleted(self, setting: Setting) -> None:
        setting.put(LONG)
        setting.store.delete(KEYS, b"absent")
        setting.store.delete(KEYS, LONG + b"absent")
        assert setting.store.get(KEYS, b"absent") is None
        assert setting.store.get(KEYS, b"") is None
        assert setting.store.get(KEYS, LONG + b"absent") is None

    def test_empty_value_is_a_value(self, setting: Setting) -> None:
        setting.put(b"k", value=b"")
        setting.checkpoint()
        assert setting.store.get(KEYS, b"k") == b""

    def test_tables_are_apart(self, setting: Setting) -> None:
        for table in Table:
            setting.store.put(table, b"k", table.name.encode())
        setting.checkpoint()
        assert [setting.store.get(table, b"k") for table in Table] == [
            table.name.encode() for table in Table
        ]

    SPANS = (
        (b"", None),
        (b"b", None),
        (b"b", b"d"),
        (b"bb", b"c\0"),
        (b"d", b"b"),
        (LONG, LONG + b"\0"),
        (LONG[:500], LONG[:501]),
        (LONG[:500] + b"\0", None),
        (b"a", LONG + b"2"),
        (LONG + b"2", LONG + b"9"),
    )

    @pytest.mark.parametrize("is_reverse", [False, True], ids=["forward", "reverse"])
    @pytest.mark.parametrize(
        "span", SPANS, ids=lambda span: f"{span[0][:4]}-{(span[1] or b'')[:4]}"
    )
    def test_scan_gives_the_keys_of_the_span_in_order(
        self, setting: Setting, span: tuple[bytes, bytes | None], is_reverse: bool
    ) -> None:
        """Whether they are durable, being written, or new; short or long."""
        stored = [b"a", b"b", b"c", b"d", LONG[:499], LONG[:500], LONG + b"1", LONG + b"3"]
        newer = [b"b\0", b"c", b"e", LONG + b"2", LONG[:500] + b"\0", LONG[:501]]
        newest = [b"\0", b"cc", LONG + b"3", LONG + b"4"]
        setting.put(*stored)
        setting.checkpoint()
        setting.put(*newer)
        setting.store.delete(KEYS, b"a")
        checkpoint = setting.store.begin_checkpoint(2)
        setting.put(*newest)
        setting.store.delete(KEYS, b"e")
        setting.store.delete(KEYS, LONG + b"1")
        start, stop = span
        there = {*stored, *newer, *newest} - {b"a", b"e", LONG + b"1"}
        expected = sorted(key for key in there if key >= start and (stop is None or key < stop))
        assert setting.keys(start, stop, reverse=is_reverse) == expected[:: -1 if is_reverse else 1]
        assert checkpoint is not None
        complete(checkpoint)
        assert setting.keys(start, stop, reverse=is_reverse) == expected[:: -1 if is_reverse else 1]

    def test_scan_sees_writes_between_scans(self, setting: Setting) -> None:
        setting.put(*(b"%03d" % number for number in range(0, 300, 2)))
        assert len(setting.keys()) == 150
        setting.put(b"003", b"001")
        setting.store.delete(KEYS, b"000")
        assert setting.keys(b"", b"005") == [b"001", b"002", b"003", b"004"]

    # Checkpoints

    def test_checkpoint_outlives_a_crash_and_nothing_else_does(self, setting: Setting) -> None:
        setting.put(b"a", b"b", LONG)
        setting.store.put(*POSITION, b"1")
        setting.checkpoint()
        setting.put(b"c", LONG + b"2")
        setting.put(b"a", value=b"changed")
        setting.store.delete(KEYS, b"b")
        setting.store.put(*POSITION, b"2")
        setting.crash()
        assert dict(setting.store.scan(KEYS, b"", None)) == dict.fromkeys(
            [b"a", b"b", LONG], b"value"
        )
        assert setting.store.get(*POSITION) == b"1"

    def test_crash_before_the_commit_leaves_the_checkpoint_before(self, setting: Setting) -> None:
        """Data and position come together or not at all."""
        setting.put(*(b"%04d" % number for number in range(1000)))
        setting.store.put(*POSITION, b"1")
        setting.checkpoint()
        setting.put(*(b"new%04d" % number for number in range(1000)))
        setting.store.put(*POSITION, b"2")
        checkpoint = setting.store.begin_checkpoint(2)
        assert checkpoint is not None
        checkpoint.write()
        setting.crash()
        assert len(setting.keys()) == 1000
        assert setting.store.get(*POSITION) == b"1"

    def test_writes_during_a_checkpoint_belong_to_the_next(self, setting: Setting) -> None:
        setting.put(b"first")
        checkpoint = setting.store.begin_checkpoint(1)
        assert checkpoint is not None
        setting.put(b"second")
        setting.put(b"first", value=b"newer")
        assert setting.store.get(KEYS, b"first") == b"newer"
        complete(checkpoint)
        assert setting.store.get(KEYS, b"first") == b"newer"
        setting.crash()
        assert dict(setting.store.scan(KEYS, b"", None)) == {b"first": b"value"}

    def test_failed_checkpoint_gives_its_writes_to_the_next(self, setting: Setting) -> None:
        setting.put(b"a", b"b", value=b"old")
        checkpoint = setting.store.begin_checkpoint(1)
        assert checkpoint is not None
        setting.put(b"b", value=b"new")
        setting.store.delete(KEYS, b"c")
        checkpoint.finish(committed=False)
        assert dict(setting.store.scan(KEYS, b"", None)) == {b"a": b"old", b"b": b"new"}
        setting.checkpoint(2)
        setting.crash()
        assert dict(setting.store.scan(KEYS, b"", None)) == {b"a": b"old", b"b": b"new"}

    def test_checkpoint_needs_something_new_and_comes_alone(self, setting: Setting) -> None:
        assert setting.store.begin_checkpoint(1) is None, "nothing to write"
        setting.put(b"a")
        checkpoint = setting.store.begin_checkpoint(7)
        assert checkpoint is not None
        assert checkpoint.index == 7
        setting.put(b"b")
        assert setting.store.begin_checkpoint(8) is None, "one is under way"

    def test_pending_bytes_grow_with_writes_and_end_with_the_checkpoint(
        self, setting: Setting
    ) -> None:
        assert setting.store.pending_bytes == 0
        setting.put(b"key", value=b"x" * 1000)
        assert 1000 < setting.store.pending_bytes < 1200
        setting.checkpoint()
        assert setting.store.pending_bytes == 0

    def test_size_grows_with_the_data(self, setting: Setting) -> None:
        _, before = setting.store.size_bytes
        setting.put(*(b"%04d" % number for number in range(100)), value=b"x" * 1000)
        setting.checkpoint()
        allocated, in_use = setting.store.size_bytes
        assert in_use >= before + 100_000
        assert allocated >= in_use

    # Snapshots

    def test_snapshot_is_the_last_checkpoint_while_writes_go_on(self, setting: Setting) -> None:
        setting.put(*(b"%04d" % number for number in range(1000)), LONG)
        setting.store.put(*POSITION, b"1")
        setting.checkpoint()
        setting.put(b"not in a checkpoint")
        reader = setting.store.open_snapshot()
        stream = reader.read(0, 1000)
        setting.store.delete(KEYS, b"0999")
        setting.store.put(*POSITION, b"2")
        setting.checkpoint(2)
        while chunk := reader.read(len(stream), 1000):
            stream += chunk
        reader.close()

        target = setting.fresh()
        writer = target.begin_restore()
        receive(writer, stream)
        assert target.get(*POSITION) is None, "not before the swap"
        writer.swap()
        assert reader.position == b"1" == target.get(*POSITION)
        expected = [*(b"%04d" % number for number in range(1000)), LONG]
        assert [key for key, _ in target.scan(KEYS, b"", None)] == expected
        target.close()

    def test_each_chunk_of_a_snapshot_can_be_read_twice(self, setting: Setting) -> None:
        """Wherever the store pauses: a leader that has no answer sends it again."""
        setting.put(*(b"%06d" % number for number in range(3000)))
        setting.store.put(*POSITION, b"1")
        setting.checkpoint()
        reader = setting.store.open_snapshot()
        stream = b""
        while chunk := reader.read(len(stream), 50_000):
            assert reader.read(len(stream), 50_000) == chunk
            stream += chunk
        reader.close()
        again = setting.store.open_snapshot()
        assert read_all(again) == stream
        again.close()

    def test_snapshot_opens_and_is_read_between_the_slices_of_a_checkpoint(
        self, setting: Setting
    ) -> None:
        setting.put(b"old")
        setting.store.put(*POSITION, b"1")
        setting.checkpoint()
        setting.put(*(b"%06d" % number for number in range(1000)))
        setting.store.put(*POSITION, b"2")
        checkpoint = setting.store.begin_checkpoint(2)
        assert checkpoint is not None
        is_written = checkpoint.write()
        reader = setting.store.open_snapshot()
        stream = reader.read(0, 20)
        while not is_written:
            is_written = checkpoint.write()
        checkpoint.commit()
        checkpoint.finish(committed=True)
        while chunk := reader.read(len(stream), 1000):
            stream += chunk
        reader.close()
        target = setting.fresh()
        writer = target.begin_restore()
        receive(writer, stream)
        writer.swap()
        assert list(target.scan(KEYS, b"", None)) == [(b"old", b"value")]
        assert target.get(*POSITION) == b"1" == reader.position
        target.close()

    def test_restore_replaces_everything_durably(self, setting: Setting) -> None:
        source = setting.fresh()
        source.put(KEYS, b"theirs", b"1")
        complete(source.begin_checkpoint(1))
        reader = source.open_snapshot()
        stream = read_all(reader)
        reader.close()
        source.close()

        setting.put(b"ours")
        setting.checkpoint()
        setting.put(b"ours too")
        writer = setting.store.begin_restore()
        receive(writer, stream)
        writer.swap()
        assert setting.keys() == [b"theirs"]
        assert setting.store.get(KEYS, b"ours") is None
        setting.put(b"later")
        setting.checkpoint()
        setting.crash()
        assert setting.keys() == [b"later", b"theirs"]

    def half_restored(self, setting: Setting) -> tuple[SnapshotWriter, bytes]:
        """The writer, and the stream, of an older state."""
        setting.put(b"ours")
        setting.checkpoint()
        reader = setting.store.open_snapshot()
        stream = read_all(reader)
        reader.close()
        setting.put(b"ours too")
        setting.checkpoint()
        return setting.store.begin_restore(), stream

    def test_crash_before_the_commit_keeps_the_old_state(self, setting: Setting) -> None:
        writer, stream = self.half_restored(setting)
        writer.write(stream)
        setting.crash()
        assert setting.keys() == [b"ours", b"ours too"]

    def test_crash_after_the_commit_finds_the_new_state(self, setting: Setting) -> None:
        writer, stream = self.half_restored(setting)
        receive(writer, stream)
        assert setting.keys() == [b"ours", b"ours too"], "not before the swap"
        setting.crash()
        assert setting.keys() == [b"ours"]

    def test_checkpoint_between_commit_and_swap_is_of_the_old_state(self, setting: Setting) -> None:
        writer, stream = self.half_restored(setting)
        receive(writer, stream)
        setting.put(b"still the old one")
        setting.checkpoint()
        setting.crash()
        assert setting.keys() == [b"ours"]

    def test_restore_given_up_after_the_commit_is_what_a_start_finds(
        self, setting: Setting
    ) -> None:
        writer, stream = self.half_restored(setting)
        receive(writer, stream)
        writer.abort()
        clean(writer)
        assert setting.keys() == [b"ours", b"ours too"]
        setting.crash()
        assert setting.keys() == [b"ours"]

    def test_aborted_restore_changes_nothing(self, setting: Setting) -> None:
        setting.put(b"ours")
        setting.checkpoint()
        reader = setting.store.open_snapshot()
        stream = read_all(reader)
        reader.close()
        writer = setting.store.begin_restore()
        writer.write(stream[: len(stream) // 2])
        writer.abort()
        assert setting.keys() == [b"ours"]

    @pytest.mark.parametrize("damage", ["cut off", "flipped bit"])
    def test_damaged_stream_is_refused(self, setting: Setting, damage: str) -> None:
        setting.put(b"ours", value=b"x" * 100)
        setting.checkpoint()
        reader = setting.store.open_snapshot()
        stream = bytearray(read_all(reader))
        reader.close()
        if damage == "cut off":
            del stream[-5:]
        else:
            stream[60] ^= 1
        writer = setting.store.begin_restore()
        with pytest.raises(CorruptData):
            receive(writer, bytes(stream))
        writer.abort()
        assert setting.keys() == [b"ours"]

    @pytest.mark.parametrize("row", [(len(Table), b"key", b""), (1, b"", b"")], ids=str)
    def test_stream_with_a_row_that_no_store_holds_is_refused(
        self, setting: Setting, row: Row
    ) -> None:
        """A newer leader may know more tables: the snapshot is rejected, and the node lives."""
        setting.put(b"ours")
        setting.checkpoint()
        writer = setting.store.begin_restore()
        with pytest.raises(CorruptData, match="a row"):
            writer.write(b"".join(encode_stream(iter([(1, b"theirs", b""), row]))))
        writer.abort()
        assert setting.keys() == [b"ours"]
