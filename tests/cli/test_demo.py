"""The tour: it ends by itself, and well."""

import contextlib
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from raftwerk.cli.demo import load_records
from raftwerk.errors import UsageError
from tests.cli.commands import children_of, is_alive, run, started


def test_demo_ends_well_and_leaves_nothing(tmp_path: Path) -> None:
    """Every record comes back, through another node and after the crash."""
    answer = run("demo", folder=tmp_path, TMPDIR=str(tmp_path))
    assert (answer.returncode, answer.stderr) == (0, "")
    assert "was killed (SIGKILL) half-way" in answer.stdout
    assert "records are there, every byte. Nothing was lost." in answer.stdout
    assert "has caught up after" in answer.stdout
    assert answer.stdout.splitlines()[-1].startswith("Done.")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
def test_interrupted_demo_leaves_nothing(tmp_path: Path, number: signal.Signals) -> None:
    """Neither processes nor files."""
    with started("demo", folder=tmp_path, TMPDIR=str(tmp_path)) as demo:
        demo.wait_for("leads.")
        children = children_of(demo.process.pid)
        assert demo.stop(number) != 0
        assert len(children) == 3
        assert [pid for pid in children if is_alive(pid)] == []
        assert "Traceback" not in demo.output
    assert list(tmp_path.iterdir()) == []


AT_A_BAD_MOMENT = """
import signal, subprocess, sys
from raftwerk.cli import demo

where, number = sys.argv[1:]

def interrupt():
    signal.raise_signal(getattr(signal, number))

if where == "start":
    execute, pids = subprocess.Popen._execute_child, []
    def execute_child(self, *args):
        execute(self, *args)
        pids.append(self.pid)
        if len(pids) == 2:
            interrupt()  # the process is there, and Popen has not returned
    subprocess.Popen._execute_child = execute_child
else:
    stop_all = demo.LocalCluster.stop_all
    def interrupted(self):
        interrupt()
        stop_all(self)
    demo.LocalCluster.stop_all = interrupted
    demo._tour = lambda console, cluster, *_: cluster.start_all()
try:
    demo.run()
except KeyboardInterrupt:
    print("interrupted")
"""


@pytest.mark.parametrize("number", ["SIGINT", "SIGTERM"])
@pytest.mark.parametrize("where", ["start", "stop"])
def test_demo_interrupted_at_a_bad_moment_leaves_nothing(
    tmp_path: Path, where: str, number: str
) -> None:
    program = ("-c", AT_A_BAD_MOMENT)
    with started(where, number, folder=tmp_path, program=program, TMPDIR=str(tmp_path)) as demo:
        assert demo.wait() == 0
    assert demo.lines[-1] == "interrupted"
    assert list(tmp_path.iterdir()) == []
    assert not any(str(tmp_path) in line for line in command_lines())


def command_lines() -> Iterator[str]:
    """Of all processes."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):  # it has ended
            yield path.read_text(errors="replace")


def test_records_are_the_packages_by_name(tmp_path: Path) -> None:
    path = tmp_path / "status"
    path.write_bytes(b"Package: b\nVersion: 1\n\nPackage: a\nVersion: 2\n\nno package here\n")
    assert load_records(path) == [
        (b"a", b"Package: a\nVersion: 2"),
        (b"b", b"Package: b\nVersion: 1"),
    ]


@pytest.mark.parametrize("content", [None, b"", b"no package here\n"])
def test_no_packages_is_told(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "status"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UsageError, match="status"):
        load_records(path)
