"""Passwords: hashed and compared beside the loop, since that is made to be slow (bcrypt)."""

from collections.abc import Callable
from typing import Final, Protocol, TypeVar

import bcrypt

T = TypeVar("T")

WAITING_MAX: Final = 200
"""Hashes that wait for a thread: some seconds of work."""
PASSWORD_BYTES_MAX: Final = 72
"""bcrypt looks at no more."""


class Background(Protocol):
    """See runtime.background."""

    def run(self, job: Callable[[], T], done: Callable[[T | Exception], None]) -> None: ...

    def close(self) -> None: ...


class Passwords:
    """cost: each step more doubles the work. begin: makes the thread, when it is needed for the first time."""

    def __init__(self, cost: int, begin: Callable[[], Background]) -> None:
        self._cost = cost
        self._begin = begin
        self._background: Background | None = None
        self._waiting = 0
        self._is_over = False
        self._nobodys_hash: bytes | None = None

    @property
    def is_busy(self) -> bool:
        """No more now."""
        return self._is_over or self._waiting >= WAITING_MAX

    def hash(self, password: str, done: Callable[[bytes], None]) -> None:
        """`done` gets the hash, later."""
        self._run(lambda: bcrypt.hashpw(password.encode(), bcrypt.gensalt(self._cost)), done)

    def check(
        self, password: str, password_hash: bytes | None, done: Callable[[bool], None]
    ) -> None:
        """`done` hears whether it is the right one, later. None: there is no such user, which takes as long to say."""

        def compare() -> bool:
            against = password_hash or self._hash_of_nobody()
            is_right = bcrypt.checkpw(password.encode()[:PASSWORD_BYTES_MAX], against)
            return is_right and password_hash is not None

        self._run(compare, done)

    def _hash_of_nobody(self) -> bytes:
        if self._nobodys_hash is None:
            self._nobodys_hash = bcrypt.hashpw(b"", bcrypt.gensalt(self._cost))
        return self._nobodys_hash

    def _run(self, job: Callable[[], T], done: Callable[[T], None]) -> None:
        if self._background is None:
            self._background = self._begin()
        self._waiting += 1

        def settle(result: T | Exception | None) -> None:
            self._waiting -= 1
            if isinstance(result, Exception):
                raise result
            if result is not None and not self._is_over:
                done(result)

        self._background.run(lambda: None if self._is_over else job(), settle)

    def stop(self) -> None:
        """Nothing that waits is done any more."""
        self._is_over = True
        if self._background is not None:
            self._background.close()
