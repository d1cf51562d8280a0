"""Certificates of a command: the file that is wrong is named, and no other."""

import ssl
from pathlib import Path

import pytest

from raftwerk.cli.ctl_tls import context_of
from raftwerk.errors import UsageError
from tests.certificates import Authority


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


def refusal_of(ca: Path, cert: Path | None, key: Path | None) -> str:
    with pytest.raises(UsageError) as caught:
        context_of(str(ca), str(cert or ""), str(key or ""))
    return str(caught.value)


def test_files_that_belong_together(authority: Authority, tmp_path: Path) -> None:
    cert, key = authority.issue("ada", 1)
    both = tmp_path / "both.pem"
    both.write_bytes(cert.read_bytes() + key.read_bytes())
    for own in ((cert, key), (both, "")):
        context = context_of(str(authority.file), *map(str, own))
        assert isinstance(context, ssl.SSLContext)


def test_certificate_without_its_key(authority: Authority) -> None:
    cert, _ = authority.issue("ada", 1)
    told = refusal_of(authority.file, cert, None)
    assert told == f"--key is missing: --cert {cert} holds a certificate without its key"


@pytest.mark.parametrize("wrong", ["--cacert", "--cert", "--key"])
@pytest.mark.parametrize("content", [b"no PEM", None])
def test_wrong_file_is_named_and_no_other(
    authority: Authority, tmp_path: Path, wrong: str, content: bytes | None
) -> None:
    cert, key = authority.issue("ada", 1)
    other = tmp_path / "other"
    if content is not None:
        other.write_bytes(content)
    files = {"--cacert": authority.file, "--cert": cert, "--key": key} | {wrong: other}
    told = refusal_of(*files.values())
    assert told.startswith(
        f"{wrong} {other} {'holds no' if content else 'cannot be read: No such'}"
    )
    assert [name for name in files.values() if name != other and str(name) in told] == []


def test_key_of_another_certificate(authority: Authority) -> None:
    cert, _ = authority.issue("ada", 1)
    _, key = authority.issue("bob", 2)
    told = refusal_of(authority.file, cert, key)
    assert told == f"--key {key} is the key of another certificate than --cert {cert}"
