"""`raftwerk inspect`: what a data folder holds, in words, without touching it."""

import asyncio
import re
from contextlib import closing
from pathlib import Path

import pytest
from typer.testing import CliRunner

from raftwerk.cli import inspect
from raftwerk.cli.cluster import is_healthy
from raftwerk.cli.main import app
from raftwerk.kv.store import Table
from raftwerk.raft.membership import Membership
from raftwerk.replica.position import Position
from raftwerk.storage.lmdb_store import LmdbStore
from tests.checkpoints import complete
from tests.conftest import StartCluster
from tests.fakes.damage import flip_bit_in
from tests.runtime.nodes import put, running, settings_of


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Of a node that took three writes and was stopped."""

    async def fill() -> Path:
        (settings,) = settings_of(tmp_path)
        async with running(settings) as [node]:
            await node.wait_ready()
            for number in range(3):
                await put(node, b"key%d" % number, b"value")
        return settings.data_dir

    return asyncio.run(fill())


def report_on(folder: Path, capsys: pytest.CaptureFixture[str], *, entries: int = 20) -> str:
    """Of a folder in which all is well."""
    capsys.readouterr()
    code = inspect.run(folder, entries_max=entries)
    captured = capsys.readouterr()
    assert (code, captured.err) == (0, "")
    return captured.out


def entries_in(report: str) -> list[str]:
    return re.findall(r"^ +\d+  term .*$", report, re.MULTILINE)


def damage_of(folder: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """What is said to be damaged."""
    capsys.readouterr()
    assert inspect.run(folder, entries_max=20) == 1
    _, heading, damage = capsys.readouterr().out.partition("Damaged:\n")
    assert heading
    assert "A node refuses to start on this, or stops when it comes to it." in damage
    return damage


def contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def first_segment(folder: Path) -> Path:
    return min((folder / "wal").glob("0*"))


def test_report_says_whose_it_is_and_what_is_in_it(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = report_on(folder, capsys)
    assert report.startswith("Member node1 (")
    assert "Hard state: term 1, voted for " in report
    assert re.search(r"^Entries: 1 to (\d+); the last \1:$", report, re.MULTILINE)
    assert "key=b'key2', value=b'value'" in report
    assert "Store: " in report
    assert ", never compacted, " in report
    assert report.endswith("Every checksum is right.\n")


def test_every_row_of_the_store_is_checked(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with closing(LmdbStore(folder / "store")) as store:
        for key in (b"k1", b"k2", b"k3"):
            store.put(Table.REVISIONS, key, b"precious" + key)
        complete(store.begin_checkpoint(1))
    found = re.search(
        r"^Rows of the store: (\d+) read and checked in \d", report_on(folder, capsys), re.MULTILINE
    )
    assert found is not None
    assert int(found[1]) >= 3
    file = folder / "store" / "data-000001" / "data.mdb"
    flip_bit_in(file, b"preciousk2")
    damage = damage_of(folder, capsys)
    assert f"{file}: damaged: table revisions: the row of key b'k2' has a wrong checksum" in damage


def test_damage_in_what_a_start_reads_is_told(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with closing(LmdbStore(folder / "store")) as store:
        store.put(Table.META, b"position", b"precious")
        complete(store.begin_checkpoint(1))
    flip_bit_in(folder / "store" / "data-000001" / "data.mdb", b"precious")
    assert "table meta: the row of key b'position' has a wrong checksum" in damage_of(
        folder, capsys
    )


def test_report_changes_nothing(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Not even the lock."""
    before = contents(folder)
    report_on(folder, capsys)
    after = contents(folder)
    for readers in folder.rglob("lock.mdb"):  # LMDB's list of readers: no data
        before.pop(readers, None)
        after.pop(readers)
    assert after == before


def test_number_of_entries_is_limited(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    every, last = (
        entries_in(report_on(folder, capsys)),
        entries_in(report_on(folder, capsys, entries=1)),
    )
    assert last == every[-1:]


def test_no_entries_are_shown_when_none_are_wanted(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert entries_in(report_on(folder, capsys, entries=0)) == []


def test_folder_of_a_running_node(
    start_cluster: StartCluster, capsys: pytest.CaptureFixture[str]
) -> None:
    (member,) = start_cluster(1).members
    assert report_on(member.folder, capsys).startswith("Member node1 (")
    assert is_healthy(member)


def test_part_of_the_folder_stands_for_it(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert report_on(folder / "wal", capsys).startswith("Member node1 (")


def test_flipped_bit_in_the_log_is_found(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    segment = first_segment(folder)
    data = bytearray(segment.read_bytes())
    data[20] ^= 1
    segment.write_bytes(data)
    assert segment.name in damage_of(folder, capsys)


def test_lost_log_is_found(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for path in (folder / "wal").iterdir():
        path.unlink()
    assert "the log was lost" in damage_of(folder, capsys)
    (folder / "wal").rmdir()
    assert "the log was lost" in damage_of(folder, capsys)


def test_damaged_identity_is_found(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "identity.json").write_text("{")
    assert "the identity of the folder cannot be read" in damage_of(folder, capsys)
    (folder / "identity.json").unlink()
    (folder / "identity.json").mkdir()
    assert "identity.json cannot be read: Is a directory" in damage_of(folder, capsys)


def test_damage_among_the_peers_is_found(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "peers.json").write_text("{")
    assert "the peers that were met cannot be read" in damage_of(folder, capsys)


def test_who_forgot_whom_it_met_is_told_of(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As at a start; a member that is alone has nobody to remember."""
    (folder / "peers.json").unlink()
    report_on(folder, capsys)
    with closing(LmdbStore(folder / "store")) as store:
        position = Position(1, 1, Membership((1, 2)).encode())
        store.put(Table.META, b"position", position.encode())
        complete(store.begin_checkpoint(1))
    assert f"{folder / 'peers.json'} is missing" in damage_of(folder, capsys)


def test_store_of_another_member_is_found(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "store" / "OWNER").write_text("member 1 of cluster 2\n")
    assert "belongs to member 1 of cluster 2, but this is" in damage_of(folder, capsys)


def test_damaged_store_is_found(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (database,) = (folder / "store").glob("*/data.mdb")
    database.write_bytes(b"\xff" * 8192)
    assert "data.mdb: damaged" in damage_of(folder, capsys)
    (folder / "store" / "CURRENT").write_bytes(b"\xff")
    assert "CURRENT: damaged" in damage_of(folder, capsys)


def test_lost_store_is_found(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "store" / "CURRENT").unlink()
    assert "the store was lost" in damage_of(folder, capsys)


def test_strange_folder_is_no_data_folder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Brackets in its name are no markup. Data folders in it are named."""
    strange = tmp_path / "[bold]strange"
    (strange / "node1").mkdir(parents=True)
    assert inspect.run(strange, entries_max=20) == 2
    assert capsys.readouterr().out.startswith(f"{strange} is no data folder: it has no identity")
    (strange / "node1" / "identity.json").touch()
    assert inspect.run(strange, entries_max=20) == 2
    assert capsys.readouterr().out.endswith(f"look into {strange}/node1\n")


def test_no_folder(tmp_path: Path) -> None:
    answer = CliRunner().invoke(app, ["inspect", str(tmp_path / "none")])
    assert answer.exit_code == 2
    assert "none is not a folder" in answer.output


def test_command(folder: Path) -> None:
    answer = CliRunner().invoke(app, ["inspect", str(folder), "--entries=2"])
    assert answer.exit_code == 0
    assert len(entries_in(answer.stdout)) == 2
