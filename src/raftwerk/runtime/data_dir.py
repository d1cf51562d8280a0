"""The data folder of a node: locked, identified, recovered.

LOCK, identity.json     wal/identity.py
wal/                    the durable log
store/                  the state machine's state, as of its last checkpoint
"""

import os
from dataclasses import dataclass
from random import Random

from raftwerk.errors import DataDirError, UsageError
from raftwerk.kv.machine import KvMachine
from raftwerk.raft.config import Config
from raftwerk.raft.membership import Membership
from raftwerk.raft.raft import Raft
from raftwerk.raft.types import NodeId
from raftwerk.replica.recovery import DurableState, start_core
from raftwerk.runtime import identifiers
from raftwerk.runtime.settings import Settings
from raftwerk.storage.lmdb_store import LmdbStore
from raftwerk.wal.disk import OsDisk
from raftwerk.wal.identity import Identity, claim, lock
from raftwerk.wal.log import Recovered, Wal


@dataclass(slots=True)
class DataDir:
    """Everything that was found, open."""

    cluster_id: int
    node_id: NodeId
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
        """The journal closes the log."""
        self.store.close()
        os.close(self.lock_fd)


def open_data_dir(settings: Settings) -> DataDir:
    """Open the folder that the settings name; make it if it is not there.

    Raises DataDirError (in use, another's, parts missing), CorruptData (damaged), UsageError (settings).
    """
    ids = identifiers.node_ids(settings)
    if settings.name not in ids:
        members = ", ".join(sorted(ids))
        raise UsageError(
            f"this member, {settings.name!r}, is missing from --initial-cluster, which has {members}: add it there, or set "
            "--name to one of them."
        )
    node_id = ids[settings.name]
    cluster_id = identifiers.cluster_id(settings)
    folder = settings.data_dir
    lock_fd = lock(folder)
    try:
        claim(folder, Identity(cluster_id, node_id, settings.name))
        store = LmdbStore(folder / "store")
        machine = KvMachine(store)
        directory = folder / "wal"
        wal, recovered = Wal.open(OsDisk(directory), directory, cluster_id, node_id)
        if recovered.is_new and machine.position:
            raise DataDirError(
                f"{directory} is empty, but the store has data: the log was lost, and with it what this member promised to "
                "others. Restore the whole folder from one copy, or remove this member from its cluster and add it again "
                "with an empty folder."
            )
    except BaseException:
        os.close(lock_fd)
        raise
    return DataDir(cluster_id, node_id, wal, recovered, store, machine, lock_fd)
