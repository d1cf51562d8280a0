"""Who the client is: name and password, and the token that it gets for them."""

from collections.abc import Callable, Coroutine
from typing import Any, Final

from raftwerk.client.shared import Shared
from raftwerk.errors import UsageError
from raftwerk.http2.headers import literal

REFUSALS: Final = frozenset(
    (
        "etcdserver: invalid auth token",
        "etcdserver: revision of auth store is old",
        "etcdserver: user name is empty",
    )
)
"""Texts that ask for a new token; nothing was done."""
NOT_ENABLED: Final = "etcdserver: authentication is not enabled"


def check_credentials(given: object) -> None:
    """Raises UsageError for what is no pair of texts; it does not repeat a password."""
    is_pair = isinstance(given, (tuple, list)) and [type(one) for one in given] == [str, str]
    if given is not None and not is_pair:
        raise UsageError('credentials are name and password, two texts: ("ada", "secret")')


class Token:
    """authenticate: returns a new token, empty if the server wants none."""

    def __init__(self, authenticate: Callable[[], Coroutine[Any, Any, str]] | None) -> None:
        self._authenticate = authenticate
        self._metadata: bytes | None = None
        self._fetched = Shared(self._fetch)

    @property
    def known(self) -> bytes | None:
        """To send with a call; None: it must be fetched."""
        return b"" if self._authenticate is None else self._metadata

    async def metadata(self) -> bytes:
        """To send with a call. Raises as authenticate."""
        return await self._fetched() if self.known is None else self.known

    async def _fetch(self) -> bytes:
        assert self._authenticate is not None
        token = await self._authenticate()
        self._metadata = literal(b"token", token.encode()) if token else b""
        return self._metadata

    def is_refused(self, text: str, metadata: bytes) -> bool:
        """Whether another token may help; the one that was sent is forgotten then."""
        if self._authenticate is None or text not in REFUSALS:
            return False
        if self._metadata == metadata:
            self._metadata = None
        return True
