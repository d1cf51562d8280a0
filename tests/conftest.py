"""Clusters of real processes for the tests that need them."""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import settings

from raftwerk.cli.cluster import LocalCluster, free_ports

# The same examples in each run, and no time limit for one: a machine may be busy. A search for new ones is a campaign.
settings.register_profile("suite", derandomize=True, deadline=None)
settings.load_profile("suite")

FAST = ["--heartbeat-interval=50", "--election-timeout=400", "--bcrypt-cost=4"]

StartCluster = Callable[..., LocalCluster]


@contextmanager
def running_cluster(folder: Path, nodes: int, *flags: str) -> Iterator[LocalCluster]:
    """A cluster that is ready; with the block it ends and its data go, the logs stay. flags: further ones for each."""
    cluster = LocalCluster(folder, free_ports(nodes), [*FAST, *flags])
    try:
        cluster.start_all()
        cluster.wait_ready()
        yield cluster
    finally:
        cluster.stop_all()
        for member in cluster.members:
            shutil.rmtree(member.folder, ignore_errors=True)


@pytest.fixture
def start_cluster(tmp_path: Path) -> Iterator[StartCluster]:
    """start_cluster(nodes, *flags): a running cluster, stopped at the end of the test."""
    clusters: list[LocalCluster] = []

    def start(nodes: int = 3, *flags: str, folder: Path = tmp_path) -> LocalCluster:
        cluster = LocalCluster(folder, free_ports(nodes), [*FAST, *flags])
        clusters.append(cluster)
        cluster.start_all()
        cluster.wait_ready()
        return cluster

    yield start
    for cluster in clusters:
        cluster.stop_all()
        for member in cluster.members:  # shown when the test fails
            print(f"--- log of {member.name}\n{member.last_log_lines(40)}")


NODE_FOLDER = Path(__file__).parent / "interop" / "node"
FAKETIME = next(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"), None)
MISSING = {
    fixture: text
    for fixture, is_there, text in (
        (
            "mount_disk",
            os.geteuid() == 0,
            "Tests of full disks mount one, and were left out: run as root to have them.",
        ),
        (
            "node_folder",
            (NODE_FOLDER / "node_modules").exists() and shutil.which("node") is not None,
            "Tests with Node's client of etcd were left out: install npm, then `make node` to have them.",
        ),
        (
            "faketime_library",
            FAKETIME is not None,
            "Tests of wall clocks that jump were left out: install faketime to have them.",
        ),
    )
    if not is_there
}
"""What this machine lacks, by the fixture that needs it: such tests are not run, and that is said at the end."""


@pytest.fixture(scope="session")
def node_folder() -> Path:
    """Where Node's programs and their modules are."""
    return NODE_FOLDER


@pytest.fixture(scope="session")
def faketime_library() -> Path:
    """That of Debian's package faketime: it tells a process another time of the day."""
    assert FAKETIME is not None
    return FAKETIME


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    left_out = [item for item in items if not MISSING.keys().isdisjoint(fixtures_of(item))]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in left_out]


def fixtures_of(item: pytest.Item) -> tuple[str, ...]:
    return getattr(item, "fixturenames", ())


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for text in MISSING.values():
        terminalreporter.write_line(text)
