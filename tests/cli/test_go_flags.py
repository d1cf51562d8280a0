"""Flags with =true and =false, as in much of etcd's documentation."""

import pytest
import typer
from typer.main import get_command

from raftwerk.cli.go_flags import plain_flags
from raftwerk.cli.main import app
from tests.cli.invoked import output_of, raftwerk


@pytest.mark.parametrize(
    ("given", "plain"),
    [
        ("get a --prefix=true", "get --prefix a"),
        ("get a --prefix=T --keys-only=0", "get --prefix a"),
        ("get a --prefix=false", "get a"),
        ("get a --prefix --prefix=false", "get a"),
        ("get a --prefix=false --prefix", "get --prefix a"),
        ("role grant-permission r read a --prefix=true", "role grant-permission --prefix r read a"),
        ("elect a -l=true", "elect --listen a"),
        ("status --cluster=True", "status --cluster"),
        ("sim --plan=1 --seed=7", "sim --plan --seed=7"),
        ("get -- a --prefix=true", "get -- a --prefix=true"),
        ("get a --user --prefix=true", "get a --user --prefix=true"),
        ("get a --user=--prefix=true", "get a --user=--prefix=true"),
        ("put a --b=true", "put a --b=true"),
        ("put a prefix=true", "put a prefix=true"),
        ("serve --client-cert-auth=true", "serve --client-cert-auth=true"),
        ("role", "role"),
        ("", ""),
    ],
)
def test_flag_with_a_value(given: str, plain: str) -> None:
    assert plain_flags(get_command(app), given.split()) == plain.split()


def test_flag_that_has_a_name_for_no() -> None:
    own = typer.Typer()

    @own.command()
    def command(keys: bool = True) -> None: ...

    found = get_command(own)
    for given, plain in (
        ("--keys=false", "--no-keys"),
        ("--no-keys=false", "--keys"),
        ("--no-keys=true", "--no-keys"),
        ("--no-keys --keys", "--keys"),
    ):
        assert plain_flags(found, given.split()) == plain.split()


def test_commands_take_them(live_endpoint: str) -> None:
    output_of("put go-flags x", endpoint=live_endpoint)
    command = "get go- --prefix=true --keys-only=true --json=false"
    assert output_of(command, endpoint=live_endpoint) == "go-flags\n"
    answer = raftwerk("get go- --prefix=maybe", endpoint=live_endpoint)
    assert (answer.exit_code, answer.stdout) == (2, "")
    assert "--prefix: 'maybe' is neither true nor false" in answer.stderr
