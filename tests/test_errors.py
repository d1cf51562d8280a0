"""The type says whose fault it is, the text what to do."""

import inspect
from pathlib import Path

import pytest

from raftwerk import errors
from raftwerk.errors import (
    CorruptData,
    DataDirError,
    DiskFailed,
    DiskFull,
    PeerProtocolError,
    RaftwerkError,
    UsageError,
)

KINDS = [UsageError, PeerProtocolError, DataDirError, DiskFull, DiskFailed]


@pytest.mark.parametrize("kind", KINDS)
def test_every_error_is_one_of_ours_and_none_of_the_others(kind: type[RaftwerkError]) -> None:
    """So that `except` with one of them never catches another's fault."""
    assert kind.__bases__ == (RaftwerkError,)


def test_damage_is_a_reason_why_a_folder_cannot_be_used() -> None:
    assert issubclass(CorruptData, DataDirError)


def test_bugs_are_none_of_ours() -> None:
    """Nobody who catches RaftwerkError goes on after a failed assertion."""
    assert not issubclass(AssertionError, RaftwerkError)


def test_the_picture_at_the_top_shows_every_error() -> None:
    kinds = [
        kind.__name__ for _, kind in inspect.getmembers(errors, inspect.isclass) if kind is not Path
    ]
    assert [name for name in kinds if name not in (errors.__doc__ or "")] == []


def test_damage_tells_where_what_and_what_to_do() -> None:
    error = CorruptData("/data/wal/0001", 4096, "wrong checksum")
    assert (error.path, error.offset, error.reason) == (
        Path("/data/wal/0001"),
        4096,
        "wrong checksum",
    )
    text = str(error)
    assert text.startswith(
        "/data/wal/0001: damaged at byte 4096: wrong checksum. Nothing was changed."
    )
    assert "Do not put back an older copy" in text
    assert "'raftwerk inspect /data/wal'" in text
