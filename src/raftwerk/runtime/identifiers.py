"""The ids of a cluster and its members, from the settings that all members share.

As in etcd, a member is named by its peer URLs and the cluster's token, and the cluster by its first members: nodes that
were started with different settings have different cluster ids, and refuse to talk to each other. So do nodes that did not
begin with the same data: one of a cluster that was restored from a snapshot, and one of the old cluster, of another restore, or
with an empty folder.
"""

import hashlib
from collections.abc import Iterable

from raftwerk.raft.types import NodeId
from raftwerk.runtime.settings import Settings


def node_id(peer_urls: Iterable[str], token: str) -> NodeId:
    """The id of the member with these peer URLs: 1 .. 2**63 - 1."""
    return _hash([*sorted(peer_urls), token])


def node_ids(settings: Settings) -> dict[str, NodeId]:
    """Member name to id, for all of initial-cluster."""
    token = settings.initial_cluster_token
    return {name: node_id(urls, token) for name, urls in settings.initial_cluster.items()}


def cluster_id(settings: Settings, origin: str = "") -> int:
    """The id of the cluster that these settings begin: 1 .. 2**63 - 1. origin: what it began with (Identity.origin)."""
    ids = sorted(node_ids(settings).values())
    parts = [*(f"{number:016x}" for number in ids), settings.initial_cluster_token]
    return _hash([*parts, origin] if origin else parts)


def _hash(parts: list[str]) -> int:
    digest = hashlib.sha256("\0".join(parts).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1 or 1
