"""Standard input, output and error of the process, and what happens when they take nothing more: the same for all commands.

Standard output carries the answer: if it takes nothing more, the command ends, quietly where a reader has gone away.
Standard error carries what is said about it: what that does not take is lost, and everything goes on, a member without its log.
"""

import errno
import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final, TextIO, cast

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

UNPRINTED: Final = 4
NOBODY_READS: Final = 141
"""As of whom SIGPIPE has ended."""
_STDOUT: Final = 1
_STDERR: Final = 2


@contextmanager
def standard_streams() -> Iterator[None]:
    """Until the process ends."""
    _reserve_numbers()
    sys.stdin = sys.stdin or open(0, closefd=False)  # noqa: SIM115
    sys.stdout = _text(sys.stdout, _Answer(_STDOUT, "w", closefd=False), "surrogateescape")
    sys.stderr = _text(sys.stderr, _Remarks(_STDERR, "w", closefd=False), "backslashreplace")
    try:
        yield
    finally:
        sys.stdout.flush()  # not later: Python would find an end of its own


def _reserve_numbers() -> None:
    """Of streams that were closed: no socket or file may get one, and what is printed. They give nothing, and take nothing."""
    for number in (0, _STDOUT, _STDERR):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDONLY)


def _text(stream: TextIO | None, raw: io.FileIO, errors: str) -> io.TextIOWrapper:
    """In place of `stream`, and as that is buffered. errors: what becomes of what is no text."""
    old = cast("io.TextIOWrapper", stream or open(raw.fileno(), "w", closefd=False))  # noqa: SIM115
    return io.TextIOWrapper(
        cast("io.BufferedWriter", raw) if old.write_through else io.BufferedWriter(raw),
        encoding=old.encoding,
        errors=errors,
        line_buffering=old.line_buffering,
        write_through=old.write_through,
    )


class _Answer(io.FileIO):
    """Ends the command, wherever it prints: no library between may make something else of a failure."""

    def write(self, data: "ReadableBuffer", /) -> int:
        try:
            return super().write(data)
        except OSError as error:
            failure = error
        os.dup2(os.open(os.devnull, os.O_WRONLY), self.fileno())  # for what is still in buffers
        if isinstance(failure, BrokenPipeError):
            raise SystemExit(NOBODY_READS)
        is_closed = failure.errno == errno.EBADF
        reason = "standard output is closed" if is_closed else failure.strerror
        print(f"raftwerk: the answer cannot be printed: {reason}", file=sys.stderr)
        raise SystemExit(UNPRINTED)


class _Remarks(io.FileIO):
    """Loses what cannot be written."""

    def write(self, data: "ReadableBuffer", /) -> int:
        with suppress(OSError):
            return super().write(data)
        return memoryview(data).nbytes
