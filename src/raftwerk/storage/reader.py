"""A SnapshotReader over any iterator of rows: byte offsets on top of an encoded stream."""

from collections.abc import Callable, Iterator

from raftwerk.storage.stream import PAUSE, Row, encode_stream


class StreamReader:
    """Reads forward; the last bytes read can be read again."""

    def __init__(
        self, rows: Iterator[Row | None], position: bytes, on_close: Callable[[], None]
    ) -> None:
        """rows: see encode_stream. on_close: releases what `rows` stands on."""
        self.position = position
        self._pieces = encode_stream(rows)
        self._on_close = on_close
        self._buffer = b""
        self._buffer_offset = 0
        """Where the buffer starts in the stream: what was read last."""
        self._last_bytes = 0
        """So many of it were read last."""

    def read(self, offset: int, size: int) -> bytes:
        """See durability.SnapshotReader. Raises ValueError for an offset that is neither the next nor the last one."""
        start = offset - self._buffer_offset
        if not 0 <= start <= len(self._buffer):
            raise ValueError(f"offset {offset} of the snapshot is gone or not reached yet")
        if self._last_bytes and not start:  # the same, though there may be more by now
            return self._buffer[: min(size, self._last_bytes)]
        self._buffer = self._buffer[start:]
        self._buffer_offset = offset
        self._fill(size)
        self._last_bytes = min(size, len(self._buffer))
        return self._buffer[:size]

    def _fill(self, size: int) -> None:
        """The buffer, to so much or to where the rows pause."""
        parts = [self._buffer]
        missing = size - len(self._buffer)
        while missing > 0 and (piece := next(self._pieces, b"")):
            parts.append(piece)
            missing -= len(piece)
            if piece is PAUSE:
                break
        self._buffer = b"".join(parts)

    def close(self) -> None:
        self._pieces = iter(())
        self._on_close()
