"""Commands for people who look after a cluster, on the real etcd."""

import json
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from raftwerk.cli.main import app


def raftwerk(command: str, *, endpoint: str, user: str = "") -> Result:
    environment = {"RAFTWERK_ENDPOINTS": endpoint, "RAFTWERK_USER": user}
    return CliRunner().invoke(app, command.split(), env=environment)


def output_of(command: str, *, endpoint: str, user: str = "") -> str:
    answer = raftwerk(command, endpoint=endpoint, user=user)
    assert (answer.exit_code, answer.stderr) == (0, "")
    return answer.stdout


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
    assert len(found) == 2
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


@pytest.mark.parametrize(
    "command", ["member remove", "member update", "member promote", "move-leader"]
)
def test_what_is_no_member_needs_no_look_at_the_cluster(command: str) -> None:
    arguments = f"{command} xyz" + " http://h:1" * ("update" in command)
    answer = raftwerk(arguments, endpoint="127.0.0.1:1")
    assert (answer.exit_code, "a member is a number in" in answer.stderr) == (2, True)


def test_alarms(etcd_endpoint: str) -> None:
    assert output_of("alarm list", endpoint=etcd_endpoint).strip() == ""
    assert json.loads(output_of("alarm disarm --json", endpoint=etcd_endpoint)) == []


def test_snapshot(etcd_endpoint: str, tmp_path: Path) -> None:
    path = tmp_path / "snapshot.db"
    said = output_of(f"snapshot save {path}", endpoint=etcd_endpoint)
    assert said == f"snapshot of {path.stat().st_size} bytes saved at {path}\n"
    assert list(tmp_path.iterdir()) == [path]
    nowhere = raftwerk(f"snapshot save {tmp_path}/none/x", endpoint=etcd_endpoint)
    assert (nowhere.exit_code, "cannot be written" in nowhere.stderr) == (2, True)


def test_users_and_roles(etcd_endpoint: str) -> None:
    for command in (
        "user add root --new-user-password=secret",
        "role add root",
        "user grant-role root root",
        "user add guest --new-user-password=guest",
        "role add reader",
        "role grant-permission reader read open/ --prefix",
        "user grant-role guest reader",
    ):
        output_of(command, endpoint=etcd_endpoint)
    assert raftwerk("auth status", endpoint=etcd_endpoint).exit_code == 1
    output_of("auth enable", endpoint=etcd_endpoint)
    root = "root:secret"
    assert output_of("auth status", endpoint=etcd_endpoint, user=root) == "enabled\n"
    assert output_of("user list", endpoint=etcd_endpoint, user=root).split() == ["guest", "root"]
    assert output_of("user get guest", endpoint=etcd_endpoint, user=root) == "reader\n"
    assert (
        output_of("role get reader", endpoint=etcd_endpoint, user=root) == "READ open/ --prefix\n"
    )
    detail = output_of("user get guest --detail", endpoint=etcd_endpoint, user=root)
    assert detail == "reader\n  READ open/ --prefix\n"
    permissions = output_of("role get reader --json", endpoint=etcd_endpoint, user=root)
    assert json.loads(permissions) == [
        {"permType": "READ", "key": "b3Blbi8=", "range_end": "b3BlbjA="}
    ]
    assert sorted(output_of("role list", endpoint=etcd_endpoint, user=root).split()) == [
        "reader",
        "root",
    ]
    assert raftwerk("put open/a x", endpoint=etcd_endpoint).exit_code == 2
    assert raftwerk("put open/a x", endpoint=etcd_endpoint, user="guest:guest").exit_code == 2
    assert raftwerk("get open/a", endpoint=etcd_endpoint, user="guest:guest").exit_code == 1
    by_option = "get open/a --user=guest --password=guest"
    assert raftwerk(by_option, endpoint=etcd_endpoint).exit_code == 1
    said = output_of(
        "user passwd guest --new-user-password=other", endpoint=etcd_endpoint, user=root
    )
    assert said == "password of guest changed\n"
    assert raftwerk("get open/a", endpoint=etcd_endpoint, user="guest:guest").exit_code == 2
    assert raftwerk("get open/a", endpoint=etcd_endpoint, user="guest:other").exit_code == 1
    for command in (
        "role revoke-permission reader open/ --prefix",
        "role grant-permission reader write a --from-key",
        "role revoke-permission reader a --from-key",
        "role grant-permission reader write a b",
        "role revoke-permission reader a b",
    ):
        output_of(command, endpoint=etcd_endpoint, user=root)
    for command, said in (
        ("user revoke-role guest reader", "guest does not have reader any more\n"),
        ("user get guest", ""),
        ("role delete reader", "role reader deleted\n"),
        ("role list", "root\n"),
        ("user delete guest", "user guest deleted\n"),
        ("user list", "root\n"),
        ("auth disable", "authentication is disabled\n"),
    ):
        assert output_of(command, endpoint=etcd_endpoint, user=root) == said


def test_a_permission_of_no_kind(etcd_endpoint: str) -> None:
    answer = raftwerk("role grant-permission reader eat k", endpoint=etcd_endpoint)
    assert answer.exit_code == 2
