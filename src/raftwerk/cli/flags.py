"""The flags of `raftwerk serve`: etcd's names and forms, from the command line and from ETCD_* variables.

--name value, --name=value, -name value and -name=value mean the same; of a flag that is given twice the last one counts.
A flag wins over its variable, and that over the default; an empty variable is none. Flags of etcd that mean nothing here
are accepted with one warning each (etcd_flags.py); unknown ones are refused, unknown variables warned of.
"""

import difflib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

from raftwerk.cli import go_duration
from raftwerk.cli.etcd_flags import ETCD_FLAGS, FALSE, TRUE
from raftwerk.errors import UsageError
from raftwerk.runtime.addresses import Address, address_of, addresses_of
from raftwerk.runtime.settings import Settings
from raftwerk.runtime.tls import VERSIONS, TlsFiles


@dataclass(frozen=True, slots=True)
class Flag:
    """name: without dashes. parse: from text to the value of the setting."""

    name: str
    setting: str
    parse: Callable[[str], Any]
    help: str
    is_switch: bool = False
    """It stands without a value."""


def _folder(text: str) -> Path | None:
    return Path(text) if text else None


def _urls(text: str) -> tuple[str, ...]:
    urls = tuple(url.strip() for url in text.split(",") if url.strip())
    if not urls:
        raise UsageError("at least one URL is needed")
    return tuple(address.url for address in addresses_of(urls))


def _listen(text: str) -> tuple[Address, ...]:
    return addresses_of(_urls(text))


def _listen_or_not(text: str) -> tuple[Address, ...]:
    return _listen(text) if text.strip() else ()


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip()) or ("*",)


def _cluster(text: str) -> dict[str, tuple[str, ...]]:
    members: dict[str, tuple[str, ...]] = {}
    for part in text.split(","):
        name, equals, url = part.strip().partition("=")
        if not equals or not name:
            raise UsageError(f"{part!r} is not of the form NAME=URL")
        members[name] = (*members.get(name, ()), address_of(url).url)
    return members


def _number(text: str) -> int:
    try:
        return int(text, 0)  # as in Go: 0x10 too
    except ValueError as error:
        raise UsageError(f"{text!r} is not a whole number") from error


def _interval_ms(text: str) -> int:
    """A duration that is not nothing."""
    interval_ms = go_duration.milliseconds(text)
    if not interval_ms:
        raise UsageError(f"must be at least 1ms, not {text}")
    return interval_ms


def _switch(text: str) -> bool:
    if text in TRUE | FALSE:
        return text in TRUE
    raise UsageError(f"{text!r} is neither true nor false")


def _tls_flags(prefix: str, setting: str, port: str) -> tuple[Flag, ...]:
    return (
        Flag(f"{prefix}cert-file", f"{setting}.cert_file", str, f"Certificate of the {port}."),
        Flag(f"{prefix}key-file", f"{setting}.key_file", str, "Its key."),
        Flag(
            f"{prefix}trusted-ca-file",
            f"{setting}.trusted_ca_file",
            str,
            f"Who signs the certificates that others show on the {port}.",
        ),
        Flag(
            f"{prefix or 'client-'}crl-file", f"{setting}.crl_file", str, "Which ones are revoked."
        ),
        Flag(
            f"{prefix}client-cert-auth",
            f"{setting}.client_cert_auth",
            _switch,
            "Nobody may connect there without a certificate.",
            is_switch=True,
        ),
        Flag(
            f"{prefix}auto-tls",
            f"{setting}.auto",
            _switch,
            f"Make a certificate for the {port}, which nobody can check.",
            is_switch=True,
        ),
    )


def is_duration(flag: Flag) -> bool:
    """Whether its value is given like 1m30s."""
    return flag.parse in (_interval_ms, go_duration.seconds)


class Choice:
    """Parses one of a few names."""

    def __init__(self, *names: str) -> None:
        self.names = names

    def __call__(self, text: str) -> str:
        """Raises UsageError."""
        if text not in self.names:
            raise UsageError(f"{text!r} is none of {', '.join(self.names)}")
        return text


FLAGS: Final[tuple[Flag, ...]] = (
    Flag("name", "name", str, "Name of this member."),
    Flag("data-dir", "data_dir", _folder, "Data folder; NAME.raftwerk if it is not given."),
    Flag("listen-client-urls", "listen_client", _listen, "Where to listen for clients."),
    Flag(
        "advertise-client-urls", "advertise_client_urls", _urls, "Where clients find this member."
    ),
    Flag("listen-peer-urls", "listen_peer", _listen, "Where to listen for the other members."),
    Flag(
        "listen-metrics-urls", "listen_metrics", _listen_or_not, "Where metrics and health are too."
    ),
    Flag("cors", "cors", _names, "Origins whose pages may call the gateway."),
    Flag("host-whitelist", "host_whitelist", _names, "Hosts that plain HTTP requests may name."),
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
        Choice("new", "existing"),
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
    Flag("auth-token", "auth_token", str, "simple, or jwt,priv-key=FILE,sign-method=RS256,ttl=5m."),
    Flag("auth-token-ttl", "auth_token_ttl_s", _number, "Seconds a token serves unused."),
    Flag("bcrypt-cost", "bcrypt_cost", _number, "Of hashing a password, 4 to 31."),
    *(
        Flag(
            name,
            "watch_progress_notify_interval_ms",
            _interval_ms,
            "How often a quiet watch that wants it hears that nothing has happened, like 10m.",
        )
        for name in (
            "experimental-watch-progress-notify-interval",
            "watch-progress-notify-interval",
        )
    ),
    Flag(
        "grpc-keepalive-min-time",
        "grpc_keepalive_min_time_s",
        go_duration.seconds,
        "Clients that ping more often than this are cut off; 0s: none is.",
    ),
    Flag(
        "grpc-keepalive-interval",
        "grpc_keepalive_interval_s",
        go_duration.seconds,
        "A silent client is asked after so long whether it lives; 0s: never.",
    ),
    Flag(
        "grpc-keepalive-timeout",
        "grpc_keepalive_timeout_s",
        go_duration.seconds,
        "How long a client that was asked has to answer.",
    ),
    *_tls_flags("", "client_tls", "client port"),
    *_tls_flags("peer-", "peer_tls", "peer port"),
    Flag("tls-min-version", "min_version", Choice(*VERSIONS), "Oldest TLS that is spoken."),
    Flag("tls-max-version", "max_version", Choice("", *VERSIONS), "Newest TLS that is spoken."),
    Flag(
        "self-signed-cert-validity",
        "self_signed_years",
        _number,
        "Years that certificates of auto-tls last.",
    ),
    *(
        Flag(
            name,
            "corrupt_check_s",
            go_duration.seconds,
            "How often the members compare their data; 0s: never.",
        )
        for name in ("experimental-corrupt-check-time", "corrupt-check-time")
    ),
    Flag(
        "auto-compaction-mode",
        "auto_compaction_mode",
        Choice("periodic", "revision"),
        "periodic: by age; revision: by number of revisions.",
    ),
    Flag(
        "auto-compaction-retention",
        "auto_compaction_retention",
        str,
        "What is kept: a duration or hours (periodic), or revisions; 0: everything.",
    ),
    Flag(
        "log-level",
        "log_level",
        Choice("debug", "info", "warn", "error", "panic", "fatal"),
        "Least level that is logged.",
    ),
    Flag("log-format", "log_format", Choice("console", "json"), "console (key=value) or json."),
)


_BY_NAME: Final = {flag.name: flag for flag in FLAGS}
_SWITCHES: Final = frozenset(flag.name for flag in FLAGS if flag.is_switch) | frozenset(
    flag.name for flag in ETCD_FLAGS.values() if flag.is_switch
)
_NAMES: Final = frozenset((*_BY_NAME, *ETCD_FLAGS))
_PREFIX: Final = "ETCD_"
CLOSE: Final = 0.75
"""Of two names, for difflib: nearer than this, and one may be meant by the other."""


class _Given(NamedTuple):
    """A value, and the flag or variable that it came from."""

    text: str
    source: str


def parse(arguments: Sequence[str], environment: Mapping[str, str]) -> tuple[Settings, list[str]]:
    """Turn a command line and an environment into (settings, warnings), the warnings one sentence each.

    Raises UsageError, the caller's fault: a flag that is unknown or refused, a value that cannot be.
    """
    variables, warnings = _from_environment(environment)
    flags = _from_arguments(arguments)
    for name in sorted(flags.keys() & variables.keys()):
        warnings.append(f"{variables[name].source} is overridden by {flags[name].source}")
    values: dict[str, Any] = {}
    for name, (text, source) in {**variables, **flags}.items():
        flag = _BY_NAME.get(name)
        try:
            if flag is None:
                warning = ETCD_FLAGS[name].judge(text, source)
                warnings.extend([warning] if warning else [])
            else:
                values[flag.setting] = flag.parse(text)
        except UsageError as error:
            detail = str(error)
            raise UsageError(detail if source in detail else f"{source}: {detail}") from error
    settings = _complete(values)
    return settings, warnings + _doubts(settings)


def _from_environment(environment: Mapping[str, str]) -> tuple[dict[str, _Given], list[str]]:
    """By flag name; and a warning for each variable that looks like one of ours and is none."""
    given = {}
    warnings = []
    for variable, text in sorted(environment.items()):
        name = variable.removeprefix(_PREFIX).lower().replace("_", "-")
        if not variable.startswith(_PREFIX) or not text:
            continue
        if name in _NAMES and variable == _variable(name):
            given[name] = _Given(text, variable)
        else:
            near = _near(name)
            hint = f"; did you mean {_variable(near[0])}?" if near else ""
            warnings.append(f"{variable} is no variable of a flag, and is ignored{hint}")
    return given, warnings


def _variable(name: str) -> str:
    return _PREFIX + name.upper().replace("-", "_")


def _from_arguments(arguments: Sequence[str]) -> dict[str, _Given]:
    """By flag name, in the forms of Go's flag package."""
    given: dict[str, _Given] = {}
    rest = list(arguments)
    while rest:
        argument = rest.pop(0)
        if argument == "--" and not rest:
            break
        name, equals, text = argument.removeprefix("-").removeprefix("-").partition("=")
        if not argument.startswith("-") or not name or name.startswith("-"):
            raise UsageError(f"{argument!r} is not a flag: 'raftwerk serve' takes only flags")
        if name not in _NAMES:
            raise UsageError(f"unknown flag --{name}{_nearest(name)}")
        if not equals:
            if name in _SWITCHES:
                text = "true"
            elif rest:
                text = rest.pop(0)
            else:
                raise UsageError(f"--{name} needs a value")
        given[name] = _Given(text, f"--{name}")
    return given


def _near(name: str) -> list[str]:
    """The flag that is most like it, if any is."""
    return difflib.get_close_matches(name, sorted(_NAMES), n=1, cutoff=CLOSE)


def _nearest(name: str) -> str:
    near = _near(name)
    return (
        f"; did you mean --{near[0]}?" if near else "; 'raftwerk serve --help' lists what there is"
    )


def _complete(values: dict[str, Any]) -> Settings:
    """Fill in what follows from other settings. Raises UsageError when they do not fit together."""
    defaults = Settings()
    name = values.setdefault("name", defaults.name)
    if values.get("data_dir") is None:
        values["data_dir"] = Path(f"{name}.raftwerk")
    cluster = values.get("initial_cluster", {})
    ours = values.setdefault(
        "initial_advertise_peer_urls", cluster.get(name, defaults.initial_advertise_peer_urls)
    )
    if not cluster:
        values["initial_cluster"] = {name: ours}
    if "listen_client" in values:
        urls = tuple(address.url for address in values["listen_client"])
        values.setdefault("advertise_client_urls", urls)
    if values.get("quota_backend_bytes") == 0:
        del values["quota_backend_bytes"]
    retention = values.pop("auto_compaction_retention", "0")
    mode = values.get("auto_compaction_mode", defaults.auto_compaction_mode)
    values["auto_compaction_retention"] = _retention(retention, mode)
    versions = {name: values.pop(name) for name in ("min_version", "max_version") if name in values}
    for setting, prefix in (("client_tls", ""), ("peer_tls", "peer-")):
        names = [name for name in values if name.startswith(f"{setting}.")]
        files = {name.split(".")[1]: values.pop(name) for name in names}
        values[setting] = TlsFiles(prefix, **files, **versions)
    return Settings(**values)


def _retention(text: str, mode: str) -> float:
    """In seconds or revisions. A plain number means hours, or revisions."""
    try:
        if mode == "revision" or text.isdigit():
            return _number(text) * (1 if mode == "revision" else 3600)
        return go_duration.seconds(text)
    except UsageError as error:
        raise UsageError(f"--auto-compaction-retention: {error}") from error


def _doubts(settings: Settings) -> list[str]:
    """What can be meant, but seldom is."""
    return [
        f"clients and members are told to come to {url}, where nobody can connect to: set --{flag}"
        for flag, urls in (
            ("advertise-client-urls", settings.advertise_client_urls),
            ("initial-advertise-peer-urls", settings.initial_advertise_peer_urls),
        )
        for url in urls
        if address_of(url).host in ("0.0.0.0", "::")
    ]
