"""Folders get durable names."""

from pathlib import Path

from raftwerk.directories import make_directory, sync_directory
from tests.fakes.system_calls import calls_during


def test_new_directories_get_durable_names(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    assert calls_during(lambda: make_directory(folder)) == ["mkdir", "fsync", "mkdir", "fsync"]
    assert folder.stat().st_mode & 0o777 == 0o700
    assert calls_during(lambda: make_directory(folder)) == []


def test_names_are_synced_with_their_folder(tmp_path: Path) -> None:
    assert calls_during(lambda: sync_directory(tmp_path)) == ["fsync"]
