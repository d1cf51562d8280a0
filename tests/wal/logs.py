"""Logs for the tests: a writer that remembers what was vouched for, and a naive model of what must be there."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from raftwerk.raft.effects import Persist
from raftwerk.raft.types import Entry, EntryKind, Index, Snapshot, Term
from raftwerk.wal.log import Recovered, Wal
from raftwerk.wal.segment import name_of
from tests.fakes.disk import FakeDisk

CLUSTER = 0xC1
NODE = 0xA1
SEGMENT_BYTES = 2048


def open_wal(disk: FakeDisk, *, segment_bytes: int = SEGMENT_BYTES) -> tuple[Wal, Recovered]:
    return Wal.open(disk, Path("wal"), CLUSTER, NODE, segment_bytes=segment_bytes)


def entries(first: Index, count: int, term: Term, size: int = 20) -> list[Entry]:
    return [
        Entry(index, term, EntryKind.COMMAND, f"{index}.{term}".encode().ljust(size, b"."))
        for index in range(first, first + count)
    ]


@dataclass
class Image:
    """The naive model: all persists done to plain values. entries: after base_index."""

    current_term: Term = 0
    voted_for: int = 0
    base_index: Index = 0
    base_term: Term = 0
    entries: list[Entry] = field(default_factory=list)

    @property
    def last_index(self) -> Index:
        return self.base_index + len(self.entries)

    def take(self, persist: Persist) -> None:
        self.current_term, self.voted_for = persist.current_term, persist.voted_for
        if persist.reset_to is not None:
            self.base_index, self.base_term, _ = persist.reset_to
            self.entries = []
        if persist.truncate_from:
            self.entries = self.entries[: persist.truncate_from - self.base_index - 1]
        self.entries.extend(persist.entries)


def image_of(persists: Sequence[Persist]) -> Image:
    image = Image()
    for persist in persists:
        image.take(persist)
    return image


def is_recovered(image: Image, recovered: Recovered) -> bool:
    """Whether `recovered` is `image`, but for entries at the beginning that were compacted away."""
    log = recovered.log
    start = log.snapshot_index
    if not image.base_index <= start <= image.last_index or log.last_index != image.last_index:
        return False
    terms = [image.base_term, *(entry.term for entry in image.entries)]
    return (
        (recovered.current_term, recovered.voted_for) == (image.current_term, image.voted_for)
        and log.snapshot_term == terms[start - image.base_index]
        and log.slice(start + 1, log.last_index + 1) == image.entries[start - image.base_index :]
    )


class Writer:
    """Writes groups of valid Persists to a log. Everything in `persists` was asked for."""

    directory = Path("wal")

    def __init__(self, disk: FakeDisk, persists: Sequence[Persist] = ()) -> None:
        self.disk = disk
        self.persists = list(persists)
        self.vouched = len(self.persists)
        """How many of them were durable when somebody was told."""
        self.commit_index = 0
        self.compacted_to = 0
        self.wal, self.recovered = open_wal(disk)

    @property
    def image(self) -> Image:
        return image_of(self.persists)

    def write(self, *group: Persist) -> None:
        self.persists.extend(group)
        job = self.wal.stage(group)
        job.run()
        assert job.last_ticket == group[-1].ticket
        self.vouched = len(self.persists)

    def append(self, count: int, term: Term = 0, size: int = 20) -> None:
        """One Persist with `count` entries; term 0: the present one."""
        self.write(self.appending(count, term, size))

    def appending(
        self, count: int, term: Term = 0, size: int = 20, after: Sequence[Persist] = ()
    ) -> Persist:
        """A Persist that appends entries to what was written, and to what `after` will write."""
        image = image_of([*self.persists, *after])
        term = term or max(1, image.current_term)
        appended = tuple(entries(image.last_index + 1, count, term, size))
        return self.persist(term, len(after), entries=appended)

    def group(self, size: int = 20) -> list[Persist]:
        """Three Persists that are to be written together."""
        first = self.appending(1, size=size)
        second = self.persist(first.current_term + 1, 1, voted_for=7)
        return [first, second, self.appending(2, size=size, after=[first, second])]

    def replace_from(self, index: Index, count: int) -> None:
        """A conflict: a new term's entries take the place of a suffix."""
        term = self.image.current_term + 1
        suffix = tuple(entries(index, count, term))
        self.write(self.persist(term, truncate_from=index, entries=suffix))

    def vote(self, voted_for: int) -> None:
        self.write(self.persist(self.image.current_term + 1, voted_for=voted_for))

    def reset(self, index: Index) -> None:
        """A snapshot was installed."""
        term = max(1, self.image.current_term)
        self.write(self.persist(term, reset_to=Snapshot(index, term, b"members")))
        self.commit_index = max(self.commit_index, index)

    def compact(self, index: Index) -> None:
        self.compacted_to = max(self.compacted_to, index)
        job = self.wal.compact(index)
        if job is not None:
            job.run()

    def persist(self, current_term: Term, place: int = 0, **fields: Any) -> Persist:
        """The next Persist, or the one that is `place` later."""
        return Persist(len(self.persists) + 1 + place, current_term, **{"voted_for": 0, **fields})


def check_reopened(disk: FakeDisk, writer: Writer) -> None:
    """After a restart everything is there, and nothing else."""
    _, recovered = open_wal(disk.copy())
    assert is_recovered(writer.image, recovered)


def begin_segment(writer: Writer, number: int) -> None:
    """Append until the log goes on in segment `number`."""
    while name_of(number) not in writer.disk.files:
        writer.append(1, size=300)
