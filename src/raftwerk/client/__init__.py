"""The asyncio client: key-values and status so far. It speaks to raftwerk and to etcd."""

from raftwerk.client.client import Client
from raftwerk.client.errors import CallError, CallFailed, OutcomeUnknown

__all__ = ["CallError", "CallFailed", "Client", "OutcomeUnknown"]
