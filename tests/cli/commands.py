"""The command as a process of its own, watched from outside."""

import os
import pty
import queue
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

WAIT_S = 60.0


def clean_environment(**changed: str) -> dict[str, str]:
    """Ours, without what others may have set for etcd or raftwerk."""
    kept = {
        key: value
        for key, value in os.environ.items()
        if not key.startswith(("ETCD", "RAFTWERK", "PYTHONOPT"))
    }
    return kept | changed


def run(
    *arguments: str, folder: Path, python: Sequence[str] = (), **environment: str
) -> subprocess.CompletedProcess[str]:
    """Until it ends by itself."""
    return subprocess.run(
        [sys.executable, *python, "-m", "raftwerk", *arguments],
        cwd=folder,
        env=clean_environment(**environment),
        capture_output=True,
        text=True,
        timeout=WAIT_S,
        check=False,
    )


class Running:
    """A process that goes on until it is told to stop; what it says comes line by line."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.process = process
        self.lines: list[str] = []
        self._new: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._new.put(line.rstrip("\n"))
        self._new.put(None)
        self.process.stdout.close()

    def wait_for(self, text: str) -> str:
        """The next line with this text."""
        deadline = time.monotonic() + WAIT_S
        while (line := self._new.get(timeout=max(0.0, deadline - time.monotonic()))) is not None:
            self.lines.append(line)
            if text in line:
                return line
        self._new.put(None)  # for `wait`
        raise AssertionError(f"it ended without saying {text!r}, but:\n{self.output}")

    @property
    def output(self) -> str:
        return "\n".join(self.lines)

    def send(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def wait(self) -> int:
        """Its exit code; `output` is complete then."""
        code = self.process.wait(WAIT_S)
        self._reader.join()
        while (line := self._new.get()) is not None:
            self.lines.append(line)
        self._new.put(None)
        return code

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        self.send(number)
        return self.wait()


@contextmanager
def started(
    *arguments: str,
    folder: Path,
    stdin: int | None = None,
    program: Sequence[str] = ("-m", "raftwerk"),
    **environment: str,
) -> Iterator[Running]:
    """Killed at the end, if the test has not ended it."""
    process = subprocess.Popen(
        [sys.executable, "-u", *program, *arguments],
        cwd=folder,
        env=clean_environment(**environment),
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    running = Running(process)
    try:
        yield running
    finally:
        if process.poll() is None:
            process.kill()
        running.wait()


class Terminal:
    """A process at a terminal of its own: its keyboard, and its screen."""

    def __init__(self, process: "subprocess.Popen[bytes]", end: int) -> None:
        self.process = process
        self._end = end
        self._screen = b""

    def type(self, text: str) -> None:
        os.write(self._end, text.encode())

    def wait_for(self, text: str) -> str:
        """What comes up to it; what is after it is for the next look."""
        deadline = time.monotonic() + WAIT_S
        while text.encode() not in self._screen:
            left_s = max(0.0, deadline - time.monotonic())
            assert select.select([self._end], [], [], left_s)[0], self._screen
            self._screen += os.read(self._end, 10_000)
        before, found, self._screen = self._screen.partition(text.encode())
        return (before + found).decode()

    def wait(self) -> tuple[int, str]:
        """Its exit code, and what it said last."""
        code = self.process.wait(WAIT_S)
        with suppress(OSError):  # that is how the other end's end is told
            while data := os.read(self._end, 10_000):
                self._screen += data
        return code, self._screen.decode()


@contextmanager
def at_terminal(*command: str, folder: Path, **environment: str) -> Iterator[Terminal]:
    """Killed at the end, if the test has not ended it."""
    end, terminal = pty.openpty()
    process = subprocess.Popen(
        command,
        cwd=folder,
        env=clean_environment(**environment),
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        preexec_fn=lambda: os.login_tty(0),
    )
    os.close(terminal)
    try:
        yield Terminal(process, end)
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        os.close(end)


def is_alive(pid: int) -> bool:
    """Whether there is such a process, other than a dead one that nobody has asked for."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def children_of(pid: int) -> list[int]:
    return [
        int(child)
        for task in Path(f"/proc/{pid}/task").iterdir()
        for child in (task / "children").read_text().split()
    ]


@contextmanager
def taken_port() -> Iterator[int]:
    """A port of loopback that another program listens on."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        yield other.getsockname()[1]
