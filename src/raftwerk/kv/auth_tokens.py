"""Simple tokens: granted through the log, so that every member knows each of them; timed by each member for itself.

They are not in the store: a member that was down when one was granted, or that was given a snapshot, refuses it, and its
client authenticates again. Only digests are kept: who reads a log or a core dump has no token.
"""

from hashlib import sha256
from typing import Final

TTL_S: Final = 300.0
"""After its last use at this member."""
TOKENS_MAX: Final = 100_000
"""The one that was not used for longest goes when there is one more."""


def digest_of(token: str) -> bytes:
    """What stands for a token wherever it is kept."""
    return sha256(token.encode()).digest()


class Tokens:
    """All tokens that a member knows."""

    def __init__(self, *, tokens_max: int = TOKENS_MAX, ttl_s: float = TTL_S) -> None:
        self._tokens_max = tokens_max
        self.ttl_s = ttl_s
        self._tokens: dict[bytes, tuple[str, float | None]] = {}
        """User and time of last use, in the order of that; None: granted, and not seen by a clock yet."""

    def __len__(self) -> int:
        return len(self._tokens)

    def grant(self, digest: bytes, user: str) -> None:
        """A new one."""
        while len(self._tokens) >= self._tokens_max:
            del self._tokens[next(iter(self._tokens))]
        self._tokens[digest] = (user, None)

    def find(self, token: str, now_s: float) -> str | None:
        """Its user, and its time begins anew; None: there is no such token."""
        digest = digest_of(token)
        user, used_s = self._tokens.pop(digest, ("", None))
        if not user or self._is_over(used_s, now_s):
            return None
        self._tokens[digest] = (user, now_s)
        return user

    def sweep(self, now_s: float) -> None:
        """Begin the time of those granted since the last sweep, and forget those whose time is over."""
        over = []
        for digest, (user, used_s) in self._tokens.items():
            if used_s is None:
                self._tokens[digest] = (user, now_s)
            elif self._is_over(used_s, now_s):
                over.append(digest)
        for digest in over:
            del self._tokens[digest]

    def _is_over(self, used_s: float | None, now_s: float) -> bool:
        return used_s is not None and now_s >= used_s + self.ttl_s

    def end_user(self, user: str) -> None:
        """All of a user's end."""
        for digest in [one for one, (owner, _) in self._tokens.items() if owner == user]:
            del self._tokens[digest]

    def clear(self) -> None:
        self._tokens.clear()
