"""Whose data folder this is, and that nobody else is using it.

identity.json names the cluster, the member, and the life of the member that the folder holds; LOCK is held, by flock, as
long as a process uses the folder.
"""

import contextlib
import errno
import fcntl
import json
import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from random import SystemRandom
from typing import Final

from raftwerk.directories import make_directory, sync_directory
from raftwerk.errors import REPAIR, CorruptData, DataDirError
from raftwerk.raft.types import NodeId

IDENTITY: Final = "identity.json"
OWNER: Final = "OWNER"
"""In the store: whose it is, for it has no other sign of that."""
LOCK: Final = "LOCK"
FORMAT: Final = 1
LOCK_TRIES: Final = 21
LOCK_PAUSE_S: Final = 0.005
"""Between them: who only looks at a folder (`holder`) has it for microseconds."""

_IN_USE: Final = (
    "{} is in use by another process (pid {}). Stop it first, or choose another --data-dir."
)
_UNWRITABLE: Final = (
    "{} cannot be used as data folder: {}. Choose another --data-dir, or give this user the right "
    "to write there."
)
_random: Final = SystemRandom()


@dataclass(frozen=True, slots=True)
class Identity:
    """format: of the folder as a whole.

    origin: names the snapshot that the cluster was restored from, and how; "" where it began empty.

    life: drawn by lot when all parts of the folder are there (see `complete`), and told to the peers; a member that lost its
    folder begins another one. 0: not complete yet, or written by an earlier version.
    """

    cluster_id: int
    node_id: NodeId
    name: str
    format: int = FORMAT
    life: int = 0
    origin: str = ""


def read_identity(folder: Path) -> Identity | None:
    """Whose folder it is; None if it is nobody's yet. Raises CorruptData, or DataDirError for a future format."""
    path = folder / IDENTITY
    try:
        fields = json.loads(path.read_bytes())
        identity = Identity(
            int(fields["cluster_id"], 16),
            int(fields["node_id"], 16),
            str(fields["name"]),
            int(fields["format"]),
            int(fields.get("life", "0"), 16),
            str(fields.get("origin", "")),
        )
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError) as error:
        raise CorruptData(
            path, 0, f"the identity of the folder cannot be read ({error})"
        ) from error
    if identity.format != FORMAT:
        raise DataDirError(
            f"{path}: folder format {identity.format} is not known here (this version writes {FORMAT}). Was it written by a "
            "newer raftwerk? Start it with that version."
        )
    return identity


def claim(folder: Path, wanted: Identity) -> Identity:
    """Make sure that the folder is this member's. Returns what it says. Raises DataDirError if it is another's."""
    found = check_claim(folder, wanted)
    if found is None:
        _write(folder, wanted)
        return wanted
    return found


def check_claim(folder: Path, wanted: Identity) -> Identity | None:
    """What the folder says; None if it is nobody's yet. Raises DataDirError if it is another's."""
    found = read_identity(folder)
    if found is None:
        _check_unused(folder)
        return None
    if found.cluster_id != wanted.cluster_id:
        raise DataDirError(
            f"{folder} is the data folder of another cluster: {found.cluster_id:x} (member {found.name!r}), but the settings "
            f"describe cluster {wanted.cluster_id:x}. Use the --initial-cluster and --initial-cluster-token that it was made "
            "with, or another --data-dir."
        )
    if found.node_id != wanted.node_id:
        raise DataDirError(
            f"{folder} is the data folder of another member of this cluster: {found.node_id:x} ({found.name!r}), but this is "
            f"{wanted.node_id:x} ({wanted.name!r}). Each member needs a --data-dir of its own."
        )
    return found


def complete(folder: Path, found: Identity) -> Identity:
    """All parts are there, durable: from now on none of them may be missing. Returns the identity with its life."""
    if found.life:
        return found
    alive = replace(found, life=_random.randrange(1, 2**63))
    _write(folder, alive)
    return alive


def _check_unused(folder: Path) -> None:
    names = {path.name for path in folder.iterdir()} - {LOCK}
    if "member" in names:
        raise DataDirError(
            f"{folder} is a data folder of etcd, which raftwerk cannot read. Use another --data-dir, and move the data with "
            "'etcdctl make-mirror'."
        )
    if names & {"wal", "store"}:
        raise DataDirError(
            f"{folder / IDENTITY} is missing, but the folder holds data of a member. Restore the file from a copy of it: "
            "it never changes. Do not start the member with an empty folder: it would have forgotten what it promised to others."
        )
    foreign = sorted(names - {f"{IDENTITY}.new"})
    if foreign:
        raise DataDirError(
            f"{folder} is not empty ({', '.join(foreign[:3])}), and not a data folder of raftwerk: {IDENTITY} is missing. Use "
            "an empty folder."
        )


def _write(folder: Path, identity: Identity) -> None:
    fields = asdict(identity)
    fields["cluster_id"] = f"{identity.cluster_id:x}"
    fields["node_id"] = f"{identity.node_id:x}"
    fields["life"] = f"{identity.life:x}"
    _replace(folder / IDENTITY, json.dumps(fields, indent=1))


def _replace(path: Path, text: str) -> None:
    """Durably."""
    draft = path.with_name(f"{path.name}.new")
    with draft.open("w") as file:
        file.write(f"{text}\n")
        file.flush()
        os.fsync(file.fileno())
    draft.rename(path)
    sync_directory(path.parent)


def sign_store(store: Path, identity: Identity) -> None:
    """Let a store say whose it is, if it does not: it is new, just restored, or of an earlier version."""
    if not (store / OWNER).exists():
        with contextlib.suppress(OSError):  # a full disk: at another start
            _replace(store / OWNER, _owner(identity))


def check_store(store: Path, identity: Identity) -> None:
    """Raises DataDirError for a store that says that it is another's: somebody put it there."""
    try:
        found = (store / OWNER).read_text(errors="replace").strip()
    except FileNotFoundError:
        return
    if found != _owner(identity):
        raise DataDirError(
            f"{store} belongs to {found}, but this is {_owner(identity)}: no store goes with the log of another member. "
            f"{REPAIR}."
        )


def _owner(identity: Identity) -> str:
    return f"member {identity.node_id:x} of cluster {identity.cluster_id:x}"


def lock(folder: Path, pause: Callable[[float], None] = time.sleep) -> int:
    """Take the folder for this process. Returns the file descriptor that holds it: closing it gives it back.

    Raises DataDirError if a live process has it, and keeps it for 0.1 s, or if the folder cannot be written.
    pause: is called between two tries, with seconds.
    """
    try:
        make_directory(folder)
        fd = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise DataDirError(_UNWRITABLE.format(folder, error.strerror)) from error
    tries = 1
    while not _flock(fd, fcntl.LOCK_EX):
        if tries == LOCK_TRIES:
            owner = _written(fd)
            os.close(fd)
            raise DataDirError(_IN_USE.format(folder, owner))
        pause(LOCK_PAUSE_S)
        tries += 1
    with contextlib.suppress(OSError):  # a full disk: it is only for the text above
        os.pwrite(fd, f"{os.getpid():<31}\n".encode(), 0)
    return fd


def check_free(folder: Path) -> None:
    """Raises DataDirError where `lock` would, as far as a look can tell: nothing is made, and a `lock` meanwhile succeeds."""
    owner = holder(folder)
    if owner:
        raise DataDirError(_IN_USE.format(folder, owner))
    place = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    if not place.is_dir():
        raise DataDirError(_UNWRITABLE.format(folder, os.strerror(errno.ENOTDIR)))
    if not os.access(place, os.W_OK | os.X_OK):
        raise DataDirError(_UNWRITABLE.format(folder, os.strerror(errno.EACCES)))


def holder(folder: Path) -> str:
    """The pid of the live process that has the folder; "" if none has it.

    A free folder is held for the look, shared with others that look; a `lock` in that moment tries again.
    """
    try:
        fd = os.open(folder / LOCK, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return ""
    try:
        return "" if _flock(fd, fcntl.LOCK_SH) else _written(fd)
    finally:
        os.close(fd)


def _flock(fd: int, kind: int) -> bool:
    """Whether it could be had at once."""
    try:
        fcntl.flock(fd, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _written(fd: int) -> str:
    return os.pread(fd, 32, 0).decode(errors="replace").strip() or "unknown"
