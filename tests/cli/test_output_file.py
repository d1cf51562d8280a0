"""Files that commands write at their end."""

from pathlib import Path

import pytest

from raftwerk.cli.output_file import check_writable
from raftwerk.errors import UsageError


def test_what_can_be_written_stays_as_it_is(tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    old.write_text("before")
    for path in (old, new, None):
        check_writable("--trace", path)
    assert old.read_text() == "before"
    assert not new.exists()


def test_what_cannot_be_written_is_refused_with_the_reason(tmp_path: Path) -> None:
    for path, reason in ((tmp_path / "no" / "file", "No such file"), (tmp_path, "Is a directory")):
        with pytest.raises(UsageError, match=f"--trace {path} cannot be written: {reason}"):
            check_writable("--trace", path)
