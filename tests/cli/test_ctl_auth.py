"""Who may do what: users, roles and passwords, on the real etcd and here."""

import json
import sys
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from raftwerk.cli.main import app
from tests.cli.commands import at_terminal
from tests.cli.invoked import output_of, raftwerk


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
    told = output_of("auth status", endpoint=etcd_endpoint, user=root)
    assert told == "enabled, auth revision 8\n"
    assert output_of("user list", endpoint=etcd_endpoint, user=root).split() == ["guest", "root"]
    assert output_of("user get guest", endpoint=etcd_endpoint, user=root) == "reader\n"
    assert (
        output_of("role get reader", endpoint=etcd_endpoint, user=root) == "READ open/ --prefix\n"
    )
    detail = output_of("user get guest --detail", endpoint=etcd_endpoint, user=root)
    assert detail == "reader\n  READ open/ --prefix\n"
    permissions = output_of("role get reader --json", endpoint=etcd_endpoint, user=root)
    assert json.loads(permissions)["perm"] == [
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


def test_auth_status_tells_the_revision(live_endpoint: str) -> None:
    """It grows with each change."""
    revisions = []
    for name in ("counted1", "counted2"):
        output_of(f"role add {name}", endpoint=live_endpoint)
        told = raftwerk("auth status", endpoint=live_endpoint)
        fields = json.loads(raftwerk("auth status --json", endpoint=live_endpoint).stdout)
        revisions.append(int(fields["authRevision"]))
        assert told.exit_code == 1
        assert told.stdout == f"disabled, auth revision {revisions[-1]}\n"
    assert revisions[1] == revisions[0] + 1


def test_a_user_without_a_password_does_not_come_in_with_one(etcd_endpoint: str) -> None:
    for command in (
        "user add root --new-user-password=secret",
        "role add root",
        "user grant-role root root",
        "user add by-name --no-password",
        "auth enable",
    ):
        output_of(command, endpoint=etcd_endpoint)
    for password in ("", "by-name"):
        answer = raftwerk("get a", endpoint=etcd_endpoint, user=f"by-name:{password}")
        assert (answer.exit_code, "authentication failed" in answer.stderr) == (2, True)


def test_a_user_without_a_password_is_not_asked_for_one(live_endpoint: str) -> None:
    """Nor does a name of TLS get one by mistake."""
    said = output_of("user add by-name --no-password", endpoint=live_endpoint)
    assert said == "user by-name added, without a password\n"
    both = "user add both --no-password --new-user-password=x"
    answer = raftwerk(both, endpoint=live_endpoint)
    assert (answer.exit_code, "either --no-password or" in answer.stderr) == (2, True)
    assert "both" not in output_of("user list", endpoint=live_endpoint).split()


@pytest.mark.parametrize("command", ["user add asked", "user passwd asked"])
def test_password_that_is_not_given_is_asked_for(
    command: str, live_endpoint: str, tmp_path: Path
) -> None:
    """Twice, so that it is what was meant."""
    raftwerk("user add asked:old", endpoint=live_endpoint)
    raftwerk("user delete asked" if "add" in command else "", endpoint=live_endpoint)
    there = f"--endpoints={live_endpoint}"
    arguments = (sys.executable, "-m", "raftwerk", *command.split(), there)
    with at_terminal(*arguments, folder=tmp_path) as terminal:
        for answer in ("one", "other"):
            terminal.wait_for(": ")
            terminal.type(f"{answer}\n")
        terminal.wait_for("do not match")
        for _ in range(2):
            terminal.wait_for(": ")
            terminal.type("x\n")
        code, said = terminal.wait()
    assert (code, "asked" in said) == (0, True)


@pytest.mark.parametrize("command", ["user add typed", "user passwd typed"])
def test_password_is_read_from_standard_input(command: str, live_endpoint: str) -> None:
    raftwerk("user add typed:old", endpoint=live_endpoint)
    raftwerk("user delete typed" if "add" in command else "", endpoint=live_endpoint)
    environment = {"RAFTWERK_ENDPOINTS": live_endpoint, "RAFTWERK_USER": ""}

    def given(more: str, text: bytes) -> Result:
        arguments = f"{command} {more}".split()
        return CliRunner().invoke(app, arguments, env=environment, input=text)

    for more, text, told in (
        ("", b"new\n", "the password is asked for on a terminal, and standard input is none: "),
        ("--interactive=false", b"\n", "with an empty password, whoever knows the name comes in"),
        ("--interactive=false", b"\xff\n", "a password is text in UTF-8"),
    ):
        answer = given(more, text)
        assert (answer.exit_code, answer.stdout) == (2, "")
        assert answer.stderr.startswith(f"raftwerk: {told}")
    assert given("--interactive=false", "né:w\n".encode()).exit_code == 0
    assert "typed" in output_of("user list", endpoint=live_endpoint).split()


@pytest.mark.parametrize("command", ["user add nobody", "user passwd nobody"])
def test_nothing_is_asked_when_nobody_is_there(command: str, tmp_path: Path) -> None:
    arguments = (sys.executable, "-m", "raftwerk", *command.split(), "--endpoints=127.0.0.1:1")
    with at_terminal(*arguments, folder=tmp_path) as terminal:
        code, said = terminal.wait()
    assert (code, said.startswith("raftwerk: nothing listens at 127.0.0.1:1. ")) == (2, True)


def test_name_and_password_in_one(etcd_endpoint: str) -> None:
    """As for etcdctl: unless the password is told otherwise."""
    for command, added in (
        ("user add root:se:cret", "root"),
        ("user add b:c --new-user-password=x", "b:c"),
        ("user add d:e --no-password", "d:e, without a password"),
    ):
        said = output_of(command, endpoint=etcd_endpoint)
        assert said.rstrip().replace(" added", "") == f"user {added}"
    assert output_of("user list", endpoint=etcd_endpoint).split() == ["b:c", "d:e", "root"]
    for command in ("role add root", "user grant-role root root", "auth enable"):
        output_of(command, endpoint=etcd_endpoint)
    assert raftwerk("get a", endpoint=etcd_endpoint, user="root:se:cret").exit_code == 1


def test_terminal_does_not_obey_a_name(etcd_endpoint: str) -> None:
    name = "\x1b[31mred\x07"
    shown = r"\x1b[31mred\x07"
    answers = [
        output_of(command.replace("NAME", name), endpoint=etcd_endpoint)
        for command in (
            "user add NAME:secret",
            "user list",
            "role add NAME",
            "user grant-role NAME NAME",
            "user get NAME --detail",
            "role grant-permission NAME read NAME",
            "role get NAME",
        )
    ]
    assert answers == [
        f"user {shown} added\n",
        f"{shown}\n",
        f"role {shown} added\n",
        f"{shown} has {shown}\n",
        f"{shown}\n",
        f"role {shown} may read {shown}\n",
        f"READ {shown}\n",
    ]


@pytest.mark.parametrize(
    ("command", "told"),
    [
        ("user add bob --new-user-password=", "'raftwerk user add NAME --no-password'"),
        ("user add bob:", "'raftwerk user add NAME --no-password'"),
        ("user passwd bob --new-user-password=", "'raftwerk user add NAME --no-password'"),
        ("user add :x", "no name before the colon"),
    ],
)
def test_half_of_a_user(command: str, told: str) -> None:
    """Before anything is asked of the cluster."""
    answer = raftwerk(command, endpoint="127.0.0.1:1")
    assert (answer.exit_code, answer.stdout) == (2, "")
    assert told in answer.stderr
