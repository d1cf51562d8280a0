"""Durations as Go, and so etcd, writes them: 1m30s."""

import re
from typing import Final

from raftwerk.errors import UsageError

_DURATION: Final = re.compile(r"(?:\d+(?:\.\d*)?(?:h|m|s|ms|us|µs|ns))+")
_UNITS_MS: Final = {"h": 3.6e6, "m": 6e4, "s": 1e3, "ms": 1.0, "us": 1e-3, "µs": 1e-3, "ns": 1e-6}


def milliseconds(text: str) -> int:
    """Raises UsageError."""
    if not _DURATION.fullmatch(text):
        raise UsageError(f"{text!r} is not a duration like 10m or 1m30s")
    parts = re.findall(r"(\d+\.?\d*)(ms|us|µs|ns|h|m|s)", text)
    return round(sum(float(number) * _UNITS_MS[unit] for number, unit in parts))


def seconds(text: str) -> float:
    """0 needs no unit. Raises UsageError."""
    return milliseconds(text) / 1000 if text != "0" else 0.0
