"""A look into a log: what is there, and what is wrong with it, in words."""

from pathlib import Path

import pytest

from raftwerk.wal.disk import OsDisk, OsFile
from raftwerk.wal.inspect import find_contradiction, inspect_log
from raftwerk.wal.log import Wal
from raftwerk.wal.segment import HEADER_BYTES, SPARE, name_of
from tests.wal.logs import CLUSTER, NODE, SEGMENT_BYTES, Writer

FIRST, SECOND, THIRD = name_of(1), name_of(2), name_of(3)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A log of three segments on a real disk."""
    writer = RealWriter(tmp_path)
    while not (tmp_path / THIRD).exists():
        writer.append(2, size=300)
    writer.wal.close()
    return tmp_path


class RealWriter(Writer):
    def __init__(self, folder: Path) -> None:
        self.persists = []
        self.vouched = 0
        self.wal, self.recovered = Wal.open(
            OsDisk(folder), folder, CLUSTER, NODE, segment_bytes=SEGMENT_BYTES
        )


def change(path: Path, offset: int, data: bytes) -> None:
    content = bytearray(path.read_bytes())
    content[offset : offset + len(data)] = data
    path.write_bytes(content)


def test_whole_log_is_reported_segment_by_segment(folder: Path) -> None:
    first, second, third = inspect_log(folder)
    assert [report.name for report in (first, second, third)] == [FIRST, SECOND, THIRD]
    assert (first.first_sequence, first.prev_index) == (1, 0)
    assert second.first_sequence == 1 + len(first.changes)
    assert second.prev_index == first.changes[-1][2].entries[-1].index
    assert (third.prev_term, third.torn_bytes, third.problem) == (1, 0, "")
    assert {report.size for report in (first, second, third)} == {SEGMENT_BYTES}
    assert find_contradiction(OsDisk(folder), folder, CLUSTER, NODE) == ""


def test_segment_that_is_removed_meanwhile_is_left_out(folder: Path) -> None:
    """By a running member: as a spare one it may hold anything when it is read."""
    reports = inspect_log(folder)
    next(reports)
    OsDisk(folder).retire(SECOND, SPARE)
    assert [(report.name, report.problem) for report in reports] == [(THIRD, "")]


class AtWork(OsDisk):
    """Of a member that removes a segment while another one is read."""

    def open(self, name: str, *, read_only: bool = False) -> OsFile:
        if name == FIRST:
            self.retire(SECOND, SPARE)
        return super().open(name, read_only=read_only)


def test_nothing_is_said_of_a_log_that_changes_meanwhile(folder: Path) -> None:
    assert find_contradiction(AtWork(folder), folder, CLUSTER, NODE) == ""
    gap = find_contradiction(OsDisk(folder), folder, CLUSTER, NODE)
    assert f"{SECOND} is missing" in gap, "it is, if nobody is at work"


def test_torn_tail_is_no_problem(folder: Path) -> None:
    change(folder / THIRD, SEGMENT_BYTES - 40, b"torn")
    *_, third = inspect_log(folder)
    assert third.torn_bytes > 0
    assert third.problem == ""


def test_damage_is_told_with_its_place_and_the_rest_is_still_shown(folder: Path) -> None:
    change(folder / SECOND, HEADER_BYTES + 50, b"damage")
    first, second, third = inspect_log(folder)
    assert (
        second.problem
        == f"damaged at byte {HEADER_BYTES}: a record is damaged, and a later segment follows"
    )
    assert second.changes == []
    assert first.changes
    assert third.changes


def test_future_format_is_a_problem(folder: Path) -> None:
    change(folder / FIRST, 0, b"newer")
    assert "not a log segment of raftwerk" in next(iter(inspect_log(folder))).problem


def test_gap_is_a_contradiction(folder: Path) -> None:
    (folder / SECOND).unlink()
    assert not any(report.problem for report in inspect_log(folder))
    assert f"{SECOND} is missing: the log has a gap" in find_contradiction(
        OsDisk(folder), folder, CLUSTER, NODE
    )


def test_log_of_another_member_is_a_contradiction(folder: Path) -> None:
    assert f"belongs to member {NODE:x}" in find_contradiction(
        OsDisk(folder), folder, CLUSTER, NODE + 1
    )


def test_nothing_is_changed(folder: Path) -> None:
    change(folder / SECOND, HEADER_BYTES + 50, b"damage")
    before = {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.iterdir()}
    list(inspect_log(folder))
    find_contradiction(OsDisk(folder), folder, CLUSTER, NODE)
    after = {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.iterdir()}
    assert after == before
