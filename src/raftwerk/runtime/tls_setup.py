"""The TLS contexts of one node, from its settings; certificates that it signs itself are made here."""

import datetime as dt
import ssl
from collections.abc import Iterable
from typing import Final, NamedTuple

from raftwerk.runtime.addresses import Address, addresses_of
from raftwerk.runtime.settings import Settings
from raftwerk.runtime.tls import TlsFiles, client_context, server_context

ALPN: Final = ("http/1.1", "h2")
"""What the client port speaks, the first that the client has too. gRPC clients offer h2 alone; browsers, curl and probes offer
both, and want the pages. A client without ALPN is told apart by its first bytes, as on a plain port."""


class PeerTls(NamedTuple):
    """None where no address has https."""

    listen: ssl.SSLContext | None = None
    dial: ssl.SSLContext | None = None


def client_port(settings: Settings) -> ssl.SSLContext | None:
    """For the client port and that of metrics, if one of them speaks TLS. Raises UsageError when the files cannot be used."""
    addresses = settings.listen_client + settings.listen_metrics
    if not _wants_tls(addresses):
        return None
    files = _complete(settings, settings.client_tls, "client", addresses)
    return server_context(files, ALPN)


def between_members(settings: Settings) -> PeerTls:
    """For both ends of the links. Raises UsageError when the files cannot be used."""
    files = settings.peer_tls
    listens = _wants_tls(settings.listen_peer)
    if listens:
        files = _complete(settings, files, "peer", settings.listen_peer)
    dials = any(_wants_tls(addresses_of(urls)) for urls in settings.initial_cluster.values())
    return PeerTls(
        server_context(files) if listens else None,
        client_context(files) if dials else None,
    )


def check_files(settings: Settings) -> None:
    """Raises UsageError when files that were given cannot be used. Makes none."""
    if settings.client_tls.cert_file:
        client_port(settings)
    if settings.peer_tls.cert_file:
        between_members(settings)


def _wants_tls(addresses: Iterable[Address]) -> bool:
    return any(address.is_tls for address in addresses)


def _complete(
    settings: Settings, files: TlsFiles, name: str, addresses: Iterable[Address]
) -> TlsFiles:
    if files.cert_file:
        return files
    from raftwerk.runtime.tls_self_signed import self_signed  # takes 50 ms to load

    folder = settings.data_dir / "fixtures" / name
    hosts = sorted({address.host for address in addresses} | {"localhost", "127.0.0.1"})
    now = dt.datetime.now(dt.UTC)
    return files.with_certificate(*self_signed(folder, hosts, settings.self_signed_years, now))
