"""Which life of each peer this member has met, remembered on the disk: DATA_DIR/peers.json.

A life begins with a complete data folder (wal/identity.py). A peer that comes with another one has lost the folder in which
its votes and entries stood. What it promised, it promised to members that had met it: they remember it, and refuse it.
"""

import json
import os
from pathlib import Path
from typing import Final

from raftwerk.directories import sync_directory
from raftwerk.errors import CorruptData
from raftwerk.raft.types import NodeId

PEERS: Final = "peers.json"


class Lives:
    """By peer."""

    def __init__(self, folder: Path) -> None:
        """Raises CorruptData when the file cannot be read."""
        self._folder = folder
        path = folder / PEERS
        try:
            fields = json.loads(path.read_bytes())
            self._known = {int(peer, 16): int(life, 16) for peer, life in fields.items()}
        except FileNotFoundError:
            self._known = {}
        except (ValueError, TypeError, AttributeError) as error:
            raise CorruptData(
                path, 0, f"the peers that were met cannot be read ({error})"
            ) from error

    def begin(self) -> None:
        """Have the file there before the folder's own life begins: from then on it may not be missing. Raises OSError."""
        if not (self._folder / PEERS).exists():
            self._write({})

    def meet(self, peer: NodeId, life: int) -> bool:
        """Whether it is the life that was met before, or the first. Durable when this returns. Raises OSError.

        The file is written for each peer once, when it is first met. life 0: an earlier version, which does not tell.
        """
        if not life:
            return True
        if peer not in self._known:
            known = {**self._known, peer: life}
            self._write(known)
            self._known = known
        return self._known[peer] == life

    def _write(self, known: dict[NodeId, int]) -> None:
        draft = self._folder / f"{PEERS}.new"
        with draft.open("w") as file:
            json.dump({f"{peer:x}": f"{life:x}" for peer, life in known.items()}, file, indent=1)
            file.write("\n")
            file.flush()
            os.fsync(file.fileno())
        draft.rename(self._folder / PEERS)
        sync_directory(self._folder)
