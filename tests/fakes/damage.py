"""A disk that changes bits. LMDB's map of the file shows it at once, to whoever has it open."""

from pathlib import Path


def flip_bit_in(path: Path, found: bytes, at: int = 0, bit: int = 0) -> None:
    """Wherever `found` stands in the file (older pages too), change one bit of its byte `at`."""
    data = path.read_bytes()
    start = data.find(found)
    assert start >= 0, f"{found!r} is not in {path}"
    with path.open("r+b") as file:
        while start >= 0:
            file.seek(start + at)
            file.write(bytes([data[start + at] ^ 1 << bit]))
            start = data.find(found, start + 1)
