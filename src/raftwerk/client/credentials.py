"""Who the client is: name and password, and the token that it gets for them."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

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


class Token:
    """authenticate: returns a new token, empty if the server wants none."""

    def __init__(self, authenticate: Callable[[], Awaitable[str]] | None) -> None:
        self._authenticate = authenticate
        self._metadata: bytes | None = None
        self._fetching = asyncio.Lock()

    @property
    def known(self) -> bytes | None:
        """To send with a call; None: it must be fetched."""
        return b"" if self._authenticate is None else self._metadata

    async def metadata(self) -> bytes:
        """To send with a call. Raises as authenticate."""
        if self._authenticate is None:
            return b""
        if self._metadata is None:
            async with self._fetching:
                if self._metadata is None:
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
