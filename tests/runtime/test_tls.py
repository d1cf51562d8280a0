"""Contexts from files: handshakes in memory."""

import resource
import ssl
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from raftwerk.errors import UsageError
from raftwerk.runtime.tls import TlsFiles, client_context, server_context
from tests.certificates import Authority


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


def files_of(
    authority: Authority, name: str = "server", serial: int = 7, **more: object
) -> TlsFiles:
    certificate, key = authority.issue(name, serial)
    return TlsFiles("", str(certificate), str(key), **more)  # type: ignore[arg-type]


def shake(server: ssl.SSLContext, client: ssl.SSLContext) -> tuple[ssl.SSLObject, ssl.SSLObject]:
    """Both ends of a connection. Raises ssl.SSLError when one refuses the other."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = (
        client.wrap_bio(to_client, to_server, server_hostname="127.0.0.1"),
        server.wrap_bio(to_server, to_client, server_side=True),
    )
    for _ in range(4):
        for end in ends:
            try:
                end.do_handshake()
                end.read()  # a refusal after the handshake, as in TLS 1.3
            except ssl.SSLWantReadError:
                pass
    return ends[1], ends[0]


def trusting(authority: Authority, **more: object) -> ssl.SSLContext:
    return client_context(TlsFiles(trusted_ca_file=str(authority.file), **more))  # type: ignore[arg-type]


def serial_of(server: ssl.SSLContext, client: ssl.SSLContext) -> int:
    certificate = shake(server, client)[1].getpeercert()
    assert certificate is not None
    return int(str(certificate["serialNumber"]), 16)


def test_server_shows_its_certificate(authority: Authority) -> None:
    assert serial_of(server_context(files_of(authority)), trusting(authority)) == 7


def test_protocols_are_agreed_on(authority: Authority) -> None:
    client = ssl.create_default_context(cafile=str(authority.file))
    client.set_alpn_protocols(["h2"])
    server, _ = shake(server_context(files_of(authority), ["h2", "http/1.1"]), client)
    assert server.selected_alpn_protocol() == "h2"


def test_stranger_is_not_trusted(authority: Authority, tmp_path: Path) -> None:
    stranger = Authority(tmp_path / "other", "other")
    with pytest.raises(ssl.SSLCertVerificationError):
        shake(server_context(files_of(stranger)), trusting(authority))


def test_certificate_of_another_host_is_refused(authority: Authority) -> None:
    server = server_context(files_of(authority))
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = trusting(authority).wrap_bio(to_client, to_server, server_hostname="elsewhere")
    end = server.wrap_bio(to_server, to_client, server_side=True)
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    with pytest.raises(ssl.SSLWantReadError):
        end.do_handshake()
    with pytest.raises(ssl.SSLCertVerificationError, match="elsewhere"):
        client.do_handshake()


def test_self_signed_certificate_of_a_member_is_taken_as_it_is(
    authority: Authority, tmp_path: Path
) -> None:
    stranger = Authority(tmp_path / "other", "other")
    client = client_context(TlsFiles(auto=True))
    assert shake(server_context(files_of(stranger)), client)


class TestClientCertificates:
    """A server with a trusted authority wants one of every client."""

    def test_client_with_one_is_let_in(self, authority: Authority) -> None:
        server = server_context(files_of(authority, trusted_ca_file=str(authority.file)))
        client = client_context(
            files_of(authority, "client", 8, trusted_ca_file=str(authority.file))
        )
        certificate = shake(server, client)[0].getpeercert()
        assert certificate is not None
        assert certificate["serialNumber"] == "08"

    def test_client_without_one_is_refused(self, authority: Authority) -> None:
        server = server_context(files_of(authority, trusted_ca_file=str(authority.file)))
        with pytest.raises(ssl.SSLError):
            shake(server, trusting(authority))

    def test_revoked_one_is_refused(self, authority: Authority) -> None:
        """From the moment on that the list says so."""
        crl = authority.revoke(99)
        server = server_context(
            files_of(authority, trusted_ca_file=str(authority.file), crl_file=str(crl))
        )
        files = files_of(authority, "client", 8, trusted_ca_file=str(authority.file))
        assert shake(server, client_context(files))
        authority.revoke(8)
        with pytest.raises(ssl.SSLError, match="revoked"):
            shake(server, client_context(files))


def test_no_handshake_begins_with_one_of_the_last_descriptors(authority: Authority) -> None:
    """Its connection is closed, and that is told once. Who dials is not kept from it."""
    server, client = server_context(files_of(authority)), trusting(authority)
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    with Path("/dev/null").open("rb") as file:
        lowest = file.fileno()
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest + 20, before[1]))
    try:
        with capture_logs() as logs:
            for _ in range(3):
                with pytest.raises(OSError, match="too many connections"):
                    shake(server, client)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    assert [entry["log_level"] for entry in logs] == ["warning"]
    assert shake(server, client)


def test_changed_certificate_is_read_again(authority: Authority) -> None:
    server = server_context(files_of(authority, serial=7))
    assert serial_of(server, trusting(authority)) == 7
    authority.issue("server", 8)
    assert serial_of(server, trusting(authority)) == 8


def test_changed_authority_is_read_again(authority: Authority, tmp_path: Path) -> None:
    """An authority that was replaced is not trusted any more."""
    other = Authority(tmp_path / "other", "other")
    client = trusting(authority)
    shake(server_context(files_of(authority)), client)
    authority.file.write_bytes(other.file.read_bytes())
    with pytest.raises(ssl.SSLCertVerificationError):
        shake(server_context(files_of(authority)), client)
    assert shake(server_context(files_of(other)), client)


@pytest.mark.parametrize("change", [b"nonsense", None])
def test_broken_change_leaves_what_there_was(authority: Authority, change: bytes | None) -> None:
    """And the next good one counts."""
    files = files_of(authority, serial=7)
    server = server_context(files)
    if change is None:
        Path(files.cert_file).unlink()
    else:
        Path(files.cert_file).write_bytes(change)
    with capture_logs() as logs:
        for _ in range(3):
            assert serial_of(server, trusting(authority)) == 7
    (told,) = logs  # once, not at each connection
    assert told["log_level"] == "warning"
    assert files.cert_file in told["files"]
    authority.issue("server", 8)
    assert serial_of(server, trusting(authority)) == 8
    Path(files.cert_file).write_bytes(b"nonsense")
    with capture_logs() as logs:
        assert serial_of(server, trusting(authority)) == 8
    assert logs  # after a good one it is news again


@pytest.mark.parametrize(("least", "most"), [("TLS1.3", ""), ("TLS1.2", "TLS1.2")])
def test_versions_are_limited(authority: Authority, least: str, most: str) -> None:
    server, _ = shake(
        server_context(files_of(authority, min_version=least, max_version=most)),
        trusting(authority),
    )
    assert server.version() == ("TLSv1.3" if least == "TLS1.3" else "TLSv1.2")


def test_old_version_is_refused(authority: Authority) -> None:
    server = server_context(files_of(authority, min_version="TLS1.3"))
    with pytest.raises(ssl.SSLError):
        shake(server, trusting(authority, max_version="TLS1.2"))


@pytest.mark.parametrize("content", [None, b"nonsense"])
def test_files_that_cannot_be_used_are_named(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "server.crt"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(UsageError, match=r"server\.crt"):
        server_context(TlsFiles("", str(file), str(file)))


@pytest.mark.parametrize(
    "values",
    [
        {"cert_file": "c"},
        {"key_file": "k"},
        {"client_cert_auth": True},
        {"min_version": "TLS1.3", "max_version": "TLS1.2"},
    ],
)
def test_what_does_not_fit_together_is_refused(values: dict[str, object]) -> None:
    with pytest.raises(UsageError, match="--"):
        TlsFiles(**values)  # type: ignore[arg-type]
