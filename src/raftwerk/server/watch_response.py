"""WatchResponses: those with events are put together from bytes that the hub has made once for all watchers."""

from collections.abc import Iterator, Sequence
from typing import Final

from raftwerk.kv.rows import varint

ALL_WATCHERS: Final = -1
"""As a watch id: a progress notification for the whole stream, or a watcher that was not made."""
_FRAGMENT: Final = b"\x38\x01"


def beginning(header: bytes, watch_id: int) -> bytes:
    """What comes before everything else."""
    return header + b"\x10" + varint(watch_id) if watch_id else header


def control(
    header: bytes,
    watch_id: int,
    *,
    created: bool = False,
    canceled: bool = False,
    compact_revision: int = 0,
    cancel_reason: str = "",
) -> bytes:
    """A response without events."""
    parts = [beginning(header, watch_id)]
    if created:
        parts.append(b"\x18\x01")
    if canceled:
        parts.append(b"\x20\x01")
    if compact_revision:
        parts.append(b"\x28" + varint(compact_revision))
    if cancel_reason:
        text = cancel_reason.encode()
        parts.append(b"\x32" + varint(len(text)) + text)
    return b"".join(parts)


def fragments(start: bytes, events: Sequence[bytes], bytes_max: int) -> Iterator[bytes]:
    """Events in as many responses as it takes to stay below bytes_max each; one event may be larger by itself."""
    part: list[bytes] = []
    size = len(start) + len(_FRAGMENT)
    for event in events:
        if part and size + len(event) >= bytes_max:
            yield b"".join((start, _FRAGMENT, *part))
            part = []
            size = len(start) + len(_FRAGMENT)
        part.append(event)
        size += len(event)
    yield b"".join((start, *part))
