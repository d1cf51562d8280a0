"""What a case calls by names of its own, and what it is on the cluster at hand: keys, revisions, leases."""

import base64
import re
from dataclasses import dataclass
from typing import Final

KEYS: Final = frozenset(("key", "range_end", "keys", "name"))
"""Fields of bytes that lie below the prefix."""
REVISIONS: Final = frozenset(
    (
        "revision",
        "create_revision",
        "mod_revision",
        "compact_revision",
        "hash_revision",
        "start_revision",
        "min_mod_revision",
        "max_mod_revision",
        "min_create_revision",
        "max_create_revision",
        "rev",
    )
)
LEASES: Final = frozenset(("ID", "lease"))
LEASES_MAX: Final = 256
"""Of one case."""
PICKED_MIN: Final = 2**40
"""Numbers of leases that a server picks are larger."""
_LEASE_IN_KEY: Final = re.compile(r"<L\+(\d+)>")
_KEY_IN_BODY: Final = re.compile(r"<key:((?:[^<>]|<[^>]*>)*)>")
UNTOUCHED: Final = (b"", b"\0")
"""Keys that mean something else than themselves."""


@dataclass(frozen=True, slots=True)
class Names:
    """Of one case. first: the revision at its start. lease_base: the number of "L+0"."""

    prefix: bytes
    first: int
    lease_base: int

    def bytes_of(self, field: str, text: str) -> bytes:
        """As it is sent."""
        data = text.encode("latin-1")
        if field not in KEYS or data in UNTOUCHED:
            return data
        text = _LEASE_IN_KEY.sub(lambda found: f"{self.lease_base + int(found[1]):x}", text)
        return self.prefix + text.encode("latin-1")

    def text_of(self, field: str, data: bytes) -> str:
        """As a case would say it."""
        if field not in KEYS or not data.startswith(self.prefix):
            return data.decode("latin-1")
        text = data.removeprefix(self.prefix).decode("latin-1")
        return re.sub(f"{self.lease_base >> 8:x}([0-9a-f]{{2}})", self._lease_in_key, text)

    def _lease_in_key(self, found: re.Match[str]) -> str:
        return f"<L+{int(found[1], 16)}>"

    def number_of(self, value: int | str) -> int:
        """As it is sent: "R+3", "L+1"."""
        if isinstance(value, int):
            return value
        base, offset = {"R": self.first, "L": self.lease_base}[value[0]], value[1:]
        return base + int(offset)

    def named(self, field: str, value: int) -> int | str:
        """As a case would say it."""
        if field in REVISIONS and value >= self.first:
            return f"R+{value - self.first}"
        if field in LEASES:
            if 0 <= value - self.lease_base < LEASES_MAX:
                return f"L+{value - self.lease_base}"
            if value >= PICKED_MIN:
                return "picked"
        return value

    def body_of(self, body: str) -> bytes:
        """Of a request of HTTP/1.1, as it is sent."""

        def key(found: re.Match[str]) -> str:
            return base64.b64encode(self.bytes_of("key", found[1])).decode()

        def number(found: re.Match[str]) -> str:
            return str(self.number_of(found[1]))

        return re.sub(r"<([RL]\+\d+)>", number, _KEY_IN_BODY.sub(key, body)).encode()
