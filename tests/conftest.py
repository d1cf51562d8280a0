"""Clusters of real processes for the tests that need them."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from raftwerk.cli.cluster import LocalCluster, free_ports

# The same examples in each run, and no time limit for one: a machine may be busy. A search for new ones is a campaign.
settings.register_profile("suite", derandomize=True, deadline=None)
settings.load_profile("suite")

FAST = ["--heartbeat-interval=50", "--election-timeout=400"]

StartCluster = Callable[..., LocalCluster]


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


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Tests that mount a small disk are for root alone: said at the end, when somebody else runs the suite."""
    if os.geteuid() == 0:
        return
    needs_root = [item for item in items if "mount_disk" in getattr(item, "fixturenames", ())]
    config.hook.pytest_deselected(items=needs_root)
    items[:] = [item for item in items if item not in needs_root]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if os.geteuid() != 0:
        terminalreporter.write_line(
            "Tests of full disks mount one, and were left out: run as root to have them."
        )
