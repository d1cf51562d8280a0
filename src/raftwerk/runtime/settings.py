"""The settings of one node: what `raftwerk serve` takes from its flags and environment, checked and typed."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from raftwerk.errors import UsageError


class Address(NamedTuple):
    """Where to listen or to connect: from a URL like http://127.0.0.1:2380."""

    host: str
    port: int


@dataclass(frozen=True, slots=True)
class Settings:
    """Units are in the names. Defaults are etcd's."""

    name: str = "default"
    data_dir: Path = Path("default.raftwerk")
    listen_client: tuple[Address, ...] = (Address("localhost", 2379),)
    listen_peer: tuple[Address, ...] = (Address("localhost", 2380),)
    advertise_client_urls: tuple[str, ...] = ("http://localhost:2379",)
    initial_advertise_peer_urls: tuple[str, ...] = ("http://localhost:2380",)
    initial_cluster: dict[str, tuple[str, ...]] = field(
        default_factory=lambda: {"default": ("http://localhost:2380",)}
    )
    """Member name to its peer URLs."""
    initial_cluster_state: str = "new"
    initial_cluster_token: str = "etcd-cluster"
    heartbeat_interval_ms: int = 100
    election_timeout_ms: int = 1000
    snapshot_count: int = 10_000
    """Entries kept in the log for slow followers after a checkpoint."""
    max_request_bytes: int = 1_572_864
    quota_backend_bytes: int = 2 * 1024**3
    max_txn_ops: int = 128
    log_level: str = "info"
    log_format: str = "console"
    """console (key=value) or json."""

    @property
    def request_timeout_ms(self) -> int:
        """How long a request may wait: 5 s + 2 election timeouts (etcd's rule)."""
        return 5_000 + 2 * self.election_timeout_ms


def address_of(url: str) -> Address:
    """The address in a URL like http://127.0.0.1:2380. Raises UsageError for anything else."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise UsageError(f"{url!r} is not a URL: {error}") from error
    if parts.scheme != "http" or not host or port is None or parts.path.strip("/"):
        raise UsageError(
            f"{url!r} cannot be used: a URL of the form http://HOST:PORT is needed (TLS is not supported yet)."
        )
    return Address(host, port)


def addresses_of(urls: Iterable[str]) -> tuple[Address, ...]:
    """The addresses in several URLs."""
    return tuple(address_of(url) for url in urls)
