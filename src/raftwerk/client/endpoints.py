"""Where servers are, as people write it, and whether that is spoken to with TLS."""

import ssl
from collections.abc import Sequence

from raftwerk.errors import UsageError
from raftwerk.runtime.addresses import Address, address_of


class BareAddress(Address):
    """Without http:// or https:// before it."""

    __slots__ = ()


def parse_endpoint(text: str) -> Address:
    """host:port, with or without http:// or https:// before it. Raises UsageError."""
    text = text.strip()
    return address_of(text) if "://" in text else BareAddress(*address_of(f"http://{text}"))


def parse_endpoints(texts: Sequence[str]) -> list[Address]:
    """Raises UsageError for one that is none, and for none at all."""
    if isinstance(texts, str):
        raise UsageError(f"a list of endpoints is needed, such as [{texts!r}]")
    if not texts:
        raise UsageError("at least one endpoint is needed")
    return [parse_endpoint(text) for text in texts]


def tls_contexts(
    addresses: Sequence[Address], given: ssl.SSLContext | None
) -> list[ssl.SSLContext | None]:
    """One for each. The scheme decides: http never, https always, with the system's if none is given; without, as given."""
    secure = given
    if secure is None and any(address.is_tls for address in addresses):
        secure = ssl.create_default_context()
    return [
        secure if address.is_tls else given if isinstance(address, BareAddress) else None
        for address in addresses
    ]
