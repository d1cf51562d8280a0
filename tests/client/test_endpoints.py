"""Endpoints as people write them, and which are spoken to with TLS."""

import ssl

import pytest

from raftwerk.client.endpoints import parse_endpoint, parse_endpoints, tls_contexts
from raftwerk.errors import UsageError
from raftwerk.runtime.addresses import Address

BARE, OPEN, SECURE = (parse_endpoint(f"{scheme}h:1") for scheme in ("", "http://", "https://"))


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:2379", Address("127.0.0.1", 2379)),
        ("http://127.0.0.1:2379", Address("127.0.0.1", 2379)),
        ("http://localhost:2379/", Address("localhost", 2379)),
        (" 127.0.0.1:2379 ", Address("127.0.0.1", 2379)),
        ("[::1]:2379", Address("::1", 2379)),
    ],
)
def test_endpoint_forms(text: str, address: Address) -> None:
    assert parse_endpoint(text) == address


def test_scheme_decides_about_tls() -> None:
    given = ssl.create_default_context()
    assert tls_contexts([BARE, OPEN, SECURE], given) == [given, None, given]
    assert tls_contexts([BARE, OPEN], None) == [None, None]


def test_https_has_the_systems_authorities_where_none_are_given() -> None:
    bare, also_open, *secure = tls_contexts([BARE, OPEN, SECURE, SECURE], None)
    assert (bare, also_open) == (None, None)
    assert [each and each.verify_mode for each in secure] == [ssl.CERT_REQUIRED] * 2


@pytest.mark.parametrize("texts", ["h:1", []], ids=["a text", "none"])
def test_list_of_endpoints_that_is_none(texts: list[str]) -> None:
    with pytest.raises(UsageError, match="is needed"):
        parse_endpoints(texts)
