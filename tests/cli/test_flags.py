"""The flags of `raftwerk serve`, in each form that etcd takes."""

from pathlib import Path
from typing import Any

import pytest

from raftwerk.cli.flags import FLAGS, parse
from raftwerk.errors import UsageError
from raftwerk.runtime.addresses import Address
from raftwerk.runtime.settings import Settings
from raftwerk.runtime.tls import TlsFiles

CLUSTER = "a=http://10.0.0.1:2380,b=http://10.0.0.2:2380,b=http://10.0.0.2:2390"


def settings_of(*arguments: str, **environment: str) -> Settings:
    """Without any warning."""
    settings, warnings = parse(arguments, environment)
    assert warnings == []
    return settings


def refusal_of(*arguments: str, **environment: str) -> str:
    with pytest.raises(UsageError) as caught:
        parse(arguments, environment)
    return str(caught.value)


# Forms


@pytest.mark.parametrize(
    "arguments",
    [["--name=x"], ["--name", "x"], ["-name=x"], ["-name", "x"], ["--name", "y", "--name", "x"]],
    ids=" ".join,
)
def test_every_form_means_the_same(arguments: list[str]) -> None:
    assert settings_of(*arguments).name == "x"


def test_value_may_hold_anything() -> None:
    """Equals signs, dashes, nothing: only the first = counts."""
    assert settings_of("--name=a=b", "--data-dir", "-x").name == "a=b"
    assert settings_of("--initial-cluster-token=").initial_cluster_token == ""


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["---name=x"], "'---name=x' is not a flag"),
        (["name=x"], "'name=x' is not a flag"),
        (["x"], "'x' is not a flag"),
        (["-"], "'-' is not a flag"),
        (["--=x"], "'--=x' is not a flag"),
        (["--", "x"], "'--' is not a flag"),
        (["--name", "x", "gateway"], "'gateway' is not a flag"),
        (["--name"], "--name needs a value"),
        (["--pre-vote", "false"], "'false' is not a flag"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_form_that_is_none(arguments: list[str], text: str) -> None:
    assert text in refusal_of(*arguments)


def test_two_dashes_at_the_end_end_the_flags() -> None:
    assert settings_of("--name=x", "--").name == "x"


# Environment


def test_every_flag_has_its_variable() -> None:
    assert settings_of(ETCD_ELECTION_TIMEOUT="700").election_timeout_ms == 700
    assert settings_of(ETCD_INITIAL_CLUSTER_TOKEN="t").initial_cluster_token == "t"


def test_flag_wins_over_its_variable_and_that_is_said() -> None:
    settings, warnings = parse(["-name", "flag"], {"ETCD_NAME": "variable"})
    assert settings.name == "flag"
    assert warnings == ["ETCD_NAME is overridden by --name"]


def test_overridden_variable_may_be_wrong() -> None:
    settings, _ = parse(["--heartbeat-interval=50"], {"ETCD_HEARTBEAT_INTERVAL": "soon"})
    assert settings.heartbeat_interval_ms == 50


@pytest.mark.parametrize("variable", ["ETCD_NAME", "ETCD_CERT_FILE", "ETCD_UNSAFE_NO_FSYNC"])
def test_empty_variable_is_none(variable: str) -> None:
    assert settings_of(**{variable: ""}) == Settings()


@pytest.mark.parametrize("variable", ["ETCDCTL_API", "NAME", "etcd_name", "PATH"])
def test_other_variables_are_nobodys(variable: str) -> None:
    assert settings_of(**{variable: "x"}) == Settings()


@pytest.mark.parametrize(
    ("variable", "hint"),
    [
        ("ETCD_INITIAL_CLUSTR", "; did you mean ETCD_INITIAL_CLUSTER?"),
        ("ETCD_DATA-DIR", "; did you mean ETCD_DATA_DIR?"),
        ("ETCD_PORT_2379_TCP_ADDR", ""),
        ("ETCD_FOO", ""),
        ("ETCD_VERSION", ""),
        ("ETCD_ROOT_PASSWORD", ""),
    ],
)
def test_variable_of_no_flag_is_warned_of(variable: str, hint: str) -> None:
    """A misspelt one would begin another cluster; but Kubernetes sets some of its own."""
    settings, warnings = parse([], {variable: "x"})
    assert settings == Settings()
    assert warnings == [f"{variable} is no variable of a flag, and is ignored{hint}"]


def test_wrong_value_names_the_variable() -> None:
    text = refusal_of(ETCD_HEARTBEAT_INTERVAL="soon")
    assert text == "ETCD_HEARTBEAT_INTERVAL: 'soon' is not a whole number"


# Values


@pytest.mark.parametrize(
    ("argument", "setting", "value"),
    [
        ("--name=x", "name", "x"),
        ("--data-dir=/var/lib/r", "data_dir", Path("/var/lib/r")),
        ("--data-dir=.", "data_dir", Path()),
        ("--data-dir=", "data_dir", Path("default.raftwerk")),
        ("--listen-client-urls=http://0.0.0.0:1, http://[::1]:2", "listen_client",
         (Address("0.0.0.0", 1), Address("::1", 2))),
        ("--listen-peer-urls=http://127.0.0.1:1", "listen_peer", (Address("127.0.0.1", 1),)),
        ("--listen-metrics-urls=http://127.0.0.1:1", "listen_metrics", (Address("127.0.0.1", 1),)),
        ("--cors=http://a, http://b", "cors", ("http://a", "http://b")),
        ("--host-whitelist=a,b", "host_whitelist", ("a", "b")),
        ("--advertise-client-urls=http://H:1/", "advertise_client_urls", ("http://h:1",)),
        ("--initial-cluster-state=existing", "initial_cluster_state", "existing"),
        ("--initial-cluster-token=t", "initial_cluster_token", "t"),
        ("--heartbeat-interval=0x10", "heartbeat_interval_ms", 16),
        ("--election-timeout=5000", "election_timeout_ms", 5000),
        ("--snapshot-count=7", "snapshot_count", 7),
        ("--max-request-bytes=1000", "max_request_bytes", 1000),
        ("--quota-backend-bytes=5000", "quota_backend_bytes", 5000),
        ("--quota-backend-bytes=0", "quota_backend_bytes", 2 * 1024**3),
        ("--quota-backend-bytes=-1", "quota_backend_bytes", -1),
        ("--max-txn-ops=1000", "max_txn_ops", 1000),
        ("--log-level=debug", "log_level", "debug"),
        ("--log-format=json", "log_format", "json"),
    ],
)  # fmt: skip
def test_value_reaches_its_setting(argument: str, setting: str, value: object) -> None:
    settings, _ = parse([argument], {})
    assert getattr(settings, setting) == value


@pytest.mark.parametrize(
    ("argument", "text"),
    [
        ("--heartbeat-interval=soon", "--heartbeat-interval: 'soon' is not a whole number"),
        ("--heartbeat-interval=1.5", "is not a whole number"),
        ("--heartbeat-interval=", "is not a whole number"),
        ("--heartbeat-interval=-100", "--heartbeat-interval must be at least 1"),
        ("--election-timeout=100", "at least 5 times as long as --heartbeat-interval[100ms]"),
        ("--election-timeout=60000", "is too long: at most 50000ms"),
        ("--max-txn-ops=0", "--max-txn-ops must be at least 1"),
        ("--experimental-watch-progress-notify-interval=0s", "--experimental-watch-progress"),
        ("--name=", "--name must not be empty"),
        (
            "--log-level=loud",
            "--log-level: 'loud' is none of debug, info, warn, error, panic, fatal",
        ),
        ("--log-format=xml", "--log-format: 'xml' is none of console, json"),
        ("--initial-cluster-state=old", "--initial-cluster-state: 'old' is none of new, existing"),
        ("--listen-client-urls=", "--listen-client-urls: at least one URL is needed"),
        ("--listen-client-urls=127.0.0.1:2379", "a URL of the form http://HOST:PORT is needed"),
        ("--listen-peer-urls=https://h:1", "https://, which needs --peer-cert-file"),
        ("--initial-cluster=a", "--initial-cluster: 'a' is not of the form NAME=URL"),
        ("--initial-cluster==http://h:1", "is not of the form NAME=URL"),
        ("--initial-cluster=a=h:1", "a URL of the form http://HOST:PORT is needed"),
        ("--initial-cluster=a=http://h:1", "'default', is missing from --initial-cluster"),
    ],
)
def test_value_that_cannot_be(argument: str, text: str) -> None:
    assert text in refusal_of(argument)


# What follows from what


def test_no_flags_are_a_working_single_node() -> None:
    assert settings_of() == Settings()


def test_name_alone_gives_its_folder_and_its_cluster() -> None:
    settings = settings_of("--name=x")
    assert settings.data_dir == Path("x.raftwerk")
    assert settings.initial_cluster == {"x": ("http://localhost:2380",)}


def test_initial_cluster_gives_the_own_peer_urls() -> None:
    settings = settings_of("--name=b", f"--initial-cluster={CLUSTER}")
    assert settings.initial_advertise_peer_urls == ("http://10.0.0.2:2380", "http://10.0.0.2:2390")
    assert list(settings.initial_cluster) == ["a", "b"]


def test_own_peer_urls_alone_give_the_initial_cluster() -> None:
    settings = settings_of("--initial-advertise-peer-urls=http://10.0.0.9:2380")
    assert settings.initial_cluster == {"default": ("http://10.0.0.9:2380",)}


def test_own_peer_urls_must_be_those_of_the_initial_cluster() -> None:
    text = refusal_of(
        "--name=a", f"--initial-cluster={CLUSTER}", "--initial-advertise-peer-urls=http://h:1"
    )
    assert "they must be the same" in text


def test_listening_gives_the_advertised_client_urls() -> None:
    settings = settings_of("--listen-client-urls=http://[::1]:1,http://127.0.0.1:2")
    assert settings.advertise_client_urls == ("http://[::1]:1", "http://127.0.0.1:2")


def test_advertised_client_urls_win_over_listening() -> None:
    settings = settings_of(
        "--listen-client-urls=http://0.0.0.0:1", "--advertise-client-urls=http://10.0.0.1:1"
    )
    assert settings.advertise_client_urls == ("http://10.0.0.1:1",)


@pytest.mark.parametrize(
    ("argument", "flag"),
    [
        ("--listen-client-urls=http://0.0.0.0:2379", "advertise-client-urls"),
        ("--initial-advertise-peer-urls=http://[::]:2380", "initial-advertise-peer-urls"),
    ],
)
def test_address_of_every_interface_is_no_address_to_come_to(argument: str, flag: str) -> None:
    _, warnings = parse([argument], {})
    (warning,) = warnings
    assert warning.endswith(f"where nobody can connect to: set --{flag}")


# Flags that there are


@pytest.mark.parametrize(
    ("argument", "hint"),
    [
        ("--nmae=x", "did you mean --name?"),
        ("--initial-clster=x", "did you mean --initial-cluster?"),
        ("--cert-fil=x", "did you mean --cert-file?"),
        ("--zzzzzz", "'raftwerk serve --help' lists what there is"),
    ],
)
def test_unknown_flag_is_refused_with_the_nearest(argument: str, hint: str) -> None:
    text = refusal_of(argument)
    assert text.startswith("unknown flag --")
    assert text.endswith(hint)


def test_every_flag_sets_a_setting() -> None:
    fields: Any = Settings.__dataclass_fields__
    versions = {"min_version", "max_version"}
    assert {flag.setting.partition(".")[0] for flag in FLAGS} - versions == set(fields)


HTTPS = ["--listen-client-urls=https://h:1", "--listen-peer-urls=https://h:2"]


def test_tls_flags_are_those_of_two_ports() -> None:
    settings = settings_of(
        *HTTPS,
        *("--cert-file=c", "--key-file=k", "--trusted-ca-file=ca", "--client-cert-auth"),
        *("--client-crl-file=crl", "--peer-auto-tls", "--tls-min-version=TLS1.3"),
    )
    assert settings.client_tls == TlsFiles(
        "", "c", "k", "ca", "crl", client_cert_auth=True, min_version="TLS1.3"
    )
    assert settings.peer_tls == TlsFiles("peer-", auto=True, min_version="TLS1.3")


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (HTTPS, "--listen-client-urls has https://, which needs --cert-file"),
        (["--cert-file=c", "--key-file=k"], "clients would get plain text"),
        (["--cert-file=c"], "--cert-file and --key-file are needed both"),
        (["--peer-key-file=k"], "--peer-cert-file and --peer-key-file are needed both"),
        (["--peer-client-cert-auth"], "--peer-client-cert-auth needs --peer-trusted-ca-file"),
        (["--auto-tls=maybe"], "--auto-tls: 'maybe' is neither true nor false"),
        (["--tls-min-version=SSL3"], "none of TLS1.2, TLS1.3"),
        (["--tls-min-version=TLS1.3", "--tls-max-version=TLS1.2"], "is before"),
    ],
)
def test_tls_that_cannot_be_is_refused(arguments: list[str], text: str) -> None:
    assert text in refusal_of(*arguments)


@pytest.mark.parametrize(
    "name",
    ["experimental-watch-progress-notify-interval", "watch-progress-notify-interval"],
)
@pytest.mark.parametrize(
    ("text", "ms"),
    [("10m0s", 600_000), ("1m30s", 90_000), ("1.5s", 1500), ("250ms", 250), ("1h", 3_600_000)],
)
def test_duration_is_written_as_in_go(name: str, text: str, ms: int) -> None:
    assert settings_of(f"--{name}={text}").watch_progress_notify_interval_ms == ms


@pytest.mark.parametrize("text", ["", "10", "m", "-1s", "1x", "1s2"])
def test_duration_that_is_none_is_refused(text: str) -> None:
    assert "is not a duration" in refusal_of(f"--watch-progress-notify-interval={text}")


@pytest.mark.parametrize(
    ("mode", "text", "retention"),
    [
        ("periodic", "0", 0.0),
        ("periodic", "1", 3600.0),
        ("periodic", "10m", 600.0),
        ("periodic", "1h30m", 5400.0),
        ("revision", "1000", 1000.0),
    ],
)
def test_retention_is_a_time_or_a_number_of_revisions(
    mode: str, text: str, retention: float
) -> None:
    arguments = [f"--auto-compaction-mode={mode}", f"--auto-compaction-retention={text}"]
    settings, _ = parse(arguments, {})
    assert (settings.auto_compaction_mode, settings.auto_compaction_retention) == (mode, retention)


@pytest.mark.parametrize("arguments", [["periodic", "soon"], ["revision", "10m"]])
def test_wrong_retention_is_refused(arguments: list[str]) -> None:
    mode, text = arguments
    with pytest.raises(UsageError, match="--auto-compaction-retention"):
        parse([f"--auto-compaction-mode={mode}", f"--auto-compaction-retention={text}"], {})


@pytest.mark.parametrize("name", ["corrupt-check-time", "experimental-corrupt-check-time"])
@pytest.mark.parametrize(("text", "seconds"), [("0", 0.0), ("0s", 0.0), ("1m", 60.0)])
def test_members_compare_their_data_as_often_as_told(name: str, text: str, seconds: float) -> None:
    assert parse([f"--{name}={text}"], {})[0].corrupt_check_s == seconds


@pytest.mark.parametrize("name", ["min_time", "interval", "timeout"])
def test_keepalive_is_as_told(name: str) -> None:
    settings, _ = parse([f"--grpc-keepalive-{name.replace('_', '-')}=90s"], {})
    assert getattr(settings, f"grpc_keepalive_{name}_s") == 90
