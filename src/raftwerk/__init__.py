"""Raft consensus for Python: a replicated, durable key-value store that etcd v3 clients use unchanged."""

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from raftwerk.client import Client as Client

__version__: Final = "0.1.0"


def __getattr__(name: str) -> Any:
    """raftwerk.Client, loaded when it is asked for: most modules have no use for it."""
    if name == "Client":
        return import_module("raftwerk.client").Client
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), "Client"])
