"""Folders whose names are durable: what stands in one may be lost with its name."""

import os
from pathlib import Path


def make_directory(directory: Path) -> None:
    """A new directory, and those above it, with durable names; nothing if it is there."""
    if not directory.is_dir():
        if not directory.parent.exists():
            make_directory(directory.parent)
        directory.mkdir(mode=0o700, exist_ok=True)
        sync_directory(directory.parent)


def sync_directory(directory: Path) -> None:
    """Make the names in it durable."""
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
