"""Commands for people who look after a cluster, on the real etcd."""

import json
import re
from pathlib import Path

import pytest

from tests.cli.invoked import output_of, raftwerk


def test_compact(live_endpoint: str) -> None:
    revision = int(output_of("put compact x", endpoint=live_endpoint).split()[-1])
    command = f"compact {revision} --physical"
    assert output_of(command, endpoint=live_endpoint) == f"compacted revision {revision}\n"
    again = raftwerk(command, endpoint=live_endpoint)
    assert (again.exit_code, "compacted" in again.stderr) == (2, True)


def test_members(etcd_endpoint: str) -> None:
    added = output_of("member add http://127.0.0.1:1 --learner", endpoint=etcd_endpoint)
    member = added.split()[1]
    _, _, cluster = added.rpartition("--initial-cluster=")
    assert "NAME=http://127.0.0.1:1" in cluster.strip().split(",")
    assert raftwerk(f"member promote {member}", endpoint=etcd_endpoint).exit_code == 2
    shown = output_of("member list", endpoint=etcd_endpoint)
    assert {member, "learner", "http://127.0.0.1:1", "voter"} <= set(shown.split())
    assert "(not started)" in shown
    found = json.loads(output_of("member list --json", endpoint=etcd_endpoint))
    assert len(found["members"]) == 2
    said = output_of(f"member update {member} http://127.0.0.1:2", endpoint=etcd_endpoint)
    assert said == f"member {member} updated\n"
    assert "http://127.0.0.1:2" in output_of("member list", endpoint=etcd_endpoint)
    said = output_of(f"member remove {member}", endpoint=etcd_endpoint)
    assert said == f"member {member} removed\n"
    assert member not in output_of("member list", endpoint=etcd_endpoint)
    refused = raftwerk("move-leader 1", endpoint=etcd_endpoint)
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert refused.stderr.startswith(
        "raftwerk: etcdserver: bad leader transferee\nraftwerk: 1 is no member that votes; these are: "
    )


def test_present_leader_is_told_as_such(live_endpoint: str) -> None:
    """As on etcd, it is no error to ask for it."""
    (found,) = json.loads(output_of("members --json", endpoint=live_endpoint))["members"]
    leader = f"{int(found['ID']):x}"
    said = output_of(f"move-leader {leader}", endpoint=live_endpoint)
    assert said == f"member {leader} leads already: nothing was moved\n"


@pytest.mark.parametrize(
    "command", ["member remove", "member update", "member promote", "move-leader"]
)
def test_what_is_no_member_needs_no_look_at_the_cluster(command: str) -> None:
    arguments = f"{command} xyz" + " http://h:1" * ("update" in command)
    answer = raftwerk(arguments, endpoint="127.0.0.1:1")
    assert (answer.exit_code, "a member is a number in" in answer.stderr) == (2, True)


def test_alarms(etcd_endpoint: str) -> None:
    assert output_of("alarm list", endpoint=etcd_endpoint).strip() == ""
    disarmed = json.loads(output_of("alarm disarm --json", endpoint=etcd_endpoint))
    assert (disarmed.keys(), "member_id" in disarmed["header"]) == ({"header"}, True)


def test_snapshot(etcd_endpoint: str, tmp_path: Path) -> None:
    path = tmp_path / "snapshot.db"
    said = output_of(f"snapshot save {path}", endpoint=etcd_endpoint)
    assert said == f"snapshot of {path.stat().st_size} bytes saved at {path}\n"
    assert list(tmp_path.iterdir()) == [path]
    nowhere = raftwerk(f"snapshot save {tmp_path}/none/x", endpoint=etcd_endpoint)
    assert (nowhere.exit_code, "cannot be written" in nowhere.stderr) == (2, True)


@pytest.mark.parametrize(
    ("command", "told"),
    [
        ("member remove", "ID"),
        ("member update", "ID URLS"),
        ("member promote", "ID"),
        ("member add", "URLS"),
        ("move-leader", "ID"),
        ("lease grant", "SECONDS"),
        ("lease revoke", "ID"),
    ],
)
def test_what_a_command_takes_is_named_as_people_know_it(command: str, told: str) -> None:
    usage = output_of(f"{command} --help", endpoint="").strip().splitlines()[0]
    assert re.findall(r"{(\w+)}", usage) == told.split()
