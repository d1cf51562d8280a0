"""All cases, by area: the file that they are in, and that of their recorded answers."""

from collections.abc import Mapping
from typing import Final

from raftwerk.conformance.cases import (
    auth,
    cluster,
    contests,
    http,
    keys,
    leases,
    permissions,
    txns,
    watches,
)
from raftwerk.conformance.steps import Case

AREAS: Final[Mapping[str, tuple[Case, ...]]] = {
    "keys": keys.CASES,
    "txns": txns.CASES,
    "watches": watches.CASES,
    "leases": leases.CASES,
    "contests": contests.CASES,
    "cluster": cluster.CASES,
    "http": http.CASES,
    "auth": auth.CASES,
    "permissions": permissions.CASES,
}
