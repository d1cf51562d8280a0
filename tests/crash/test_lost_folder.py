"""A member that lost its data folder does not come back as a voter that has forgotten; one that never ran is let in."""

import asyncio
import shutil
from pathlib import Path

from raftwerk.cli.cluster import LocalCluster, free_ports
from tests.conftest import FAST, StartCluster
from tests.crash.load import Load

END_S = 30


def test_wiped_member_ends_and_the_others_go_on(start_cluster: StartCluster) -> None:
    """Though all of them were started again meanwhile: what they know of it is on their disks."""
    cluster = start_cluster(3)
    load = Load(cluster.members)
    asyncio.run(load.run_during(lambda: None))
    for member in cluster.members:
        cluster.kill(member)
    wiped, *others = cluster.members
    shutil.rmtree(wiped.folder)
    for member in (*others, wiped):
        cluster.start(member)
    assert wiped.process is not None
    assert wiped.process.wait(END_S) == 1
    log = wiped.log.read_text()
    assert log.count("is not the data folder with which") == 1
    assert "Traceback" not in log
    again = Load(others, name="again")
    asyncio.run(again.run_during(lambda: None))
    asyncio.run(load.check(others))
    asyncio.run(again.check(others))


def test_new_cluster_forms_in_any_order_with_restarts_between(tmp_path: Path) -> None:
    """One is killed while it is alone, and the last one comes when the others have written without it."""
    cluster = LocalCluster(tmp_path, free_ports(3), FAST)
    first, second, last = cluster.members
    try:
        for _ in range(2):
            cluster.start(first)
            cluster.kill(first)
        for member in (second, first):
            cluster.start(member)
        cluster.wait_leader()
        cluster.kill(first)
        cluster.start(first)
        load = Load([first, second])
        asyncio.run(load.run_during(lambda: None))
        cluster.start(last)
        cluster.wait_ready()
        asyncio.run(load.check(cluster.members))
    finally:
        cluster.stop_all()
