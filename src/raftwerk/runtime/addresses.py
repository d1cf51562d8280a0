"""Where to listen or to connect: hosts and ports, from URLs."""

from collections.abc import Iterable
from typing import NamedTuple
from urllib.parse import urlsplit

from raftwerk.errors import UsageError


class Address(NamedTuple):
    """Where to listen or to connect: from a URL like http://127.0.0.1:2380."""

    host: str
    port: int

    @property
    def is_tls(self) -> bool:
        """Whether the URL has https."""
        return False

    def __str__(self) -> str:
        """host:port, an IPv6 host in brackets."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def url(self) -> str:
        """As address_of reads it."""
        return f"{'https' if self.is_tls else 'http'}://{self}"


class TlsAddress(Address):
    """The same, for TLS."""

    __slots__ = ()

    @property
    def is_tls(self) -> bool:
        return True


def address_of(url: str) -> Address:
    """The address in a URL like http://127.0.0.1:2380. Raises UsageError (the caller's fault) for anything else."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
        if host:
            host.encode("idna")  # what the resolver would choke on
    except ValueError as error:
        raise UsageError(f"{url!r} is not a URL: {error}") from error
    extras = (parts.username, parts.password, parts.path.strip("/"), parts.query, parts.fragment)
    if parts.scheme not in ("http", "https") or not host or not port or any(extras):
        raise UsageError(
            f"{url!r} cannot be used: a URL of the form http://HOST:PORT is needed, or https:// for TLS"
        )
    return TlsAddress(host, port) if parts.scheme == "https" else Address(host, port)


def addresses_of(urls: Iterable[str]) -> tuple[Address, ...]:
    """The addresses in several URLs, in their order. Raises UsageError as address_of does."""
    return tuple(address_of(url) for url in urls)
