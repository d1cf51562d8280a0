"""Raft consensus for Python: a replicated, durable key-value store that etcd v3 clients use unchanged."""

from typing import Final

__version__: Final = "0.1.0"
