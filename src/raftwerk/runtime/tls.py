"""TLS of the client port and between the members: from files to contexts, read again whenever the files change.

A connection that is open keeps what it began with; each new one gets what the files hold by then. If they cannot be read at
that moment (one is replaced before the other, say), the last good ones stay in use, and the log says so, once for each reason.
"""

import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import structlog

from raftwerk.errors import UsageError
from raftwerk.runtime.complaints import Complaints
from raftwerk.runtime.descriptors import TOO_MANY, are_used_up

log = structlog.get_logger()

VERSIONS: Final = {"TLS1.2": ssl.TLSVersion.TLSv1_2, "TLS1.3": ssl.TLSVersion.TLSv1_3}

Stamp = tuple[tuple[int, int, int], ...]
"""By which a changed file is known: time, size, inode."""


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """One side's: of the client port, or between the members. Raises UsageError for what does not fit together.

    prefix: of the flags, for error texts. trusted_ca_file: who signs the certificates of the others; a server with one
    wants a certificate of every client.
    """

    prefix: str = ""
    cert_file: str = ""
    key_file: str = ""
    trusted_ca_file: str = ""
    crl_file: str = ""
    client_cert_auth: bool = False
    auto: bool = False
    """Without files: a certificate that the member signs itself. Nobody can check it."""
    min_version: str = "TLS1.2"
    max_version: str = ""

    def __post_init__(self) -> None:
        prefix = self.prefix
        if bool(self.cert_file) is not bool(self.key_file):
            raise UsageError(
                f"--{prefix}cert-file and --{prefix}key-file are needed both, or neither"
            )
        if self.client_cert_auth and not self.trusted_ca_file:
            raise UsageError(
                f"--{prefix}client-cert-auth needs --{prefix}trusted-ca-file: who signs the certificates of clients"
            )
        if self.max_version and self.max_version < self.min_version:
            raise UsageError(
                f"--tls-max-version {self.max_version} is before --tls-min-version {self.min_version}"
            )

    @property
    def is_given(self) -> bool:
        """Whether a server can speak TLS."""
        return bool(self.cert_file) or self.auto

    def with_certificate(self, cert_file: Path, key_file: Path) -> "TlsFiles":
        return replace(self, cert_file=str(cert_file), key_file=str(key_file))


class ReloadedContext(ssl.SSLContext):
    """Stands for the newest of several contexts: each connection begins with wrap_bio."""

    _build: Callable[[], ssl.SSLContext]
    _files: tuple[str, ...]
    _stamp: Stamp
    _newest: ssl.SSLContext
    _complaints: Complaints
    _trouble: str
    """Why the files cannot be used now; said once, not at each connection."""

    @classmethod
    def of(cls, build: Callable[[], ssl.SSLContext], files: Sequence[str]) -> "ReloadedContext":
        """build: makes a context of what `files` hold now. Raises UsageError when that cannot be."""
        context = cls(ssl.PROTOCOL_TLS_CLIENT)
        context._build = build
        context._files = tuple(file for file in files if file)
        try:
            context._stamp = context._look()
            context._newest = build()
            context._trouble = ""
            context._complaints = Complaints()
        except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
            raise UsageError(
                f"the TLS files {', '.join(context._files)} cannot be used: {error}"
            ) from error
        return context

    def _look(self) -> Stamp:
        found = []
        for file in self._files:
            facts = Path(file).stat()
            found.append((facts.st_mtime_ns, facts.st_size, facts.st_ino))
        return tuple(found)

    def _current(self) -> ssl.SSLContext:
        try:
            stamp = self._look()
            if stamp != self._stamp:
                self._newest = self._build()
                self._stamp = stamp
                log.info("TLS files were read again", files=",".join(self._files))
            self._trouble = ""
        except (OSError, ValueError) as error:
            if str(error) != self._trouble:
                self._trouble = str(error)
                log.warning(
                    "TLS files changed and cannot be used: the old ones stay",
                    files=",".join(self._files),
                    error=self._trouble,
                )
        return self._newest

    def wrap_bio(self, *args: Any, **kwargs: Any) -> ssl.SSLObject:
        """Begin a handshake. Raises OSError, which closes the connection, when descriptors for connections are used up."""
        if kwargs.get("server_side") and are_used_up():
            self._complaints.warn(TOO_MANY)
            raise OSError(TOO_MANY)
        return self._current().wrap_bio(*args, **kwargs)


def server_context(files: TlsFiles, protocols: Sequence[str] = ()) -> ssl.SSLContext:
    """For a listening port. protocols: for ALPN. Raises UsageError when the files cannot be used."""

    def build() -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        _limit(context, files)
        context.load_cert_chain(files.cert_file, files.key_file)
        if files.trusted_ca_file:
            context.load_verify_locations(files.trusted_ca_file)
            context.verify_mode = ssl.CERT_REQUIRED
        _revoke(context, files)
        if protocols:
            context.set_alpn_protocols(list(protocols))
        return context

    return ReloadedContext.of(build, _names(files))


def client_context(files: TlsFiles) -> ssl.SSLContext:
    """For dialling other members: with this member's certificate, if there is one; theirs must be trusted.

    Certificates that members sign themselves (auto) cannot be checked: such a connection is private, but its end unknown.
    """

    def build() -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        _limit(context, files)
        if files.cert_file:
            context.load_cert_chain(files.cert_file, files.key_file)
        if files.auto:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        elif files.trusted_ca_file:
            context.load_verify_locations(files.trusted_ca_file)
            _revoke(context, files)
        else:
            context.load_default_certs()
        return context

    return ReloadedContext.of(build, _names(files))


def _names(files: TlsFiles) -> tuple[str, ...]:
    return files.cert_file, files.key_file, files.trusted_ca_file, files.crl_file


def _limit(context: ssl.SSLContext, files: TlsFiles) -> None:
    context.minimum_version = VERSIONS[files.min_version]
    if files.max_version:
        context.maximum_version = VERSIONS[files.max_version]


def _revoke(context: ssl.SSLContext, files: TlsFiles) -> None:
    if files.crl_file:
        context.load_verify_locations(files.crl_file)
        context.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF
