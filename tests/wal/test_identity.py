"""The data folder: whose it is, and that one process uses it."""

import fcntl
import json
import os
from pathlib import Path

import pytest

from raftwerk.errors import CorruptData, DataDirError
from raftwerk.wal.identity import (
    IDENTITY,
    LOCK,
    LOCK_TRIES,
    Identity,
    check_free,
    claim,
    complete,
    holder,
    lock,
    read_identity,
)

OURS = Identity(0xC1, 0xA1, "node1")


def test_new_folder_becomes_ours(tmp_path: Path) -> None:
    assert read_identity(tmp_path) is None
    assert claim(tmp_path, OURS) == OURS
    assert read_identity(tmp_path) == OURS
    assert claim(tmp_path, OURS) == OURS


def test_life_begins_once_when_the_folder_is_complete(tmp_path: Path) -> None:
    begun = complete(tmp_path, claim(tmp_path, OURS))
    assert begun.life
    assert claim(tmp_path, OURS) == begun
    assert complete(tmp_path, begun) == begun == read_identity(tmp_path)


def test_lives_differ(tmp_path: Path) -> None:
    assert complete(tmp_path, OURS).life != complete(tmp_path, OURS).life


def test_folder_of_an_earlier_version_has_no_life_yet(tmp_path: Path) -> None:
    fields = {"cluster_id": "c1", "node_id": "a1", "name": "node1", "format": 1}
    (tmp_path / IDENTITY).write_text(json.dumps(fields))
    assert claim(tmp_path, OURS) == OURS


def test_identity_is_readable_by_people(tmp_path: Path) -> None:
    claim(tmp_path, OURS)
    fields = json.loads((tmp_path / IDENTITY).read_text())
    assert fields == {
        "cluster_id": "c1",
        "node_id": "a1",
        "name": "node1",
        "format": 1,
        "life": "0",
        "origin": "",
    }


def test_claim_after_a_crash_in_the_middle_of_the_first(tmp_path: Path) -> None:
    (tmp_path / LOCK).touch()
    (tmp_path / f"{IDENTITY}.new").write_text('{"cluster')
    assert claim(tmp_path, OURS) == OURS
    assert sorted(path.name for path in tmp_path.iterdir()) == [LOCK, IDENTITY]


@pytest.mark.parametrize(
    ("found", "text"),
    [
        (Identity(0xC2, 0xA1, "node1"), "data folder of another cluster: c2"),
        (Identity(0xC1, 0xA2, "node2"), r"another member of this cluster: a2 \('node2'\)"),
    ],
    ids=["cluster", "member"],
)
def test_folder_of_another_is_refused_and_stays_its(
    tmp_path: Path, found: Identity, text: str
) -> None:
    claim(tmp_path, found)
    with pytest.raises(DataDirError, match=text):
        claim(tmp_path, OURS)
    assert read_identity(tmp_path) == found


def test_member_may_be_renamed(tmp_path: Path) -> None:
    """Its id tells who it is."""
    old = claim(tmp_path, Identity(0xC1, 0xA1, "old"))
    assert claim(tmp_path, OURS) == old


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        "{}",
        '{"cluster_id": "c1"}',
        '{"cluster_id": 1, "node_id": "a1", "name": "n", "format": 1}',
        '{"cluster_id": "x", "node_id": "a1", "name": "n", "format": 1}',
        '{"cluster_id": "c1", "node_id": "a1", "name": "n", "format": null}',
    ],
)
def test_damaged_identity_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / IDENTITY).write_text(content)
    with pytest.raises(CorruptData, match="the identity of the folder cannot be read") as caught:
        claim(tmp_path, OURS)
    assert caught.value.path == tmp_path / IDENTITY


def test_identity_that_is_not_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / IDENTITY).write_bytes(b"\xff\xfe\x00")
    with pytest.raises(CorruptData):
        read_identity(tmp_path)


def test_folder_of_a_future_format_is_refused_with_advice(tmp_path: Path) -> None:
    fields = {"cluster_id": "c1", "node_id": "a1", "name": "n", "format": 2}
    (tmp_path / IDENTITY).write_text(json.dumps(fields))
    with pytest.raises(DataDirError, match=r"folder format 2 is not known here.*newer raftwerk"):
        claim(tmp_path, OURS)


@pytest.mark.parametrize(
    ("names", "text"),
    [
        (["member"], "data folder of etcd"),
        (["wal", "store"], f"{IDENTITY} is missing, but the folder holds data of a member"),
        (["wal"], f"{IDENTITY} is missing, but the folder holds data of a member"),
        (["store"], f"{IDENTITY} is missing, but the folder holds data of a member"),
        (["a", "b", "c", "d"], r"not empty \(a, b, c\)"),
    ],
    ids=["etcd", "incomplete", "log alone", "store alone", "foreign"],
)
def test_folder_with_something_else_is_refused(tmp_path: Path, names: list[str], text: str) -> None:
    for name in names:
        (tmp_path / name).mkdir()
    with pytest.raises(DataDirError, match=text):
        claim(tmp_path, OURS)
    assert read_identity(tmp_path) is None


def test_look_at_a_folder_tells_what_the_lock_would_and_leaves_no_trace(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    check_free(folder)
    (tmp_path / "file").touch()
    with pytest.raises(DataDirError, match="/file/b cannot be used as data folder: Not a dir"):
        check_free(tmp_path / "file" / "b")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    fd = lock(folder)
    with pytest.raises(DataDirError, match=rf"in use by another process \(pid {os.getpid()}\)"):
        check_free(folder)
    os.close(fd)
    check_free(folder)


def test_lock_makes_the_folder_and_names_its_owner(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    fd = lock(folder)
    assert (folder / LOCK).read_text().strip() == str(os.getpid())
    with pytest.raises(DataDirError, match=rf"in use by another process \(pid {os.getpid()}\)"):
        lock(folder)
    os.close(fd)


def test_holder_of_a_folder_is_a_process_that_lives(tmp_path: Path) -> None:
    assert holder(tmp_path) == ""
    fd = lock(tmp_path)
    assert holder(tmp_path) == str(os.getpid())
    os.close(fd)
    assert holder(tmp_path) == ""


def test_nobody_is_refused_because_somebody_looks(tmp_path: Path) -> None:
    os.close(lock(tmp_path))
    looking = os.open(tmp_path / LOCK, os.O_RDONLY)
    fcntl.flock(looking, fcntl.LOCK_SH)
    fd = lock(tmp_path, lambda _: os.close(looking))
    assert holder(tmp_path) == str(os.getpid())
    os.close(fd)


def test_folder_that_stays_in_use_is_refused_soon(tmp_path: Path) -> None:
    fd = lock(tmp_path)
    pauses: list[float] = []
    with pytest.raises(DataDirError, match="in use by another process"):
        lock(tmp_path, pauses.append)
    assert len(pauses) == LOCK_TRIES - 1
    assert sum(pauses) == pytest.approx(0.1)
    os.close(fd)


def test_lock_is_free_when_its_owner_is_gone(tmp_path: Path) -> None:
    """Whatever it wrote there."""
    (tmp_path / LOCK).write_text("9" * 31 + "\n")
    os.close(lock(tmp_path))
    fd = lock(tmp_path)
    assert (tmp_path / LOCK).read_text() == f"{os.getpid():<31}\n"
    os.close(fd)


def test_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DataDirError, match="cannot be used as data folder: Not a directory"):
        lock(tmp_path / "file" / "data")
