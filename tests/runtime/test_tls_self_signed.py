"""Certificates that a member makes for itself."""

import datetime as dt
import stat
from pathlib import Path

from cryptography import x509

from raftwerk.runtime.tls_self_signed import self_signed

NOW = dt.datetime(2030, 1, 1, tzinfo=dt.UTC)


def test_certificate_names_its_hosts_and_lasts_as_told(tmp_path: Path) -> None:
    file, _ = self_signed(tmp_path / "client", ["127.0.0.1", "localhost"], 2, NOW)
    certificate = x509.load_pem_x509_certificate(file.read_bytes())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert [str(ip) for ip in names.get_values_for_type(x509.IPAddress)] == ["127.0.0.1"]
    assert names.get_values_for_type(x509.DNSName) == ["localhost"]
    assert certificate.not_valid_after_utc == NOW + dt.timedelta(days=730)


def test_key_is_nobody_elses(tmp_path: Path) -> None:
    _, key = self_signed(tmp_path / "client", ["localhost"], 1, NOW)
    assert stat.S_IMODE(key.stat().st_mode) == 0o600


def test_certificate_is_kept(tmp_path: Path) -> None:
    file, key = self_signed(tmp_path, ["localhost"], 1, NOW)
    before = file.read_bytes(), key.read_bytes()
    self_signed(tmp_path, ["localhost"], 1, NOW + dt.timedelta(days=300))
    assert (file.read_bytes(), key.read_bytes()) == before


def test_certificate_that_ends_soon_is_made_anew(tmp_path: Path) -> None:
    file, key = self_signed(tmp_path, ["localhost"], 1, NOW)
    before = file.read_bytes(), key.read_bytes()
    self_signed(tmp_path, ["localhost"], 1, NOW + dt.timedelta(days=340))
    assert file.read_bytes() != before[0]
    assert key.read_bytes() != before[1]
