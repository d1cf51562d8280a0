"""What is made of the turns under a load; their record itself is in test_turns.py."""

import os
from pathlib import Path

import pytest

from benchmarks import lag, turn_loads
from benchmarks.clusters import running
from benchmarks.groups import Scale
from benchmarks.turns import Turn


def test_worst_is_of_each_part_and_of_any_member() -> None:
    found = {7: [Turn(0, 1, 8, 0, 1), Turn(10, 3, 0, 2, 0)], 8: [Turn(0, 4, 0, 0, 0)], 9: []}
    assert turn_loads.worst(found) == {
        "own_ms": 5,
        "worked_ms": 4,
        "blocked_ms": 2,
        "lasted_ms": 10,
        "waited_ms": 8,
        "stolen_ms": 1,
        "turns": 3,
    }
    assert turn_loads.worst({9: []})["own_ms"] == 0


def test_machine_without_perf_is_told_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(RuntimeError, match="linux-perf"):
        turn_loads.recorded(lambda: None, [], 0.1)


def test_perf_that_may_not_record_says_why(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    perf = tmp_path / "perf"
    perf.write_text("#!/bin/sh\necho no permission to trace >&2\nexit 255\n")
    perf.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with pytest.raises(RuntimeError, match="no permission to trace"):
        turn_loads.recorded(lambda: None, [], 0.1)


def test_loads_are_put_with_nothing_and_with_each_work_beside_them() -> None:
    done = []
    with running("raftwerk", count=1) as nodes:
        for name, put in lag.loads(nodes, Scale(is_quick=True)):
            put()
            done.append(name)
    assert [name.split()[1] for name in done] == [
        "100/1000,",
        "ranges",
        "compactions",
        "snapshots",
        "deletions",
    ]
