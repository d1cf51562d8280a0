"""Rows of storage/parts.py in one dictionary."""

from raftwerk.storage.parts import Rows


def in_one(rows: Rows) -> dict[bytes, bytes | None]:
    """Each key must stand in one part alone."""
    parts = [item for part in rows.parts for item in part.items()]
    found = dict(parts)
    assert len(found) == len(parts) == len(rows)
    return found
