"""Durations as Go, and so etcd, writes them: 1m30s."""

import re
from typing import Final

from raftwerk.errors import UsageError

_UNITS_MS: Final = {
    "h": 3.6e6,
    "m": 6e4,
    "s": 1e3,
    "ms": 1.0,
    "us": 1e-3,
    "\N{MICRO SIGN}s": 1e-3,
    "\N{GREEK SMALL LETTER MU}s": 1e-3,
    "ns": 1e-6,
}
_PART: Final = rf"(\d+\.?\d*|\.\d+)({'|'.join(sorted(_UNITS_MS, key=len, reverse=True))})"
_DURATION: Final = re.compile(f"(?:{_PART})+")


def milliseconds(text: str) -> int:
    """Rounded. Raises UsageError."""
    return round(_exact_ms(text))


def seconds(text: str) -> float:
    """0 needs no unit. Raises UsageError."""
    return _exact_ms(text) / 1000 if text != "0" else 0.0


def _exact_ms(text: str) -> float:
    if not _DURATION.fullmatch(text):
        raise UsageError(f"{text!r} is not a duration like 10m or 1m30s")
    return sum(float(number) * _UNITS_MS[unit] for number, unit in re.findall(_PART, text))
