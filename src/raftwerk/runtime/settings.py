"""The settings of one node: what `raftwerk serve` takes from its flags and environment, checked and typed."""

from dataclasses import dataclass, field
from pathlib import Path

from raftwerk.errors import UsageError
from raftwerk.runtime.addresses import Address
from raftwerk.runtime.tls import TlsFiles

ELECTION_TIMEOUT_MS_MAX = 50_000
ELECTION_TIMEOUT_HEARTBEATS_MIN = 5
BCRYPT_COSTS = range(4, 32)
NO_TLS = TlsFiles()
NO_PEER_TLS = TlsFiles("peer-")


@dataclass(frozen=True, slots=True)
class Settings:
    """Units are in the names. Defaults are etcd's.

    Raises UsageError, in the words of the command line, for values that cannot be or do not fit together.
    """

    name: str = "default"
    data_dir: Path = Path("default.raftwerk")
    listen_client: tuple[Address, ...] = (Address("localhost", 2379),)
    listen_peer: tuple[Address, ...] = (Address("localhost", 2380),)
    listen_metrics: tuple[Address, ...] = ()
    """Where /metrics, /health and the like are too."""
    advertise_client_urls: tuple[str, ...] = ("http://localhost:2379",)
    initial_advertise_peer_urls: tuple[str, ...] = ("http://localhost:2380",)
    initial_cluster: dict[str, tuple[str, ...]] = field(
        default_factory=lambda: {"default": ("http://localhost:2380",)}
    )
    """Member name to its peer URLs: all members, this one too."""
    initial_cluster_state: str = "new"
    """new, or existing: then a data folder must be there already."""
    initial_cluster_token: str = "etcd-cluster"
    heartbeat_interval_ms: int = 100
    election_timeout_ms: int = 1000
    """At least 5 heartbeats, at most 50 s."""
    snapshot_count: int = 50_000
    """Entries kept in the log for slow followers after a checkpoint."""
    max_request_bytes: int = 1_572_864
    quota_backend_bytes: int = 2 * 1024**3
    """Writes are refused when the store is larger; negative: no limit."""
    max_txn_ops: int = 128
    auth_token: str = "simple"
    """simple, or jwt with its options: jwt,priv-key=FILE,sign-method=RS256,ttl=10m."""
    auth_token_ttl_s: int = 300
    """Since its last use; of signed tokens: since it was signed."""
    bcrypt_cost: int = 10
    """Of hashing a password; each step more doubles it."""
    corrupt_check_s: float = 600.0
    """Between two comparisons of the members' data. 0: none."""
    auto_compaction_mode: str = "periodic"
    """periodic, or revision."""
    auto_compaction_retention: float = 0.0
    """Seconds (periodic) or revisions (revision) that are kept. 0: no automatic compaction."""
    watch_progress_notify_interval_ms: int = 600_000
    """How often a watcher that wants it is told that nothing has happened."""
    grpc_keepalive_min_time_s: float = 5.0
    """Clients that ping more often are cut off. 0: none is."""
    grpc_keepalive_interval_s: float = 30.0
    """A silent client is asked after so long whether it lives (etcd: two hours). 0: never."""
    grpc_keepalive_timeout_s: float = 20.0
    """And has so long to answer."""
    cors: tuple[str, ...] = ("*",)
    """Origins whose pages may call the gateway."""
    host_whitelist: tuple[str, ...] = ("*",)
    """Hosts that a request over plain HTTP/1.1 may name."""
    client_tls: TlsFiles = NO_TLS
    peer_tls: TlsFiles = NO_PEER_TLS
    self_signed_years: int = 1
    """How long certificates last that the member makes for itself."""
    log_level: str = "info"
    """debug, info, warn, error, panic or fatal."""
    log_format: str = "console"
    """console (key=value) or json."""

    def __post_init__(self) -> None:
        self._check_cluster()
        self._check_numbers()
        self._check_tls()

    def _check_cluster(self) -> None:
        if not self.name:
            raise UsageError("--name must not be empty")
        if self.name not in self.initial_cluster:
            members = ", ".join(sorted(self.initial_cluster))
            raise UsageError(
                f"this member, {self.name!r}, is missing from --initial-cluster, which has {members}: add it there, or set "
                "--name to one of them"
            )
        wanted, ours = self.initial_cluster[self.name], self.initial_advertise_peer_urls
        if sorted(wanted) != sorted(ours):
            raise UsageError(
                f"--initial-cluster has {','.join(wanted)} for {self.name!r}, but --initial-advertise-peer-urls says "
                f"{','.join(ours)}: they must be the same"
            )
        owners: dict[str, str] = {}
        for name, urls in self.initial_cluster.items():
            for url in urls:
                if url in owners:
                    raise UsageError(
                        f"--initial-cluster has {url} twice, for {owners[url]!r} and {name!r}: each member needs its own"
                    )
                owners[url] = name

    def _check_numbers(self) -> None:
        for value, flag in (
            (self.heartbeat_interval_ms, "heartbeat-interval"),
            (self.max_request_bytes, "max-request-bytes"),
            (self.max_txn_ops, "max-txn-ops"),
            (self.auth_token_ttl_s, "auth-token-ttl"),
            (self.snapshot_count, "snapshot-count"),
            (self.watch_progress_notify_interval_ms, "watch-progress-notify-interval"),
        ):
            if value <= 0:
                raise UsageError(f"--{flag} must be at least 1, not {value}")
        if self.bcrypt_cost not in BCRYPT_COSTS:
            raise UsageError(
                f"--bcrypt-cost must be from {BCRYPT_COSTS[0]} to {BCRYPT_COSTS[-1]}, not {self.bcrypt_cost}"
            )
        if self.election_timeout_ms < ELECTION_TIMEOUT_HEARTBEATS_MIN * self.heartbeat_interval_ms:
            raise UsageError(
                f"--election-timeout[{self.election_timeout_ms}ms] should be at least {ELECTION_TIMEOUT_HEARTBEATS_MIN} times "
                f"as long as --heartbeat-interval[{self.heartbeat_interval_ms}ms]"
            )
        if self.election_timeout_ms > ELECTION_TIMEOUT_MS_MAX:
            raise UsageError(
                f"--election-timeout[{self.election_timeout_ms}ms] is too long: at most {ELECTION_TIMEOUT_MS_MAX}ms"
            )

    def _check_tls(self) -> None:
        """Nobody who asks for TLS gets plain text, and nobody is left without a certificate."""
        for addresses, tls, flag in (
            (self.listen_client, self.client_tls, "listen-client-urls"),
            (self.listen_peer, self.peer_tls, "listen-peer-urls"),
        ):
            prefix = tls.prefix
            wants_tls = any(address.is_tls for address in addresses)
            if wants_tls and not tls.is_given:
                raise UsageError(
                    f"--{flag} has https://, which needs --{prefix}cert-file and --{prefix}key-file, or --{prefix}auto-tls"
                )
            if tls.is_given and not wants_tls:
                raise UsageError(
                    f"there is a certificate, but no https:// in --{flag}: clients would get plain text"
                )
        if any(address.is_tls for address in self.listen_metrics) and not self.client_tls.is_given:
            raise UsageError(
                "--listen-metrics-urls has https://, which needs the certificate of the client port"
            )

    @property
    def request_timeout_ms(self) -> int:
        """How long a request may wait: 5 s + 2 election timeouts (etcd's rule)."""
        return 5_000 + 2 * self.election_timeout_ms
