"""The benchmarks run: each kind of measurement once, tiny, and what is made of the figures."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from benchmarks import check_perf, compare, cores, crashes, instant, loads, micro, plots, report
from benchmarks.clusters import running
from benchmarks.groups import Group, Scale
from raftwerk.client.load_requests import Operation
from raftwerk.client.load_types import Load


def made_up(system: str, scale: Scale) -> dict[str, dict[str, float]]:
    """Ten times as fast for one of them."""
    factor = 10.0 if system == "raftwerk" else 1.0
    return {
        f"{number} clients": {"per_second": factor * number, "p50_ms": 1.0, "p99_ms": 2.0}
        for number in (1, 10)
    }


def test_run_is_kept_and_drawn(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    group = Group("concurrency", "made up", made_up)
    path = compare.compare([group], 3, Scale(), tmp_path)
    kept = json.loads(path.read_text())
    rounds = kept["groups"]["concurrency"]["10 clients"]
    assert [len(rounds[system]) for system in ("etcd", "raftwerk")] == [3, 3]
    assert kept["commit"]
    assert kept["machine"]["cores"]
    assert "10 / 100" in (printed := capsys.readouterr().out)
    assert "10.00" in printed
    folder = path.with_suffix("")
    assert (folder / "concurrency.png").read_bytes().startswith(b"\x89PNG")
    assert "<svg" in (folder / "concurrency.svg").read_text()


def test_what_was_measured_before_a_group_failed_is_kept(tmp_path: Path) -> None:
    def failing(system: str, scale: Scale) -> dict[str, dict[str, float]]:
        raise RuntimeError(f"{system} refuses everything ({scale})")

    groups = [Group("concurrency", "made up", made_up), Group("rate", "failing", failing)]
    with pytest.raises(RuntimeError, match="refuses everything"):
        compare.compare(groups, 1, Scale(), tmp_path)
    (path,) = tmp_path.glob("compare-*.json")
    assert list(json.loads(path.read_text())["groups"]) == ["concurrency"]


def test_all_plots_are_drawn(tmp_path: Path) -> None:
    figures = [{"p50_ms": 1.0, "p99_ms": 2.0, "per_second": 3.0, "gap_ms": 4.0}]
    both = {"etcd": figures, "raftwerk": figures}
    groups = {
        "concurrency": {"1 clients": both},
        "rate": {"500 a second": both},
        "keys": {"put 1/1 with 10,000 keys": both, "memory after restart": {"etcd": [{}]}},
        "failover": {"gap": both},
    }
    assert len(plots.draw(groups, tmp_path)) == 8


def test_medians_are_by_figure() -> None:
    rounds = [{"a": 1.0, "b": 9.0}, {"a": 3.0, "b": 7.0}, {"a": 2.0, "b": 8.0}]
    assert report.medians(rounds) == {"a": 2.0, "b": 8.0}


def test_groups_are_chosen_by_name() -> None:
    assert [group.name for group in compare.chosen("range,put", is_full=False)] == ["put", "range"]
    names = {group.name for group in compare.GROUPS}
    assert {group.name for group in compare.chosen("", is_full=True)} == names
    assert {group.name for group in compare.chosen("", is_full=False)} == names - {
        "check-perf",
        "most-keys",
        "turns",
    }
    with pytest.raises(SystemExit, match="there is no speed"):
        compare.chosen("put,speed", is_full=False)


def test_load_is_measured() -> None:
    with running("raftwerk", count=1) as nodes:
        load = Load(Operation.PUT, connections=2, clients=4, requests=100)
        figures = loads.measure(load, nodes, nodes)
        memory = crashes.largest(nodes)
    assert figures["per_second"] > 0 < figures["client_cpu_us"]
    assert memory["rss_mb"] >= memory["anon_mb"] > 1


def test_bare_sync_is_measured(tmp_path: Path) -> None:
    figures = loads.bare_sync(tmp_path)
    assert 0 < figures["sync_p50_ms"] < 30 * figures["sync_mean_ms"]
    assert not list(tmp_path.iterdir())


def test_cpu_is_told_apart_by_thread_and_no_core_is_kept() -> None:
    mine = os.sched_getaffinity(0)
    rows = cores.rows("raftwerk", Scale(is_quick=True))
    assert os.sched_getaffinity(0) == mine
    assert len(rows) == 4
    for figures in rows.values():
        assert figures["per_second"] > 0 < figures["loop_us"] > figures["other_threads_us"] >= 0


@pytest.mark.parametrize(
    ("text", "figures"),
    [
        (
            "PASS: Throughput is 149 writes/s\nPASS: Slowest request took 0.041s\nPASS: Stddev is 0.002s\nPASS\n",
            {"passed": 1.0, "writes_per_second": 149.0, "slowest_s": 0.041, "stddev_s": 0.002},
        ),
        (
            "FAIL: Throughput too low: 3201 writes/s\nSlowest request took too long: 1.380s\nStddev too high: 0.153s\nFAIL\n",
            {"passed": 0.0, "writes_per_second": 3201.0, "slowest_s": 1.38, "stddev_s": 0.153},
        ),
    ],
)
def test_words_of_etcdctl_are_read(text: str, figures: dict[str, float]) -> None:
    assert check_perf.parse(text) == figures


def test_etcdctl_that_does_not_judge_is_an_error() -> None:
    with pytest.raises(RuntimeError, match="did not judge"):
        check_perf.parse("Error: context deadline exceeded")


def test_server_that_answers_at_once_answers_etcdctl() -> None:
    with instant.running() as endpoint:
        command = [check_perf.ETCDCTL, f"--endpoints={endpoint}", "put", "key", "value"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.stdout, done.returncode) == ("OK\n", 0)


@pytest.mark.parametrize("floor", list(micro.MICRO))
def test_floors_are_measured(floor: str) -> None:
    assert 0 < micro.microseconds(floor, rounds=1) < 1e6


def test_figures_of_floors_are_compared(capsys: pytest.CaptureFixture[str]) -> None:
    measured = {"wal-append": {"cpu_us": 3.0}}
    micro.print_table(measured, {"wal-append": {"cpu_us": 2.0}})
    assert "1.500" in capsys.readouterr().out
