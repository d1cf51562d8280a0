"""A node's disk: un-synced writes torn, cut short or lost in a crash; bit rot; no space; writes that fail.

Implements raftwerk.wal.disk.Disk. What takes time is the world's affair: a job runs here as a whole, at the moment when
it is done, or up to the point at which the power went (arm).
"""

from collections.abc import Sequence
from random import Random
from typing import Final

from raftwerk.errors import DiskFailed, DiskFull
from raftwerk.sim.coverage import Coverage
from raftwerk.wal.segment import (
    HEADER_BYTES,
    VERSION,
    SegmentHeader,
    encode_header,
    name_of,
    number_of,
)

SECTOR: Final = 512
ROT: Final = {
    "bit": "bit flipped",
    "sector": "sector misdirected",
    "missing": "segment missing",
}


class PowerCut(Exception):
    """The power went in the middle of a job."""


class SimDisk:
    """One directory of one node."""

    def __init__(self, random: Random, coverage: Coverage) -> None:
        self.files: dict[str, bytearray] = {}
        self.is_full = False
        self.fails = False
        """The next write fails."""
        self.refused_chunks = 0.0
        """How often a chunk of a snapshot finds no room though the disk is not full."""
        self.steps = 0
        """What the power could have gone in, so far: writes, and files created, renamed or removed."""
        self._random = random
        self._coverage = coverage
        self._steps_left: int | None = None

    def arm(self, steps: int) -> None:
        """Let the power go during the step with this number from now (0: the next one)."""
        self._steps_left = steps

    def disarm(self) -> None:
        self._steps_left = None

    def _goes_off(self) -> bool:
        self.steps += 1
        if self._steps_left is None:
            return False
        self._steps_left -= 1
        return self._steps_left < 0

    def _happens(self) -> bool:
        """Whether a step that cannot be torn took place before the power went."""
        return self._random.random() < 0.5

    def names(self) -> list[str]:
        return sorted(self.files)

    def create(self, name: str, size: int) -> "SimFile":
        if self.is_full:
            self._coverage.mark("disk: full")
            raise DiskFull(f"no space left to create {name}")
        goes_off = self._goes_off()
        if not goes_off or self._happens():
            self.files[name] = bytearray(size)
        if goes_off:
            raise PowerCut
        return self.open(name)

    def open(self, name: str, *, read_only: bool = False) -> "SimFile":
        if name not in self.files:
            raise FileNotFoundError(name)
        return SimFile(self, self.files[name], read_only=read_only)

    def check_room_for_chunk(self, random: Random) -> None:
        """Of a snapshot; what is in it is not kept here. Raises DiskFull."""
        if self.is_full or random.random() < self.refused_chunks:
            self._coverage.mark("restore: disk full")
            raise DiskFull("no space left for a chunk of a snapshot")

    def rename(self, old: str, new: str) -> None:
        goes_off = self._goes_off()
        if not goes_off or self._happens():
            self.files[new] = self.files.pop(old)
        if goes_off:
            raise PowerCut

    def remove(self, name: str) -> None:
        goes_off = self._goes_off()
        if not goes_off or self._happens():
            del self.files[name]
        if goes_off:
            raise PowerCut

    def retire(self, name: str, successor: str) -> None:
        """Its space is not kept: nobody runs short of it here by single files."""
        self.remove(name)

    def write(self, file: bytearray, data: bytes, offset: int) -> None:
        """Called by a file."""
        assert offset + len(data) <= len(file), "written behind the end"
        if self.fails:
            self.fails = False
            self._coverage.mark("disk: write failed")
            self._tear(file, data, offset)
            raise DiskFailed("could not write")
        if self._goes_off():
            self._coverage.mark("disk: write torn by a crash")
            self._tear(file, data, offset)
            raise PowerCut
        file[offset : offset + len(data)] = data

    def _tear(self, file: bytearray, data: bytes, offset: int) -> None:
        """Carry out an arbitrary part of a write: up to some byte, and some of the sectors before it not."""
        random = self._random
        end = offset + random.choice((0, len(data), random.randint(0, len(data))))
        loses_sectors = random.random() < 0.5
        for start in range(offset - offset % SECTOR, end, SECTOR):
            if loses_sectors and random.random() < 0.5:
                continue
            first, last = max(start, offset), min(start + SECTOR, end)
            file[first:last] = data[first - offset : last - offset]

    def rot(self, random: Random) -> bool:
        """Damage what is at rest: a bit flips, a sector was written to another place, or a file is gone.

        Returns whether anything was damaged. Only what must be noticed: the spare segment holds nothing, and nobody can
        miss a last file that is gone, or tell a last group with a sector of zeros over it from a torn one.
        """
        names = [name for name in self.names() if number_of(name) is not None]
        if not names:
            return False
        kind = random.choice(("bit", "bit", "sector", "missing")) if len(names) > 2 else "bit"
        data = self.files[random.choice(names)]
        if kind == "missing":
            del self.files[random.choice(names[1:-1])]
        elif kind == "sector":
            data = self.files[random.choice(names[:-1])]
            places = range(0, len(data) - SECTOR + 1, SECTOR)
            source, target = random.choice(places), random.choice(places)
            sector = data[source : source + SECTOR]
            if random.random() < 0.5:
                data[source : source + SECTOR] = bytes(SECTOR)
            data[target : target + SECTOR] = sector
        else:
            data[random.randrange(max(1, len(data.rstrip(b"\0"))))] ^= 1 << random.randrange(8)
        self._coverage.mark(f"disk: {ROT[kind]}")
        return True

    def begin_later_format(self) -> None:
        """A later release began one more segment, in a format of its own: all that is known of it is its version."""
        number = 1 + max(number_of(name) or 0 for name in self.names())
        header = SegmentHeader(VERSION + 1, 0, 0, number, HEADER_BYTES, 0, 0, 0, 0, 0)
        self.files[name_of(number)] = bytearray(encode_header(header))

    def wipe(self) -> None:
        """Everything is gone."""
        self.files.clear()
        self._coverage.mark("disk: wiped")

    def copy_files(self) -> dict[str, bytearray]:
        """A backup."""
        return {name: bytearray(data) for name, data in self.files.items()}


class SimFile:
    """One open file. Implements raftwerk.wal.disk.File."""

    def __init__(self, disk: SimDisk, data: bytearray, *, read_only: bool) -> None:
        self._disk = disk
        self._data = data
        self._is_read_only = read_only

    @property
    def size(self) -> int:
        return len(self._data)

    def read(self, offset: int, size: int) -> bytes:
        return bytes(self._data[offset : offset + size])

    def write_durable(self, buffers: Sequence[bytes], offset: int) -> None:
        if self._is_read_only:
            raise DiskFailed("could not write: open for reading only")
        self._disk.write(self._data, b"".join(buffers), offset)

    def close(self) -> None:
        """Nothing is held."""
