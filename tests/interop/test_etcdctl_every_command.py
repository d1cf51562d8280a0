"""Every command of etcdctl is tried somewhere here; in this file those that no other has."""

import re
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from raftwerk.cli.cluster import LocalCluster, Member
from tests.interop.etcdctl import ETCDCTLS, Etcdctl

ELSEWHERE = {
    "completion": "prints a script, asks no server",
    "help": "asks no server",
    "migrate": "of data folders of etcd 2",
    "version": "asks no server",
    "check perf": "takes a minute; by hand",
    "snapshot restore": "of files that are bbolt databases; raftwerk snapshot restore does it",
    "snapshot status": "the same",
}


@pytest.fixture(params=ETCDCTLS)
def etcdctl(request: pytest.FixtureRequest, cluster: LocalCluster) -> Iterator[Etcdctl]:
    with Etcdctl(request.param, cluster.members) as etcdctl:
        yield etcdctl


def test_every_command_is_tried(etcdctl: Etcdctl) -> None:
    listed = etcdctl.run("--help").stdout.split("COMMANDS:")[1].split("OPTIONS:")[0]
    commands = re.findall(r"^\t([a-z][a-z -]*?)\t", listed, re.MULTILINE)
    assert len(commands) > 40
    tried = "\n".join(path.read_text() for path in Path(__file__).parent.glob("*.py"))
    tried = re.sub(r"['\"],\s*f?['\"]", " ", tried)  # arguments one by one, too
    missing = [
        command
        for command in commands
        if command not in ELSEWHERE
        and command.split()[0] not in ELSEWHERE
        and not re.search(rf"['\"@ ]{command}\b", tried)
    ]
    assert missing == []


def test_defrag_answers_for_each_member(etcdctl: Etcdctl) -> None:
    done = etcdctl.run("@ defrag")
    assert done.code == 0
    assert done.stdout.count("Finished defragmenting etcd member") == 3


def test_status_of_auth_is_told(cluster: LocalCluster) -> None:
    with Etcdctl("3.5", cluster.members) as etcdctl:
        assert (
            etcdctl.run("auth status").stdout == "Authentication Status: false\nAuthRevision: 1\n"
        )


def test_leases_are_listed(etcdctl: Etcdctl) -> None:
    lease = etcdctl.run("lease grant 600").stdout.split()[1]
    assert lease in etcdctl.run("lease list").stdout.splitlines()
    assert etcdctl.run(f"lease revoke {lease}").code == 0
    assert lease not in etcdctl.run("lease list").stdout.splitlines()


def test_datascale_is_checked(cluster: LocalCluster) -> None:
    with Etcdctl("3.5", cluster.members) as etcdctl:
        done = etcdctl.run("check datascale --load=s")
    assert "PASS: Approximate system memory used" in done.stdout + done.stderr


@pytest.mark.parametrize(
    "command",
    [
        "member add new --peer-urls=http://127.0.0.1:1",
        "member remove 1234",
        "member update 1234 --peer-urls=http://127.0.0.1:1",
        "member promote 1234",
    ],
)
def test_change_of_members_is_refused_clearly(etcdctl: Etcdctl, command: str) -> None:
    done = etcdctl.run(command)
    assert done.code == 1
    assert "the members of a cluster cannot be changed while it runs" in done.stderr


def test_leadership_is_not_moved_to_nobody(
    etcdctl: Etcdctl, etcd: Sequence[Member], cluster: LocalCluster
) -> None:
    done = etcdctl.run("@ move-leader 1234")
    assert (done.code, "bad leader transferee" in done.stderr) == (1, True)


def test_mirror_has_what_is_written(
    etcdctl: Etcdctl, etcd: Sequence[Member], cluster: LocalCluster
) -> None:
    """From raftwerk to etcd: what was there, and what comes."""
    assert etcdctl.run("put mirrored/before 1").code == 0
    arguments = etcdctl.arguments("make-mirror --prefix=mirrored/")
    target = f"127.0.0.1:{etcd[0].client_port}"
    mirror = subprocess.Popen(
        [*arguments, target], env={"ETCDCTL_API": "3"}, stdout=subprocess.DEVNULL
    )
    try:
        with Etcdctl("3.5", etcd) as there:
            assert etcdctl.run("put mirrored/later 2").code == 0
            for _ in range(200):
                found = there.run("get mirrored/ --prefix").stdout
                if found == "mirrored/before\n1\nmirrored/later\n2\n":
                    break
            else:
                pytest.fail(f"the mirror has {found!r}")
            there.run("del mirrored/ --prefix")
    finally:
        mirror.kill()
        mirror.wait()
