"""Which contexts a node has."""

from dataclasses import replace
from pathlib import Path

import pytest

from raftwerk.errors import UsageError
from raftwerk.runtime.addresses import Address, TlsAddress
from raftwerk.runtime.settings import Settings
from raftwerk.runtime.tls import TlsFiles
from raftwerk.runtime.tls_setup import PeerTls, between_members, check_files, client_port

HERE = TlsAddress("127.0.0.1", 1)


def test_plain_node_has_none() -> None:
    assert client_port(Settings()) is None
    assert between_members(Settings()) == PeerTls(None, None)


def test_node_makes_its_own_certificates_in_its_folder(tmp_path: Path) -> None:
    settings = Settings(
        data_dir=tmp_path,
        listen_client=(HERE,),
        listen_peer=(HERE,),
        client_tls=TlsFiles(auto=True),
        peer_tls=TlsFiles("peer-", auto=True),
        initial_cluster={"default": (HERE.url,)},
        initial_advertise_peer_urls=(HERE.url,),
    )
    assert client_port(settings) is not None
    assert None not in between_members(settings)
    assert (tmp_path / "fixtures" / "client" / "cert.pem").exists()
    assert (tmp_path / "fixtures" / "peer" / "key.pem").exists()


def test_metrics_may_have_tls_alone_or_not_at_all(tmp_path: Path) -> None:
    tls = TlsFiles(auto=True)
    settings = Settings(data_dir=tmp_path, listen_client=(HERE,), client_tls=tls)
    plain = replace(settings, listen_metrics=(Address("127.0.0.1", 2),))
    assert client_port(plain) is not None
    assert client_port(Settings(listen_metrics=plain.listen_metrics)) is None


def test_node_dials_members_with_tls_though_it_has_no_certificate() -> None:
    settings = Settings(
        initial_cluster={"default": ("http://localhost:2380",), "other": (HERE.url,)}
    )
    tls = between_members(settings)
    assert tls.listen is None
    assert tls.dial is not None


def test_missing_file_is_told_of() -> None:
    settings = Settings(
        listen_client=(HERE,), client_tls=TlsFiles("", "/nowhere.crt", "/nowhere.key")
    )
    with pytest.raises(UsageError, match=r"/nowhere\.crt"):
        client_port(settings)


def test_check_is_of_files_that_were_given_and_makes_none(tmp_path: Path) -> None:
    ours = Settings(
        data_dir=tmp_path / "data", listen_client=(HERE,), client_tls=TlsFiles(auto=True)
    )
    check_files(ours)
    assert list(tmp_path.iterdir()) == []
    theirs = TlsFiles("peer-", "/nowhere.crt", "/nowhere.key")
    with pytest.raises(UsageError, match=r"/nowhere\.crt"):
        check_files(Settings(listen_peer=(HERE,), peer_tls=theirs))
    with pytest.raises(UsageError, match=r"/nowhere\.crt"):
        check_files(Settings(listen_client=(HERE,), client_tls=replace(theirs, prefix="")))
