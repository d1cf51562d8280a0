"""Files that a command writes when its work is done: whether that will be possible is known before it begins."""

from pathlib import Path

from raftwerk.errors import UsageError


def check_writable(option: str, path: Path | None) -> None:
    """Raises UsageError if the file cannot be written. What it holds stays; a new one is not left behind."""
    if path is None:
        return
    is_new = not path.exists()
    try:
        path.open("a").close()
        if is_new:
            path.unlink()
    except OSError as error:
        raise UsageError(f"{option} {path} cannot be written: {error.strerror}") from error
