"""A disk in memory that loses its power, tears writes, fills up and fails. Implements raftwerk.wal.disk.Disk.

Steps are counted: every create, write, rename, remove and retire is one. A power cut during a step leaves of a write an arbitrary
part: everything up to some byte, but for some of the sectors before it; of any other step, the state before or after it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from raftwerk.errors import DiskFailed, DiskFull
from raftwerk.wal.disk import NEW
from raftwerk.wal.segment import number_of

SECTOR = 512


class PowerCut(Exception):
    """Raised by everything from the moment on at which the power is gone."""


@dataclass(frozen=True)
class Cut:
    """The power goes during step number `step` (from 1). kept: how many bytes a write gets on; None: any number.

    seed: for what else is left to chance: sectors that are missing, and whether another step took place.
    """

    step: int
    seed: int = 0
    kept: int | None = None
    loses_sectors: bool = True


class FakeDisk:
    """One directory."""

    def __init__(
        self, files: dict[str, bytearray] | None = None, *, cut: Cut | None = None
    ) -> None:
        self.files: dict[str, bytearray] = {} if files is None else files
        self.capacity: int | None = None
        """Bytes that all files together may have; None: any number."""
        self.fails_writes = False
        self.fails_creations = False
        self.is_write_refused = False
        """Writes find no space: as on a file system that writes each block to a new place."""
        self.steps: list[str] = []
        """What was done."""
        self._cut = cut
        self._is_off = False

    def reboot(self, *, cut: Cut | None = None) -> "FakeDisk":
        """The same files after a power cut or a restart. The old disk and its open files are dead."""
        self._is_off = True
        return self.copy(cut=cut)

    def copy(self, *, cut: Cut | None = None) -> "FakeDisk":
        """Another disk with the same files."""
        return FakeDisk({name: bytearray(data) for name, data in self.files.items()}, cut=cut)

    def step(self, action: str) -> Random | None:
        """Count one step. Returns the source of chance if the power goes during it."""
        self.check_power()
        self.steps.append(action)
        if self._cut is not None and len(self.steps) == self._cut.step:
            self._is_off = True
            return Random(self._cut.seed)
        return None

    def check_power(self) -> None:
        if self._is_off:
            raise PowerCut

    @property
    def cut(self) -> Cut | None:
        return self._cut

    def names(self) -> list[str]:
        self.check_power()
        return sorted(self.files)

    def create(self, name: str, size: int) -> "FakeFile":
        if self.fails_creations:
            raise DiskFailed(f"could not create {name}")
        draft = f"{name}{NEW}"
        used = sum(len(data) for other, data in self.files.items() if other not in (name, draft))
        if self.capacity is not None and used + size > self.capacity:
            raise DiskFull(f"no space left to create {name}")
        chance = self.step(f"create {name}")
        if chance is not None:
            outcome = chance.choice(["nothing", "draft", "done"])
            if outcome == "draft":
                self.files[draft] = bytearray(chance.randint(0, size))
            elif outcome == "done":
                self._finish(draft, name, size)
            raise PowerCut
        self._finish(draft, name, size)
        return self.open(name)

    def _finish(self, draft: str, name: str, size: int) -> None:
        self.files.pop(draft, None)
        self.files[name] = bytearray(size)

    def open(self, name: str, *, read_only: bool = False) -> "FakeFile":
        self.check_power()
        if name not in self.files:
            raise FileNotFoundError(name)
        return FakeFile(self, name, self.files[name], read_only=read_only)

    def rename(self, old: str, new: str) -> None:
        chance = self.step(f"rename {old} {new}")
        if chance is None or chance.random() < 0.5:
            self.files[new] = self.files.pop(old)
        if chance is not None:
            raise PowerCut

    def remove(self, name: str) -> None:
        chance = self.step(f"remove {name}")
        if chance is None or chance.random() < 0.5:
            del self.files[name]
        if chance is not None:
            raise PowerCut

    def retire(self, name: str, successor: str) -> None:
        chance = self.step(f"retire {name}")
        if chance is None or chance.random() < 0.5:
            self.files[f"{successor}{NEW}"] = self.files.pop(name)
        if chance is not None:
            raise PowerCut

    @property
    def segments(self) -> list[str]:
        """Of a log: its files, oldest first."""
        return [name for name in self.names() if number_of(name) is not None]

    @property
    def removed(self) -> list[str]:
        """What was removed or retired, in this order."""
        steps = [step.split() for step in self.steps]
        return [step[1] for step in steps if step[0] in ("remove", "retire")]


class FakeFile:
    """One open file."""

    def __init__(self, disk: FakeDisk, name: str, data: bytearray, *, read_only: bool) -> None:
        self._disk = disk
        self._name = name
        self._data = data
        self._is_read_only = read_only

    @property
    def size(self) -> int:
        return len(self._data)

    def read(self, offset: int, size: int) -> bytes:
        self._disk.check_power()
        return bytes(self._data[offset : offset + size])

    def write_durable(self, buffers: Sequence[bytes], offset: int) -> None:
        data = b"".join(buffers)
        assert offset + len(data) <= len(self._data), "written behind the end"
        if self._is_read_only:
            raise DiskFailed(f"could not write {self._name}: it is open for reading only")
        if self._disk.is_write_refused:
            self._data[offset : offset + len(data) // 2] = data[: len(data) // 2]
            raise DiskFull(f"no space left to write {self._name}")
        chance = self._disk.step(f"write {self._name}")
        if self._disk.fails_writes:
            self._data[offset : offset + len(data) // 2] = bytes(len(data) // 2)
            raise DiskFailed(f"could not write {self._name}")
        if chance is None:
            self._data[offset : offset + len(data)] = data
            return
        self._tear(data, offset, chance)
        raise PowerCut

    def _tear(self, data: bytes, offset: int, chance: Random) -> None:
        cut = self._disk.cut
        assert cut is not None
        kept = chance.randint(0, len(data)) if cut.kept is None else min(cut.kept, len(data))
        loses_sectors = cut.loses_sectors and chance.random() < 0.5
        end = offset + kept
        for start in range(offset - offset % SECTOR, end, SECTOR):
            if loses_sectors and chance.random() < 0.5:
                continue
            first, last = max(start, offset), min(start + SECTOR, end)
            self._data[first:last] = data[first - offset : last - offset]

    def close(self) -> None:
        """Nothing is held."""
