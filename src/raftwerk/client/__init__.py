"""The asyncio client: key-values, watches, leases, locks, elections. It speaks to raftwerk and to etcd."""

from raftwerk.client.client import Client
from raftwerk.client.errors import CallError, CallFailed, Compacted, LeaseLost, OutcomeUnknown
from raftwerk.client.watch import Event, EventKind

__all__ = [
    "CallError",
    "CallFailed",
    "Client",
    "Compacted",
    "Event",
    "EventKind",
    "LeaseLost",
    "OutcomeUnknown",
]
