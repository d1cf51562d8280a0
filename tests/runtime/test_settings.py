"""What settings cannot be, and what is said about it."""

from typing import Any

import pytest

from raftwerk.errors import UsageError
from raftwerk.runtime.addresses import Address, TlsAddress
from raftwerk.runtime.settings import Settings
from raftwerk.runtime.tls import TlsFiles


def test_defaults_are_a_working_single_node() -> None:
    settings = Settings()
    assert settings.listen_client == (Address("localhost", 2379),)
    assert settings.listen_peer == (Address("localhost", 2380),)
    assert settings.initial_cluster == {"default": ("http://localhost:2380",)}
    assert (settings.heartbeat_interval_ms, settings.election_timeout_ms) == (100, 1000)


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"name": ""}, "--name must not be empty"),
        ({"name": "b"}, "'b', is missing from --initial-cluster, which has default"),
        (
            {"initial_advertise_peer_urls": ("http://a:1",)},
            "--initial-cluster has http://localhost:2380 for 'default', but --initial-advertise-peer-urls says http://a:1",
        ),
        (
            {
                "initial_cluster": {
                    "default": ("http://localhost:2380",),
                    "b": ("http://localhost:2380",),
                }
            },
            "http://localhost:2380 twice, for 'default' and 'b'",
        ),
        ({"heartbeat_interval_ms": 0}, "--heartbeat-interval must be at least 1, not 0"),
        ({"max_request_bytes": -1}, "--max-request-bytes must be at least 1, not -1"),
        ({"max_txn_ops": 0}, "--max-txn-ops must be at least 1"),
        ({"snapshot_count": 0}, "--snapshot-count must be at least 1"),
        (
            {"election_timeout_ms": 499},
            "--election-timeout[499ms] should be at least 5 times as long as --heartbeat-interval[100ms]",
        ),
        ({"election_timeout_ms": 50_001}, "--election-timeout[50001ms] is too long"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_settings_that_cannot_be(values: dict[str, Any], text: str) -> None:
    with pytest.raises(UsageError) as caught:
        Settings(**values)
    assert text in str(caught.value)


@pytest.mark.parametrize("election_timeout_ms", [500, 50_000])
def test_election_timeout_at_its_limits(election_timeout_ms: int) -> None:
    assert Settings(election_timeout_ms=election_timeout_ms).election_timeout_ms


def test_peer_urls_are_the_same_in_any_order() -> None:
    urls = ("http://a:1", "http://b:1")
    settings = Settings(initial_cluster={"default": urls}, initial_advertise_peer_urls=urls[::-1])
    assert settings.initial_cluster["default"] == urls


def test_request_timeout_is_five_seconds_and_two_election_timeouts() -> None:
    assert Settings(election_timeout_ms=1000).request_timeout_ms == 7000


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"listen_client": (TlsAddress("localhost", 1),)}, "needs --cert-file"),
        ({"listen_peer": (TlsAddress("localhost", 1),)}, "needs --peer-cert-file"),
        ({"listen_metrics": (TlsAddress("localhost", 1),)}, "needs the certificate"),
        ({"client_tls": TlsFiles(cert_file="c", key_file="k")}, "would get plain text"),
        ({"peer_tls": TlsFiles("peer-", auto=True)}, "would get plain text"),
    ],
)
def test_certificates_and_urls_fit_together(settings: dict[str, Any], text: str) -> None:
    with pytest.raises(UsageError, match=text):
        Settings(**settings)


@pytest.mark.parametrize("cost", [3, 32])
def test_bcrypt_cost_has_its_limits(cost: int) -> None:
    """Those of bcrypt: the work doubles with each step."""
    with pytest.raises(UsageError, match="--bcrypt-cost must be from 4 to 31"):
        Settings(bcrypt_cost=cost)


def test_token_lives_for_some_time() -> None:
    with pytest.raises(UsageError, match="--auth-token-ttl must be at least 1"):
        Settings(auth_token_ttl_s=0)
