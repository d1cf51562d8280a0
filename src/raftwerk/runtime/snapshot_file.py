"""The file of `snapshot save` (docs/snapshot-format.md): looked at, and made into the data folder of a new cluster's member.

Every member of the new cluster is made from the same file. It starts where the snapshot ends, as if it had been installed by
a leader: with the same index and term, but a membership of its own. The id of the new cluster is made of the snapshot too: who
has other data, an old member or one that begins empty, is refused.
"""

import hashlib
import os
import shutil
import struct
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from raftwerk.directories import make_directory, sync_directory
from raftwerk.errors import CorruptData, DataDirError, UsageError
from raftwerk.kv.machine import KvMachine
from raftwerk.kv.rows import KeyRow
from raftwerk.kv.store import Table
from raftwerk.raft.membership import Membership
from raftwerk.replica.position import Position
from raftwerk.runtime import identifiers
from raftwerk.runtime.settings import Settings
from raftwerk.storage.lmdb_store import LmdbStore
from raftwerk.storage.stream import MAGIC, StreamDecoder
from raftwerk.wal.disk import OsDisk
from raftwerk.wal.identity import Identity, claim
from raftwerk.wal.log import Wal

PIECE_BYTES: Final = 1024 * 1024
DIGEST_BYTES: Final = 32
SECTOR_BYTES: Final = 512
OF_ETCD: Final = (
    "etcd's own cannot be read here, but 'etcdctl make-mirror' copies the keys of a running etcd into a cluster of raftwerk: "
    "docs/migrating.md"
)


@dataclass(frozen=True, slots=True)
class SnapshotFacts:
    """What is in a file that is whole. keys: that are not deleted. stream_bytes: of the file, before zeros and digest."""

    digest: str
    revision: int
    compacted_revision: int
    keys: int
    rows: int
    file_bytes: int
    stream_bytes: int


def look_at(path: Path) -> SnapshotFacts:
    """Read all of a file. Raises DataDirError for one that is no snapshot, or not whole."""
    try:
        return _facts(path)
    except CorruptData as error:  # what to do about a member's damaged files is no help here
        raise _refused(path, error.reason) from error
    except (ValueError, struct.error) as error:
        raise _refused(path, f"a row cannot be read: {error}") from error


def check_copy(path: Path) -> None:
    """Read all of a file that some member has just sent. Of an etcd's, only the digest at its end is known here.

    Raises DataDirError for one that is not whole.
    """
    with path.open("rb") as file:
        is_ours = file.read(len(MAGIC)) == MAGIC
        size = os.fstat(file.fileno()).st_size
    if is_ours:
        look_at(path)
    elif size % SECTOR_BYTES != DIGEST_BYTES:
        raise _refused(path, "its end is missing", "etcd")
    else:
        digest = hashlib.sha256()
        for piece in _pieces(path, size - DIGEST_BYTES):
            digest.update(piece)
        _check_digest(path, size, digest.digest(), "etcd")


def _facts(path: Path) -> SnapshotFacts:
    size = _size(path)
    digest = hashlib.sha256()
    decoder = StreamDecoder(str(path), is_padded=True)
    numbers: dict[bytes, int] = {}
    keys = 0
    for piece in _pieces(path, size - DIGEST_BYTES):
        digest.update(piece)
        for table, key, value in decoder.feed(piece):
            if table == Table.META and len(value) == 8:
                numbers[key] = int.from_bytes(value, "big")
            keys += table == Table.KEYS and bool(KeyRow.decode(value).version)
    decoder.check_complete()
    _check_digest(path, size, digest.digest())
    return SnapshotFacts(
        digest.hexdigest(),
        numbers.get(b"revision", 1),
        max(0, numbers.get(b"compacted_revision", 0)),
        keys,
        decoder.row_count,
        size,
        decoder.stream_bytes,
    )


def of_folder(folder: Path) -> Iterator[bytes]:
    """Such a file of what the last checkpoint in a data folder holds, in pieces. A node may be at work there.

    For the day on which most members are lost: nobody knows what of the log after that was committed. Raises DataDirError.
    """
    digest = hashlib.sha256()
    size = 0
    with closing(_store_of(folder)) as store:
        reader = store.open_snapshot()
        if not reader.position:
            raise DataDirError(
                f"{folder} holds no checkpoint yet, so nothing of what this member has is known to be committed. If it runs, try "
                "again in some seconds; else save the folder of another member."
            )
        while piece := reader.read(size, PIECE_BYTES):
            size += len(piece)
            digest.update(piece)
            yield piece
    padding = bytes(-size % SECTOR_BYTES)
    digest.update(padding)
    yield padding + digest.digest()


def _store_of(folder: Path) -> LmdbStore:
    try:
        if not (folder / "store").is_dir():
            raise DataDirError(f"{folder} is no data folder of raftwerk: there is no store in it")
        return LmdbStore(folder / "store", read_only=True)
    except OSError as error:
        raise DataDirError(f"{folder} cannot be read: {error.strerror}") from error


def restore(path: Path, settings: Settings, *, bump_revision: int, mark_compacted: bool) -> None:
    """Make the data folder that the settings name. It is there whole at the end, or as it was: not at all, or empty.

    bump_revision: the store's revision goes on so much later, for clients that have seen more than the snapshot.
    mark_compacted: and no history before it can be read, so that their watches are told to begin anew.
    Raises DataDirError, UsageError.
    """
    folder = settings.data_dir
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise UsageError(
            f"{folder} is there already: a snapshot is restored into a new --data-dir, or an empty one"
        )
    if folder.is_mount():
        raise UsageError(f"{folder} is a mount point: choose a --data-dir below it")
    facts = look_at(path)
    draft = folder.with_name(f"{folder.name}.restoring")
    shutil.rmtree(draft, ignore_errors=True)
    try:
        make_directory(draft)
        _fill(draft, path, facts, settings, bump_revision, mark_compacted)
        sync_directory(draft)
        draft.rename(folder)
        sync_directory(folder.parent)
    except OSError as error:
        raise DataDirError(f"{folder} cannot be written: {error}") from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _fill(
    folder: Path,
    path: Path,
    facts: SnapshotFacts,
    settings: Settings,
    bump_revision: int,
    mark_compacted: bool,
) -> None:
    ids = identifiers.node_ids(settings)
    origin = f"{facts.digest} +{bump_revision}{' compacted' if mark_compacted else ''}"
    cluster_id = identifiers.cluster_id(settings, origin)
    identity = Identity(cluster_id, ids[settings.name], settings.name, origin=origin)
    claim(folder, identity)
    wal_folder = folder / "wal"
    wal, _ = Wal.open(OsDisk(wal_folder), wal_folder, identity.cluster_id, identity.node_id)
    wal.close()
    with closing(LmdbStore(folder / "store")) as store:
        writer = store.begin_restore()
        for piece in _pieces(path, facts.stream_bytes):
            writer.write(piece)
        writer.commit()
        writer.swap()
        while writer.has_leftovers:
            writer.clean()
        machine = KvMachine(store)
        last_index, last_term, _ = Position.decode(machine.position)
        membership = Membership(tuple(sorted(ids.values()))).encode()
        position = Position(last_index, last_term, membership).encode()
        machine.begin_new_cluster(position, bump_revision, mark_compacted=mark_compacted)
        checkpoint = machine.begin_checkpoint()
        assert checkpoint is not None
        while not checkpoint.write():
            pass
        checkpoint.commit()
        checkpoint.finish(committed=True)


def _size(path: Path) -> int:
    try:
        with path.open("rb") as file:
            start = file.read(len(MAGIC))
            size = os.fstat(file.fileno()).st_size
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from error
    if start != MAGIC:
        raise _refused(path, f"it does not begin like one ({OF_ETCD})")
    if size % SECTOR_BYTES != DIGEST_BYTES:
        raise _refused(path, "its end is missing")
    return size


def _check_digest(path: Path, size: int, digest: bytes, maker: str = "raftwerk") -> None:
    """Whether a file of so many bytes ends with the digest of what is before it."""
    with path.open("rb") as file:
        file.seek(size - DIGEST_BYTES)
        if file.read() != digest:
            raise _refused(path, "its SHA-256 is wrong", maker)


def _pieces(path: Path, size: int) -> Iterator[bytes]:
    """The first `size` bytes."""
    with path.open("rb") as file:
        while size and (piece := file.read(min(size, PIECE_BYTES))):
            size -= len(piece)
            yield piece


def _refused(path: Path, why: str, maker: str = "raftwerk") -> DataDirError:
    return DataDirError(f"{path} is no whole snapshot of {maker}: {why}. Take another one.")
