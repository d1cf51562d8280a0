"""The flags of `raftwerk serve`: etcd's names and forms, from the command line and from ETCD_* variables.

--name value, --name=value, -name value and -name=value mean the same. A flag wins over its variable, and that over the
default. Flags of etcd that mean nothing here are accepted with one warning; unknown ones are refused.
"""

import difflib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from raftwerk.errors import UsageError
from raftwerk.runtime.settings import Settings, address_of, addresses_of


@dataclass(frozen=True, slots=True)
class Flag:
    """name: without dashes. parse: from text to the value of the setting."""

    name: str
    setting: str
    parse: Callable[[str], Any]
    help: str


def _urls(text: str) -> tuple[str, ...]:
    urls = tuple(url.strip() for url in text.split(",") if url.strip())
    if not urls:
        raise UsageError("at least one URL is needed")
    for url in urls:
        address_of(url)
    return urls


def _listen(text: str) -> tuple[Any, ...]:
    return addresses_of(_urls(text))


def _cluster(text: str) -> dict[str, tuple[str, ...]]:
    members: dict[str, tuple[str, ...]] = {}
    for part in text.split(","):
        name, equals, url = part.strip().partition("=")
        if not equals or not name:
            raise UsageError(f"{part!r} is not of the form NAME=URL")
        address_of(url)
        members[name] = (*members.get(name, ()), url)
    return members


def _number(text: str) -> int:
    try:
        return int(text)
    except ValueError as error:
        raise UsageError(f"{text!r} is not a whole number") from error


def _choice(*choices: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text not in choices:
            raise UsageError(f"{text!r} is none of {', '.join(choices)}")
        return text

    return parse


FLAGS: Final = (
    Flag("name", "name", str, "Name of this member."),
    Flag("data-dir", "data_dir", Path, "Data folder (default: NAME.raftwerk)."),
    Flag("listen-client-urls", "listen_client", _listen, "Where to listen for clients."),
    Flag(
        "advertise-client-urls", "advertise_client_urls", _urls, "Where clients find this member."
    ),
    Flag("listen-peer-urls", "listen_peer", _listen, "Where to listen for the other members."),
    Flag(
        "initial-advertise-peer-urls",
        "initial_advertise_peer_urls",
        _urls,
        "Where the other members find this one.",
    ),
    Flag("initial-cluster", "initial_cluster", _cluster, "All members: NAME=URL,NAME=URL,..."),
    Flag(
        "initial-cluster-state",
        "initial_cluster_state",
        _choice("new", "existing"),
        "new or existing.",
    ),
    Flag("initial-cluster-token", "initial_cluster_token", str, "Tells clusters apart."),
    Flag("heartbeat-interval", "heartbeat_interval_ms", _number, "Milliseconds."),
    Flag("election-timeout", "election_timeout_ms", _number, "Milliseconds."),
    Flag("snapshot-count", "snapshot_count", _number, "Entries kept in the log for slow members."),
    Flag("max-request-bytes", "max_request_bytes", _number, "Largest request."),
    Flag(
        "quota-backend-bytes",
        "quota_backend_bytes",
        _number,
        "Largest store; 0: 2 GiB; negative: no limit.",
    ),
    Flag("max-txn-ops", "max_txn_ops", _number, "Operations in a transaction."),
    Flag(
        "log-level",
        "log_level",
        _choice("debug", "info", "warn", "error", "panic", "fatal"),
        "Least level that is logged.",
    ),
    Flag("log-format", "log_format", _choice("console", "json"), "console (key=value) or json."),
)


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


IGNORED: Final = _words(
    """
    auth-token auth-token-ttl auto-compaction-mode auto-compaction-retention backend-batch-interval
    backend-batch-limit backend-bbolt-freelist-type bcrypt-cost config-file cors discovery discovery-endpoints
    discovery-fallback discovery-proxy discovery-srv discovery-srv-name discovery-token downgrade-check-time
    enable-grpc-gateway enable-pprof enable-v2 experimental-compact-hash-check-enabled
    experimental-compact-hash-check-time experimental-compaction-batch-limit experimental-corrupt-check-time
    experimental-enable-lease-checkpoint experimental-initial-corrupt-check experimental-max-learners
    experimental-memory-mlock experimental-txn-mode-write-with-shared-buffer
    experimental-warning-apply-duration experimental-watch-progress-notify-interval grpc-keepalive-interval
    grpc-keepalive-min-time grpc-keepalive-timeout host-whitelist listen-metrics-urls log-outputs
    log-package-levels logger max-concurrent-streams max-snapshots max-wals metrics pre-vote proxy
    proxy-dial-timeout proxy-failure-wait proxy-read-timeout proxy-refresh-interval proxy-write-timeout
    self-signed-cert-validity socket-reuse-address socket-reuse-port strict-reconfig-check unsafe-no-fsync
    v2-deprecation wal-dir warning-unary-request-duration watch-progress-notify-interval
    """
)
"""etcd has them; they mean nothing here, or not yet."""

TLS: Final = _words(
    """
    auto-tls cert-file cipher-suites client-cert-allowed-hostname client-cert-auth client-cert-file
    client-crl-file client-key-file key-file peer-auto-tls peer-cert-allowed-cn peer-cert-allowed-hostname
    peer-cert-file peer-client-cert-auth peer-client-cert-file peer-client-key-file peer-crl-file
    peer-key-file peer-trusted-ca-file tls-max-version tls-min-version trusted-ca-file
    """
)
"""Refused rather than ignored: somebody who asks for TLS must not get plain text."""

SWITCHES: Final = _words(
    """
    auto-tls client-cert-auth enable-grpc-gateway enable-pprof enable-v2
    experimental-compact-hash-check-enabled experimental-enable-lease-checkpoint
    experimental-initial-corrupt-check experimental-memory-mlock
    experimental-txn-mode-write-with-shared-buffer peer-auto-tls peer-client-cert-auth pre-vote
    socket-reuse-address socket-reuse-port strict-reconfig-check unsafe-no-fsync
    """
)
"""Of those, the ones that stand without a value."""

_BY_NAME: Final = {flag.name: flag for flag in FLAGS}


def parse(arguments: Sequence[str], environment: Mapping[str, str]) -> tuple[Settings, list[str]]:
    """(settings, warnings). Raises UsageError for what cannot be."""
    texts, warnings = _from_environment(environment)
    given, more = _from_arguments(arguments)
    values: dict[str, Any] = {}
    for name, (text, source) in {**texts, **given}.items():
        flag = _BY_NAME[name]
        try:
            values[flag.setting] = flag.parse(text)
        except UsageError as error:
            raise UsageError(f"{source}: {error}") from error
    return _complete(values), [*warnings, *more]


def _from_environment(
    environment: Mapping[str, str],
) -> tuple[dict[str, tuple[str, str]], list[str]]:
    texts = {}
    warnings = []
    for variable, text in sorted(environment.items()):
        if not variable.startswith("ETCD_"):
            continue
        name = variable.removeprefix("ETCD_").lower().replace("_", "-")
        if name in _BY_NAME:
            texts[name] = (text, variable)
        elif name in TLS and text not in ("", "false"):
            raise UsageError(f"{variable}: TLS is not supported yet")
        elif name in IGNORED:
            warnings.append(f"{variable} has no meaning here and is ignored")
    return texts, warnings


def _from_arguments(arguments: Sequence[str]) -> tuple[dict[str, tuple[str, str]], list[str]]:
    texts: dict[str, tuple[str, str]] = {}
    warnings = []
    rest = list(arguments)
    while rest:
        argument = rest.pop(0)
        name, equals, text = argument.lstrip("-").partition("=")
        if not argument.startswith("-") or not name:
            raise UsageError(f"{argument!r} is not a flag: 'raftwerk serve' takes only flags")
        if name not in _BY_NAME and name not in IGNORED and name not in TLS:
            raise UsageError(f"unknown flag --{name}{_nearest(name)}")
        if name in TLS and text != "false":
            raise UsageError(f"--{name}: TLS is not supported yet")
        if not equals and name not in SWITCHES:
            if not rest:
                raise UsageError(f"--{name} needs a value")
            text = rest.pop(0)
        if name in _BY_NAME:
            texts[name] = (text, f"--{name}")
        else:
            warnings.append(f"--{name} has no meaning here and is ignored")
    return texts, warnings


def _nearest(name: str) -> str:
    known = [*_BY_NAME, *IGNORED]
    near = difflib.get_close_matches(name, known, n=1)
    return (
        f"; did you mean --{near[0]}?" if near else "; 'raftwerk serve --help' lists what there is"
    )


def _complete(values: dict[str, Any]) -> Settings:
    """Fill in what follows from other settings, and check that all of it fits together."""
    settings = replace(Settings(), **values)
    name = settings.name
    if "data_dir" not in values:
        settings = replace(settings, data_dir=Path(f"{name}.raftwerk"))
    if "initial_cluster" not in values:
        settings = replace(settings, initial_cluster={name: settings.initial_advertise_peer_urls})
    elif name not in settings.initial_cluster:
        members = ", ".join(sorted(settings.initial_cluster))
        raise UsageError(
            f"this member, {name!r}, is missing from --initial-cluster, which has {members}: add it there, or set --name to one "
            "of them"
        )
    elif "initial_advertise_peer_urls" not in values:
        settings = replace(settings, initial_advertise_peer_urls=settings.initial_cluster[name])
    ours = sorted(settings.initial_advertise_peer_urls)
    if ours != sorted(settings.initial_cluster[name]):
        raise UsageError(
            f"--initial-cluster has {','.join(settings.initial_cluster[name])} for {name!r}, but --initial-advertise-peer-urls "
            f"says {','.join(ours)}: they must be the same"
        )
    if "listen_client" in values and "advertise_client_urls" not in values:
        urls = tuple(f"http://{address.host}:{address.port}" for address in settings.listen_client)
        settings = replace(settings, advertise_client_urls=urls)
    if settings.quota_backend_bytes == 0:
        settings = replace(settings, quota_backend_bytes=Settings().quota_backend_bytes)
    _check_numbers(settings)
    return settings


def _check_numbers(settings: Settings) -> None:
    if settings.heartbeat_interval_ms <= 0:
        raise UsageError("--heartbeat-interval must be at least 1 (milliseconds)")
    if settings.election_timeout_ms < 5 * settings.heartbeat_interval_ms:
        raise UsageError(
            f"--election-timeout[{settings.election_timeout_ms}ms] should be at least 5 times as long as "
            f"--heartbeat-interval[{settings.heartbeat_interval_ms}ms]"
        )
    if settings.election_timeout_ms > 50_000:
        raise UsageError("--election-timeout must be at most 50000 (milliseconds)")
    for value, flag in (
        (settings.max_request_bytes, "max-request-bytes"),
        (settings.max_txn_ops, "max-txn-ops"),
        (settings.snapshot_count, "snapshot-count"),
    ):
        if value <= 0:
            raise UsageError(f"--{flag} must be at least 1")


def help_text() -> str:
    """What `raftwerk serve --help` prints."""
    width = max(len(flag.name) for flag in FLAGS) + 4
    lines = [f"  --{flag.name:<{width}}{flag.help}" for flag in FLAGS]
    return "\n".join(
        [
            "Run one member. With no flags: a working single node on localhost:2379, data in ./default.raftwerk.",
            "",
            "Every flag can be given as an environment variable too: --data-dir is ETCD_DATA_DIR.",
            "",
            *lines,
        ]
    )
