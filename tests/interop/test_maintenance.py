"""Snapshots with etcdctl; a member whose data were changed is found out."""

import hashlib
import json
import os
import signal
import subprocess
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from raftwerk.cli.cluster import LocalCluster, Member
from raftwerk.kv.store import Table
from raftwerk.storage.lmdb_store import LmdbStore
from tests.checkpoints import complete
from tests.conftest import StartCluster
from tests.interop.etcdctl import ETCDCTLS
from tests.interop.gateway_client import ask
from tests.waiting import until


def post(member: Member, path: str, body: str = "{}") -> tuple[int, Any]:
    answer = ask(member, "POST", f"/v3{path}", body)
    return answer.status, json.loads(answer.body)


ALARM, PUT = "/maintenance/alarm", ("/kv/put", '{"key":"YQ=="}')


@pytest.mark.parametrize("version", ETCDCTLS)
def test_etcdctl_saves_a_snapshot(cluster: LocalCluster, version: str, tmp_path: Path) -> None:
    """It checks by itself that the file is complete."""
    member = cluster.members[1]
    for number in range(200):
        value = "eHh4" * 300
        post(member, "/kv/put", f'{{"key":"c25h{number:04}","value":"{value}"}}')
    file = tmp_path / "snapshot.db"
    command = [str(ETCDCTLS[version]), f"--endpoints={member.client_url}", "snapshot", "save"]
    done = subprocess.run(
        [*command, str(file)],
        capture_output=True,
        text=True,
        timeout=30,
        env={**os.environ, "ETCDCTL_API": "3"},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    data = file.read_bytes()
    assert len(data) > 200 * 900
    assert hashlib.sha256(data[:-32]).digest() == data[-32:]


def change_a_value(folder: Path) -> None:
    """What a broken disk, or a bug, might do."""
    store = LmdbStore(folder / "store")
    key, row = next(iter(store.scan(Table.REVISIONS, b"", None)))
    store.put(Table.REVISIONS, key, row[:-1] + bytes((row[-1] ^ 1,)))
    complete(store.begin_checkpoint(1))
    store.close()


def health(member: Member) -> str:
    try:
        with urllib.request.urlopen(f"{member.client_url}/health", timeout=5) as answer:
            return str(json.load(answer)["reason"])
    except urllib.error.HTTPError as error:
        return str(json.load(error)["reason"])
    except OSError as error:
        return str(error)


def test_member_with_other_data_is_found_out(start_cluster: StartCluster) -> None:
    cluster = start_cluster(3, "--experimental-corrupt-check-time=300ms")
    for number in range(20):
        assert (
            post(cluster.members[0], "/kv/put", f'{{"key":"a2{number:02}","value":"eHg="}}')[0]
            == 200
        )
    victim = next(one for one in cluster.members if one is not cluster.wait_leader())
    assert (
        ask(victim, "POST", "/v3/maintenance/snapshot", "{}").status == 200
    )  # all is in its store
    assert victim.process is not None
    victim.process.send_signal(signal.SIGTERM)
    victim.process.wait()
    change_a_value(victim.folder)
    cluster.start(victim)
    until(lambda: health(victim) == "ALARM CORRUPT", "nobody noticed")
    for member in cluster.members:
        until(lambda member=member: health(member) == "ALARM CORRUPT", member.name)  # type: ignore[misc]
    status, body = post(cluster.members[0], *PUT)
    assert (status, body["message"]) == (500, "etcdserver: corrupt cluster")
    _, alarms = post(cluster.members[0], ALARM)
    _, victim_status = post(victim, "/maintenance/status")
    found = {(one["memberID"], one["alarm"]) for one in alarms["alarms"]}
    assert found == {(victim_status["header"]["member_id"], "CORRUPT")}


def test_members_with_the_same_data_are_left_alone(start_cluster: StartCluster) -> None:
    """While they compare all the time, clients write and history is compacted."""
    cluster = start_cluster(
        3,
        "--corrupt-check-time=20ms",
        "--auto-compaction-mode=periodic",
        "--auto-compaction-retention=200ms",
    )
    for number in range(400):
        member = cluster.members[number % 3]
        assert post(member, "/kv/put", f'{{"key":"a2{number % 50:02}","value":"eHg="}}')[0] == 200
    assert [health(member) for member in cluster.members] == ["", "", ""]


def test_store_over_its_quota_is_an_alarm_until_disarmed(start_cluster: StartCluster) -> None:
    """What etcd's manual says helps at once: compact, defragment, disarm."""
    cluster = start_cluster(1, "--quota-backend-bytes=1000000")
    (member,) = cluster.members
    body = '{"key":"YQ==","value":"' + "eHh4" * 25_000 + '"}'
    until(lambda: post(member, "/kv/put", body)[0] == 429, "no limit")
    until(lambda: health(member) == "ALARM NOSPACE", "no alarm")
    _, answer = post(member, "/kv/range", '{"key":"YQ=="}')
    current = answer["header"]["revision"]
    assert post(member, "/kv/compaction", f'{{"revision":"{current}"}}')[0] == 200
    assert post(member, "/maintenance/defragment", "{}")[0] == 200
    _, alarms = post(member, ALARM)
    for one in alarms["alarms"]:
        assert post(member, ALARM, json.dumps({"action": "DEACTIVATE", **one}))[0] == 200
    assert post(member, *PUT)[0] == 200
    assert health(member) == ""
