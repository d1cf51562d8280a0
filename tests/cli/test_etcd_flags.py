"""No flag of etcd is unknown here, and each has its reason."""

import re
import subprocess

import pytest

from raftwerk.cli.etcd_flags import ETCD_FLAGS, EtcdFlag
from raftwerk.cli.flags import FLAGS, parse
from raftwerk.errors import UsageError
from raftwerk.runtime.settings import Settings
from tests.interop.etcd_cluster import ETCD

WORKING = {flag.name for flag in FLAGS}


def flags_of_etcd() -> set[str]:
    """As the real one lists them."""
    answer = subprocess.run([str(ETCD), "--help"], capture_output=True, text=True, check=True)
    return set(re.findall(r"^  --([a-z0-9-]+)", answer.stdout + answer.stderr, re.MULTILINE))


def test_every_flag_of_etcd_is_known() -> None:
    known = flags_of_etcd()
    assert len(known) > 80
    assert known - WORKING - ETCD_FLAGS.keys() == set()


def test_no_flag_both_works_and_is_ignored() -> None:
    assert WORKING & ETCD_FLAGS.keys() == set()


def test_switches_are_those_of_etcd() -> None:
    """Those whose default it prints as 'true' or 'false'."""
    flags = (*ETCD_FLAGS.values(), *FLAGS)
    switches = {flag.name for flag in flags if flag.is_switch}
    defaults = dict(
        re.findall(
            r"^  --([a-z0-9-]+) '(true|false)'",
            subprocess.run(
                [str(ETCD), "--help"], capture_output=True, text=True, check=True
            ).stdout,
            re.MULTILINE,
        )
    )
    assert (flags_of_etcd() & switches) == defaults.keys()


@pytest.mark.parametrize("flag", ETCD_FLAGS.values(), ids=ETCD_FLAGS)
def test_judgement_names_the_source_and_a_reason(flag: EtcdFlag) -> None:
    value = "true" if flag.is_switch else "value"
    if flag.is_refused:
        with pytest.raises(UsageError) as caught:
            flag.judge(value, "SOURCE")
        assert str(caught.value) == f"SOURCE: {flag.reason}"
    else:
        assert flag.judge(value, "SOURCE") == f"SOURCE is ignored: {flag.reason}"
    assert len(flag.reason.split()) >= 4


@pytest.mark.parametrize("text", ["1", "t", "T", "true", "TRUE", "True"])
def test_spellings_of_true(text: str) -> None:
    """As Go reads them."""
    with pytest.raises(UsageError):
        ETCD_FLAGS["force-new-cluster"].judge(text, "--force-new-cluster")


@pytest.mark.parametrize("text", ["0", "f", "F", "false", "FALSE", "False"])
def test_spellings_of_false(text: str) -> None:
    assert ETCD_FLAGS["force-new-cluster"].judge(text, "--force-new-cluster") is None


@pytest.mark.parametrize("text", ["", "yes", "2", "tRUE"])
def test_what_is_neither(text: str) -> None:
    with pytest.raises(UsageError, match="neither true nor false"):
        ETCD_FLAGS["pre-vote"].judge(text, "--pre-vote")


@pytest.mark.parametrize(
    ("arguments", "environment", "source"),
    [
        (["--pre-vote"], {}, "--pre-vote"),
        (["--pre-vote=false"], {}, "--pre-vote"),
        (["-max-wals", "5"], {}, "--max-wals"),
        (["--metrics=a", "--metrics=b"], {}, "--metrics"),
        ([], {"ETCD_MAX_SNAPSHOTS": "5"}, "ETCD_MAX_SNAPSHOTS"),
    ],
)
def test_flag_that_means_nothing_here_is_warned_of_once(
    arguments: list[str], environment: dict[str, str], source: str
) -> None:
    settings, warnings = parse(arguments, environment)
    (warning,) = warnings
    assert warning.startswith(f"{source} is ignored: ")
    assert settings == Settings()


@pytest.mark.parametrize(
    ("arguments", "environment", "source"),
    [
        (["--peer-cert-allowed-cn=a"], {}, "--peer-cert-allowed-cn"),
        ([], {"ETCD_CIPHER_SUITES": "x"}, "ETCD_CIPHER_SUITES"),
        (["--config-file", "a.yml"], {}, "--config-file"),
        (["--discovery=https://d/x"], {}, "--discovery"),
        (["--wal-dir=/fast"], {}, "--wal-dir"),
        (["--force-new-cluster"], {}, "--force-new-cluster"),
        (["--proxy=on"], {}, "--proxy"),
    ],
)
def test_flag_that_would_make_it_something_else_is_refused(
    arguments: list[str], environment: dict[str, str], source: str
) -> None:
    with pytest.raises(UsageError, match=f"^{source}: "):
        parse(arguments, environment)


@pytest.mark.parametrize(
    "argument",
    ["--cert-file=", "--client-cert-auth=false", "--force-new-cluster=F", "--proxy=off",
     "--wal-dir=", "--auto-tls=0"],
)  # fmt: skip
def test_refused_flag_that_asks_for_nothing_is_accepted(argument: str) -> None:
    assert parse([argument], {}) == (Settings(), [])


def test_switch_is_true_or_false() -> None:
    with pytest.raises(UsageError, match=r"^--pre-vote: 'maybe' is neither true nor false$"):
        parse(["--pre-vote=maybe"], {})
