"""`raftwerk inspect DIR`: what a data folder holds, read-only, in words."""

import time
from pathlib import Path

from rich.console import Console

from raftwerk.errors import REPAIR, CorruptData, RaftwerkError
from raftwerk.kv import commands
from raftwerk.kv.machine import KvMachine
from raftwerk.kv.store import Table
from raftwerk.raft.membership import Membership
from raftwerk.raft.types import Entry, EntryKind
from raftwerk.replica.position import Position
from raftwerk.runtime.lives import PEERS, Lives
from raftwerk.storage.lmdb_store import CURRENT, LmdbStore
from raftwerk.wal.disk import OsDisk
from raftwerk.wal.identity import IDENTITY, Identity, check_store, read_identity
from raftwerk.wal.inspect import SegmentReport, find_contradiction, inspect_log

TEXT_MAX = 60


def run(folder: Path, *, entries_max: int) -> int:
    """Print what is there. folder: a data folder, of a running node too. entries_max: how many of the last entries.

    Returns the exit code: 0 when all is well, 1 when something is damaged or missing, 2 for what is no data folder.
    """
    console = Console(highlight=False, markup=False, soft_wrap=True)
    problems: list[str] = []
    if not folder.is_dir():
        console.print(f"{folder} is not a folder")
        return 2
    folder = _data_folder(folder)
    if not any((folder / part).exists() for part in (IDENTITY, "wal", "store")):
        console.print(f"{folder} is no data folder: {_where_to_look(folder)}")
        return 2
    try:
        identity = _identity(console, folder, problems)
        _peers(folder, problems)
        _log(console, folder / "wal", identity, problems, entries_max)
        _store(console, folder / "store", identity, problems)
    except OSError as error:
        problems.append(f"{error.filename or folder} cannot be read: {error.strerror}")
    if problems:
        console.print("\nDamaged:", style="red")
        for problem in problems:
            console.print(f"  - {problem}")
        console.print(f"A node refuses to start on this, or stops when it comes to it. {REPAIR}.")
        return 1
    console.print("\nEvery checksum is right.")
    return 0


def _data_folder(folder: Path) -> Path:
    """The data folder that `folder` is, or is a part of: refusals name the folder of the file that is damaged."""
    above = (folder, *folder.absolute().parents)[:3]
    return next((path for path in above if (path / IDENTITY).exists()), folder)


def _where_to_look(folder: Path) -> str:
    below = sorted(str(path.parent) for path in folder.glob(f"*/{IDENTITY}"))
    if below:
        return f"look into {', '.join(below)}"
    return f"it has no {IDENTITY}, no wal and no store"


def _identity(console: Console, folder: Path, problems: list[str]) -> Identity | None:
    try:
        identity = read_identity(folder)
    except RaftwerkError as error:
        problems.append(str(error))
        return None
    if identity is None:
        problems.append(
            f"{folder}/identity.json is missing: this is no data folder of raftwerk, or it is incomplete"
        )
        return None
    console.print(
        f"Member {identity.name} ({identity.node_id:x}) of cluster {identity.cluster_id:x}"
    )
    return identity


def _peers(folder: Path, problems: list[str]) -> None:
    try:
        Lives(folder)
    except CorruptData as error:
        problems.append(str(error))


def _peers_met(
    folder: Path, identity: Identity | None, position: Position, problems: list[str]
) -> None:
    is_alone = len(Membership.decode(position.membership).nodes) < 2
    if identity is not None and identity.life and not is_alone and not (folder / PEERS).exists():
        problems.append(f"{folder / PEERS} is missing: this member has forgotten whom it met")


def _log(
    console: Console,
    directory: Path,
    identity: Identity | None,
    problems: list[str],
    entries_max: int,
) -> None:
    if not directory.is_dir():
        problems.append(f"{directory} is missing: the log was lost")
        return
    reports = list(inspect_log(directory))
    if not reports:
        problems.append(f"{directory} has no segments: the log was lost")
    elif identity is not None and not any(report.problem for report in reports):
        contradiction = find_contradiction(
            OsDisk(directory, read_only=True), directory, identity.cluster_id, identity.node_id
        )
        problems.extend([contradiction] if contradiction else [])
    entries: list[Entry] = []
    for report in reports:
        _segment(console, report)
        if report.problem:
            problems.append(f"{directory}/{report.name}: {report.problem}")
        for _, _, change in report.changes:
            if change.truncate_from:
                entries = [entry for entry in entries if entry.index < change.truncate_from]
            if change.reset_to is not None:
                entries = []
            entries.extend(change.entries)
    last = next(
        (changes[-1][2] for report in reversed(reports) if (changes := report.changes)), None
    )
    if last is not None:
        voted_for = f"{last.voted_for:x}" if last.voted_for else "nobody"
        console.print(f"Hard state: term {last.current_term}, voted for {voted_for}")
    if entries:
        console.print(
            f"Entries: {entries[0].index} to {entries[-1].index}; the last {min(entries_max, len(entries))}:"
        )
    for entry in entries[-entries_max:] if entries_max else []:
        console.print(f"  {entry.index:>8}  term {entry.term}  {_describe(entry)}")


def _segment(console: Console, report: SegmentReport) -> None:
    if report.problem:
        console.print(f"Segment {report.name}: {report.size} bytes, damaged")
        return
    torn = f", a torn tail of {report.torn_bytes} bytes (was never acknowledged; is cut off at the next start)"
    console.print(
        f"Segment {report.name}: {report.size} bytes, {len(report.changes)} records from {report.first_sequence}, after index "
        f"{report.prev_index} of term {report.prev_term}{torn if report.torn_bytes else ''}"
    )


def _describe(entry: Entry) -> str:
    if entry.kind is not EntryKind.COMMAND:
        return entry.kind.name.lower().replace("_", "-")
    try:
        text = repr(commands.decode(entry.command))
    except ValueError as error:
        return f"{len(entry.command)} bytes that are no command: {error}"
    return (
        text
        if len(text) <= 2 * TEXT_MAX
        else f"{text[: 2 * TEXT_MAX]}... ({len(entry.command)} bytes)"
    )


def _store(console: Console, folder: Path, identity: Identity | None, problems: list[str]) -> None:
    if not (folder / CURRENT).exists():
        if identity is not None and identity.life:
            problems.append(f"{folder / CURRENT} is missing: the store was lost")
        else:
            console.print("Store: none yet")
        return
    try:
        if identity is not None:
            check_store(folder, identity)
        store = LmdbStore(folder, read_only=True)
    except RaftwerkError as error:
        problems.append(str(error))
        return
    try:
        rows = _rows(console, store, problems)
        machine = KvMachine(store)
        if machine.position:
            position = Position.decode(machine.position)
            _peers_met(folder.parent, identity, position, problems)
            console.print(
                f"Store: applied up to index {position.last_index} of term {position.last_term}",
                end="",
            )
        else:
            console.print("Store: no checkpoint yet", end="")
        compacted = (
            f"compacted up to {machine.compacted_revision}"
            if machine.compacted_revision > 0
            else "never compacted"
        )
        console.print(
            f"; revision {machine.revision}, {compacted}, {rows[Table.KEYS]} keys "
            f"(with deleted ones that are not compacted yet), {store.size_bytes[0]} bytes ({store.size_bytes[1]} in use)"
        )
        for member in machine.members.all():
            console.print(
                f"  member {member.name} ({member.node_id:x}): clients {', '.join(member.client_urls)}"
            )
    except CorruptData:
        console.print("Store: what a node reads at its start is damaged")
    finally:
        store.close()


def _rows(console: Console, store: LmdbStore, problems: list[str]) -> dict[Table, int]:
    """Read every row of the store, which checks it. Returns how many there are, up to the first damaged one of each table."""
    started_s = time.monotonic()
    counts = dict.fromkeys(Table, 0)
    damaged = 0
    for table in Table:
        try:
            for _ in store.scan(table, b"", None):
                counts[table] += 1
        except CorruptData as error:
            problems.append(str(error))
            damaged += 1
    elapsed_s = time.monotonic() - started_s
    outcome = (
        f"{damaged} tables cannot be read beyond a damaged row" if damaged else "all are whole"
    )
    console.print(
        f"Rows of the store: {sum(counts.values())} read and checked in {elapsed_s:.1f} s; {outcome}"
    )
    return counts
