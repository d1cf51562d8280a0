"""The data folder of a node: locked, identified, recovered.

LOCK, identity.json     wal/identity.py
peers.json              runtime/lives.py: which lives of the peers this member has met
wal/                    the durable log
store/                  the state machine's state, as of its last checkpoint
"""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Final

from raftwerk.directories import sync_directory
from raftwerk.errors import REPAIR, DataDirError
from raftwerk.kv.machine import KvMachine
from raftwerk.raft.config import Config
from raftwerk.raft.membership import Membership
from raftwerk.raft.raft import Raft
from raftwerk.raft.types import NodeId
from raftwerk.replica.recovery import DurableState, start_core
from raftwerk.runtime import identifiers
from raftwerk.runtime.lives import PEERS, Lives
from raftwerk.runtime.settings import Settings
from raftwerk.storage.lmdb_store import CURRENT, LmdbStore
from raftwerk.wal.disk import OsDisk
from raftwerk.wal.identity import (
    Identity,
    check_claim,
    check_free,
    check_store,
    claim,
    complete,
    lock,
    read_identity,
    sign_store,
)
from raftwerk.wal.log import Recovered, Wal

_NEVER_MET: Final = " Only if it never reached another member, which earlier versions did not note: write {} into the file."


@dataclass(slots=True)
class DataDir:
    """Everything that was found, open."""

    cluster_id: int
    node_id: NodeId
    life: int
    lives: Lives
    wal: Wal
    recovered: Recovered
    store: LmdbStore
    machine: KvMachine
    lock_fd: int

    def start_core(self, config: Config, random: Random, initial_membership: Membership) -> Raft:
        """The core that goes on from here. Raises DataDirError when log and store do not fit together."""
        recovered = self.recovered
        durable = DurableState(recovered.current_term, recovered.voted_for, recovered.log)
        return start_core(
            self.node_id, config, random, durable, self.machine.position, initial_membership
        )

    def close(self) -> None:
        """Close the store and give the folder back. The log belongs to the journal, which closes it before."""
        self.store.close()
        os.close(self.lock_fd)


def open_data_dir(settings: Settings) -> DataDir:
    """Open the folder that the settings name; make it if it is not there. Nothing is left open when this raises.

    Raises DataDirError (in use, another's, parts missing, not there for an existing cluster), CorruptData (damaged).
    """
    with _told(settings.data_dir):
        _check_existing(settings)  # before the lock, which would make the folder
        return _open(settings.data_dir, settings)


def check_data_dir(settings: Settings) -> None:
    """A look, which changes nothing in a folder, and disturbs nobody who uses it, or begins to.

    Raises DataDirError, and CorruptData, where `open_data_dir` would, as far as that shows: in use, another's, not to be written.
    """
    folder = settings.data_dir
    with _told(folder):
        check_free(folder)
        _check_existing(settings)
        if folder.exists():
            check_claim(folder, _wanted(folder, settings))


@contextmanager
def _told(folder: Path) -> Iterator[None]:
    """What the system says becomes a DataDirError."""
    try:
        yield
    except OSError as error:
        raise DataDirError(
            f"{folder} cannot be used as data folder: {error}. See to it that this user may write there and that the disk has "
            "space, or choose another --data-dir."
        ) from error


def _check_existing(settings: Settings) -> None:
    folder = settings.data_dir
    if settings.initial_cluster_state == "existing" and read_identity(folder) is None:
        raise DataDirError(
            f"{folder} is not there, or empty, but --initial-cluster-state=existing says that this member has data. Look for "
            "its --data-dir. Use 'new' only where a cluster begins: a member that lost its data could vote a second time."
        )


def _open(folder: Path, settings: Settings) -> DataDir:
    with ExitStack() as undo:
        lock_fd = lock(folder)
        undo.callback(os.close, lock_fd)
        identity = _wanted(folder, settings)
        found = claim(folder, identity)
        _check_complete(folder, found, has_peers=len(settings.initial_cluster) > 1)
        check_store(folder / "store", identity)
        store = LmdbStore(folder / "store")
        undo.callback(store.close)
        sign_store(folder / "store", identity)
        machine = KvMachine(store)
        directory = folder / "wal"
        wal, recovered = Wal.open(
            OsDisk(directory),
            directory,
            identity.cluster_id,
            identity.node_id,
            must_exist=bool(found.life or machine.position),
        )
        undo.callback(wal.close)
        lives = Lives(folder)
        lives.begin()
        sync_directory(folder)
        life = complete(folder, found).life
        undo.pop_all()
    return DataDir(
        identity.cluster_id, identity.node_id, life, lives, wal, recovered, store, machine, lock_fd
    )


def _wanted(folder: Path, settings: Settings) -> Identity:
    """Whose folder it must be; only the folder itself knows what its cluster began with."""
    found = read_identity(folder)
    origin = found.origin if found else ""
    node_id = identifiers.node_ids(settings)[settings.name]
    return Identity(identifiers.cluster_id(settings, origin), node_id, settings.name, origin=origin)


def _check_complete(folder: Path, found: Identity, *, has_peers: bool) -> None:
    """Before anything is made anew: a part that was there once must still be there."""
    if not found.life:
        return
    parts = [folder / "store" / CURRENT, folder / "wal"]
    if has_peers:  # alone there is nobody to be remembered, and earlier versions wrote no file then
        parts.append(folder / PEERS)
    missing = [str(part) for part in parts if not part.exists()]
    if missing:
        raise DataDirError(
            f"{' and '.join(missing)} missing: part of the data folder was lost, and with it what this member promised to "
            f"others. Do not start it with an empty folder. {REPAIR}.{_NEVER_MET if str(folder / PEERS) in missing else ''}"
        )
