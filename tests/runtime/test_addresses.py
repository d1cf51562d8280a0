"""Addresses in URLs, and what is none."""

import pytest

from raftwerk.errors import UsageError
from raftwerk.runtime.addresses import Address, address_of, addresses_of


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("http://127.0.0.1:2380", ("127.0.0.1", 2380)),
        ("http://LocalHost:2380/", ("localhost", 2380)),
        ("http://[::1]:2380", ("::1", 2380)),
        ("http://node-1.example:65535", ("node-1.example", 65535)),
    ],
)
def test_address_of_url(url: str, address: tuple[str, int]) -> None:
    assert address_of(url) == address


@pytest.mark.parametrize(
    "url",
    [
        "",
        "127.0.0.1:2380",
        "http://127.0.0.1",
        "http://:2380",
        "http://h:0",
        "http://h:65536",
        "http://h:-1",
        "http://h:port",
        "http://h:1/path",
        "http://h:1?query",
        "http://h:1#fragment",
        "http://user:secret@h:1",
        "unix://h:1",
        "http://[::1:2380",
        "http://a..b:1",
    ],
)
def test_url_that_is_no_address(url: str) -> None:
    with pytest.raises(UsageError) as caught:
        address_of(url)
    assert repr(url) in str(caught.value)


def test_https_is_part_of_an_address() -> None:
    address = address_of("https://127.0.0.1:2380")
    assert (address, address.is_tls) == (Address("127.0.0.1", 2380), True)
    assert address.url == "https://127.0.0.1:2380"


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "http://[::1]:1"])
def test_address_goes_back_to_its_url(url: str) -> None:
    assert address_of(url).url == url
    assert str(address_of(url)) == url.removeprefix("http://")


def test_addresses_keep_their_order() -> None:
    assert addresses_of(["http://b:1", "http://a:2"]) == (("b", 1), ("a", 2))
